"""The engines: order, faults, lost workers, progress, and what is left behind (nothing)."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import ClassVar

import pytest

from mlkit.cluster import Engine, Tasks, counted_parts, merged_ranges, open_engine, processes
from mlkit.cluster.dask_engine import slurm_settings
from mlkit.cluster.map_reduce import LARGEST, shard_count
from mlkit.cluster.tasks import Outcome, fault_of, part_done, run_task
from mlkit.errors import DataError, MlkitError, UsageError
from mlkit.progress import Report
from tests.cluster import work

dask = pytest.mark.filterwarnings("ignore")  # Dask's own warnings are not ours


def names(count: int) -> list[str]:
    return [f"shard {number + 1}/{count}" for number in range(count)]


def test_values_come_in_the_order_of_the_items() -> None:
    reports: list[Report] = []
    with open_engine(processes=2) as engine:
        assert engine.workers == 2
        assert engine.run(Tasks(work.square, range(7), names(7), "squaring"), reports.append) == [
            0, 1, 4, 9, 16, 25, 36,
        ]  # fmt: skip
    assert [report.stage for report in reports[-1:]] == ["squaring"]
    assert reports[-1].done == reports[-1].total == 7
    assert [report.done for report in reports] == sorted(report.done for report in reports)
    assert not Path(engine.folder).exists()


def test_a_fault_names_the_shard_and_the_line() -> None:
    with pytest.raises(DataError) as fault, open_engine(processes=1) as engine:
        engine.run(Tasks(work.fail, [0, 1, 2], names(3)))
    assert str(fault.value) == "numbers.txt:7: is odd (shard 2/3)"
    assert fault.value.hint == "take an even one"
    assert not Path(engine.folder).exists()


@pytest.mark.parametrize(
    ("item", "kind", "message"),
    [
        ("usage", UsageError, "--weights 1,2: three files (shard 1/1)"),
        ("bug", MlkitError, "internal error: ZeroDivisionError: division by zero (shard 1/1)"),
        ("nothing.txt", MlkitError, "nothing.txt: no such file or directory (shard 1/1)"),
    ],
)
def test_every_fault_is_one_line(item: str, kind: type[MlkitError], message: str, tmp_path: Path) -> None:
    outcome = run_task(work.use, item, str(tmp_path / "note"))
    fault = fault_of(outcome, "shard 1/1")
    assert type(fault) is kind
    assert str(fault) == message


def test_the_work_of_a_lost_process_is_done_again(tmp_path: Path) -> None:
    items = [(number, str(tmp_path / "flag")) for number in range(4)]
    with open_engine(processes=2) as engine:
        assert engine.run(Tasks(work.die_once, items, names(4))) == [0, 1, 2, 3]
    assert (tmp_path / "flag").exists()


def test_workers_lost_between_two_jobs_are_replaced() -> None:
    with open_engine(processes=2) as engine:
        for _ in range(3):
            assert engine.run(Tasks(work.square, range(4), names(4))) == [0, 1, 4, 9]
            for worker in multiprocessing.active_children():
                worker.kill()
                worker.join()


def test_a_loss_that_the_pool_does_not_notice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Worker:
        alive = True

        def is_alive(self) -> bool:
            return self.alive

    class Pool:
        _processes: ClassVar = {1: Worker(), 2: Worker()}

    monkeypatch.setattr(processes, "PATIENCE", 1.5)
    clock = iter(range(1, 20))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    alive = processes.AllAlive(Pool())  # type: ignore[arg-type]
    alive.check()
    for there in (False, True, False, False):
        Pool._processes[2].alive = there
        alive.check()
    with pytest.raises(BrokenProcessPool):
        alive.check()
    Pool._processes = {}
    alive.check()


@pytest.mark.timeout(60)
def test_a_worker_lost_while_the_pool_is_closed_is_not_waited_for() -> None:
    for lost in range(3):
        with open_engine(processes=3) as engine:
            assert engine.run(Tasks(work.square, range(3), names(3))) == [0, 1, 4]
            workers = multiprocessing.active_children()
            workers[lost % len(workers)].kill()
        assert multiprocessing.active_children() == []


def test_workers_that_die_again_and_again_end_the_job() -> None:
    with (
        pytest.raises(MlkitError, match=r"workers died 3 times in a row, the last time at shard 1/2"),
        open_engine(processes=1) as engine,
    ):
        engine.run(Tasks(work.die, [1, 2], names(2)))


@dask
def test_dask_does_the_same_work(tmp_path: Path) -> None:
    items = [(number, str(tmp_path / "flag")) for number in range(4)]
    with open_engine(cluster="local:2") as engine:
        assert engine.run(Tasks(work.square, range(5), names(5))) == [0, 1, 4, 9, 16]
        assert engine.run(Tasks(work.die_once, items, names(4))) == [0, 1, 2, 3]
        with pytest.raises(DataError, match=r"numbers.txt:7: is odd \(shard 2/3\)"):
            engine.run(Tasks(work.fail, [0, 1, 2], names(3)))
    assert not Path(engine.folder).exists()


@dask
def test_dask_workers_that_die_while_they_start_are_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="needs Dask")
    start, failures = distributed.LocalCluster, [2]

    def fail_at_first(**settings: object) -> object:
        failures[0] -= 1
        if failures[0] >= 0:
            raise RuntimeError("Nanny failed to start.")
        return start(**settings)

    monkeypatch.setattr(distributed, "LocalCluster", fail_at_first)
    with open_engine(cluster="local:1") as engine:
        assert engine.run(Tasks(work.square, range(2), names(2))) == [0, 1]
    failures[0] = 9
    with pytest.raises(MlkitError, match="Dask's workers do not start"), open_engine(cluster="local:1"):
        pass


def test_progress_is_noted_in_a_file_that_may_be_missing_or_damaged(tmp_path: Path) -> None:
    note = tmp_path / "note"
    assert part_done(str(note)) == 0.0
    assert run_task(work.square, 3, str(note)) == Outcome(9)
    assert part_done(str(note)) == 1.0
    note.write_bytes(b"half")
    assert part_done(str(note)) == 0.0


def test_a_worker_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlkit.cluster.engine.__version__", "99.0")
    with (
        pytest.raises(MlkitError, match=r"a worker runs mlkit .*, this is 99\.0"),
        open_engine(processes=1) as engine,
    ):
        engine.run(Tasks(work.square, [1], names(1)))


class Here(Engine):
    """Tasks run here, the last one first: the order of arrival must not matter."""

    def outcomes(self, tasks, notes, look):  # type: ignore[no-untyped-def]
        for number in reversed(range(len(tasks.items))):
            yield number, run_task(tasks.function, tasks.items[number], notes[number])

    def close(self, *, failed: bool = False) -> None:
        pass


@pytest.mark.parametrize("workers", [1, 2, 40])
def test_parts_are_merged_in_a_tree_in_the_order_of_the_shards(workers: int, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("a\n")
    engine = Here(workers, str(tmp_path))
    with counted_parts(engine, work.Letters(), [str(text)]) as parts:
        assert len(parts) <= 8
        found = "".join(Path(part).read_text() for part in parts)
        assert found == "".join(f"{index}/{2 * workers} " for index in range(2 * workers))
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.parametrize("workers", [1, 2, 40])
@pytest.mark.parametrize("whole", [False, True])
def test_merges_are_cut_into_ranges_in_the_order_of_the_shards(
    workers: int, whole: bool, tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.write_text("a\n")
    engine, job = Here(workers, str(tmp_path)), work.Words(whole=whole)
    with (
        counted_parts(engine, job, [str(text)]) as parts,
        merged_ranges(engine, job, parts) as merged,
    ):
        assert len(merged.pieces) == (0 if whole else 2 * workers)
        assert (merged.plan is None) is whole
        assert merged.parts == parts
        found = "".join(Path(path).read_text() for path in (parts if whole else merged.pieces))
        assert found == "".join(f"{index}/{2 * workers} " for index in range(2 * workers))
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_large_inputs_get_more_shards_and_pipes_none(tmp_path: Path) -> None:
    text = tmp_path / "text"
    with text.open("wb") as file:
        file.truncate(5 * LARGEST + 1)  # sparse
    assert shard_count([str(text)], 2) == 6
    assert shard_count([str(text)], 16) == 32
    with pytest.raises(UsageError, match="a pipe cannot be cut"):
        shard_count(["-"], 2)
    with pytest.raises(FileNotFoundError):
        shard_count([str(tmp_path / "nothing")], 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("cores: 1\nmemory: 1GB\n", "must say how many 'workers' to start"),
        ("workers: 0\ncores: 1\nmemory: 1GB\n", "must say how many 'workers' to start"),
        ("workers: 2\ncores: 1\n", "must say the memory of a worker's job"),
        ("- a\n- b\n", "is not a mapping of settings"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_settings_of_slurm_are_checked(settings: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(settings)
    with pytest.raises(DataError, match=message):
        slurm_settings(str(path))


@pytest.mark.parametrize("cluster", ["local:0", "local:two", "ssh://host", "slurm"])
def test_clusters_that_do_not_exist_are_named(cluster: str) -> None:
    with pytest.raises((UsageError, OSError)), open_engine(cluster=cluster):
        pass
