"""How to train: fastText's options and defaults under readable names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mlkit.errors import UsageError
from mlkit.fasttext.model import LABEL_PREFIX
from mlkit.formats.fasttext_bin import FastTextArgs

LOSSES = ("ns", "hs", "softmax", "ova")


@dataclass(frozen=True)
class Settings:
    """Training options; `Settings.of("supervised", lr=1.0)` starts from the original's defaults."""

    model: str = "skipgram"
    lr: float = 0.05
    dim: int = 100
    window: int = 5
    epoch: int = 5
    min_count: int = 5
    min_count_label: int = 0
    negative: int = 5
    word_ngrams: int = 1
    loss: str = "ns"
    bucket: int = 2_000_000
    minn: int = 3
    maxn: int = 6
    sample: float = 1e-4
    label_prefix: str = LABEL_PREFIX
    pretrained: str | None = None
    shuffle: bool = True
    seed: int = 1

    @classmethod
    def of(cls, model: str, **changes: Any) -> Settings:
        """Return the defaults for `model` (supervised, skipgram, cbow) with some changes."""
        if model == "supervised":
            start: dict[str, Any] = {"lr": 0.1, "min_count": 1, "minn": 0, "maxn": 0, "loss": "softmax"}
        else:
            start = {}
        return cls(model=model, **{**start, **changes}).checked()

    def checked(self) -> Settings:
        """Refuse what cannot work; a model without n-grams has no buckets, as in the original."""
        if self.model not in ("supervised", "skipgram", "cbow"):
            raise UsageError(f"unknown model {self.model!r}")
        if self.loss not in LOSSES:
            raise UsageError(f"unknown loss {self.loss!r}: choose one of {', '.join(LOSSES)}")
        if self.loss == "ova" and self.model != "supervised":
            raise UsageError("the loss ova trains classifiers; skipgram and cbow take ns, hs or softmax")
        if self.dim < 1 or self.epoch < 0 or self.window < 1 or self.negative < 1 or self.lr < 0:
            raise UsageError("--dim, --ws and --neg must be at least 1, --epoch and --lr at least 0")
        if self.needs_buckets and self.bucket < 1:
            raise UsageError("n-grams need --bucket of at least 1")
        if not self.label_prefix:
            raise UsageError("the label prefix is empty")
        return self

    @property
    def needs_buckets(self) -> bool:
        """Whether the model has n-grams of any kind."""
        return self.maxn > 0 or (self.model == "supervised" and self.word_ngrams > 1)

    def args(self) -> FastTextArgs:
        """Return what a model file says about the training."""
        return FastTextArgs(
            self.dim, self.window, self.epoch, self.min_count, self.negative, self.word_ngrams, self.loss,
            self.model, self.bucket if self.needs_buckets else 0, self.minn, self.maxn, 100, self.sample,
        )  # fmt: skip

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint of this job must agree with."""
        return asdict(self)
