"""Model files: round trip, the safetensors library as reader and writer, damage of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlkit.errors import MlkitError, ModelError
from mlkit.formats.model_file import kind_of, load_model, read_safetensors, save_model

DTYPES = st.sampled_from(["float32", "float64", "int32", "int64", "uint8", "uint16", "bool"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
)


@given(tensors=st.dictionaries(st.text(min_size=1, max_size=5), ARRAYS, max_size=4))
def test_round_trip_and_the_library_agrees(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray]
) -> None:
    path = tmp_path_factory.mktemp("model") / "m"
    tensors = {name: array for name, array in tensors.items() if name != "__metadata__"}
    save_model(path, "thing", {"a": [1, "é"]}, tensors)
    header, loaded = load_model(path, "thing")
    assert header["a"] == [1, "é"]
    assert loaded.keys() == tensors.keys()
    theirs = safetensors.numpy.load_file(path)
    for name, array in tensors.items():
        np.testing.assert_array_equal(loaded[name], array)
        np.testing.assert_array_equal(theirs[name], array)
        assert loaded[name].dtype == array.dtype


def test_files_of_the_library_are_read(tmp_path: Path) -> None:
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3, dtype=np.int8)}
    safetensors.numpy.save_file(tensors, tmp_path / "m", metadata={"by": "them"})
    metadata, loaded = read_safetensors(tmp_path / "m")
    assert metadata == {"by": "them"}
    for name, array in tensors.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_same_content_same_bytes_and_arrays_are_read_only_maps(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(tmp_path / name, "thing", {"z": 1, "y": 2}, {"w": np.ones(5), "v": np.zeros(2)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    array = load_model(tmp_path / "a", "thing")[1]["w"]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 3


def test_compressed_models_are_read(tmp_path: Path) -> None:
    save_model(tmp_path / "m.gz", "thing", {}, {"w": np.arange(4)})
    assert load_model(tmp_path / "m.gz", "thing")[1]["w"].tolist() == [0, 1, 2, 3]


def test_wrong_kind_newer_format_and_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_model(path, "thing", {}, {})
    assert kind_of(path) == "thing"
    with pytest.raises(ModelError, match="kind 'thing', expected 'other'"):
        load_model(path, "other")
    save_model(path, "thing", {}, {}, format_version=9)
    with pytest.raises(ModelError, match="format 9, this mlkit reads up to 1"):
        load_model(path, "thing")
    safetensors.numpy.save_file({"w": np.ones(1)}, path)
    with pytest.raises(ModelError, match="not a model of mlkit"):
        load_model(path, "thing")


def test_every_truncation_is_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_model(path, "thing", {"a": 1}, {"w": np.arange(10.0)})
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(ModelError):
            load_model(path, "thing")


@settings(max_examples=200)
@given(content=st.binary(max_size=200), head=st.booleans())
def test_random_bytes_raise_only_our_errors(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bool
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "m"
    path.write_bytes((len(content).to_bytes(8, "little") if head else b"") + content)
    try:
        load_model(path, "thing")
    except MlkitError:
        pass
