"""Write a BPE model: tokenizer.json, merges.txt with vocab.json, codes of subword-nmt and fastBPE."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlkit.bpe.model import BpeModel, Format, Kind
from mlkit.errors import UsageError
from mlkit.formats import merges as merge_files
from mlkit.formats import tokenizer_json
from mlkit.formats.streams import PathLike


def save_model(model: BpeModel, path: PathLike, format: Format | None = None) -> None:
    """Write a model: hf (tokenizer.json), gpt2 (merges.txt, with vocab.json beside it), subword-nmt, fastbpe.

    Without a format the name decides: .json is hf, else codes for chars, merges.txt for bytes. Raises `UsageError`
    where the format cannot hold the model.
    """
    place = Path(path)
    wanted: Format = format or guess_format(model.kind, place.name)
    refuse_format(model, wanted)
    if wanted == "hf":
        model = _numbered(model)
        specials = {token: n for token, n in model.specials.items()}
        tokenizer_json.write_tokenizer_json(
            path, model.kind, model.vocabulary, model.merges, specials=specials, unknown=model.unknown,
            suffix=model.suffix,
        )  # fmt: skip
    elif wanted == "gpt2":
        merge_files.write_merges(path, model.merges)
        merge_files.write_vocab_json(vocab_path(place), model.vocabulary)
    elif wanted == "subword-nmt":
        merge_files.write_merges(path, model.merges, None if model.closing else "0.2")
    else:
        merge_files.write_fastbpe(path, model.merges, model.counts or [])


def vocab_path(merges: Path) -> Path:
    """Return where the vocabulary of a merges file goes: x-merges.txt -> x-vocab.json."""
    if "merges.txt" in merges.name:
        return merges.with_name(merges.name.replace("merges.txt", "vocab.json"))
    return merges.with_name("vocab.json")


def guess_format(kind: Kind, name: str) -> Format:
    """Return the format that a file's name asks for."""
    if name.endswith((".json", ".json.gz", ".json.zst", ".json.xz")):
        return "hf"
    return "subword-nmt" if kind == "chars" else "gpt2"


def refuse_format(model: BpeModel, wanted: Format) -> None:
    """Raise `UsageError`, with the reason, when `wanted` cannot hold the model."""
    if model.foreign:
        raise UsageError("its pipeline is more than merges and a vocabulary: only tokenizer.json holds it")
    if wanted in ("subword-nmt", "fastbpe"):
        if model.kind != "chars" or not model.suffix:
            raise UsageError(
                f"{wanted} codes hold characters with </w> at the end of words, not {model.kind}"
            )
        if wanted == "fastbpe" and model.counts is None:
            raise UsageError("fastBPE codes need the count of every merge, which this model does not hold")
        if wanted == "fastbpe" and model.closing:
            raise UsageError("codes of version 0.1 take </w> for a symbol, which fastBPE does not")
    if wanted in ("hf", "gpt2"):
        if model.closing:
            raise UsageError("codes of version 0.1 take </w> for a symbol, which tokenizer.json does not")
        if model.sentencepiece is not None:
            raise UsageError(
                "a sentencepiece model also holds a normalizer and ties of ranks; mlkit only reads it"
            )
    if wanted == "gpt2" and model.kind != "bytes":
        raise UsageError("merges.txt with vocab.json is for byte-level models; write tokenizer.json instead")


def _numbered(model: BpeModel) -> BpeModel:
    """Give models that came without ids the special token for what is unknown."""
    if model.has_ids or model.kind == "bytes":
        return model
    return replace(model, specials={"<unk>": model.vocabulary["<unk>"]}, unknown="<unk>")
