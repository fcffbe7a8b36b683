"""fastText on several workers: vocabulary and rows of one machine, results of one machine with one worker."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlkit.cluster.data_parallel import WorkerGroup
from mlkit.errors import DataError, Stopped, UsageError
from mlkit.fasttext.distributed import train_on
from mlkit.fasttext.evaluate import evaluate
from mlkit.fasttext.loop import Job, Result
from mlkit.fasttext.predict import Classifier
from mlkit.fasttext.settings import Settings
from mlkit.fasttext.supervised import train_supervised
from mlkit.fasttext.unsupervised import train_vectors
from mlkit.jit import jit_disabled
from mlkit.progress import Report
from tests.word2vec.test_distributed import Serial

pytestmark = pytest.mark.skipif(jit_disabled(), reason="too slow without JIT")
LABELS = Settings.of(
    "supervised", dim=8, epoch=3, lr=0.5, word_ngrams=2, bucket=500, minn=2, maxn=3, min_count=2
)
WORDS = Settings.of("skipgram", dim=8, epoch=2, bucket=300, min_count=2, sample=1e-2)


@pytest.fixture
def text(tmp_path: Path) -> str:
    """Lines with labels; some words and labels are rare, some only at the end."""
    generator = np.random.default_rng(3)
    lines = []
    for number in range(900):
        topic = int(generator.integers(3))
        words = [f"w{topic}x{word}" for word in generator.integers(0, 20, 3 + number % 5)]
        if number > 800:
            words.append(f"late{number % 60}")
        lines.append(f"__label__t{topic} " + " ".join(words))
    lines[850] += " __label__rare é ü"
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines))  # no newline at the end
    return str(path)


def trained(
    workers: int, folder: Path, text: str, settings: Settings, sync: int = 4, **more: object
) -> Result:
    job = Job(**more)  # type: ignore[arg-type]
    return train_on(WorkerGroup(Serial(workers, folder), sync=sync), text, settings, job)


def bytes_of(result: Result) -> bytes:
    return result.model.input.tobytes() + result.model.output.tobytes()


def alone(text: str, settings: Settings) -> Result:
    train = train_supervised if settings.model == "supervised" else train_vectors
    return train(text, settings)


VARIANTS = [
    LABELS, replace(LABELS, loss="ova", word_ngrams=1, maxn=0), replace(LABELS, loss="hs", shuffle=False),
    replace(LABELS, loss="ns", min_count_label=2), WORDS, replace(WORDS, model="cbow", loss="hs"),
    replace(WORDS, loss="softmax", maxn=0),
]  # fmt: skip


@pytest.mark.parametrize("settings", VARIANTS, ids=lambda s: f"{s.model} {s.loss}")
def test_one_worker_makes_what_one_machine_makes(settings: Settings, text: str, tmp_path: Path) -> None:
    expected = alone(text, settings)
    found = trained(1, tmp_path, text, settings, sync=1)
    assert bytes_of(found) == bytes_of(expected)
    assert found.losses == pytest.approx(expected.losses)


@pytest.mark.parametrize("settings", VARIANTS, ids=lambda s: f"{s.model} {s.loss}")
def test_the_model_has_the_rows_of_one_machine(settings: Settings, text: str, tmp_path: Path) -> None:
    expected = alone(text, replace(settings, epoch=0)).model
    found = trained(3, tmp_path, text, replace(settings, epoch=0)).model
    assert found.words == expected.words
    assert found.labels == expected.labels
    assert (found.counts == expected.counts).all()
    assert found.tokens == expected.tokens
    assert (found.buckets is None) == (expected.buckets is None)
    if found.buckets is not None and expected.buckets is not None:
        assert (found.buckets == expected.buckets).all()
    assert (found.input == expected.input).all()


def test_order_of_arrival_and_repetition_do_not_matter(text: str, tmp_path: Path) -> None:
    results = []
    for name, order in (("a", list), ("b", lambda n: n[::-1]), ("c", lambda n: [*n, *n[::-1]])):
        (tmp_path / name).mkdir()
        crew = WorkerGroup(Serial(3, tmp_path / name, order), sync=4)
        results += [bytes_of(train_on(crew, text, settings, Job())) for settings in (LABELS, WORDS)]
    assert results[:2] == results[2:4] == results[4:]


@pytest.mark.parametrize("workers", [2, 4])
def test_labels_are_learnt(workers: int, text: str, tmp_path: Path) -> None:
    result = trained(workers, tmp_path, text, replace(LABELS, epoch=5))
    content = Path(text).read_bytes()
    assert evaluate(Classifier(result.model), [content]).precision > 0.97
    assert result.losses[-1] < result.losses[0] / 2


def test_stopped_and_resumed(text: str, tmp_path: Path) -> None:
    scores = {"score": lambda model: float(model.output[0, 0]), "patience": 2}
    whole = train_on(WorkerGroup(Serial(2, tmp_path), sync=4), text, LABELS, Job(), **scores)  # type: ignore[arg-type]

    def halt(report: Report) -> None:
        if report.stage == "training" and report.total and report.done / report.total > 0.6:
            os.kill(os.getpid(), signal.SIGTERM)

    state = str(tmp_path / "state")
    crew = WorkerGroup(Serial(2, tmp_path), sync=4)
    with pytest.raises(Stopped):
        train_on(crew, text, LABELS, Job(checkpoint=state, checkpoint_every=1e9, progress=halt), **scores)  # type: ignore[arg-type]
    resumed = train_on(crew, text, LABELS, Job(checkpoint=state, resume=True), **scores)  # type: ignore[arg-type]
    assert bytes_of(resumed) == bytes_of(whole)
    assert (resumed.losses, resumed.scores, resumed.best_epoch) == (
        whole.losses,
        whole.scores,
        whole.best_epoch,
    )


def test_faults(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pipe"):
        trained(2, tmp_path, "-", LABELS)
    with pytest.raises(DataError, match="no label found"):
        trained(2, tmp_path, text, replace(LABELS, label_prefix="##"))
    with pytest.raises(DataError, match="no word occurs"):
        trained(2, tmp_path, text, replace(WORDS, min_count=10_000))
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="is empty"):
        trained(2, tmp_path, str(tmp_path / "empty"), WORDS)
    (tmp_path / "short").write_text("__label__a one\n__label__b two\n")
    assert trained(5, tmp_path, str(tmp_path / "short"), replace(LABELS, min_count=1)).model.word_count == 3
