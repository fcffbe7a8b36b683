"""The binary container of language models: round trips, and files that are wrong."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import ModelError, UsageError
from mlkit.formats.lm_binary import Sections, SectionWriter, is_binary


def make() -> bytes:
    stream = io.BytesIO()
    writer = SectionWriter(stream, "things")
    writer.begin("rows")
    for start in range(0, 10, 5):
        writer.append(np.arange(start, start + 5, dtype=np.uint64).repeat(2).reshape(-1, 2))
    writer.add("empty", np.empty((0, 3), np.float32))
    writer.add("bytes", np.frombuffer(b"abc", np.uint8))
    writer.finish({"name": "é", "number": 3})
    return stream.getvalue()


def test_round_trip(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(make())
    found = Sections(tmp_path / "m", "things")
    assert found.header == {"name": "é", "number": 3}
    assert found.arrays["rows"].tolist() == [[i, i] for i in range(10)]
    assert found.arrays["empty"].shape == (0, 3)
    assert found.arrays["bytes"].tobytes() == b"abc"
    assert found.offset("rows") % 64 == 0
    assert not found.arrays["rows"].flags.writeable
    assert is_binary(tmp_path / "m")


def test_wrong_files(tmp_path: Path) -> None:
    whole = make()
    cases = {
        "empty": (b"", "is not a binary"),
        "other": (b"x" * 1000, "is not a binary"),
        "cut": (whole[:-64], "is cut short"),
        "newer": (whole.replace(b'"format": 1', b'"format": 9'), "newer mlkit"),
        "kind": (whole.replace(b'"kind": "things"', b'"kind": "thongs"'), "holds thongs, not things"),
        "json": (whole.replace(b'{"format"', b'["format"'), "description is damaged"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=message):
            Sections(tmp_path / name, "things")
    with pytest.raises(UsageError):
        Sections("-", "things")


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_damage_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes
) -> None:
    data = bytearray(make())
    at %= len(data)
    data[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("x") / "m"
    path.write_bytes(data)
    try:
        Sections(path, "things")
    except ModelError:
        pass
