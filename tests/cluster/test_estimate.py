"""The simulation of a merge tree: by hand in small cases, and the laws it must keep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlkit.cluster.estimate import Rates, law, simulate

RATES = Rates(count=10.0, merge=20.0, factor=0.5, exponent=1.0, node=1e9, disk=1e9)


def test_two_shards_by_hand() -> None:
    count, last = simulate(200.0, 1, RATES, shard=100.0)
    # two shards of 100 bytes one after the other, at 10 bytes/s; two parts of 50 bytes read at 20 bytes/s
    assert (count.tasks, count.seconds, count.traffic, count.parts) == (2, 20.0, 300.0, 100.0)
    assert (last.tasks, last.seconds, last.traffic, last.parts) == (1, 5.0, 200.0, 100.0)


def test_the_tree_has_a_level_for_every_factor_of_eight() -> None:
    steps = simulate(512.0, 4, RATES, shard=1.0)
    assert [step.tasks for step in steps] == [512, 64, 8, 1]


def test_merges_in_ranges_by_hand() -> None:
    rates = replace(RATES, join=50.0)
    count, ranges, join = simulate(200.0, 2, rates, shard=50.0)
    # four shards; four parts of 25 bytes make 100, a quarter of them read by each of four tasks at 20 bytes/s
    assert (count.tasks, count.parts) == (4, 100.0)
    assert (ranges.tasks, ranges.seconds, ranges.traffic, ranges.parts) == (4, 2.5, 200.0, 100.0)
    assert (join.tasks, join.seconds, join.traffic, join.parts) == (1, 2.0, 200.0, 100.0)
    steps = simulate(512.0, 4, rates, shard=1.0)
    assert [step.tasks for step in steps] == [512, 64, 8, 8, 1]


def test_slow_disks_bound_every_stage() -> None:
    slow = Rates(10.0, 20.0, 0.5, 1.0, node=1e9, disk=1.0)
    assert all(step.seconds == step.traffic for step in simulate(200.0, 4, slow, shard=50.0))


def test_more_workers_are_never_slower() -> None:
    for rates in (RATES, replace(RATES, join=1e6)):
        seconds = [sum(step.seconds for step in simulate(1e12, workers, rates)) for workers in (16, 64, 256)]
        assert seconds == sorted(seconds, reverse=True)


def test_the_law_goes_through_both_measurements() -> None:
    factor, exponent = law((100.0, 50.0), (400.0, 100.0))
    assert exponent == pytest.approx(0.5)
    assert Rates(1, 1, factor, exponent).part(100.0) == pytest.approx(50.0)
    assert Rates(1, 1, factor, exponent).part(400.0) == pytest.approx(100.0)
