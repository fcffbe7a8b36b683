"""`mlkit vocab` through the real binary."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.conftest import Run
from tests.naive import corpus as naive


def test_pipe_gzip_and_threads_give_the_same_bytes(mlkit: Run, tmp_path: Path) -> None:
    text = "".join(f"word{i % 7} ünï{i % 31} {'long' * (i % 9)}x\n" for i in range(20_000)).encode()
    (tmp_path / "a.txt").write_bytes(text)
    (tmp_path / "b.gz").write_bytes(gzip.compress(text))
    expected = b"".join(b"%b\t%d\n" % item for item in naive.vocabulary([text], 1))
    assert mlkit("vocab", "a.txt", "--threads", 1).stdout == expected
    assert mlkit("vocab", "b.gz", "-o", "v.txt", "--threads", 3).stderr == b"47 words, 60,000 tokens\n"
    assert (tmp_path / "v.txt").read_bytes() == expected
    assert mlkit("vocab", "-", "-q", stdin=gzip.compress(text)).stdout == expected


def test_errors_are_one_line(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\nno\xff\n")
    done = mlkit("vocab", "bad.txt", "-o", "v.txt", check=False)
    assert done.returncode == 1
    assert b"bad.txt:2: invalid UTF-8 at byte 3" in done.stderr
    assert not (tmp_path / "v.txt").exists()
    assert mlkit("vocab", "bad.txt", "--errors", "skip").stdout == b"fine\t1\n"
    assert mlkit("vocab", "none.txt", check=False).returncode == 1
    assert mlkit("vocab", "bad.txt", "-o", "bad.txt", check=False).returncode == 2
    assert mlkit("vocab", "bad.txt", "--shard", "1/2", "--min-count", "2", check=False).returncode == 2
    assert mlkit("vocab", "bad.txt", "--memory", "1M", check=False).returncode == 2
