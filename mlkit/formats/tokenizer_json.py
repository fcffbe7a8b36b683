"""Hugging Face's tokenizer.json: its BPE pipelines that mlkit runs itself, and the ones it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlkit.errors import ModelError
from mlkit.formats.merges import Pair, check_vocabulary, parse_json
from mlkit.formats.streams import PathLike, display_name, open_output

_PLAIN_MODEL = {
    "dropout": (None, 0, 0.0), "continuing_subword_prefix": (None, ""), "fuse_unk": (None, False),
    "byte_fallback": (None, False), "ignore_merges": (None, False),
}  # fmt: skip


@dataclass(frozen=True)
class TokenizerJson:
    """A tokenizer.json with a BPE model.

    `kind` is bytes, chars or metaspace, or None when the pipeline is more than mlkit's own loops do: then `text` is
    for the `tokenizers` library. `specials` are the added tokens.
    """

    kind: str | None
    vocabulary: dict[str, int]
    merges: list[Pair]
    specials: dict[str, int] = field(default_factory=dict)
    unknown: str | None = None
    suffix: str = ""
    text: str = ""


def read_tokenizer_json(path: PathLike) -> TokenizerJson:
    """Read a tokenizer.json. Raises `ModelError` for other content, another model than BPE, or damage."""
    return interpret(parse_json(path), display_name(path))


def interpret(content: object, name: str) -> TokenizerJson:
    """Interpret the content of a tokenizer.json; `name` is for errors."""
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ModelError("a JSON file, but not a tokenizer.json: it has no model", path=name)
    model = content["model"]
    if model.get("type", "BPE") != "BPE" or "merges" not in model:
        raise ModelError(f"its model is {model.get('type', 'unknown')!s}, not BPE", path=name)
    vocabulary = check_vocabulary(model.get("vocab"), name)
    merges = _merges(model["merges"], vocabulary, name)
    specials, plain_tokens = _added(content.get("added_tokens") or [], name)
    kind = _kind(content, model) if plain_tokens else None
    suffix = model.get("end_of_word_suffix") or ""
    return TokenizerJson(
        kind, {**vocabulary, **specials}, merges, specials, model.get("unk_token"), suffix,
        json.dumps(content, ensure_ascii=False) if kind is None else "",
    )  # fmt: skip


def _merges(found: object, vocabulary: dict[str, int], name: str) -> list[Pair]:
    if not isinstance(found, list):
        raise ModelError("the merges are not a list", path=name)
    merges: list[Pair] = []
    for number, item in enumerate(found, 1):
        pair = item.split(" ") if isinstance(item, str) else item
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ModelError(f"merge {number} is not a pair of tokens", path=name)
        left, right = pair
        for token in (left, right, left + right):
            if token not in vocabulary:
                raise ModelError(f"merge {number}: {token[:40]!r} is not in the vocabulary", path=name)
        merges.append((left, right))
    return merges


def _added(found: object, name: str) -> tuple[dict[str, int], bool]:
    """Return the added tokens, and whether all are of the plain sort that is cut out of the text as it stands."""
    specials: dict[str, int] = {}
    plain = True
    if not isinstance(found, list):
        raise ModelError("the added tokens are not a list", path=name)
    for item in found:
        try:
            specials[str(item["content"])] = int(item["id"])
        except (TypeError, KeyError, ValueError):
            raise ModelError("an added token has no content or id", path=name) from None
        plain &= not (item.get("single_word") or item.get("lstrip") or item.get("rstrip"))
    return specials, plain


def _kind(content: dict[str, Any], model: dict[str, Any]) -> str | None:
    """Return which of mlkit's own pipelines this is, or None."""
    if content.get("normalizer") or content.get("truncation") or content.get("padding"):
        return None
    if any(model.get(name) not in values for name, values in _PLAIN_MODEL.items()):
        return None
    after = content.get("post_processor") or {}
    if after.get("type", "ByteLevel") != "ByteLevel":
        return None
    before = content.get("pre_tokenizer") or {}
    suffix = model.get("end_of_word_suffix")
    if before.get("type") == "ByteLevel" and not suffix:
        plain = not before.get("add_prefix_space", True) and before.get("use_regex", True)
        return "bytes" if plain else None
    if before.get("type") == "Split":
        by_space = before.get("pattern") == {"String": " "} and before.get("behavior") == "Removed"
        return "chars" if by_space and not before.get("invert") else None
    if before.get("type") == "Metaspace" and not suffix and before.get("replacement") == "▁":
        always = before.get("prepend_scheme", "always") == "always" and before.get("split", True)
        return "metaspace" if always and before.get("add_prefix_space", True) else None
    return None


_PIPELINES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bytes": (
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    ),
    "chars": (
        {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False},
        {"type": "BPEDecoder", "suffix": "</w>"},
    ),
    "metaspace": (
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    ),
}


def write_tokenizer_json(
    path: PathLike,
    kind: str,
    vocabulary: Mapping[str, int],
    merges: Sequence[Pair],
    *,
    specials: Mapping[str, int] | None = None,
    unknown: str | None = None,
    suffix: str = "",
) -> None:
    """Write a tokenizer.json that `tokenizers` loads and that gives it the ids mlkit gives."""
    before, decoder = _PIPELINES[kind]
    added = [
        {
            "id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True,
        }
        for token, number in sorted((specials or {}).items(), key=lambda item: item[1])
    ]  # fmt: skip
    content = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": before, "post_processor": None,
        "decoder": {**decoder, "suffix": suffix} if kind == "chars" and suffix else decoder,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": None,
            "end_of_word_suffix": suffix or None, "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(sorted(vocabulary.items(), key=lambda item: item[1])),
            "merges": [list(pair) for pair in merges],
        },
    }  # fmt: skip
    if kind == "chars" and not suffix:
        content["decoder"] = None
    with open_output(path) as stream:
        # one token and one merge a line: diffs stay readable
        stream.write(json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")
