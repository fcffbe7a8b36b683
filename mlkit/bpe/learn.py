"""Learn a BPE model from counted words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlkit.bpe.alphabet import alphabet_order, byte_characters, to_bytes
from mlkit.bpe.counting import Counts
from mlkit.bpe.model import SPACE, SUFFIX, BpeModel, Kind
from mlkit.errors import DataError, UsageError
from mlkit.progress import Progress, silent

Ties = Literal["hf", "subword-nmt"]

# symbols of distinct words up to which plain Python is faster than importing numba
SMALL = 40_000
NO_LIMIT = 1 << 40


@dataclass(frozen=True)
class LearnOptions:
    """What to learn.

    `vocab_size` counts special tokens, characters and merges; `merges` counts merges alone; one of both is given.
    `min_frequency`: no pair that is rarer is merged. `max_token_length`: in characters (bytes), as `tokenizers`
    counts. `ties`: which of equally frequent pairs comes first. `init`: a model whose merges come first.
    """

    kind: Kind = "bytes"
    vocab_size: int | None = None
    merges: int | None = None
    min_frequency: int = 2
    max_token_length: int | None = None
    specials: tuple[str, ...] = ()
    ties: Ties | None = None
    suffix: str = SUFFIX
    init: BpeModel | None = None

    def tie_rule(self) -> Ties:
        """Return the rule for ties: subword-nmt's for characters with a suffix, else that of `tokenizers`."""
        return self.ties or ("subword-nmt" if self.kind == "chars" and self.suffix else "hf")


@dataclass(frozen=True)
class _Alphabet:
    """The first symbols: their strings, and where characters and those at the end of words begin."""

    tokens: list[str]
    specials: list[str]
    plain: dict[int, int]
    final: dict[int, int]
    first: int


def learn(counts: Counts, options: LearnOptions, progress: Progress = silent) -> BpeModel:
    """Learn a model: the same for any number of threads, and whether numba is used or not.

    Raises `DataError` when there are no words, and `UsageError` for a vocabulary smaller than the alphabet.
    """
    if options.vocab_size is not None and options.merges is not None:
        raise UsageError("give --vocab-size or --merges, not both")
    plain = _small_words(counts)
    if plain is None or options.init is not None:
        return _learn_fast(counts, options, progress)
    return _learn_plain(plain, options)


def _small_words(counts: Counts) -> list[tuple[str, int]] | None:
    """Return the words sorted if plain Python shall learn from them, else None."""
    if counts.plain is None or sum(map(len, counts.plain)) > SMALL:
        return None
    return sorted(counts.plain.items())


def _learn_plain(words: list[tuple[str, int]], options: LearnOptions) -> BpeModel:
    from mlkit.bpe.learn_plain import PlainLearner

    texts = [word for word, _ in words]
    characters = {ord(character) for word in texts for character in word}
    last = {ord(word[-1]) for word in texts if word}
    alphabet = _alphabet(options, sorted(characters), sorted(last), bool(words))
    rows = []
    for text in texts:
        points = list(text.encode()) if options.kind == "bytes" else [ord(character) for character in text]
        row = [alphabet.plain[point] for point in points[:-1]] + [
            alphabet.final[point] for point in points[-1:]
        ]
        rows.append(row if alphabet.first < 0 else [alphabet.first, *row])
    learner = PlainLearner(
        rows, [count for _, count in words], list(alphabet.tokens), options.tie_rule() == "hf"
    )
    size, merges = _sizes(options, alphabet)
    found = learner.run(size, merges, options.min_frequency, options.max_token_length or NO_LIMIT)
    return _model(options, alphabet, learner.tokens, found)


def _learn_fast(counts: Counts, options: LearnOptions, progress: Progress) -> BpeModel:
    import numpy as np

    from mlkit.bpe import kernels_learn as kernels
    from mlkit.bpe.learn_compiled import Learner, Limits, Spelling, characters_of

    words = counts.arrays()
    characters, last = ([], []) if options.kind == "bytes" else characters_of(words)
    alphabet = _alphabet(options, characters, last, len(words) > 0)
    by_bytes = options.kind == "bytes"
    tables = []
    for mapping in (alphabet.plain, alphabet.final):
        table = np.full(256 if by_bytes else 0x110000, -1, np.int32)
        table[list(mapping)] = list(mapping.values())
        tables.append(table)
    tokens = [token.encode() for token in alphabet.tokens]
    learner = Learner(words, Spelling(by_bytes, tables[0], tables[1], alphabet.first, tokens))
    size, merges = _sizes(options, alphabet)
    ties = kernels.TIES_HF if options.tie_rule() == "hf" else kernels.TIES_SUBWORD_NMT
    limits = Limits(size, merges, options.min_frequency, options.max_token_length or NO_LIMIT, ties)
    del words, counts
    found = learner.run(limits, _forced(options, alphabet), progress)
    return _model(options, alphabet, [learner.token(k).decode() for k in range(learner.tokens)], found)


def _alphabet(
    options: LearnOptions, characters: Sequence[int], last: Sequence[int], any_words: bool
) -> _Alphabet:
    """Number the first symbols: by code points, those at the end of words behind the others."""
    if not any_words:
        raise DataError("the input holds no words", hint="is the file empty?")
    known: set[str] = set()
    specials = list(dict.fromkeys(options.specials))
    if options.kind != "bytes" and "<unk>" not in specials:
        specials.insert(0, "<unk>")
    if options.init is not None:
        return _extend(options, options.init, specials, characters, last)
    if options.kind == "bytes":
        letters = [byte_characters()[byte] for byte in alphabet_order()]
        plain = {byte: number for number, byte in enumerate(alphabet_order())}
        return _Alphabet(letters, specials, plain, plain, -1)
    points = sorted({*characters, *([ord(SPACE)] if options.kind == "metaspace" else [])})
    letters = [chr(point) for point in points]
    plain = {point: number for number, point in enumerate(points)}
    known.update(letters)
    if options.kind == "metaspace":
        return _Alphabet(letters, specials, plain, plain, plain[ord(SPACE)])
    if not options.suffix:
        return _Alphabet(letters, specials, plain, plain, -1)
    final = {point: len(letters) + number for number, point in enumerate(last)}
    return _Alphabet([*letters, *(chr(point) + options.suffix for point in last)], specials, plain, final, -1)


def _extend(
    options: LearnOptions, init: BpeModel, specials: list[str], characters: Sequence[int], last: Sequence[int]
) -> _Alphabet:
    """Take the alphabet of a model to extend, with the new characters behind it."""
    if init.kind != options.kind or init.suffix != (options.suffix if options.kind == "chars" else ""):
        raise UsageError(f"--init-merges holds a model of {init.kind}, where {options.kind} are learned")
    if init.closing or init.ranks is not None or init.foreign:
        raise UsageError("--init-merges takes merges with ranks of their own; this model has none")
    made = {left + right for left, right in init.merges}
    for token in sorted(init.specials, key=lambda token: init.specials[token], reverse=True):
        if token not in specials:
            specials.insert(0, token)
    letters = [
        t for t in sorted(init.vocabulary, key=lambda t: init.vocabulary[t]) if t not in made | set(specials)
    ]
    known = set(letters)
    suffix = init.suffix
    if options.kind == "bytes":
        plain = {to_bytes(letter)[0]: number for number, letter in enumerate(letters)}
        if len(plain) != 256:
            raise UsageError("--init-merges: the model does not hold all 256 bytes")
        return _Alphabet(letters, specials, plain, plain, -1)
    base = [SPACE] if options.kind == "metaspace" else []
    wanted = [*base, *map(chr, characters), *(chr(point) + suffix for point in last if suffix)]
    letters += [letter for letter in wanted if letter not in known]
    numbers = {letter: number for number, letter in enumerate(letters)}
    plain = {ord(letter): number for letter, number in numbers.items() if len(letter) == 1}
    final = {point: numbers[chr(point) + suffix] for point in last} if suffix else plain
    first = numbers[SPACE] if options.kind == "metaspace" else -1
    return _Alphabet(letters, specials, plain, final, first)


def _sizes(options: LearnOptions, alphabet: _Alphabet) -> tuple[int, int]:
    """Return the bounds of symbols (without specials) and of merges."""
    given = 0 if options.init is None else len(options.init.merges)
    if options.merges is not None:
        return NO_LIMIT, options.merges + given
    wanted = 32_000 if options.vocab_size is None else options.vocab_size
    base = len(alphabet.tokens) + len(set(alphabet.specials) - set(alphabet.tokens))
    if wanted < base:
        what = "256 bytes" if options.kind == "bytes" else f"{len(alphabet.tokens)} characters"
        raise UsageError(
            f"--vocab-size {wanted} is below the alphabet: {what} and {base - len(alphabet.tokens)} special tokens"
        )
    return wanted - base + len(alphabet.tokens), NO_LIMIT


def _forced(options: LearnOptions, alphabet: _Alphabet) -> list[tuple[int, int]]:
    """Return the merges of the model to extend as pairs of symbols, numbered as the learners will number them."""
    if options.init is None:
        return []
    numbers = {token: number for number, token in enumerate(alphabet.tokens)}
    pairs = []
    for left, right in options.init.merges:
        pairs.append((numbers[left], numbers[right]))
        numbers.setdefault(left + right, len(numbers))
    return pairs


def _model(
    options: LearnOptions, alphabet: _Alphabet, tokens: Sequence[str], found: Iterable[tuple[int, int, int]]
) -> BpeModel:
    ordered = [*alphabet.specials, *(token for token in tokens if token not in set(alphabet.specials))]
    vocabulary: dict[str, int] = {}
    for token in ordered:
        vocabulary.setdefault(token, len(vocabulary))
    merges = [(tokens[left], tokens[right]) for left, right, _ in found]
    specials = {token: vocabulary[token] for token in alphabet.specials}
    unknown = "<unk>" if "<unk>" in specials and options.kind != "bytes" else None
    suffix = options.suffix if options.kind == "chars" else ""
    return BpeModel(options.kind, merges, vocabulary, specials, unknown, suffix, source="learned")


def parse_specials(text: str | None) -> tuple[str, ...]:
    """Split a list of special tokens at commas."""
    return tuple(part for part in (text or "").split(",") if part)


def counts_of_rows(rows: Iterable[tuple[bytes, int]], kind: Kind, name: Any = None) -> Counts:
    """Return counts read from a file, as learning takes them. Raises `DataError`."""
    from collections import Counter

    plain: Counter[str] = Counter()
    for word, count in rows:
        plain[word.decode("utf-8")] += count
    if kind == "bytes":
        unmapped: Counter[str] = Counter()
        for text, count in plain.items():
            try:
                unmapped[to_bytes(text).decode("utf-8")] += count
            except (ValueError, UnicodeDecodeError):
                raise DataError(f"{text[:40]!r} is not a word in the byte alphabet", path=name) from None
        plain = unmapped
    plain.pop("", None)
    return Counts(plain=plain)
