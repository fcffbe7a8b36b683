"""Thread counts and ordered chunks."""

from __future__ import annotations

import threading
import time

import pytest

from mlkit.errors import UsageError
from mlkit.threads import available_cores, map_chunks, run_together, thread_count


def test_precedence() -> None:
    environment = {"MLKIT_THREADS": "3", "SLURM_CPUS_PER_TASK": "5"}
    assert thread_count(7, environment) == 7
    assert thread_count(None, environment) == 3
    assert thread_count(None, {"SLURM_CPUS_PER_TASK": "5"}) == 5
    assert thread_count(None, {}) == available_cores() >= 1


@pytest.mark.parametrize("value", ["0", "two", "-1"])
def test_nonsense_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="MLKIT_THREADS"):
        thread_count(None, {"MLKIT_THREADS": value})


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_and_the_source_is_not_read_ahead(threads: int) -> None:
    taken = 0

    def chunks():
        nonlocal taken
        for number in range(30):
            taken += 1
            yield number

    def slow(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * number

    results = map_chunks(slow, chunks(), threads)
    assert next(results) == 0
    assert taken <= 2 * threads + 1
    assert list(results) == [number * number for number in range(1, 30)]


def test_an_error_stops_the_rest() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        done.append(number)
        return number

    with pytest.raises(ValueError, match="three"):
        list(map_chunks(work, range(1000), 2))
    assert len(done) < 100


def test_run_together() -> None:
    barrier = threading.Barrier(2, timeout=10)
    assert run_together([barrier.wait, barrier.wait]) in ([0, 1], [1, 0])
    assert run_together([lambda: 5]) == [5]
