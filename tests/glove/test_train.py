"""GloVe against glove.c's update in double precision; threads, checkpoints and formats."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlkit.checkpoint import Checkpoints
from mlkit.errors import CheckpointError, DataError, Stopped, UsageError
from mlkit.formats.cooccurrence import RECORD, Cooccurrences
from mlkit.formats.vectors import save_vectors
from mlkit.formats.vocabulary import Vocabulary
from mlkit.glove import kernels_train as kernels
from mlkit.glove import records as glove_records
from mlkit.glove import train
from mlkit.glove.cooccur import count_cooccurrences
from mlkit.glove.records import Records, records_of, sort_into_tiles
from mlkit.glove.texts import looks_like_records, train_inputs
from mlkit.glove.train import GloveVectors, Settings, train_glove
from mlkit.progress import Report
from mlkit.signals import StopSignals
from tests.naive import glove as naive

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
needs_jit = pytest.mark.skipif(not JIT, reason="too slow without compiled kernels")


def records(words: int, count: int, symmetric: bool, seed: int = 1) -> Records:
    """Make random records; of a symmetric matrix the lower half."""
    rng = np.random.default_rng(seed)
    cells = [(i, j) for i in range(words) for j in range(i + 1 if symmetric else words)]
    chosen = sorted(random.Random(seed).sample(cells, count))
    pairs = np.array(chosen, np.int32)
    weights = rng.exponential(60, count) + 0.1
    return Records(words, symmetric, lambda: iter([(pairs[:, 0].copy(), pairs[:, 1].copy(), weights)]))


def in_full(source: Records) -> list[tuple[int, int, float]]:
    """Return all records, the mirror images of a symmetric matrix included."""
    found = []
    for words, contexts, weights in source.blocks():
        for i, j, weight in zip(words.tolist(), contexts.tolist(), weights.tolist(), strict=True):
            found.append((i, j, weight))
            if source.symmetric and i != j:
                found.append((j, i, weight))
    return found


def state(words: int, dim: int) -> tuple[list[Any], naive.Model]:
    """Return the arrays of a training as it begins, and a naive model of the same numbers."""
    tiles_of: Any = None
    run = train._Run(
        tiles_of, words, Settings(dim=dim), 1, Checkpoints(None, 0, StopSignals()), {}, lambda _: None
    )
    run.begin(None)
    word, _, word_bias, context, _, context_bias = run.arrays
    rows = [
        np.hstack((run._gathered(vectors[:, :, :dim]), run._gathered(bias[:, :, :1]))).astype(np.float64)
        for vectors, bias in ((word, word_bias), (context, context_bias))
    ]
    return run.arrays, naive.Model(*rows)


@pytest.mark.parametrize("symmetric", [True, False])
def test_one_pass_equals_the_naive_update(symmetric: bool) -> None:
    words, dim = 90, 5  # more words than groups
    source = records(words, 300 if JIT else 40, symmetric)
    tiles = sort_into_tiles(source, x_max=100.0, alpha=0.75)
    arrays, model = state(words, dim)
    weights = {(i, j): weight for i, j, weight in in_full(source)}
    groups = tiles.groups
    tasks = np.array([(g, h) for g in range(groups) for h in range(groups)])
    order = []

    def visit(tile: int, g: int, h: int, swap: bool) -> None:
        for code in tiles.packed[tiles.starts[tile] : tiles.starts[tile + 1]].tolist():
            i, j = (code & 65535, code >> 16) if swap else (code >> 16, code & 65535)
            order.append((i * groups + g, j * groups + h))

    for g, h in tasks.tolist():
        swap = symmetric and g > h
        visit(h * groups + g if swap else g * groups + h, g, h, swap)
        if symmetric and g == h:
            visit(g * groups + h, g, h, True)
            visit(groups * groups + g, g, h, False)
    assert sorted(order) == sorted(weights)
    costs = np.zeros(len(tasks))
    kernels.train_tiles(
        *arrays, tiles.packed, tiles.logs, tiles.factors, tiles.starts, tasks, symmetric, np.float32(0.05),
        np.float32(100), costs,
    )  # fmt: skip
    cost = model.train([(i, j, weights[i, j]) for i, j in order])
    assert costs.sum() / tiles.records == pytest.approx(cost, rel=1e-5)
    for place, rows in ((0, model.word), (3, model.context)):
        for word in range(words):
            found = arrays[place][word % groups, word // groups]
            np.testing.assert_allclose(found[:dim], rows[word, :-1], atol=2e-6)
            assert not found[dim:].any()
            assert arrays[place + 2][word % groups, word // groups, 0] == pytest.approx(
                rows[word, -1], abs=1e-5
            )


def test_gradients_are_clipped() -> None:
    source = records(3, 5, False)
    tiles = sort_into_tiles(source, x_max=10.0, alpha=0.5)
    arrays, model = state(3, 4)
    tasks = np.array([(g, h) for g in range(3) for h in range(3)])
    costs = np.zeros(len(tasks))
    kernels.train_tiles(
        *arrays, tiles.packed, tiles.logs, tiles.factors, tiles.starts, tasks, False, np.float32(0.5),
        np.float32(0.01), costs,
    )  # fmt: skip
    model.train(in_full(source), x_max=10.0, alpha=0.5, rate=0.5, clip=0.01)
    found = np.stack([arrays[0][word, 0, :4] for word in range(3)])
    np.testing.assert_allclose(found, model.word[:, :-1], atol=1e-6)


@needs_jit
def test_cost_falls_as_in_a_random_order_of_records() -> None:
    """On so little data random orders themselves differ by 5 % in the first epoch, hence means over seeds and their
    standard error there; the benchmark compares with a C program on millions of records."""
    source = records(150, 6000, True)
    cells = in_full(source)
    found, expected = np.zeros((5, 4)), np.zeros((5, 4))
    for seed in range(5):
        found[seed] = train_glove(source, Settings(dim=10, epochs=4, seed=seed)).history.losses
        _, model = state(150, 10)
        rng = random.Random(seed)
        for epoch in range(4):
            rng.shuffle(cells)
            expected[seed, epoch] = model.train(cells)
    difference = found.mean(axis=0) - expected.mean(axis=0)
    error = np.sqrt((found.var(axis=0, ddof=1) + expected.var(axis=0, ddof=1)) / 5)
    assert abs(difference[0]) < 3 * error[0]
    assert np.abs(difference[1:] / expected.mean(axis=0)[1:]).max() < 0.01


@needs_jit
@pytest.mark.parametrize("symmetric", [True, False])
def test_threads_and_disk_give_the_same_bytes(tmp_path: Path, symmetric: bool) -> None:
    source = records(100, 3000, symmetric)
    settings = Settings(dim=17, epochs=3, held_out=0.1)
    one = train_glove(source, settings)
    three = train_glove(source, settings, threads=3, on_disk=True, tmp_dir=str(tmp_path))
    assert one.word.tobytes() == three.word.tobytes()
    assert one.context.tobytes() == three.context.tobytes()
    assert one.history == three.history
    assert train_glove(source, Settings(dim=17, epochs=3, seed=2)).word.tobytes() != one.word.tobytes()


def test_held_out_records_are_not_trained_on_and_their_cost_is_right() -> None:
    source = records(60, 400 if JIT else 60, True)
    tiles = sort_into_tiles(source, x_max=100.0, alpha=0.75, held_out=0.3, seed=5)
    cells = in_full(source)
    held = {(int(i), int(j)) for i, j in tiles.held_pairs.tolist()}
    assert 0.15 * len(cells) < tiles.held < 0.45 * len(cells)
    assert tiles.held + tiles.records == len(cells)
    vectors = train_glove(source, Settings(dim=4, epochs=2, held_out=0.3, seed=5))
    total = 0.0
    for i, j, weight in cells:
        if (i, j) in held or (j, i) in held:
            dot = float(vectors.word[i].astype(float) @ vectors.context[j].astype(float))
            difference = dot + vectors.word_bias[i] + vectors.context_bias[j] - np.log(weight)
            total += 0.5 * min(1.0, (weight / 100) ** 0.75) * difference**2
    assert vectors.history.valid_losses[-1] == pytest.approx(total / tiles.held, rel=1e-4)


def test_patience_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    worse = iter([3.0, 2.0, 4.0, 5.0, 1.0])
    monkeypatch.setattr(kernels, "cost_of", lambda *_: next(worse))
    vectors = train_glove(records(20, 40, True), Settings(dim=2, epochs=9, held_out=0.3, patience=2))
    assert vectors.history.stopped_early
    assert len(vectors.history.losses) == 4


def test_outputs() -> None:
    vectors = train_glove(records(10, 30, True), Settings(dim=3, epochs=1))
    assert np.array_equal(vectors.output(), vectors.word + vectors.context)
    assert np.array_equal(vectors.output("both"), np.hstack((vectors.word, vectors.context)))
    assert vectors.output("word") is vectors.word
    assert vectors.output("context") is vectors.context


def test_initial_vectors() -> None:
    initial = np.ones((10, 3), np.float32), np.arange(10) < 4
    source = records(10, 1, False, seed=3)
    vectors = train_glove(source, Settings(dim=3, epochs=1), initial=initial)
    touched = {i for i, *_ in in_full(source)} | {j for _, j, _ in in_full(source)}
    for word in set(range(10)) - touched:
        assert np.allclose(vectors.output()[word], 1.0) == (word < 4)


def test_bad_values_are_refused() -> None:
    for wrong in (
        {"dim": 0},
        {"epochs": 0},
        {"x_max": 0},
        {"lr": float("nan")},
        {"held_out": 1},
        {"patience": 2},
    ):
        with pytest.raises(UsageError):
            Settings(**wrong)
    with pytest.raises(DataError, match="no co-occurrences"):
        train_glove(Records(3, True, lambda: iter([])), Settings(dim=2))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_an_error() -> None:
    with pytest.raises(DataError, match="diverged"):
        train_glove(records(5, 12, True), Settings(dim=2, epochs=50, lr=1e30, clip=1e30))


# Checkpoints


def interrupted(source: Records, settings: Settings, path: Path, reports: int) -> None:
    """Train until a stop signal arrives after so many reports; a checkpoint is left."""
    seen = 0

    def stop_later(report: Report) -> None:
        nonlocal seen
        seen += 1
        if seen == reports:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped), StopSignals() as stop:
        train_glove(source, settings, checkpoints=Checkpoints(path, 1e9, stop), progress=stop_later)


@pytest.mark.parametrize("reports", [5, 16, 20])
def test_a_resumed_run_ends_in_the_same_bytes(tmp_path: Path, reports: int) -> None:
    source = records(40, 300 if JIT else 30, True)
    settings = Settings(dim=6, epochs=3, held_out=0.1)
    whole = train_glove(source, settings)
    interrupted(source, settings, tmp_path / "state", reports)

    def resume(changed: Settings = settings) -> GloveVectors:
        checkpoints = Checkpoints(tmp_path / "state", 1e9, StopSignals())
        return train_glove(source, changed, checkpoints=checkpoints, resume=True)

    resumed = resume()
    assert resumed.word.tobytes() == whole.word.tobytes()
    assert resumed.context_bias.tobytes() == whole.context_bias.tobytes()
    assert resumed.history == whole.history
    assert len(resume(Settings(dim=6, epochs=4, held_out=0.1)).history.losses) == 4
    with pytest.raises(CheckpointError, match="lr"):
        resume(Settings(dim=6, epochs=3, held_out=0.1, lr=0.1))


# Inputs


def corpus(tmp_path: Path) -> Path:
    rng = random.Random(2)
    text = "".join(" ".join(f"w{int(rng.paretovariate(1)) % 30}" for _ in range(9)) + "\n" for _ in range(30))
    (tmp_path / "corpus").write_text(text)
    return tmp_path / "corpus"


def test_texts_and_both_kinds_of_files(tmp_path: Path) -> None:
    text = corpus(tmp_path)
    settings = Settings(dim=4, epochs=2)
    direct = train_inputs([text], settings)
    count_cooccurrences([text], tmp_path / "own")
    assert train_inputs([tmp_path / "own"], settings).vectors.word.tobytes() == direct.vectors.word.tobytes()
    count_cooccurrences([text], tmp_path / "records", format="glove")
    vocabulary = Cooccurrences.open(tmp_path / "own").vocabulary()
    vocabulary.save(tmp_path / "vocab", "word2vec")
    with pytest.raises(UsageError, match="--vocab"):
        train_inputs([tmp_path / "records"], settings)
    theirs = train_inputs([tmp_path / "records"], settings, vocabulary=tmp_path / "vocab")
    assert theirs.words == direct.words == vocabulary.words()
    assert theirs.vectors.records == direct.vectors.records
    assert theirs.vectors.history.losses[0] == pytest.approx(direct.vectors.history.losses[0], rel=0.1)
    save_vectors(tmp_path / "first.txt", direct.words, direct.vectors.output())
    train_inputs([text], settings, initial=tmp_path / "first.txt")
    with pytest.raises(UsageError, match="--dim 4"):
        train_inputs([text], Settings(dim=5), initial=tmp_path / "first.txt")
    Vocabulary.from_words(["other"], [1]).save(tmp_path / "other")
    with pytest.raises(UsageError, match="leave it out"):
        train_inputs([tmp_path / "own"], settings, vocabulary=tmp_path / "other")


def test_faulty_records_are_named(tmp_path: Path) -> None:
    good = [(1, 2, 0.5)] * 300
    for bad in ((0, 1, 1.0), (1, 4, 1.0), (1, 1, 0.0), (1, 1, float("nan"))):
        np.array([*good, bad], RECORD).tofile(tmp_path / "records")
        with pytest.raises(DataError, match="record 301"):
            train_glove(glove_records.glove_records(tmp_path / "records", 3), Settings(dim=2))


def test_what_looks_like_records(tmp_path: Path) -> None:
    np.array([(1, 2, 0.5), (2, 1, 0.5)], RECORD).tofile(tmp_path / "records")
    assert looks_like_records(tmp_path / "records", None)
    assert not looks_like_records(tmp_path / "records", Vocabulary.from_words(["a"], [1]))
    (tmp_path / "text").write_text("sixteen bytes. \n" * 4)
    assert not looks_like_records(tmp_path / "text", None)
    assert not looks_like_records("-", None)
    count_cooccurrences([corpus(tmp_path)], tmp_path / "own")
    assert records_of(Cooccurrences.open(tmp_path / "own")).symmetric
