"""Byte-level tokenizer.json files that are not GPT-2's: no byte is lost."""

from __future__ import annotations

import array
import json
from pathlib import Path

import pytest

from mlkit.bpe import Encoder, Options, load_model
from mlkit.bpe.decode import Decoder
from mlkit.bpe.jobs import _glossaries

tokenizers = pytest.importorskip("tokenizers")

TEXT = "\ufeffHello,\r\nworld 2024!!\n\n  a b\tc\r\n<｜end▁of｜>日本語 x\n"


@pytest.fixture
def path(tmp_path: Path, corpus: Path) -> Path:
    from mlkit.bpe.jobs import LearnJob, learn_job

    learn_job(LearnJob((str(corpus),), str(tmp_path / "tokenizer.json"), vocab_size=400))
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    split = {"Regex": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"}
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": split, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        ],
    }
    content["added_tokens"].append(
        {"id": 400, "content": "<｜end▁of｜>", "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
    )  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    return tmp_path / "tokenizer.json"


@pytest.mark.parametrize("output", ["uint32", "uint16", "ids", "pieces"])
def test_all_bytes_arrive(path: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "in.txt").write_text(TEXT, newline="")
    model = load_model(path)
    assert model.foreign
    options = Options(output)  # type: ignore[arg-type]
    encoded = b"".join(map(bytes, Encoder(model, options).encode_files([tmp_path / "in.txt"])))
    (tmp_path / "out").write_bytes(encoded)
    if output == "uint32":
        library = tokenizers.Tokenizer.from_file(str(path))
        assert array.array("I", encoded).tolist() == library.encode(TEXT, add_special_tokens=False).ids
    decoded = b"".join(map(bytes, Decoder(model, options).decode_files([tmp_path / "out"])))
    assert decoded.decode() == TEXT


def test_a_glossary_that_is_no_file_is_an_expression(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a+\nb\n")
    assert _glossaries([r"@\w+@", f"@{tmp_path / 'list'}"]) == (r"@\w+@", "a+", "b")
