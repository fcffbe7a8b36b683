"""Bins: edges, packing, encoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import DataError
from mlkit.formats.table_files import read_table
from mlkit.trees.binning import Encoder, Feature, find_edges, fit_encoder, pack, plan_packing


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=200), st.integers(2, 30))
def test_edges_ascend_and_separate(values: list[float], max_bins: int) -> None:
    edges = find_edges(np.array(values), max_bins)
    assert len(edges) < max_bins
    assert (np.diff(edges) > 0).all()
    if len(edges):
        assert min(values) <= edges[0]
        assert edges[-1] < max(values)


def test_every_distinct_value_gets_a_bin_when_there_is_room() -> None:
    values = np.repeat([3.0, 1.0, 2.0, np.nan], 5)
    np.testing.assert_allclose(find_edges(values, 255), [1.5, 2.5])


def test_frequent_values_get_their_own_bin() -> None:
    values = np.concatenate([np.zeros(1000), np.linspace(1, 2, 500)])
    edges = find_edges(values, 16)
    assert edges[0] < 1
    counts = np.bincount(np.searchsorted(edges, values))
    assert counts[0] == 1000
    assert counts[1:].max() < 60


def test_bins_hold_about_equally_many_rows() -> None:
    values = np.random.default_rng(1).normal(size=20_000)
    edges = find_edges(values, 255)
    counts = np.bincount(np.searchsorted(edges, values))
    assert len(counts) == 255
    assert counts.min() > 60
    assert counts.max() < 100


def test_packing_is_reversible() -> None:
    rng = np.random.default_rng(1)
    features = []
    for place, (width, missing) in enumerate(
        [(2, False), (5, True), (200, True), (16, False), (16, False), (3, True)]
    ):
        features.append(Feature(str(place), False, np.arange(width - 1.0), (), missing))
    encoder = Encoder(tuple(features))
    bins = np.stack([rng.integers(0, f.bins, 300) for f in features], axis=1).astype(np.uint8)
    for place, feature in enumerate(features):
        if feature.missing:
            bins[rng.random(300) < 0.3, place] = 255
    packing = plan_packing(encoder)
    packed = pack(bins, encoder, packing)
    assert packed.shape[1] == 3  # 201; 16 * 16; 6 * 2 * 4
    assert (packing.sizes <= 256).all()
    for place, feature in enumerate(features):
        width = feature.bins + feature.missing
        found = packed[:, packing.column[place]] // packing.stride[place] % width
        expected = np.where(bins[:, place] == 255, feature.bins, bins[:, place])
        assert (found == expected).all()


def test_encoder_matches_by_name_and_treats_the_unknown_as_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,c\n1,u\n2,v\n3,u\n4,\n5,u\n6,v\n")
    (tmp_path / "b.csv").write_text("c,more,x\nu,1,2.5\nw,1,\n")
    table = read_table(tmp_path / "a.csv")
    encoder, fitted, remarks = fit_encoder(table, ["x", "c"])
    assert not remarks
    assert (fitted == encoder.encode(table)).all()
    bins = encoder.encode(read_table(tmp_path / "b.csv"))
    assert bins[1].tolist() == [255, 255]
    assert bins[0, 1] == encoder.features[1].categories.index("u")
    assert [f.categorical for f in encoder.features] == [False, True]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,c\n1,u\n2,v\n3,u\n4,\n5,u\n6,v\n")
    (tmp_path / "b.csv").write_text("x\n1\n")
    encoder, _, _ = fit_encoder(read_table(tmp_path / "a.csv"), ["x", "c"])
    with pytest.raises(DataError, match="missing column 'c'"):
        encoder.encode(read_table(tmp_path / "b.csv"))


def test_useless_columns_are_left_out_with_a_remark(tmp_path: Path) -> None:
    rows = "\n".join(f"{k},7,,w{k}" for k in range(300))
    (tmp_path / "a.csv").write_text(f"x,one,none,many\n{rows}\n")
    encoder, bins, remarks = fit_encoder(read_table(tmp_path / "a.csv"), ["x", "one", "none", "many"])
    assert encoder.names == ["x", "many"]
    assert bins.shape == (300, 2)
    assert len(remarks) == 3
    assert "300 categories" in remarks[2]
    assert encoder.features[1].bins == 254
