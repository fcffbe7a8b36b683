"""N-gram language models: counting, smoothing, queries, generation, mixing and pruning.

The chain rule writes the probability of a sentence as a product, p(w1 ... wT) = prod_t p(wt | w1 ... w(t-1));
the Markov assumption of order n cuts every history to its last n-1 words. `</s>` is predicted, `<s>` only
conditions.

>>> from mlkit import ngram
>>> statistics = ngram.train_model("lm.bin", ngram.TrainSettings(order=3), texts=["corpus.txt"])
>>> model = ngram.load_model("lm.bin")
>>> totals = ngram.measure(model, ["test.txt"])
>>> totals.lines, totals.tokens == 1450 + 100, 10 < totals.perplexity < 2000
(100, True, True)
>>> ngram.save_model(model, "lm.arpa", binary=False)
>>> generator = ngram.Generator(model)
>>> best = ngram.beam_search(generator, generator.history_of("return the"), 5, beam=4)[0]
>>> best.per_token < 0
True
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "TrainSettings": "train", "train_model": "train:train", "Smoothing": "smoothing", "LanguageModel": "model",
    "load_model": "model", "save_model": "model", "Totals": "query", "measure": "query", "perplexity": "query",
    "score_text": "query", "Generator": "generate", "Hypothesis": "generate", "beam_search": "generate",
    "sample": "generate", "count_text": "count_files", "merge_counts": "count_files",
    "read_counts": "count_files", "mix_models": "interpolate", "tune_weights": "interpolate",
    "prune_entropy": "prune",
})  # fmt: skip
