"""Batches in a real queue: the same bytes as one run; tasks put back, killed and failed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.batch.conftest import Queue, numbers
from tests.slurm import slurm

pytestmark = pytest.mark.shell
CORPUS = "corpus $1.txt"

COUNTS = {
    "ngram": ["ngram", "count", CORPUS, "--order", "2"],
    "vocab": ["vocab", CORPUS, "--min-count", "2", "--format", "word2vec"],
    "bpe": ["bpe", "count", CORPUS, "--type", "chars"],
    "cooccur": ["cooccur", CORPUS, "--window", "3", "--min-count", "1", "--memory", "200M", "--threads", "2"],
}


@pytest.mark.parametrize("arguments", COUNTS.values(), ids=COUNTS)
def test_a_batch_gives_the_bytes_of_one_run(queue: Queue, arguments: list[str]) -> None:
    queue.mlkit(*arguments, "-o", "one")
    jobs = queue.submit(*arguments, "-o", "many", "--shards", 3, "--no-warm")
    queue.wait(jobs)
    assert (queue.folder / "many").exists(), queue.logs()
    assert (queue.folder / "many").read_bytes() == (queue.folder / "one").read_bytes()
    assert [queue.states(job) for job in jobs.values()] == [{"COMPLETED"}] * len(jobs)
    assert not list(queue.folder.glob("many.batch/parts-*"))


def test_the_kernels_are_compiled_first_and_parts_are_kept(queue: Queue) -> None:
    jobs = queue.submit("vocab", CORPUS, "-o", "many", "--shards", 2, "--keep-parts", "--sbatch", "--time=5")
    assert list(jobs) == ["warm", "count", "merge"]
    assert "TimeLimit=00:05:00" in slurm(queue.environment, "scontrol", "show", "job", jobs["merge"])
    queue.wait(jobs)
    assert "kernels are ready" in (queue.folder / "many.batch/log/1-warm.log").read_text()
    assert len(list(queue.folder.glob("many.batch/parts-*/count/*.tsv"))) == 2


def hook(queue: Queue, code: str) -> Path:
    """Run `code` the first time that shard 2 of 3 is counted; return the file that tells that it began."""
    mark = queue.folder.parent / "begun"
    (queue.folder.parent / "hook").write_text(
        f'case "$*" in *"--shard 2/3"*) if [ ! -e "{mark}" ]; then touch "{mark}"; {code}; fi;; esac\n'
    )
    return mark


def begun(mark: Path) -> None:
    deadline = time.monotonic() + 30
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_task_put_back_into_the_queue_is_repeated(queue: Queue) -> None:
    queue.mlkit(*COUNTS["ngram"], "-o", "one")
    mark = hook(queue, "exec sleep 100")
    jobs = queue.submit(*COUNTS["ngram"], "-o", "many", "--shards", 3, "--no-warm")
    begun(mark)
    queue.run("scontrol", "requeue", f"{jobs['count']}_2")
    queue.wait(jobs)
    assert (queue.folder / "many").read_bytes() == (queue.folder / "one").read_bytes(), queue.logs()
    assert not (queue.folder / "many.batch/failed.txt").exists()


@pytest.mark.parametrize(
    ("code", "signal", "message"),
    [
        ("echo no space left >&2; exit 1", None, "exit 1;"),
        ("kill -KILL $$", None, "exit 137 (killed: out of memory?);"),
        ("exec sleep 100", "USR1", "exit 138 (its time is nearly over);"),
    ],
    ids=["fails", "is killed", "is too slow"],
)
def test_a_failing_shard_stops_the_merge_and_the_rest_is_kept(
    queue: Queue, code: str, signal: str | None, message: str
) -> None:
    queue.mlkit(*COUNTS["ngram"], "-o", "one")
    mark = hook(queue, code)
    jobs = queue.submit(*COUNTS["ngram"], "-o", "many", "--shards", 3, "--no-warm")
    if signal:
        begun(mark)
        queue.run("scancel", "--batch", f"--signal={signal}", f"{jobs['count']}_2")
    queue.wait(jobs)
    assert queue.states(jobs["count"]) == {"COMPLETED", "FAILED"}
    assert queue.states(jobs["merge"]) == {"CANCELLED"}
    assert not (queue.folder / "many").exists()
    told = (queue.folder / "many.batch/failed.txt").read_text()
    assert told == f"count, shard 2 of 3: {message} many.batch/log/1-count-2.log says why\n"
    assert told in (queue.folder / "many.batch/log/1-count-2.log").read_text()

    again = numbers(queue.run("bash", "many.batch/submit.sh", "--nice=1").stdout)
    queue.wait(again)
    assert (queue.folder / "many").read_bytes() == (queue.folder / "one").read_bytes(), queue.logs()
    assert not (queue.folder / "many.batch/failed.txt").exists()
    log = (queue.folder / "many.batch/log/1-count-1.log").read_text()
    assert "count, shard 1 of 3: done already" in log


def test_a_cancelled_batch_leaves_nothing_but_its_folder(queue: Queue) -> None:
    mark = hook(queue, "exec sleep 100")
    jobs = queue.submit(*COUNTS["ngram"], "-o", "many", "--shards", 3, "--no-warm")
    begun(mark)
    queue.run("scancel", *jobs.values())
    queue.wait(jobs)
    assert sorted(path.name for path in queue.folder.iterdir()) == [CORPUS, "many.batch"]
    assert not (queue.folder / "many.batch/failed.txt").exists()


def test_a_job_that_is_refused_takes_the_others_back(queue: Queue) -> None:
    done = queue.mlkit(
        "batch", *COUNTS["ngram"], "-o", "many", "--shards", 3, "--submit", "--merge-sbatch", "--partition=none",
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert "invalid partition" in done.stderr
    assert "mlkit batch ngram count: many.batch/submit.sh ended with exit code 1" in done.stderr
    deadline = time.monotonic() + 30
    while slurm(queue.environment, "squeue", "-h", "-n", "many:count,many:warm"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not (queue.folder / "many").exists()
