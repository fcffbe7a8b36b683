"""`mlkit fasttext`: classify lines, and score a classifier on labelled ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.fasttext import options as o
from mlkit.cli.commands.fasttext.options import Original, app
from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.fasttext.predict import Prediction

Confusion = Annotated[
    str | None,
    typer.Option("--confusion", metavar="FILE", help="Write gold label, predicted label and count as TSV."),
]


def _classifier(path: str, label: str = "__label__") -> Any:
    # before numpy is there: lines make small products, and the BLAS's other threads would only spin (3x the CPU time)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mlkit.fasttext.model import load
    from mlkit.fasttext.predict import Classifier

    return Classifier(load(path, label))


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


def _predict(
    model: str, data: str, k: int, threshold: float, label: str, json: bool, *, probabilities: bool
) -> None:
    classifier = _classifier(model, label)
    from mlkit.fasttext.predict import arrivals

    names = [name.decode("utf-8", "surrogateescape") for name in classifier.model.labels]

    def text(found: Prediction) -> str:
        if not probabilities:
            return " ".join([names[label] for label in found.labels])
        pairs = zip(found.labels, found.probabilities, strict=True)
        return " ".join(f"{names[label]} {probability:.6g}" for label, probability in pairs)

    for chunk in arrivals(data):
        found = classifier.predict_text([chunk], k, threshold)
        if json:
            for one in found:
                facts = {
                    "labels": [names[number] for number in one.labels],
                    "probabilities": one.probabilities,
                }
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


@app.command("test", cls=Original)
def score(model: o.Model, data: o.Data, k: o.K = 1, threshold: o.Threshold = 0.0, label: o.Label = "__label__",
         json: options.Json = False) -> None:  # fmt: skip
    """Print precision and recall at k on labelled lines.

    \b
    Example:
      mlkit fasttext test model.bin cooking.test.txt 1
    """
    classifier = _classifier(model, label)
    from mlkit.fasttext.evaluate import evaluate

    scores = evaluate(classifier, data, k, threshold)
    if json:
        out.json("mlkit.fasttext.test", _facts(scores))
    else:
        _summary(scores, k)


def _facts(scores: Any) -> dict[str, Any]:
    return {
        "examples": scores.examples,
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
    }


def _summary(scores: Any, k: int) -> None:
    out.line(f"N\t{scores.examples}")
    out.line(f"P@{k}\t{scores.precision:.3g}")
    out.line(f"R@{k}\t{scores.recall:.3g}")


@app.command("test-label", cls=Original)
def score_labels(model: o.Model, data: o.Data, k: o.K = 1, threshold: o.Threshold = 0.0,
                 label: o.Label = "__label__", confusion: Confusion = None,
                 json: options.Json = False) -> None:  # fmt: skip
    """Print F1, precision and recall of every label, and the confusion matrix.

    \b
    Example:
      mlkit fasttext test-label model.bin cooking.test.txt --confusion confusion.tsv
    """
    classifier = _classifier(model, label)
    from mlkit.fasttext.evaluate import evaluate
    from mlkit.formats.streams import write_text

    scores = evaluate(classifier, data, k, threshold, confusion=confusion is not None)
    names = [name.decode("utf-8", "surrogateescape") for name in classifier.model.labels]
    for number, name in enumerate(names):
        f1, precision, recall = scores.of_label(number)
        if json:
            facts = {
                "label": name,
                "gold": int(scores.gold[number]),
                "predicted": int(scores.predicted[number]),
            }
            figures = {"f1": f1, "precision": precision, "recall": recall}
            out.json(
                "mlkit.fasttext.test-label", facts | {k: None if v != v else v for k, v in figures.items()}
            )
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
