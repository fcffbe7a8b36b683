"""Every row of the golden files: scores, statistics and signatures of sacreBLEU 2.6, digit by digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlkit.errors import UsageError
from mlkit.metrics import bleu, chrf
from mlkit.metrics.metric import signature_text, total
from tests.metrics.data import GOLDEN, MODELS_FROM_ELSEWHERE, metric_of, rows_of, shown, text

CORPUS = rows_of(GOLDEN / "corpus.tsv")
SEGMENTS = sorted((GOLDEN / "segments").glob("*.tsv.xz"))


def test_the_golden_files_are_there(shared: Path) -> None:
    assert len(CORPUS) == 246
    assert len(SEGMENTS) == 15


def _name(row: dict[str, str]) -> str:
    return " ".join(row[key] for key in ("pair", "refs", "system", "metric", "options")).replace("/", " ")


@pytest.mark.parametrize("row", CORPUS, ids=_name)
def test_corpus(row: dict[str, str]) -> None:
    if any(name in row["options"] for name in MODELS_FROM_ELSEWHERE):
        with pytest.raises(UsageError, match="MeCab dictionary"):
            metric_of(row["metric"], row["options"])
        return
    metric = metric_of(row["metric"], row["options"])
    references = [text(row["pair"], f"ref.{name}") for name in row["refs"].split("+")]
    metric.prepare(references)
    totals = total(metric.statistics(text(row["pair"], f"hyp.{row['system']}")))
    assert shown(totals) == row["verbose_or_stats"]
    assert repr(metric.score(totals).value) == row["score"]
    assert signature_text(metric.signature()) == row["signature"]


BY_KERNELS = [
    row
    for row in CORPUS
    if row["metric"] == "chrf" or row["options"] in ("-tok 13a", "-tok none", "-tok 13a -lc")
]


@pytest.mark.parametrize("row", BY_KERNELS, ids=_name)
def test_corpus_by_kernels(row: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways of large inputs, which these are too small for."""
    monkeypatch.setattr(bleu, "LINES_FROM", 0)
    monkeypatch.setattr(chrf, "COMPILED_FROM", 0)
    test_corpus(row)


@pytest.mark.parametrize("path", SEGMENTS, ids=lambda path: path.name)
def test_segments(path: Path) -> None:
    pair, references, system = _parts(path)
    hypotheses = text(pair, f"hyp.{system}")
    streams = [text(pair, f"ref.{name}") for name in references.split("+")]
    golden = rows_of(path)
    checked = 0
    for column in golden[0]:
        kind, _, options = column.partition(" ")
        if column == "seg" or column.endswith("[stats]"):
            continue
        if any(name in options for name in MODELS_FROM_ELSEWHERE):
            continue
        metric = metric_of(kind, options)
        metric.prepare(streams)
        rows = metric.statistics(hypotheses)
        assert len(rows) == len(golden)
        for number, (row, wanted) in enumerate(zip(rows, golden, strict=True)):
            assert shown(row) == wanted[f"{column} [stats]"], (column, number)
            assert repr(metric.segment_score(row).value) == wanted[column], (column, number)
        checked += 1
    assert checked >= 9


def _parts(path: Path) -> tuple[str, str, str]:
    """Return pair, references and system of ``en-de.A.de+B.de.Online-W.de.tsv.xz``."""
    pair, rest = path.name.removesuffix(".tsv.xz").split(".", 1)
    language = pair.split("-")[1]
    references, system, _ = rest.rsplit(".", 2)
    return pair, references, f"{system}.{language}"
