"""Range tests of mlkit's own trainers: a fresh model for every repeat, one step of training per rate.

A test is a function (rates, repeat) -> (rate, loss) points; its data is read once. The model that a user may have
named is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlkit.lr_find.curve import record, rising_rates
from mlkit.lr_find.rules import suggest

if TYPE_CHECKING:
    from mlkit.embeddings.glove import Settings as GloveSettings
    from mlkit.embeddings.glove_texts import Counting
    from mlkit.embeddings.word2vec import Settings as Word2vecSettings
    from mlkit.embeddings.word2vec_texts import Texts
    from mlkit.fasttext.settings import Settings as FastTextSettings
    from mlkit.formats.streams import PathLike
    from mlkit.formats.tables import Table
    from mlkit.nets import NetSettings
    from mlkit.trees import Columns, GradientSettings

Point = tuple[float, float]
Test = Callable[[Sequence[float], int], Iterator[Point]]

# the rates between which each trainer is tried
RANGES = {
    "train-w2v": (1e-4, 10.0), "train-glove": (1e-4, 10.0), "fasttext": (1e-3, 100.0), "net": (1e-6, 10.0),
    "boost": (1e-3, 10.0),
}  # fmt: skip
FEWEST_LINES, MOST_LINES = 20, 500  # of a step of fastText


def word2vec_test(texts: Texts, settings: Word2vecSettings, threads: int = 1) -> Test:
    """Return the test of `mlkit train-w2v`: a step is a piece of 10,000 words, its loss a mean per prediction."""
    from mlkit.embeddings.word2vec import sweep
    from mlkit.errors import DataError
    from mlkit.formats.corpus import Vocabulary, prepare_corpus

    known = Vocabulary.load(texts.vocabulary) if texts.vocabulary is not None else None
    vocabulary, corpus = prepare_corpus(
        texts.sources, min_count=texts.min_count, max_size=texts.max_vocab, lower=texts.lower, vocabulary=known,
        encoded=texts.encoded, errors=texts.errors, threads=threads, memory=texts.memory, tmp_dir=texts.tmp_dir,
    )  # fmt: skip
    if not len(vocabulary) or not corpus.tokens:
        raise DataError("no word is left to train on", hint="lower --min-count, or give more text")
    return lambda rates, repeat: sweep(
        corpus.ids, vocabulary.counts, replace(settings, seed=settings.seed + repeat), rates
    )


def glove_test(
    inputs: Sequence[PathLike], settings: GloveSettings, counting: Counting, vocabulary: PathLike | None = None,
    threads: int = 1, tmp_dir: str | None = None,
) -> Test:  # fmt: skip
    """Return the test of `mlkit train-glove`: a step is a round of blocks, its loss the mean cost of a record."""
    from mlkit.embeddings.glove import sweep
    from mlkit.embeddings.glove_texts import open_records

    def test(rates: Sequence[float], repeat: int) -> Iterator[Point]:
        with open_records(
            inputs, counting, vocabulary=vocabulary, threads=threads, tmp_dir=tmp_dir
        ) as records:
            yield from sweep(records, replace(settings, seed=settings.seed + repeat), rates, tmp_dir)

    return test


def fasttext_test(path: str, settings: FastTextSettings, tmp_dir: str | None = None) -> Test:
    """Return the test of `mlkit fasttext supervised`: a step is a hundredth of the lines (20 to 500)."""
    from mlkit.errors import DataError
    from mlkit.fasttext.dictionary import read_corpus
    from mlkit.fasttext.supervised import LineTrainer
    from mlkit.fasttext.training import aligned_zeros, collect_rows, new_matrix, padded, use_pretrained

    corpus = read_corpus(
        path, min_count=settings.min_count, min_count_label=settings.min_count_label,
        label_prefix=settings.label_prefix, directory=tmp_dir,
    )  # fmt: skip
    if not corpus.labels:
        raise DataError(f"no label found: no token starts with {settings.label_prefix!r}", path=path)
    bounds = corpus.line_bounds()
    rows = collect_rows(corpus, settings, bounds)

    def test(rates: Sequence[float], repeat: int) -> Iterator[Point]:
        own = replace(settings, seed=settings.seed + repeat)
        matrix = new_matrix(len(corpus.words) + len(rows.buckets), own.dim, own.seed)
        use_pretrained(matrix, corpus, own)
        output = aligned_zeros(padded(len(corpus.labels)) * padded(own.dim))
        trainer = LineTrainer(corpus, own, rows, bounds, matrix, output)
        trainer.total = 1 << 62  # the rate does not fall inside a step
        size = min(max(FEWEST_LINES, trainer.lines // 100), MOST_LINES, trainer.lines)
        per_epoch = max(1, trainer.lines // size)
        for number, rate in enumerate(rates):
            epoch, place = divmod(number, per_epoch)
            loss, examples = trainer.work(epoch, number, (place * size, (place + 1) * size, rate))
            yield rate, loss / examples if examples else 0.0

    return test


def net_test(table: Table, columns: Columns, settings: NetSettings, **more: Any) -> Test:
    """Return the test of `mlkit net train`: a step is a batch; `more` as `nets.train.prepare` takes it."""
    from mlkit.nets.train import prepare

    def test(rates: Sequence[float], repeat: int) -> Iterator[Point]:
        own = replace(settings, seed=settings.seed + repeat)
        return prepare(table, columns, own, **more).trainer.sweep(rates)

    return test


def boost_test(
    table: Table, columns: Columns, settings: GradientSettings, loss: str | None = None, quantile: float = 0.5,
    threads: int = 1,
) -> Test:  # fmt: skip
    """Return the test of `mlkit boost train`: a step is a round, its loss that of all rows after it."""
    from mlkit.trees.gradient import Booster
    from mlkit.trees.losses import make_loss
    from mlkit.trees.train import loss_for, prepare

    ready = prepare(table, columns, threads=threads)
    objective = make_loss(loss_for(ready.target, loss), len(ready.target.classes), quantile)

    def test(rates: Sequence[float], repeat: int) -> Iterator[Point]:
        own = replace(settings, seed=settings.seed + repeat)
        booster = Booster(
            ready.bins, ready.encoder, ready.target.values, ready.weights, objective, own, threads=threads
        )
        try:
            with np.errstate(all="ignore"):
                for rate in rates:
                    booster.settings = replace(own, learning_rate=rate)
                    if not booster.step():
                        return
                    yield rate, objective.value(booster.scores, ready.target.values, ready.weights)
        finally:
            booster.close()

    return test


def choose(
    test: Test, trainer: str, say: Callable[[str], None], rule: str = "steep", steps: int = 100
) -> float:
    """Run a test and return the rate that `rule` suggests: what ``--lr auto`` does. May raise `DataError`."""
    rates = rising_rates(*RANGES[trainer], steps).tolist()
    curve = record(test(rates, 0), wanted=steps)
    rate = next(found.rate for found in suggest([curve]) if found.rule == rule)
    say(f"learning rate {rate:.3g}, by the rule {rule!r} of a range test of {len(curve)} steps")
    return rate
