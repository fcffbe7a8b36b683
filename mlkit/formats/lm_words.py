"""The vocabulary of a language model: ids, bytes and look-up of its words.

Id 0 is no word (it fills short n-grams), 1 is the unknown word, 2 `<s>`, 3 `</s>`; the words follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.formats import kernels_words as kernels
from mlkit.formats.schema import Array

NOTHING, UNKNOWN, BEGIN, END = 0, 1, 2, 3
FIRST_WORD = 4
UNKNOWN_NAME, BEGIN_NAME, END_NAME = "<unk>", "<s>", "</s>"


def power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least `number`."""
    return 1 << max(number - 1, 1).bit_length()


# the words of a binary file: their bytes, each with a newline after it, and where each begins
WORDS = {
    "word bytes": Array("uint8", ("bytes",)),
    "word starts": Array("int64", (lambda n: n["words"] + 1,), offsets="bytes", rising=1),
}


class LmVocabulary:
    """Words of a language model by id.

    blob: uint8, the words, a newline after each; starts: int64[len + 1], where each begins.
    """

    def __init__(self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> None:
        self.blob, self.starts = blob, starts

    @classmethod
    def of(cls, words: Sequence[bytes], unknown: str = UNKNOWN_NAME) -> LmVocabulary:
        """Make a vocabulary of the special words and of `words`, in this order."""
        special = [b"", unknown.encode(), BEGIN_NAME.encode(), END_NAME.encode()]
        everything = [*special, *words]
        starts = np.zeros(len(everything) + 1, np.int64)
        np.cumsum([len(word) + 1 for word in everything], out=starts[1:])
        return cls(np.frombuffer(b"\n".join(everything) + b"\n", np.uint8), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def types(self) -> int:
        """The number of words that can be predicted: all but `<s>`, the unknown word and `</s>` included."""
        return len(self) - 2

    @property
    def unknown(self) -> str:
        """The name of the unknown word."""
        return self.word(UNKNOWN)

    def word(self, index: int) -> str:
        """Return a word."""
        return self.blob[self.starts[index] : self.starts[index + 1] - 1].tobytes().decode("utf-8", "replace")

    @cached_property
    def words(self) -> list[str]:
        """All words, by id."""
        return self.blob.tobytes().decode("utf-8", "replace").split("\n")[:-1]

    @cached_property
    def index(self) -> tuple[Any, Any, Any]:
        """The arrays of the look-up: slots, keys, lengths."""
        size = len(self)
        keys, lengths = np.zeros(size, np.uint64), np.zeros(size, np.int32)
        with np.errstate(over="ignore"):
            kernels.key_words(self.blob, self.starts, keys, lengths)
            slots = np.full(power_of_two(2 * size), -1, np.int32)
            kernels.fill_slots(slots, keys, lengths, size)
        return slots, keys, lengths

    def adopt_index(self, slots: Any, keys: Any, lengths: Any) -> None:
        """Take the arrays of the look-up from a file."""
        self.__dict__["index"] = (slots, keys, lengths)

    def look_up(self, text: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.int32]:
        """Return the ids of the words of text[:size] (unknown words: 1), -1 at the end of every line."""
        slots, keys, lengths = self.index
        ids = np.empty(size + 1, np.int32)
        with np.errstate(over="ignore"):
            count = kernels.look_up_text(
                text, size, slots, keys, self.starts, lengths, self.blob, UNKNOWN, ids
            )
        return ids[:count].copy()

    def ids(self, words: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the ids of words, those of unknown words being 1."""
        text = np.frombuffer(" ".join(words).encode() + b"\n", np.uint8)
        return self.look_up(text, len(text))[:-1]

    def find(self, word: str) -> int | None:
        """Return the id of a word, None where it is not in the vocabulary."""
        found = int(self.ids([word])[0])
        return None if found == UNKNOWN and word != self.unknown else found


def check_word(word: bytes, path: str | None = None, line: int | None = None) -> None:
    """Raise `DataError` for a word that is not valid UTF-8."""
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"invalid UTF-8 in the word {word!r}", path=path, line=line) from None
