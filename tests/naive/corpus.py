"""Counting and encoding a corpus, the obvious way."""

from __future__ import annotations

from collections import Counter

SPACES = b" \t\n\v\f\r"


def words_of(line: bytes) -> list[bytes]:
    words, word = [], bytearray()
    for byte in line + b" ":
        if byte in SPACES:
            if word:
                words.append(bytes(word))
            word = bytearray()
        else:
            word.append(byte)
    return words


def vocabulary(texts: list[bytes], min_count: int, max_size: int | None = None) -> list[tuple[bytes, int]]:
    counts: Counter[bytes] = Counter()
    for text in texts:
        counts.update(words_of(text))
    kept = [(word, count) for word, count in counts.items() if count >= min_count]
    return sorted(kept, key=lambda item: (-item[1], item[0]))[:max_size]


def encode(texts: list[bytes], words: list[bytes]) -> list[int]:
    index = {word: i for i, word in enumerate(words)}
    ids = []
    for text in texts:
        for line in text.split(b"\n"):
            known = [index[word] for word in words_of(line) if word in index]
            if known:
                ids += [*known, -1]
    return ids
