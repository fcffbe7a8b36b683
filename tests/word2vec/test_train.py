"""The trainer: repeatable, resumable, right loss, existing vectors, held-out text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlkit.checkpoint import Checkpoints
from mlkit.errors import CheckpointError, DataError, MlkitError, Stopped, UsageError
from mlkit.formats.vectors import save_vectors
from mlkit.jit import jit_disabled
from mlkit.progress import Report
from mlkit.signals import StopSignals
from mlkit.word2vec import train as word2vec
from mlkit.word2vec.texts import Texts, train_texts
from mlkit.word2vec.train import HeldOut, Settings, WordVectors, train

pytestmark = pytest.mark.skipif(
    jit_disabled(), reason="too slow without JIT; test_kernels_w2v.py runs the kernels without it"
)
SMALL = Settings(dim=12, window=3, epochs=3, sample=0)


def topics(sentences: int = 400, seed: int = 0) -> np.ndarray:
    """Sentences of one of four topics: words 0-9, 10-19, ...; their vectors must separate."""
    generator = np.random.default_rng(seed)
    rows = [
        np.append(generator.integers(0, 10, 9) + 10 * generator.integers(4), -1) for _ in range(sentences)
    ]
    return np.concatenate(rows).astype(np.int32)


IDS = topics()
COUNTS = np.bincount(IDS[IDS >= 0]).astype(np.int64)


def bytes_of(result: WordVectors) -> bytes:
    return result.vectors.tobytes() + result.outputs.tobytes()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word2vec, "CHUNK", 256)


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize("loss", ["ns", "hs"])
@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_learn_the_topics(model: str, loss: str, threads: int, small_chunks: None) -> None:
    # the tree learns the topics in one epoch at 0.1, and CBOW learns the text by heart
    rate = 0.1 if loss == "ns" and model == "skipgram" else 0.05
    settings = Settings(model=model, loss=loss, dim=16, window=5, epochs=30, lr=rate, sample=0)
    result = train(IDS, COUNTS, settings, threads=threads)
    unit = result.vectors / np.linalg.norm(result.vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    same = np.arange(40)[:, None] // 10 == np.arange(40) // 10
    assert similarity[same].mean() > similarity[~same].mean() + 0.5
    assert result.losses[-1] < result.losses[0]
    assert result.vectors.shape == (40, 16)
    assert result.words == 30 * (IDS >= 0).sum()


def test_one_thread_is_repeatable_and_seeds_differ(small_chunks: None) -> None:
    first, again = train(IDS, COUNTS, SMALL), train(IDS, COUNTS, SMALL)
    assert bytes_of(first) == bytes_of(again)
    assert first.losses == again.losses
    assert bytes_of(first) != bytes_of(
        train(IDS, COUNTS, Settings(dim=12, window=3, epochs=3, sample=0, seed=2))
    )


def test_loss_starts_at_its_value_for_zero_vectors() -> None:
    """Output vectors are 0 at first: every one of 1 + negative predictions costs ln 2."""
    rate = Settings(dim=8, negative=4, epochs=1, lr=1e-9, sample=0)
    assert train(IDS, COUNTS, rate).losses[0] == pytest.approx(5 * np.log(2), rel=1e-5)


@pytest.mark.parametrize("settings", [SMALL, Settings(model="cbow", loss="hs", dim=9, epochs=4, sample=1e-2)])
def test_resumed_training_equals_an_uninterrupted_one(
    settings: Settings, tmp_path: Path, small_chunks: None
) -> None:
    held_out = HeldOut(topics(30, seed=5), every=0.5)
    whole = train(IDS, COUNTS, settings, held_out=held_out)
    path = tmp_path / "state"
    for stops in range(100):
        stop = StopSignals()

        def interrupt(report: Report, stop: StopSignals = stop) -> None:
            stop.number = 15  # after one chunk, every time

        try:
            resumed = train(
                IDS, COUNTS, settings, held_out=held_out, checkpoints=Checkpoints(path, 1e9, stop),
                resume=stops > 0, progress=interrupt,
            )  # fmt: skip
            break
        except Stopped:
            continue
    assert stops > 10
    assert bytes_of(resumed) == bytes_of(whole)
    assert resumed.losses == pytest.approx(whole.losses)
    assert resumed.valid_losses == whole.valid_losses


def test_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    train(IDS, COUNTS, SMALL, checkpoints=Checkpoints(path, 0.0, StopSignals()))
    with pytest.raises(CheckpointError, match="window"):
        other = Settings(dim=12, window=4, epochs=3, sample=0)
        train(IDS, COUNTS, other, checkpoints=Checkpoints(path, 0.0, StopSignals()), resume=True)


def test_held_out_loss_falls_and_patience_stops(small_chunks: None) -> None:
    settings = Settings(dim=8, epochs=4, lr=0.05, sample=0, negative=2)
    result = train(IDS, COUNTS, settings, held_out=HeldOut(topics(60, 9), every=0.5))
    epochs, losses = zip(*result.valid_losses, strict=True)
    assert epochs == pytest.approx([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], abs=0.1)
    assert losses[-1] < losses[0] < 3 * np.log(2)
    assert not result.stopped_early
    # held-out text of other pairs gets worse as training goes on
    noise = np.random.default_rng(0).integers(0, 40, 600).astype(np.int32)
    eager = train(IDS, COUNTS, Settings(dim=8, epochs=50, lr=0.2, sample=0), held_out=HeldOut(noise, 1, 2))
    assert eager.stopped_early
    assert len(eager.losses) < 50


NOISE = np.random.default_rng(0).integers(0, 40, 600).astype(np.int32)


@pytest.mark.parametrize("loss", ["ns", "hs"])
def test_patience_keeps_the_best_vectors(loss: str, small_chunks: None) -> None:
    """The vectors are those of a run that ends at the best look: the rate does not fall, so that there is one."""
    settings = Settings(dim=8, epochs=6, lr=0.2, min_lr=0.2, sample=0, loss=loss)
    watched = train(IDS, COUNTS, settings, held_out=HeldOut(NOISE, 1, 4))
    losses = [loss for _, loss in watched.valid_losses]
    best = losses.index(min(losses)) + 1
    assert best < len(losses), "held-out text of other pairs gets worse"
    assert bytes_of(watched) == bytes_of(train(IDS, COUNTS, replace(settings, epochs=best)))
    # without patience the vectors are those of the end
    assert bytes_of(train(IDS, COUNTS, settings, held_out=HeldOut(NOISE, 1))) == bytes_of(
        train(IDS, COUNTS, settings)
    )


def test_resumed_training_remembers_the_best_vectors(tmp_path: Path, small_chunks: None) -> None:
    path = tmp_path / "state"
    settings = Settings(dim=8, epochs=6, lr=0.2, min_lr=0.2, sample=0)
    whole = train(IDS, COUNTS, settings, held_out=HeldOut(NOISE, 1, 5))
    stop, looks = StopSignals(), []

    def watch(report: Report) -> None:
        if report.valid_loss is not None and report.valid_loss not in looks:
            looks.append(report.valid_loss)
        if len(looks) == 4:
            stop.number = 15

    held_out = HeldOut(NOISE, 1, 5)
    with pytest.raises(Stopped):
        train(
            IDS, COUNTS, settings, held_out=held_out, checkpoints=Checkpoints(path, 1e9, stop), progress=watch
        )
    again = Checkpoints(path, 1e9, StopSignals())
    assert bytes_of(
        train(IDS, COUNTS, settings, held_out=held_out, checkpoints=again, resume=True)
    ) == bytes_of(whole)


def test_held_out_text_does_not_change_the_training(small_chunks: None) -> None:
    plain = train(IDS, COUNTS, SMALL)
    watched = train(IDS, COUNTS, SMALL, held_out=HeldOut(topics(20, 3), 0.3))
    assert bytes_of(plain) == bytes_of(watched)


def test_start_vectors_are_used_and_untouched_without_a_rate() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 12)).astype(np.float32)
    settings = Settings(dim=12, epochs=1, lr=1e-30, min_lr=0.0)
    result = train(IDS, COUNTS, settings, start=(np.array([3, 7]), rows))
    assert (result.vectors[[3, 7]] == rows).all()
    with pytest.raises(UsageError, match="--dim 12"):
        train(IDS, COUNTS, Settings(dim=13), start=(np.array([3, 7]), rows))


def test_divergence_is_an_error() -> None:
    with pytest.raises(MlkitError, match="diverged"):
        train(IDS, COUNTS, Settings(dim=16, lr=1e30, epochs=5, sample=0, model="cbow"))


@pytest.mark.parametrize("settings", [SMALL, Settings(loss="hs", dim=4), Settings(model="cbow", dim=4)])
@pytest.mark.parametrize("ids", [[0], [0, 0, 0, -1, 0], [0, 1, -1], [-1, -1]])
def test_tiny_vocabularies(settings: Settings, ids: list[int]) -> None:
    counts = np.bincount(np.maximum(ids, 0)).astype(np.int64)
    result = train(np.array(ids, np.int32), counts, settings)
    assert np.isfinite(result.vectors).all()
    assert len(result.vectors) == len(counts)


def test_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match="no word"):
        train(np.zeros(0, np.int32), np.zeros(0, np.int64), SMALL)


@pytest.mark.parametrize(
    "wrong",
    [{"dim": 0}, {"model": "glove"}, {"loss": "x"}, {"lr": 0.0}, {"min_lr": 1.0}, {"sample": -1.0}],
)  # fmt: skip
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(UsageError):
        Settings(**wrong)


def test_texts_with_existing_vectors_keep_and_add_words(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat sat\nthe dog sat\n" * 20)
    old = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_vectors(tmp_path / "old.txt", ["the", "unicorn"], old)
    texts = Texts([corpus], min_count=1, init=tmp_path / "old.txt")
    trained = train_texts(texts, Settings(dim=3, epochs=1, lr=1e-30), threads=1)
    assert trained.words == ["sat", "the", "cat", "dog", "unicorn"]
    assert (trained.vectors[trained.words.index("the")] == old[0]).all()
    assert (trained.vectors[-1] == old[1]).all()
    assert trained.output_vectors.shape == (4, 3)


def test_a_stop_signal_ends_the_reading(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat sat\n" * 20)
    stop = StopSignals()
    stop.number = 15
    with pytest.raises(Stopped, match="reading"):
        train_texts(Texts([corpus]), SMALL, threads=1, checkpoints=Checkpoints(None, 1.0, stop))
