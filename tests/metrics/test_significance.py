"""Bootstrap and paired tests against sacreBLEU: equal means, intervals and p-values, in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import sacrebleu.metrics as peer
from sacrebleu.significance import PairedTest

from mlkit.metrics import Bleu, Chrf, Ter, confidence, paired_bootstrap, paired_randomization
from mlkit.metrics.significance import _resampled_totals, _signs

RNG = np.random.default_rng(5)
WORDS = np.array(["a", "b", "the", "cat", "sat", "on", "mat.", "dog", "(x)", "é"])
REFERENCES = [[" ".join(RNG.choice(WORDS, RNG.integers(1, 15))) for _ in range(70)] for _ in range(3)]
SYSTEMS = [
    [
        " ".join(w if RNG.random() < good else RNG.choice(WORDS) for w in line.split())
        for line in REFERENCES[0]
    ]
    for good in (0.8, 0.78, 0.5)
]
PAIRS = [
    (Bleu(), peer.BLEU()),
    (Bleu(smooth_method="add-k", smooth_value=0.5), peer.BLEU(smooth_method="add-k", smooth_value=0.5)),
    (
        Bleu(smooth_method="floor", effective_order=True),
        peer.BLEU(smooth_method="floor", effective_order=True),
    ),
    (Chrf(word_order=2), peer.CHRF(word_order=2)),
    (Chrf(eps_smoothing=True), peer.CHRF(eps_smoothing=True)),
    (Ter(), peer.TER()),
]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda m: getattr(m, "name", None))
def test_same_as_sacrebleu(ours: Any, theirs: Any, count: int) -> None:
    references = REFERENCES[:count]
    ours.prepare(references)
    rows = [ours.statistics(system) for system in SYSTEMS]
    single = theirs.corpus_score(SYSTEMS[0], references, n_bootstrap=300)
    assert confidence(ours, rows[0], 300) == (single._mean, single._ci)
    theirs._ref_cache = theirs._cache_references(references)
    named = [(f"system {k}", system) for k, system in enumerate(SYSTEMS)]
    for kind, test, samples in (("bs", paired_bootstrap, 300), ("ar", paired_randomization, 333)):
        _, scores = PairedTest(named, {"X": theirs}, None, kind, samples)()
        expected = next(value for key, value in scores.items() if key != "System")
        for mine, wanted in zip(test(ours, rows, samples), expected, strict=True):
            assert (mine.score, mine.p_value, mine.mean, mine.interval) == (
                wanted.score, wanted.p_value, wanted.mean, wanted.ci,
            )  # fmt: skip


def test_rows_without_matches_or_references() -> None:
    hypotheses, references = ["a b", "", "c"], [["", "", "c d"]]
    for ours, theirs in (PAIRS[0], PAIRS[2]):
        ours.prepare(references)
        single = theirs.corpus_score(hypotheses, references, n_bootstrap=200)
        assert confidence(ours, ours.statistics(hypotheses), 200) == (single._mean, single._ci)
    for ours, theirs in PAIRS[3:]:
        # sacreBLEU cannot add up a mixture of float and numpy.float32
        with pytest.raises(TypeError, match="coerce"):
            theirs.corpus_score(hypotheses, references, n_bootstrap=200)
        ours.prepare(references)
        mean, interval = confidence(ours, ours.statistics(hypotheses), 200)
        assert mean > 0
        assert interval > 0


def test_totals_beyond_24_bits_are_added_in_float32() -> None:
    rows = np.random.default_rng(3).integers(0, 1 << 20, (50, 4))
    totals = np.concatenate(list(_resampled_totals(rows, 40, 12345)))
    drawn = np.random.default_rng(12345).choice(50, size=(40, 50), replace=True)
    wanted = np.array([part.sum(0) for part in rows.astype(np.float32)[drawn]])
    assert totals.dtype == np.float32
    assert (totals == wanted).all()


@pytest.mark.parametrize("segments", [1, 7, 2037, 300_000])
def test_signs_in_blocks_are_the_stream_of_one_draw(segments: int) -> None:
    trials = 40 if segments > 3000 else 333
    found = np.concatenate(list(_signs(segments, trials, 12345)))
    assert (found == np.random.default_rng(12345).integers(2, size=(trials, segments), dtype=bool)).all()


def test_memory_is_bounded() -> None:
    metric = Bleu()
    rows: Any = np.random.default_rng(1).integers(1, 30, (20_000, 10)).tolist()
    tracemalloc.start()
    confidence(metric, rows, 100)
    paired_randomization(metric, [rows, rows[::-1]], 320)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20  # all indices at once: 16 MB and 48 MB, all gathered rows: 80 MB


def test_a_system_against_itself_differs_by_chance_only() -> None:
    metric = Bleu()
    metric.prepare(REFERENCES[:1])
    rows = metric.statistics(SYSTEMS[0])
    assert paired_randomization(metric, [rows, rows], 100)[1].p_value == 1 / 101
