"""How text is encoded: what comes out, and what is done to words on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mlkit.bpe.model import SPACE, SUFFIX, BpeModel
from mlkit.errors import UsageError

Output = Literal["pieces", "ids", "uint16", "uint32"]

_MARKERS = {"bytes": ("Ġ", SPACE), "chars": ("@@", SPACE, "Ġ", SUFFIX), "metaspace": (SPACE, "Ġ")}


@dataclass(frozen=True)
class Options:
    """What comes out, and how.

    `marker`: Ġ or ▁ before words, @@ (or any other separator, for chars) behind pieces that go on, </w> behind
    words; None is the model's own. `dropout`: the probability that a merge is left out, with `seed`. `glossaries`:
    regular expressions of what is never cut. `vocabulary`: pieces (with @@) that may come out; others are cut
    further.
    """

    output: Output = "pieces"
    marker: str | None = None
    dropout: float = 0.0
    seed: int = 1
    glossaries: tuple[str, ...] = ()
    vocabulary: frozenset[str] | None = field(default=None, repr=False)

    @property
    def binary(self) -> bool:
        """Whether ids come out as bytes, without lines."""
        return self.output in ("uint16", "uint32")

    def check(self, model: BpeModel) -> None:
        """Raise `UsageError` for options that the model does not allow."""
        if not 0 <= self.dropout <= 1:
            raise UsageError(f"--dropout is a probability, from 0 to 1, not {self.dropout}")
        if self.marker is not None:
            self._check_marker(model)
        if self.output == "uint16" and model.size > 1 << 16:
            raise UsageError(f"ids up to {model.size - 1} do not fit uint16; use --ids-binary uint32")
        if self.glossaries or self.vocabulary is not None:
            name = "--glossaries" if self.glossaries else "--vocabulary"
            if model.kind != "chars" or model.foreign:
                raise UsageError(f"{name} is for models of characters (--type chars)")
            if self.output != "pieces" or self.dropout:
                raise UsageError(f"{name} goes with pieces, not with ids or dropout")
        if model.whole_lines and self.dropout:
            raise UsageError("--dropout is for models that merge word by word; this one cuts whole lines")
        if model.foreign and (self.dropout or self.marker):
            raise UsageError("this tokenizer.json runs in the tokenizers library: no --dropout, no --marker")

    def _check_marker(self, model: BpeModel) -> None:
        known = _MARKERS[model.kind]
        if self.output != "pieces":
            raise UsageError("--marker is for pieces, not for ids")
        if not self.marker or any(white in self.marker for white in " \t\r\n"):
            raise UsageError("--marker takes one or more characters other than white space")
        if self.marker not in known and model.kind != "chars":
            raise UsageError(f"--marker {self.marker} is not for {model.kind}; choose {' or '.join(known)}")

    def markers(self, model: BpeModel) -> tuple[str, str, str]:
        """Return what stands before a word, behind a piece that goes on, and behind the last piece of a word."""
        marker = self.marker or model.default_marker
        if model.kind == "bytes":
            return "", "", ""
        if model.kind == "metaspace" or marker in (SPACE, "Ġ"):
            return marker, "", ""
        if marker == SUFFIX:
            return "", "", SUFFIX
        return "", marker, ""
