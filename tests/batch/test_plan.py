"""From commands to jobs: what waits for what, where parts lie, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlkit.batch import SHARDABLE, Settings, Stage, make_plan, scripts, write_scripts
from mlkit.cli import options
from mlkit.cli.registry import loaded_tree
from mlkit.errors import UsageError

VOCAB, BPE, NGRAM, COOCCUR = SHARDABLE
NGRAMS = Stage(NGRAM, ("corpus.txt", "--order", "2"), (), ("corpus.txt",))
WORDS = Stage(VOCAB, ("corpus.txt",), ("--min-count", "5"), ("corpus.txt",))
PAIRS = Stage(COOCCUR, ("corpus.txt",), (), ("corpus.txt",), vocabulary=True)


def test_everything_that_takes_a_shard_and_has_a_merge_can_be_a_batch() -> None:
    tree = loaded_tree()
    found = {
        path
        for path, command in tree.items()
        if any(parameter.name == "shard" for parameter in command.params) and path[0] != "batch"
    }
    assert found == {kind.count for kind in SHARDABLE}
    assert {kind.merge for kind in SHARDABLE} <= set(tree)
    for kind in SHARDABLE:
        running = {
            parameter.name
            for parameter in tree[kind.count].params
            if getattr(parameter, "rich_help_panel", None) == options.RUN
        }
        # a new one needs a decision: does it go to the shards, to the merge, or is a batch instead of it?
        assert running <= {"errors", "memory", "tmp_dir", "threads", "shard", "processes", "cluster"}


def test_a_count_and_its_merge() -> None:
    plan = make_plan([NGRAMS], "all.counts", shards=3)
    warm, count, merge = plan.jobs
    assert warm.command == ("warm", "formats", "ngram")
    assert count.command == ("ngram", "count", "corpus.txt", "--order", "2")
    assert (count.shards, count.suffix, count.output) == (3, ".bin", f"{plan.work}/count/")
    assert (merge.command, merge.parts, merge.output) == (("ngram", "merge"), count.output, "all.counts")
    assert (plan.folder, plan.home) == ("all.counts.batch", "..")


def test_shards_of_cooccurrences_wait_for_the_vocabulary() -> None:
    plan = make_plan([WORDS, PAIRS], "cooc.bin", shards=2, warm=False)
    assert [job.name for job in plan.jobs] == ["vocab", "vocab-merge", "count", "merge"]
    vocabulary = plan.jobs[1].output
    assert vocabulary == f"{plan.work}/vocab.tsv"
    assert plan.jobs[2].command == ("cooccur", "count", "corpus.txt", "--vocab", vocabulary)
    assert plan.jobs[2].inputs == ("corpus.txt", vocabulary)


def test_parts_of_other_settings_lie_elsewhere() -> None:
    plans = [
        make_plan([NGRAMS], "x", shards=3),
        make_plan([NGRAMS], "x", shards=4),
        make_plan([replace(NGRAMS, count=("corpus.txt", "--order", "3"))], "x", shards=3),
        make_plan([WORDS, PAIRS], "x", shards=3),
        make_plan([replace(WORDS, merge=("--min-count", "6")), PAIRS], "x", shards=3),
    ]
    assert len({plan.work for plan in plans}) == len(plans)
    # what belongs to the last merge alone does not make parts old
    assert make_plan([replace(NGRAMS, merge=("--memory", "1G"))], "x", shards=3).work == plans[0].work


@pytest.mark.parametrize(
    ("stage", "target", "message"),
    [
        (replace(NGRAMS, inputs=("-",)), "x", "a pipe cannot be cut"),
        (replace(NGRAMS, inputs=()), "x", "a pipe cannot be cut"),
        (NGRAMS, "-", "a batch job has no stdout"),
        (NGRAMS, "a\nb", "control character"),
    ],
)
def test_what_cannot_be_a_batch(stage: Stage, target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_plan([stage], target, shards=2)


def test_memory_threads_and_options_are_asked_for() -> None:
    stage = replace(NGRAMS, threads=(2, 1), memory=(1 << 30, None))
    settings = Settings(sbatch=("--time=5",), merge_sbatch=("--mem=9G",), at_once=7, keep_parts=True)
    texts = scripts(make_plan([stage], "x", shards=20, warm=False), settings)
    count, merge = texts["1-count.sh"].splitlines(), texts["2-merge.sh"].splitlines()
    asked = ["--array=1-20%7", "--cpus-per-task=2", "--mem=1408M", "--time=5"]
    assert all(f"#SBATCH {option}" in count for option in asked)
    assert "#SBATCH --mem=9G" in merge
    assert "#SBATCH --mem=9G" not in count
    assert not any(line.startswith("mv ") for line in merge)


@pytest.mark.parametrize("option", ["time=5", "--time=5\nrm -rf ~"])
def test_what_is_no_option_of_sbatch_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match="not an option of sbatch"):
        scripts(make_plan([NGRAMS], "x", shards=2), Settings(sbatch=(option,)))


def test_scripts_of_another_plan_go_and_a_user_s_files_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scripts(make_plan([WORDS, PAIRS], "x", shards=2), Settings())
    (tmp_path / "x.batch" / "9-mine.sh").write_text("")
    write_scripts(make_plan([NGRAMS], "x", shards=2, warm=False), Settings())
    names = {path.name for path in (tmp_path / "x.batch").iterdir()}
    assert names == {"1-count.sh", "2-merge.sh", "submit.sh", "local.sh", "log", "9-mine.sh"}
    assert (tmp_path / "x.batch" / "submit.sh").stat().st_mode & 0o100


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = make_plan([NGRAMS], "x", shards=2)

    def full(path: Path, lines: list[str]) -> None:
        if path.name == "submit.sh":
            raise OSError(28, "no space left on device")
        path.write_text("\n".join(lines))

    monkeypatch.setattr("mlkit.batch.slurm.write_text", full)
    with pytest.raises(OSError, match="no space left"):
        write_scripts(plan, Settings())
    assert list(tmp_path.iterdir()) == []
    Path(plan.folder).mkdir()
    with pytest.raises(OSError, match="no space left"):
        write_scripts(plan, Settings())
    assert Path(plan.folder).is_dir()
