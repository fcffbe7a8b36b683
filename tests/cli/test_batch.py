"""`mlkit batch`: the options of the commands that it runs, run here without Slurm."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.conftest import Run

LINES = [f"the {i % 7} counts of {i % 11} shards and {i % 3}" for i in range(300)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("\n".join(LINES) + "\n")
    with gzip.open(tmp_path / "texts" / "two.txt.gz", "wt") as stream:
        stream.write("\n".join(LINES[:100]) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["vocab", "texts", "--min-count", "2", "--max-size", "9", "--lower"],
        ["bpe", "count", "texts/one.txt", "texts/two.txt.gz", "--weights", "1,3"],
        ["ngram", "count", "texts", "--order", "2"],
        ["cooccur", "texts", "--window", "2", "--flat", "--left-to-right", "--max-vocab", "9"],
        ["cooccur", "texts", "--vocab", "words.txt"],
        ["cooccur", "texts", "--format", "glove", "--min-count", "1", "--lower"],
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_run_here_the_bytes_are_those_of_one_run(corpus: Path, mlkit: Run, arguments: list[str]) -> None:
    mlkit("vocab", "texts", "-o", "words.txt")
    mlkit(*arguments, "-o", "one")
    mlkit("batch", *arguments, "-o", "many", "--shards", 3, "--local", 2, "--no-warm")
    assert (corpus / "many").read_bytes() == (corpus / "one").read_bytes()
    assert not list(corpus.glob("many.batch/parts-*"))


def test_a_failure_here_is_told_and_leaves_no_target(corpus: Path, mlkit: Run) -> None:
    (corpus / "bad.txt").write_bytes(b"good\n" * 99 + b"\xff\n")
    call = ["batch", "vocab", "bad.txt", "-o", "many", "--shards", 3, "--local", 1, "--no-warm"]
    done = mlkit(*call, check=False)
    assert done.returncode == 1
    assert b"bad.txt:100: invalid UTF-8" in done.stderr or b"invalid UTF-8" in done.stderr
    assert done.stderr.decode().splitlines()[-1] == "  many.batch/failed.txt names the tasks that failed"
    assert (corpus / "many.batch/failed.txt").read_text() == "count, shard 3 of 3: exit 1\n"
    assert not (corpus / "many").exists()
    done = mlkit(*call, "--errors", "replace")
    assert (corpus / "many").exists()


def test_settings_come_from_a_file(corpus: Path, mlkit: Run) -> None:
    (corpus / "job.yaml").write_text(
        "shards: 3\noutput: v.txt\nsbatch: ['--time=5', '--partition=long']\nmin-count: 2\nthreads: 2\n"
    )
    done = mlkit("batch", "vocab", "texts", "--config", "job.yaml")
    assert done.stdout == b"v.txt.batch/submit.sh\n"
    count = (corpus / "v.txt.batch/2-count.sh").read_text()
    merge = (corpus / "v.txt.batch/3-merge.sh").read_text()
    assert "#SBATCH --time=5\n#SBATCH --partition=long\n" in count
    assert "#SBATCH --cpus-per-task=2\n" in count
    assert "min-count" not in count
    assert "mlkit vocab merge --min-count 2 " in merge
    assert "--cpus-per-task=1\n" in merge
    printed = mlkit("batch", "vocab", "texts", "--config", "job.yaml", "--print-config").stdout
    assert b"min-count: 2\n" in printed
    assert b"shards: 3\n" in printed


def test_the_node_s_own_folder_for_temporary_files_is_used(corpus: Path, mlkit: Run) -> None:
    mlkit("batch", "ngram", "count", "texts", "-o", "x", "--shards", 2, env={"TMPDIR": str(corpus)})
    assert "tmp-dir" not in (corpus / "x.batch/2-count.sh").read_text()
    mlkit("batch", "ngram", "count", "texts", "-o", "x", "--shards", 2, "--tmp-dir", "/scratch")
    assert "--tmp-dir /scratch" in (corpus / "x.batch/2-count.sh").read_text()
    assert "--tmp-dir /scratch" in (corpus / "x.batch/3-merge.sh").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train-w2v"], "mlkit batch: 'train-w2v' cannot be cut into shards; these can: vocab, bpe count"),
        (["bpe", "merge"], "mlkit batch bpe: 'merge' cannot be cut into shards"),
        (["vocab", "-", "--shards", "2", "-o", "x"], "mlkit batch vocab: a pipe cannot be cut"),
        (["vocab", "texts", "--shards", "2", "-o", "-"], "mlkit batch vocab: a batch job has no stdout"),
        (["vocab", "texts", "--shards", "2", "-o", "no/x"], "mlkit batch vocab: no/x: the folder"),
        (["vocab", "texts", "--shards", "2"], "mlkit batch vocab: Missing option '--output'"),
        (["vocab", "texts", "--shard", "2", "-o", "x"], "mlkit batch vocab: No such option: --shard"),
        (["bpe", "count", "--shards", "2", "-o", "x"], "mlkit batch bpe count: Missing argument"),
        (["vocab", "texts", "--shards", "2", "-o", "x", "--submit", "--local", "1"], "mlkit batch vocab: --sub"),
        (["vocab", "texts", "--shards", "2", "-o", "x", "--sbatch", "time"], "mlkit batch vocab: 'time' is not"),
    ],
)  # fmt: skip
def test_faults_of_the_call(corpus: Path, mlkit: Run, arguments: list[str], message: str) -> None:
    done = mlkit("batch", *arguments, check=False)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(message)
    assert [path.name for path in corpus.iterdir()] == ["texts"]


def test_no_sbatch(corpus: Path, mlkit: Run) -> None:
    done = mlkit(
        "batch", "vocab", "texts", "--shards", 2, "-o", "x", "--submit", check=False, env={"PATH": ""}
    )
    assert done.returncode == 1
    assert "sbatch is not installed here" in done.stderr.decode()


def test_input_that_does_not_exist_is_warned_of(corpus: Path, mlkit: Run) -> None:
    done = mlkit("batch", "vocab", "later.txt", "--shards", 2, "-o", "x")
    assert done.stderr.decode().startswith("warning: later.txt does not exist (yet)\n")
