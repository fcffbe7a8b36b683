"""Training on several workers: what is put together, and that it depends on the number of workers only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlkit.checkpoint import Checkpoints, StopSignals
from mlkit.cluster import Engine, Tasks, open_engine
from mlkit.cluster.tasks import Outcome, run_task
from mlkit.embeddings import averaging
from mlkit.embeddings.averaging import Crew, changed_rows, put, put_together, shortened
from mlkit.embeddings.parallel import train_texts_on
from mlkit.embeddings.word2vec import Settings
from mlkit.embeddings.word2vec_texts import Texts, Trained, train_texts
from mlkit.errors import CheckpointError, DataError, Stopped, UsageError
from mlkit.jit import jit_disabled
from mlkit.progress import Report
from tests.naive.averaging import naive_put_together

quick = pytest.mark.skipif(jit_disabled(), reason="too slow without JIT")
SETTINGS = Settings(dim=12, window=3, epochs=2, sample=0)


class Serial(Engine):
    """Runs tasks one after the other in this process, in any order, some of them twice."""

    def __init__(self, workers: int, folder: Path, order: Callable[[list[int]], list[int]] = list) -> None:
        super().__init__(workers, str(folder))
        self.order = order

    def outcomes(
        self, tasks: Tasks, notes: list[str], look: Callable[[], None]
    ) -> Iterator[tuple[int, Outcome]]:
        found = {}
        for number in self.order(list(range(len(tasks.items)))):
            found[number] = run_task(tasks.function, tasks.items[number], notes[number])
            look()
        yield from found.items()

    def close(self, *, failed: bool = False) -> None:
        pass


def bytes_of(trained: Trained) -> bytes:
    return trained.vectors.tobytes() + trained.output_vectors.tobytes()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Sentences of one of four topics."""
    generator = np.random.default_rng(0)
    rows = [generator.integers(0, 10, 9) + 10 * generator.integers(4) for _ in range(1200)]
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(f"w{word}" for word in row) + "\n" for row in rows))
    return path


def test_put_together_is_the_naive_rule() -> None:
    generator = np.random.default_rng(1)
    weights, moves = (generator.normal(size=(23, 16)).astype(np.float32) for _ in range(2))
    strength = generator.exponential(size=23) * 3
    changes = []
    for _ in range(3):
        rows = np.flatnonzero(generator.random(23) < 0.5)
        changes.append((rows, (weights[rows] + generator.normal(size=(len(rows), 16))).astype(np.float32)))
    expected = naive_put_together(weights.tolist(), moves.tolist(), changes, strength.tolist())
    before = weights.copy()
    put_together(weights, moves, changes, strength)
    assert weights == pytest.approx(np.array(expected[0]), abs=1e-5)
    assert moves == pytest.approx(np.array(expected[1]), abs=1e-5)
    rows, values = changes[0]
    alone = [place for place, row in enumerate(rows) if not any(row in other for other, _ in changes[1:])]
    assert (weights[rows[alone]] == values[alone]).all()
    idle = np.setdiff1d(np.arange(23), np.concatenate([rows for rows, _ in changes]))
    assert (weights[idle] == before[idle]).all()


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    results = []
    base = generator.normal(size=(50, 16)).astype(np.float32)
    changes = [(np.arange(0, 50, step), base[::step] + np.float32(0.1)) for step in (1, 2, 3)]
    for block in (7, 50, 1000):
        monkeypatch.setattr(averaging, "BLOCK", block)
        weights, moves = base.copy(), np.ones_like(base)
        put_together(weights, moves, changes, np.linspace(0, 5, 50))
        results.append(weights.tobytes() + moves.tobytes())
    assert results[0] == results[1] == results[2]


def test_the_sum_is_shortened_to_the_mean() -> None:
    workers = np.array([1, 1, 4, 4, 4])
    share = shortened(workers, np.array([0.0, 9.0, 0.0, 1.0, 100.0]))
    assert share == pytest.approx([1, 1, 1, (1 - np.exp(-4)) / (4 * (1 - np.exp(-1))), 0.25])


def test_arrays_travel_whole(tmp_path: Path) -> None:
    rows, values = np.array([1, 5]), np.ones((2, 16), np.float32)
    put(str(tmp_path / "x-m-rows.npy"), rows)
    put(str(tmp_path / "x-m-values.npy"), values)
    found = changed_rows(str(tmp_path / "x"), "m")
    assert (found[0] == rows).all()
    assert (found[1] == values).all()
    assert len(list(tmp_path.iterdir())) == 2


@quick
@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize("loss", ["ns", "hs"])
def test_one_worker_makes_what_one_machine_makes(model: str, loss: str, text: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, model=model, loss=loss)
    alone = train_texts(Texts([text], min_count=1), settings, threads=1)
    shared = train_texts_on(Crew(Serial(1, tmp_path), sync=1), Texts([text], min_count=1), settings)
    assert shared.words == alone.words
    assert bytes_of(shared) == bytes_of(alone)
    assert shared.record.losses == pytest.approx(alone.record.losses)
    assert shared.record.words == alone.record.words


@quick
@pytest.mark.parametrize("loss", ["ns", "hs"])
def test_order_of_arrival_and_repetition_do_not_matter(loss: str, text: Path, tmp_path: Path) -> None:
    settings, results = replace(SETTINGS, loss=loss), []
    for name, order in (("a", list), ("b", lambda n: n[::-1]), ("c", lambda n: [*n, *n[::-1]])):
        (tmp_path / name).mkdir()
        engine = Serial(3, tmp_path / name, order)
        results.append(bytes_of(train_texts_on(Crew(engine, sync=4), Texts([text], min_count=1), settings)))
    assert results[0] == results[1] == results[2]


@quick
@pytest.mark.parametrize("workers", [2, 4])
def test_topics_are_learnt(workers: int, text: Path, tmp_path: Path) -> None:
    settings = Settings(dim=16, window=5, epochs=10, lr=0.1, sample=0)
    trained = train_texts_on(Crew(Serial(workers, tmp_path), sync=5), Texts([text], min_count=1), settings)
    unit = trained.vectors / np.linalg.norm(trained.vectors, axis=1, keepdims=True)
    topic = np.array([int(word[1:]) // 10 for word in trained.words])
    same = topic[:, None] == topic
    similarity = unit @ unit.T
    assert similarity[same].mean() > similarity[~same].mean() + 0.5
    alone = train_texts(Texts([text], min_count=1), settings, threads=1)
    assert trained.record.losses[-1] == pytest.approx(alone.record.losses[-1], rel=0.02)
    assert trained.record.words == alone.record.words


@quick
def test_more_workers_than_lines(tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("a b a b\nb c b c\n")
    texts = Texts([tmp_path / "few.txt"], min_count=1)
    trained = train_texts_on(Crew(Serial(5, tmp_path), sync=3), texts, SETTINGS)
    assert trained.words == ["b", "a", "c"]
    with pytest.raises(DataError, match="no word comes"):
        train_texts_on(Crew(Serial(2, tmp_path)), replace(texts, min_count=9), SETTINGS)


@quick
def test_stopped_between_rounds_and_resumed(text: Path, tmp_path: Path) -> None:
    texts = Texts([text], min_count=1, valid=text, valid_every=0.5, patience=3)
    whole = train_texts_on(Crew(Serial(2, tmp_path), sync=4), texts, SETTINGS)
    assert len(whole.record.valid_losses) == 4
    with StopSignals() as stop:
        saves = Checkpoints(tmp_path / "state", 1e9, stop)

        def halt(report: Report) -> None:
            if report.stage == "training" and report.total and report.done / report.total > 0.6:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Stopped):
            train_texts_on(
                Crew(Serial(2, tmp_path), sync=4), texts, SETTINGS, checkpoints=saves, progress=halt
            )
    saves = Checkpoints(tmp_path / "state", 1e9, StopSignals())
    resumed = train_texts_on(
        Crew(Serial(2, tmp_path), sync=4), texts, SETTINGS, checkpoints=saves, resume=True
    )
    assert bytes_of(resumed) == bytes_of(whole)
    assert resumed.record.valid_losses == whole.record.valid_losses
    assert resumed.record.losses == whole.record.losses
    for crew in (Crew(Serial(3, tmp_path), sync=4), Crew(Serial(2, tmp_path), sync=5)):
        with pytest.raises(CheckpointError, match=r"workers|sync"):
            train_texts_on(crew, texts, SETTINGS, checkpoints=saves, resume=True)


@quick
def test_what_cannot_be_shared_is_refused(text: Path, tmp_path: Path) -> None:
    crew = Crew(Serial(2, tmp_path))
    with pytest.raises(UsageError, match="--encoded"):
        train_texts_on(crew, Texts([text], encoded=tmp_path / "ids"), SETTINGS)
    with pytest.raises(UsageError, match="pipe"):
        train_texts_on(crew, Texts(["-"]), SETTINGS)


@quick
def test_a_fault_names_the_shard(text: Path, tmp_path: Path) -> None:
    text.write_bytes(text.read_bytes() + b"w1 \xff w2\n")
    with pytest.raises(DataError, match=r"invalid UTF-8.*\(shard 4/4\)") as fault:
        train_texts_on(Crew(Serial(2, tmp_path)), Texts([text], min_count=1), SETTINGS)
    assert fault.value.line == 1201


@quick
def test_a_killed_process_changes_nothing(text: Path, tmp_path: Path) -> None:
    texts = Texts([text], min_count=1)
    expected = bytes_of(train_texts_on(Crew(Serial(2, tmp_path), sync=4), texts, SETTINGS))
    killed = []

    def kill(report: Report) -> None:
        if report.stage == "training" and not killed and report.done > 0:
            (children,) = [process._pool._processes for process in engines]  # type: ignore[union-attr]
            killed.append(next(iter(children)))
            os.kill(killed[0], signal.SIGKILL)

    with open_engine(processes=2) as engine:
        engines = [engine]
        found = bytes_of(train_texts_on(Crew(engine, sync=4), texts, SETTINGS, progress=kill))
    assert killed
    assert found == expected
