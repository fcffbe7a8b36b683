"""Ranks of tiktoken by the patterns of cl100k_base and o200k_base, against tiktoken."""

from __future__ import annotations

import array
import base64
import random
from pathlib import Path

import pytest

from mlkit.bpe import BpeModel, Encoder, Options, load_model, tiktoken_patterns
from mlkit.bpe.alphabet import to_bytes
from mlkit.bpe.text_blocks import Piece
from mlkit.bpe.tiktoken_patterns import CL100K, O200K
from tests.bpe.test_sentencepiece import texts

tiktoken = pytest.importorskip("tiktoken")
public = pytest.importorskip("tiktoken_ext.openai_public")

ODD = "abZÀß日1²Ⅳ '’sStTreLL \t\n\r\u00a0\u3000\u2028\u0301/!.…ǅʰ\u200b\u0085"


@pytest.mark.parametrize(("pattern", "name"), [(CL100K, "cl100k_base"), (O200K, "o200k_base")])
def test_ids_are_those_of_tiktoken(
    pattern: str, name: str, tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlkit.bpe.jobs import LearnJob, learn_job

    learned: BpeModel = learn_job(LearnJob((str(corpus),), str(tmp_path / "t.json"), vocab_size=500))
    tokens = [to_bytes(token) for token in learned.vocabulary]
    lines = [b"%b %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens)]
    (tmp_path / "x.tiktoken").write_bytes(b"".join(lines))
    monkeypatch.setattr(tiktoken_patterns, "_BY_SIZE", {len(tokens): pattern})
    model = load_model(tmp_path / "x.tiktoken")
    ranks = {token: rank for rank, token in enumerate(tokens)}
    monkeypatch.setattr(public, "load_tiktoken_bpe", lambda *_, **__: {})
    own = public.ENCODING_CONSTRUCTORS[name]()["pat_str"]
    theirs = tiktoken.Encoding("x", pat_str=own, mergeable_ranks=ranks, special_tokens={})
    encoder = Encoder(model, Options("uint32"))
    rng = random.Random(5)
    ends = ["\n", "\r\n", " \n\n", "!\n", " 2024\n", "DON'T it'S\n", "/\n"]
    for text in texts(7, 300):
        odd = "".join(rng.choices(ODD, k=12))
        line = text + rng.choice(ends) + text[::-1] + odd
        encoded = b"".join(map(bytes, encoder.encode_pieces(iter([Piece("x", 0, 1, 0, line.encode())]))))
        assert array.array("I", encoded).tolist() == theirs.encode_ordinary(line), line
