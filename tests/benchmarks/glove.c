/* A yardstick: GloVe's update in double precision, as its paper and the facts in anchors/embeddings.md state it.
 * Usage: glove RECORDS WORDS DIM EPOCHS XMAX OUTPUT. Prints the mean cost of every epoch. One thread; the file is read
 * again in every epoch. The vectors (word + context) are written as float32 rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct { int word, context; double weight; } Record;

static double clip(double value, double bound) { return fmin(fmax(value, -bound), bound); }

int main(int argc, char **argv) {
    if (argc < 7) return 2;
    const long words = atol(argv[2]), dim = atol(argv[3]), epochs = atol(argv[4]), width = dim + 1;
    const double x_max = atof(argv[5]), alpha = 0.75, rate = 0.05, bound = 100.0;
    const size_t size = (size_t)2 * words * width;
    double *rows = malloc(size * sizeof *rows), *squares = malloc(size * sizeof *squares);
    double *step_a = malloc(dim * sizeof *step_a), *step_b = malloc(dim * sizeof *step_b);
    if (!rows || !squares || !step_a || !step_b) return 1;
    srand(1);
    for (size_t k = 0; k < size; k++) {
        rows[k] = (rand() / (double)RAND_MAX - 0.5) / dim;
        squares[k] = 1.0;
    }
    for (long epoch = 0; epoch < epochs; epoch++) {
        FILE *file = fopen(argv[1], "rb");
        if (!file) return 1;
        Record record;
        double cost = 0;
        long records = 0;
        while (fread(&record, sizeof record, 1, file) == 1) {
            const size_t a = (size_t)(record.word - 1) * width, b = (size_t)(words + record.context - 1) * width;
            double dot = 0;
            for (long k = 0; k < dim; k++) dot += rows[a + k] * rows[b + k];
            const double difference = dot + rows[a + dim] + rows[b + dim] - log(record.weight);
            const double factor = record.weight > x_max ? 1.0 : pow(record.weight / x_max, alpha);
            const double gradient = factor * difference;
            cost += 0.5 * gradient * difference;
            records++;
            for (long k = 0; k < dim; k++) {
                const double of_a = clip(gradient * rows[b + k], bound) * rate;
                const double of_b = clip(gradient * rows[a + k], bound) * rate;
                step_a[k] = of_a / sqrt(squares[a + k]);
                step_b[k] = of_b / sqrt(squares[b + k]);
                squares[a + k] += of_a * of_a;
                squares[b + k] += of_b * of_b;
            }
            for (long k = 0; k < dim; k++) {
                rows[a + k] -= step_a[k];
                rows[b + k] -= step_b[k];
            }
            rows[a + dim] -= gradient / sqrt(squares[a + dim]);
            rows[b + dim] -= gradient / sqrt(squares[b + dim]);
            squares[a + dim] += gradient * gradient;
            squares[b + dim] += gradient * gradient;
        }
        fclose(file);
        printf("%.8f\n", cost / records);
        fflush(stdout);
    }
    FILE *output = fopen(argv[6], "wb");
    if (!output) return 1;
    for (long word = 0; word < words; word++)
        for (long k = 0; k < dim; k++) {
            const float sum = rows[word * width + k] + rows[(words + word) * width + k];
            fwrite(&sum, sizeof sum, 1, output);
        }
    return fclose(output) != 0;
}
