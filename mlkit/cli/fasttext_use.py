"""`mlkit fasttext`: classify, score, print vectors, ask for neighbours, quantise and convert."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from mlkit.cli import fasttext_options as o
from mlkit.cli import options
from mlkit.cli.fasttext_options import Original, app
from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.fasttext.predict import Prediction

Confusion = Annotated[
    str | None,
    typer.Option("--confusion", metavar="FILE", help="Write gold label, predicted label and count as TSV."),
]
Word = Annotated[str, typer.Argument(help="The word.", show_default=False)]
What = Annotated[str, typer.Argument(help="args, dict, input or output.", show_default=False)]
Target = Annotated[str, typer.Argument(help="New file: .safetensors (used rows, mapped) or .bin.", show_default=False)]


def _classifier(path: str, label: str = "__label__") -> Any:
    from mlkit.fasttext.model import load
    from mlkit.fasttext.predict import Classifier

    return Classifier(load(path, label))


def _arrivals(path: str) -> Iterator[bytes]:
    """Yield whole lines as they come in: a pipe is answered at once, a file in large pieces."""
    from mlkit.formats.streams import open_input

    with open_input(path) as stream:
        rest = b""
        while data := stream.read1(1 << 20):  # type: ignore[attr-defined]
            lines, newline, tail = data.rpartition(b"\n")
            if newline:
                yield rest + lines + newline
                rest = tail
            else:
                rest += data
        if rest:
            yield rest


@app.command(cls=Original)
def predict(model: o.Model, data: o.Data = "-", k: o.K = 1, threshold: o.Threshold = 0.0,
            label: o.Label = "__label__", json: options.Json = False) -> None:  # fmt: skip
    """Print the most likely labels of every line.

    \b
    Example:
      mlkit fasttext predict model.bin test.txt
    """
    _predict(model, data, k, threshold, label, json, probabilities=False)


@app.command("predict-prob", cls=Original)
def predict_prob(model: o.Model, data: o.Data = "-", k: o.K = 1, threshold: o.Threshold = 0.0,
                 label: o.Label = "__label__", json: options.Json = False) -> None:  # fmt: skip
    """Print the most likely labels of every line, and their probabilities.

    \b
    Example:
      echo "which baking dish is best" | mlkit fasttext predict-prob model.bin - 5
    """
    _predict(model, data, k, threshold, label, json, probabilities=True)


def _predict(model: str, data: str, k: int, threshold: float, label: str, json: bool, *, probabilities: bool) -> None:
    classifier = _classifier(model, label)
    names = [name.decode("utf-8", "surrogateescape") for name in classifier.model.labels]

    def text(found: Prediction) -> str:
        if not probabilities:
            return " ".join([names[label] for label in found.labels])
        pairs = zip(found.labels, found.probabilities, strict=True)
        return " ".join(f"{names[label]} {probability:.6g}" for label, probability in pairs)

    for chunk in _arrivals(data):
        found = classifier.predict_text([chunk], k, threshold)
        if json:
            for one in found:
                facts = {"labels": [names[number] for number in one.labels], "probabilities": one.probabilities}
                out.json("mlkit.fasttext.predict", facts)
        else:
            lines = "".join([text(one) + "\n" for one in found])
            out.stdout.write(lines.encode("utf-8", "surrogateescape"))
        out.stdout.flush()


def scorer(path: str) -> Any:
    """Return a function that gives a model's F1 on a labelled file; the file is read once."""
    from mlkit.fasttext.evaluate import evaluate
    from mlkit.fasttext.predict import Classifier
    from mlkit.formats.streams import read_bytes

    content = read_bytes(path)
    return lambda model: evaluate(Classifier(model), [content]).f1


@app.command(cls=Original)
def test(model: o.Model, data: o.Data, k: o.K = 1, threshold: o.Threshold = 0.0, label: o.Label = "__label__",
         json: options.Json = False) -> None:  # fmt: skip
    """Print precision and recall at k on labelled lines.

    \b
    Example:
      mlkit fasttext test model.bin cooking.test.txt 1
    """
    from mlkit.fasttext.evaluate import evaluate

    scores = evaluate(_classifier(model, label), data, k, threshold)
    if json:
        out.json("mlkit.fasttext.test", _facts(scores), {"k": k, "threshold": threshold, "data": data})
    else:
        _summary(scores, k)


def _facts(scores: Any) -> dict[str, Any]:
    return {"examples": scores.examples, "precision": scores.precision, "recall": scores.recall, "f1": scores.f1}


def _summary(scores: Any, k: int) -> None:
    out.line(f"N\t{scores.examples}")
    out.line(f"P@{k}\t{scores.precision:.3g}")
    out.line(f"R@{k}\t{scores.recall:.3g}")


@app.command("test-label", cls=Original)
def test_label(model: o.Model, data: o.Data, k: o.K = 1, threshold: o.Threshold = 0.0,
               label: o.Label = "__label__", confusion: Confusion = None, json: options.Json = False) -> None:  # fmt: skip
    """Print F1, precision and recall of every label, and the confusion matrix.

    \b
    Example:
      mlkit fasttext test-label model.bin cooking.test.txt --confusion confusion.tsv
    """
    from mlkit.fasttext.evaluate import evaluate
    from mlkit.formats.streams import write_text

    classifier = _classifier(model, label)
    scores = evaluate(classifier, data, k, threshold, confusion=confusion is not None)
    names = [name.decode("utf-8", "surrogateescape") for name in classifier.model.labels]
    for number, name in enumerate(names):
        f1, precision, recall = scores.of_label(number)
        if json:
            facts = {"label": name, "gold": int(scores.gold[number]), "predicted": int(scores.predicted[number])}
            figures = {"f1": f1, "precision": precision, "recall": recall}
            out.json("mlkit.fasttext.test-label", facts | {k: None if v != v else v for k, v in figures.items()})
        else:
            figure = ["--------" if value != value else f"{value:.6f}" for value in (f1, precision, recall)]
            out.line(f"F1-Score : {figure[0]}  Precision : {figure[1]}  Recall : {figure[2]}   {name}")
    if not json:
        _summary(scores, k)
    if confusion is not None:
        rows = [
            f"{names[gold]}\t{names[best]}\t{scores.confusion[gold, best]}"
            for gold, best in zip(*scores.confusion.nonzero(), strict=True)
        ]
        write_text(confusion, ["gold\tpredicted\tcount", *rows])


@app.command(cls=Original)
def quantize(
    output: o.OutputName, input: o.option(str | None, "--input", "Training text for --retrain.", o.FILES, "-i") = None,
    cutoff: o.option(int, "--cutoff", "Keep this many rows (0: all).", o.FILES, min=0) = 0,
    retrain: o.option(bool, "--retrain", "Train on after the cut.", o.FILES) = False,
    qnorm: o.option(bool, "--qnorm", "Quantise the lengths of rows apart.", o.FILES) = False,
    qout: o.option(bool, "--qout", "Quantise the output matrix too.", o.FILES) = False,
    dsub: o.option(int, "--dsub", "Columns in one code.", o.FILES, min=1) = 2,
    epoch: o.option(int, "--epoch", "Epochs of --retrain.") = 5, lr: o.option(float, "--lr", "Rate of --retrain.") = 0.1,
    label: o.Label = "__label__", threads: o.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Turn OUTPUT.bin into the small OUTPUT.ftz.

    \b
    Example:
      mlkit fasttext quantize -output model -input cooking.train.txt -qnorm -retrain -epoch 1 -cutoff 100000
    """
    from mlkit.errors import UsageError
    from mlkit.fasttext.model import load, save
    from mlkit.fasttext.quantize import quantise
    from mlkit.threads import thread_count

    if retrain and input is None:
        raise UsageError("--retrain needs --input, the training text")
    with out.progress("Quantising") as report:
        small = quantise(
            load(output + ".bin", label), cutoff=cutoff, retrain=input if retrain else None, qnorm=qnorm, qout=qout,
            dsub=dsub, epoch=epoch, lr=lr, seed=seed, threads=thread_count(threads), progress=report,
        )  # fmt: skip
    save(output + ".ftz", small)


@app.command("print-word-vectors", cls=Original)
def print_word_vectors(model: o.Model, data: o.Data = "-") -> None:
    """Print the vector of every word of the input; unknown words have one from their n-grams.

    \b
    Example:
      echo unknownishword | mlkit fasttext print-word-vectors vec.bin
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.text_vectors import vector_text

    loaded = load(model)
    for chunk in _arrivals(data):
        words = chunk.replace(b"\0", b" ").split()
        for word, vector in zip(words, loaded.word_vectors(words), strict=True):
            out.stdout.write(word + b" " + vector_text(vector).encode() + b"\n")
        out.stdout.flush()


@app.command("print-sentence-vectors", cls=Original)
def print_sentence_vectors(model: o.Model, data: o.Data = "-") -> None:
    """Print one vector for every line of the input.

    \b
    Example:
      mlkit fasttext print-sentence-vectors model.bin < sentences.txt
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import sentence_vectors
    from mlkit.fasttext.predict import Encoder
    from mlkit.fasttext.text_vectors import vector_text

    loaded = load(model)
    encoder = Encoder(loaded)
    for chunk in _arrivals(data):
        for vector in sentence_vectors(loaded, chunk, encoder):
            out.line(vector_text(vector))
        out.stdout.flush()


@app.command("print-ngrams", cls=Original)
def print_ngrams(model: o.Model, word: Word) -> None:
    """Print the n-grams of a word with their vectors.

    \b
    Example:
      mlkit fasttext print-ngrams vec.bin where
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import ngram_vectors
    from mlkit.fasttext.text_vectors import vector_text

    for ngram, vector in ngram_vectors(load(model), word.encode("utf-8", "surrogateescape")):
        out.stdout.write(ngram + b" " + vector_text(vector).encode() + b"\n")


def _ask(prompt: str, stream: BinaryIO) -> Iterator[bytes]:
    """Prompt and yield the lines that answer."""
    while True:
        out.stdout.write(prompt.encode())
        out.stdout.flush()
        line = stream.readline()
        if not line:
            return
        yield line


def _show(found: list[tuple[bytes, float]]) -> None:
    for word, score in found:
        out.stdout.write(word + f" {score:.6g}\n".encode())


@app.command(cls=Original)
def nn(model: o.Model, k: o.K = 10) -> None:
    """Ask for words, print their nearest neighbours.

    \b
    Example:
      echo king | mlkit fasttext nn vec.bin 5
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import Neighbours
    from mlkit.formats.streams import open_input

    table = Neighbours(load(model))
    for line in _ask("Query word? ", open_input("-")):
        for word in line.split():
            _show(table.of_word(word, k))


@app.command(cls=Original)
def analogies(model: o.Model, k: o.K = 10) -> None:
    """Ask for three words A B C, print the words nearest to A - B + C.

    \b
    Example:
      echo berlin germany france | mlkit fasttext analogies vec.bin 5
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import Neighbours
    from mlkit.formats.streams import open_input

    table = Neighbours(load(model))
    for line in _ask("Query triplet (A - B + C)? ", open_input("-")):
        words = line.split()
        if len(words) != 3:
            out.warn("three words are expected")
            continue
        _show(table.analogy(words[0], words[1], words[2], k))


@app.command(cls=Original)
def dump(model: o.Model, what: What) -> None:
    """Print a model's settings, dictionary, input or output matrix.

    \b
    Example:
      mlkit fasttext dump model.bin args
    """
    from mlkit.fasttext.dump import dump_lines
    from mlkit.fasttext.model import load

    for line in dump_lines(load(model), what):
        out.stdout.write(line + b"\n")


@app.command(cls=Original)
def convert(model: o.Model, target: Target) -> None:
    """Write a model as .safetensors (only rows that hold something, mapped when read) or back as .bin.

    \b
    Example:
      mlkit fasttext convert model.bin model.safetensors
    """
    from mlkit.fasttext.model import compacted, load, save
    from mlkit.formats.streams import refuse_same_file

    refuse_same_file(target, [model])
    loaded = load(model)
    save(target, compacted(loaded) if target.endswith(".safetensors") else loaded)
