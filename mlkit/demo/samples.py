"""Small files for the manual's examples: a sample of each kind of input, made of what every machine has.

The texts are docstrings of Python's standard library; hypotheses, tables and ratings are made up, by rule.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from mlkit.demo.text import docstrings, sentences_of

MODULES = (
    "argparse", "subprocess", "logging/__init__", "statistics", "typing", "datetime", "pathlib", "random",
)  # fmt: skip
CITIES = ("Bern", "Oslo", "Rome")
# what each file is, for the reader of the demonstration's last lines
CONTENTS = {
    "corpus.txt": "text, a sentence a line: docstrings of eight modules of Python",
    "test.txt": "a hundred other sentences of the same kind",
    "ref.txt": "reference translations (sixty of those sentences)",
    "hyp.txt": "a system's output: the same without every seventh word",
    "train.csv": "a made-up table: age, city, hours, and the class income",
    "test.csv": "other rows of it",
    "labelled.txt": "sentences with the module that they are from as __label__NAME",
    "pairs.txt": "pairs of words with a made-up rating",
    "questions.txt": "analogies: singular and plural",
}


def sample_files() -> dict[str, list[str]]:
    """Return the lines of each sample file by its name; the same for the same version of Python."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = {module.split("/")[0]: library / f"{module}.py" for module in MODULES}
    by_module = {
        module: [sentence for text in docstrings(path) for sentence in sentences_of(text)]
        for module, path in paths.items()
    }
    sentences = [sentence for found in by_module.values() for sentence in found]
    references = sentences[:60]
    table = _table(400)
    return {
        "corpus.txt": sentences[100:],
        "test.txt": sentences[:100],
        "ref.txt": references,
        "hyp.txt": [_without_some_words(text) for text in references],
        "train.csv": [table[0], *table[101:]],
        "test.csv": table[:101],
        "labelled.txt": _mixed({name: found for name, found in by_module.items() if len(found) > 20}),
        "pairs.txt": ["value\tvalues\t9", "list\ttuple\t7", "list\tdate\t1"],
        "questions.txt": [": plural", "value values argument arguments", "argument arguments value values"],
    }


def _without_some_words(text: str) -> str:
    return " ".join(word for position, word in enumerate(text.split()) if position % 7 != 3)


def _table(rows: int) -> list[str]:
    """Return a header and rows whose class follows from the numbers and the city by a simple rule."""
    lines = ["age,city,hours,income"]
    for number in range(rows):
        age, hours, city = 18 + number * 7 % 50, 10 + number * 13 % 45, CITIES[number * 5 % 3]
        income = "high" if age + hours + 9 * (city == "Oslo") > 78 else "low"
        lines.append(f"{age},{city},{hours},{income}")
    return lines


def _mixed(by_label: dict[str, list[str]]) -> list[str]:
    """Return a line of each label in turn, as long as a label has lines."""
    longest = max(map(len, by_label.values()), default=0)
    return [
        f"__label__{label} {found[place]}"
        for place in range(longest)
        for label, found in by_label.items()
        if place < len(found)
    ]
