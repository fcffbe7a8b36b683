"""fastText: word vectors from character n-grams and linear text classifiers, in the original's files.

>>> from mlkit import fasttext
>>> settings = fasttext.Settings.of("supervised", lr=0.5, dim=10)
>>> trained = fasttext.train_supervised("labelled.txt", settings)
>>> fasttext.save("modules.bin", trained.model)
>>> classifier = fasttext.Classifier(fasttext.load("modules.bin"))
>>> best = next(classifier.predict_text([b"the date and time of an event\\n"], k=2))
>>> classifier.model.labels[best.labels[0]].decode()
'__label__datetime'
>>> scores = fasttext.evaluate_classifier(classifier, "labelled.txt", k=1)
>>> scores.examples > 1000
True
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "Settings": "settings", "Job": "loop", "Result": "loop", "Model": "model", "load": "model",
    "save": "model", "train_supervised": "supervised", "train_vectors": "unsupervised",
    "Classifier": "predict", "Prediction": "predict", "Scores": "evaluate",
    "evaluate_classifier": "evaluate:evaluate", "quantise": "quantize", "Neighbours": "neighbours",
    "ngram_vectors": "neighbours", "sentence_vectors": "neighbours",
})  # fmt: skip
