"""How OpenAI's encodings beyond GPT-2's cut text, and a pipeline for the `tokenizers` library that does so.

The expressions cut as those of tiktoken's encodings of the same names (its `$` is the end of the text, here `\\z`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlkit.bpe.alphabet import from_bytes

_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_WHITE = r"\s*[\r\n]+|\s+(?!\S)|\s+"

CL100K = (
    rf"{_ENDINGS}|{_BEFORE}\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s"
)
O200K = (
    rf"{_BEFORE}{_UPPER}*{_LOWER}+{_ENDINGS}?|{_BEFORE}{_UPPER}+{_LOWER}*{_ENDINGS}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_WHITE}"
)
# the number of ranks of each public encoding
_BY_SIZE = {100_256: CL100K, 199_998: O200K}


def pattern_of(tokens: Sequence[bytes]) -> str | None:
    """Return the expression of a known encoding by its ranks; None is GPT-2's."""
    return _BY_SIZE.get(len(tokens))


def pipeline(tokens: Sequence[bytes], pattern: str) -> str:
    """Return a tokenizer.json of ranks that are cut by a pattern."""
    ranks = {token: rank for rank, token in enumerate(tokens)}
    merges: list[list[str]] = []
    for token in tokens:
        found = [
            (ranks[token[:cut]], ranks[token[cut:]], cut)
            for cut in range(1, len(token))
            if token[:cut] in ranks and token[cut:] in ranks
        ]
        merges += [[from_bytes(token[:cut]), from_bytes(token[cut:])] for _, _, cut in sorted(found)]
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    content: dict[str, object] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, by_bytes]},
        "post_processor": None, "decoder": {**by_bytes, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
            "vocab": {from_bytes(token): rank for rank, token in enumerate(tokens)}, "merges": merges,
        },
    }  # fmt: skip
    return json.dumps(content, ensure_ascii=False)
