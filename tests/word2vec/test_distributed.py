"""Training on several workers: what is put together, and that it depends on the number of workers only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlkit.arrays import aligned_zeros
from mlkit.checkpoint import Checkpoints
from mlkit.cluster import Engine, Tasks, data_parallel, open_engine
from mlkit.cluster.data_parallel import WorkerGroup, put_together
from mlkit.cluster.parameter_exchange import Changes, Plan, Weights
from mlkit.cluster.tasks import Outcome, run_task
from mlkit.errors import CheckpointError, DataError, Stopped, UsageError
from mlkit.jit import jit_disabled
from mlkit.progress import Report
from mlkit.signals import StopSignals
from mlkit.word2vec.distributed import train_texts_on
from mlkit.word2vec.texts import Texts, Trained, train_texts
from mlkit.word2vec.train import Settings
from tests.naive.averaging import naive_put_together

quick = pytest.mark.skipif(jit_disabled(), reason="too slow without JIT")
SETTINGS = Settings(dim=12, window=3, epochs=2, sample=0)


class Serial(Engine):
    """Runs tasks one after the other in this process, in any order, some of them twice."""

    def __init__(
        self,
        workers: int,
        folder: Path,
        order: Callable[[list[int]], list[int]] = list,
        *,
        mapped: bool = False,
    ) -> None:
        super().__init__(workers, str(folder))
        self.order, self.mapped = order, mapped

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


def together(weights: Any, moves: Any, changes: Any, strength: Any, number: int = 5) -> tuple[Any, Any, Any]:
    """Put changes [(rows, values)] together; return weights, moves and stamps."""
    sizes = np.array([len(rows) for rows, _ in changes])
    ends = np.cumsum(sizes)
    rows = np.concatenate([rows for rows, _ in changes]).astype(np.int32)
    values = np.concatenate([values for _, values in changes]).astype(np.float32).reshape(-1)
    weights, moves, shared = weights.copy(), moves.copy(), np.zeros(weights.size, np.float32)
    stamps = np.full(len(weights), number - 1, np.int32)
    put_together(
        weights, moves, stamps, shared, Changes(rows, ends - sizes, ends, values), number, strength, 1.0
    )
    new = stamps == number
    assert (shared.reshape(weights.shape)[new] == weights[new]).all()
    return weights, moves, stamps


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_put_together_is_the_naive_rule(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    weights, moves = (generator.normal(size=(13, 16)).astype(np.float32) for _ in range(2))
    strength = generator.exponential(size=13) * 3
    strength[:2] = 1e-6, 100  # about the sum, and the mean
    changes = []
    for _ in range(workers):
        rows = np.flatnonzero((generator.random(13) < 0.5) | (np.arange(13) < 2))
        changes.append((rows, (weights[rows] + generator.normal(size=(len(rows), 16))).astype(np.float32)))
    expected = naive_put_together(weights.tolist(), moves.tolist(), changes, strength.tolist())
    results = []
    for threads in (1, 2, 5):  # ranges of rows do not matter
        monkeypatch.setattr(data_parallel, "available_cores", lambda: threads)  # noqa: B023
        results.append(together(weights, moves, changes, strength))
    found, moved, stamps = results[0]
    changed = np.unique(np.concatenate([rows for rows, _ in changes]))
    assert found == pytest.approx(np.array(expected[0]), abs=1e-5)
    assert moved[changed] == pytest.approx(np.array(expected[1])[changed], abs=1e-5)
    assert (np.flatnonzero(stamps == 5) == changed).all()
    rows, values = changes[0]
    alone = [place for place, row in enumerate(rows) if not any(row in other for other, _ in changes[1:])]
    assert (found[rows[alone]] == values[alone]).all()
    assert all((a == b).all() for one in results[1:] for a, b in zip(one, results[0], strict=True))


def test_moves_of_rows_that_rested_do_not_count() -> None:
    weights, moves = np.zeros((1, 16), np.float32), np.ones((1, 16), np.float32)
    changes = [(np.array([0]), weights + 2), (np.array([0]), weights + 2)]
    for stamp, expected in ((4, 2.5), (3, 2.0)):  # the mean, and half of the last move if it was one
        stamps = np.full(1, stamp, np.int32)
        found, values = weights.copy(), np.full(32, 2, np.float32)
        known = Changes(np.zeros(2, np.int32), np.array([0, 1]), np.array([1, 2]), values)
        put_together(found, moves.copy(), stamps, found.reshape(-1), known, 5, np.array([100.0]), 1.0)
        assert found == pytest.approx(expected)
        assert changes


@pytest.mark.parametrize("mapped", [True, False])
def test_weights_and_changes_travel(mapped: bool, tmp_path: Path) -> None:
    """Replicas that took part, that missed rounds, that are new, and that trained in vain have the same weights."""
    generator = np.random.default_rng(2)
    weights: Weights = {name: aligned_zeros(rows, 16) for name, rows in (("a", 7), ("b", 5))}
    for matrix in weights.values():
        matrix[:] = generator.normal(size=matrix.shape)
    plan = Plan.of(str(tmp_path), weights, 2, mapped=mapped)
    leader = plan.lead(weights, 3)
    moves = {name: np.zeros_like(matrix) for name, matrix in weights.items()}
    late = None
    for number in range(3, 11):
        leader.offer(number)
        counts = []
        for slot in range(2):
            with plan.replica() as replica:
                assert replica.update(number)
                assert all((replica.weights[name] == weights[name]).all() for name in weights)
                replica.weights["a"][[slot, 3]] += number
                replica.weights["b"][slot + 1] -= 1
                touched = {"a": np.array([0, 1, 3, 5], np.int32)} if slot else {}
                counts.append(replica.give(number, slot, touched))
                if late is None:
                    with pytest.raises(RuntimeError), plan.replica() as lost:
                        assert lost.update(number)
                        lost.weights["b"][4] = 0
                        raise RuntimeError
                    with plan.replica() as late:  # another thread's
                        assert late.update(number)
                        late.weights["b"][4] = 0  # a task that is run twice
                        late.give(number, 1, {})
        assert counts == [{"a": 2, "b": 1}] * 2
        expected = {name: matrix.copy() for name, matrix in weights.items()}
        expected["a"][[0, 1]] += number
        expected["a"][3] += number  # the mean of both
        expected["b"][[1, 2]] -= 1
        for name, matrix in weights.items():
            changes = leader.changes(number, name, counts)
            put_together(
                matrix, moves[name] * 0, leader.stamps[name], leader.shared[name], changes, number,
                np.full(len(matrix), 1e9), 1.0,
            )  # fmt: skip
            assert matrix == pytest.approx(expected[name], abs=1e-4)
    leader.offer(11)
    with plan.replica() as replica, plan.replica() as other:
        assert late in (replica, other)
        assert lost not in (replica, other)
        for one in (replica, other):
            if not one.update(11):
                leader.offer_all(11)
                assert one.update(11)
            assert all((one.weights[name] == weights[name]).all() for name in weights)


@quick
@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize("loss", ["ns", "hs"])
@pytest.mark.parametrize("mapped", [True, False])
def test_one_worker_makes_what_one_machine_makes(
    model: str, loss: str, mapped: bool, text: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, model=model, loss=loss, shuffle=mapped)
    alone = train_texts(Texts([text], min_count=1), settings, threads=1)
    crew = WorkerGroup(Serial(1, tmp_path, mapped=mapped), sync=1)
    shared = train_texts_on(crew, Texts([text], min_count=1), settings)
    assert shared.words == alone.words
    assert bytes_of(shared) == bytes_of(alone)
    assert shared.record.losses == pytest.approx(alone.record.losses)
    assert shared.record.words == alone.record.words


@quick
@pytest.mark.parametrize("loss", ["ns", "hs"])
def test_order_of_arrival_and_repetition_do_not_matter(loss: str, text: Path, tmp_path: Path) -> None:
    settings, results = replace(SETTINGS, loss=loss), []
    orders = [("a", list), ("b", lambda n: n[::-1]), ("c", lambda n: [*n, *n[::-1]])]
    for name, order in orders + [(name * 2, order) for name, order in orders]:
        (tmp_path / name).mkdir()
        engine = Serial(3, tmp_path / name, order, mapped=len(name) > 1)
        results.append(
            bytes_of(train_texts_on(WorkerGroup(engine, sync=4), Texts([text], min_count=1), settings))
        )
    assert all(result == results[0] for result in results)


@quick
@pytest.mark.parametrize("workers", [2, 4])
def test_topics_are_learnt(workers: int, text: Path, tmp_path: Path) -> None:
    settings = Settings(dim=16, window=5, epochs=10, lr=0.1, sample=0)
    trained = train_texts_on(
        WorkerGroup(Serial(workers, tmp_path), sync=5), Texts([text], min_count=1), settings
    )
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
    trained = train_texts_on(WorkerGroup(Serial(5, tmp_path), sync=3), texts, SETTINGS)
    assert trained.words == ["b", "a", "c"]
    with pytest.raises(DataError, match="no word comes"):
        train_texts_on(WorkerGroup(Serial(2, tmp_path)), replace(texts, min_count=9), SETTINGS)


@quick
def test_stopped_between_rounds_and_resumed(text: Path, tmp_path: Path) -> None:
    texts = Texts([text], min_count=1, valid=text, valid_every=0.5, patience=3)
    whole = train_texts_on(WorkerGroup(Serial(2, tmp_path), sync=4), texts, SETTINGS)
    assert len(whole.record.valid_losses) == 4
    with StopSignals() as stop:
        saves = Checkpoints(tmp_path / "state", 1e9, stop)

        def halt(report: Report) -> None:
            if report.stage == "training" and report.total and report.done / report.total > 0.6:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Stopped):
            train_texts_on(
                WorkerGroup(Serial(2, tmp_path), sync=4), texts, SETTINGS, checkpoints=saves, progress=halt
            )
    saves = Checkpoints(tmp_path / "state", 1e9, StopSignals())
    resumed = train_texts_on(
        WorkerGroup(Serial(2, tmp_path), sync=4), texts, SETTINGS, checkpoints=saves, resume=True
    )
    assert bytes_of(resumed) == bytes_of(whole)
    assert resumed.record.valid_losses == whole.record.valid_losses
    assert resumed.record.losses == whole.record.losses
    for crew in (WorkerGroup(Serial(3, tmp_path), sync=4), WorkerGroup(Serial(2, tmp_path), sync=5)):
        with pytest.raises(CheckpointError, match=r"workers|sync"):
            train_texts_on(crew, texts, SETTINGS, checkpoints=saves, resume=True)


@quick
def test_what_cannot_be_shared_is_refused(text: Path, tmp_path: Path) -> None:
    crew = WorkerGroup(Serial(2, tmp_path))
    with pytest.raises(UsageError, match="--encoded"):
        train_texts_on(crew, Texts([text], encoded=tmp_path / "ids"), SETTINGS)
    with pytest.raises(UsageError, match="pipe"):
        train_texts_on(crew, Texts(["-"]), SETTINGS)


@quick
def test_a_fault_names_the_shard(text: Path, tmp_path: Path) -> None:
    text.write_bytes(text.read_bytes() + b"w1 \xff w2\n")
    with pytest.raises(DataError, match=r"invalid UTF-8.*\(shard 4/4\)") as fault:
        train_texts_on(WorkerGroup(Serial(2, tmp_path)), Texts([text], min_count=1), SETTINGS)
    assert fault.value.line == 1201


@quick
def test_a_killed_process_changes_nothing(text: Path, tmp_path: Path) -> None:
    texts = Texts([text], min_count=1)
    expected = bytes_of(train_texts_on(WorkerGroup(Serial(2, tmp_path), sync=4), texts, SETTINGS))
    killed = []

    def kill(report: Report) -> None:
        if report.stage == "training" and not killed and report.done > 0:
            (children,) = [process._pool._processes for process in engines]  # type: ignore[union-attr]
            killed.append(next(iter(children)))
            os.kill(killed[0], signal.SIGKILL)

    with open_engine(processes=2) as engine:
        engines = [engine]
        found = bytes_of(train_texts_on(WorkerGroup(engine, sync=4), texts, SETTINGS, progress=kill))
    assert killed
    assert found == expected
