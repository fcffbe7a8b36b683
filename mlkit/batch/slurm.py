"""The scripts of a plan: one for each job, one that submits them to Slurm, one that runs them without it.

Names are relative to the folder in which `mlkit batch` was called; the same plan gives the same bytes.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlkit.batch.plan import Job, Plan
from mlkit.errors import UsageError
from mlkit.formats.streams import write_text

MEBIBYTE = 1 << 20
_OURS = re.compile(r"\d-(warm|count|merge|vocab|vocab-merge)\.sh")
GRACE = 60  # seconds before the end of its time at which a job is told

# `wait` returns when a signal arrives: the command is told, and waited for again
RUN = """\
run() {
    local status=0
    "$@" &
    child=$!
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do status=0; wait "$child" || status=$?; done
    [ "$status" != 0 ] || return 0
    # 143 without a reason: cancelled, or put back into the queue
    [ -z "$stopped" ] && [ "$status$reason" != 143 ] || exit 143
    [ -z "$reason" ] || status=138
    [ "$status" != 137 ] || reason=" (killed: out of memory?)"
    echo "$what: exit $status$reason${SLURM_JOB_ID:+; $log says why}" | tee -a FAILED >&2
    exit "$status"
}
reason= stopped= child=
trap 'reason=" (its time is nearly over)"; kill -TERM $child 2>/dev/null || exit 138' USR1
trap 'stopped=1; kill -TERM $child 2>/dev/null || exit 143' TERM INT
"""


@dataclass(frozen=True)
class Settings:
    """What a user adds to the scripts: options of sbatch, lines before the command, what is kept."""

    sbatch: tuple[str, ...] = ()
    merge_sbatch: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    at_once: int | None = None
    keep_parts: bool = False


def script_name(plan: Plan, job: Job) -> str:
    """Return the name of a job's script in the folder: ``2-count.sh``."""
    return f"{plan.jobs.index(job) + 1}-{job.name}.sh"


def scripts(plan: Plan, settings: Settings) -> dict[str, str]:
    """Return the text of every script by name. Raises `UsageError` for what is no option of sbatch."""
    for option in (*settings.sbatch, *settings.merge_sbatch):
        if not option.startswith("-") or "\n" in option:
            raise UsageError(f"{option!r} is not an option of sbatch such as --time=2:00:00")
    found = {script_name(plan, job): _job_script(plan, job, settings) for job in plan.jobs}
    return {**found, "submit.sh": _submit_script(plan), "local.sh": _local_script(plan)}


def write_scripts(plan: Plan, settings: Settings) -> None:
    """Write the scripts into the plan's folder, and make the folder of the logs: Slurm does not.

    A folder that was not there before is not left half written.
    """
    folder = Path(plan.folder)
    fresh = not folder.exists()
    try:
        _write(folder, scripts(plan, settings))
    except BaseException:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(folder: Path, texts: dict[str, str]) -> None:
    (folder / "log").mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in texts:
            path.unlink()  # of another plan for the same target
    for name, text in texts.items():
        path = folder / name
        write_text(path, [text.rstrip("\n")])
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)


# The script of a job


def _job_script(plan: Plan, job: Job, settings: Settings) -> str:
    body = _array(job) if job.shards else _merge(plan, job, settings) if job.parts else _warm(job)
    what = f"{job.name}, shard $SLURM_ARRAY_TASK_ID of {job.shards}" if job.shards else job.name
    log = f"{plan.folder}/log/{script_name(plan, job).removesuffix('.sh')}"
    lines = [
        "#!/bin/bash",
        f"# mlkit batch: {_one_line(plan.target)}, {job.name}.",
        *(f"#SBATCH {option}" for option in _sbatch_options(plan, job, settings, log)),
        *settings.setup,  # before `set`, which modules and environments do not always stand
        "set -euo pipefail",
        "unset MLKIT_CLUSTER MLKIT_PROCESSES  # of the one who submits; a task is one process",
        f'export MLKIT_THREADS="${{SLURM_CPUS_PER_TASK:-{job.threads}}}"',
        f'what="{what}" log={_quoted(log)}{"-$SLURM_ARRAY_TASK_ID" if job.shards else ""}.log',
        RUN.replace("FAILED", _quoted(f"{plan.folder}/failed.txt")).rstrip("\n"),
        *body,
    ]
    return "\n".join(lines) + "\n"


def _sbatch_options(plan: Plan, job: Job, settings: Settings, log: str) -> Iterator[str]:
    name = re.sub(r"[^\w.+-]", "_", Path(plan.target).name)
    yield f"--job-name={name}:{job.name}"
    if job.shards:
        yield f"--array=1-{job.shards}" + (f"%{settings.at_once}" if settings.at_once else "")
    yield f"--cpus-per-task={job.threads}"
    if job.memory is not None:
        yield f"--mem={_megabytes(job.memory)}M"
    pattern = log.replace("%", "%%") + ("-%a" if job.shards else "") + ".log"
    yield f"--output={_sbatch_quoted(pattern)}"
    yield "--open-mode=append"
    yield "--requeue"
    yield f"--signal=B:USR1@{GRACE}"
    yield from settings.sbatch
    if job.parts:
        yield from settings.merge_sbatch


def _warm(job: Job) -> list[str]:
    return ["# so that not every task compiles the same kernels", f"run mlkit {_words(job.command)}"]


def _array(job: Job) -> list[str]:
    return [
        f'part={_quoted(job.output)}"$SLURM_ARRAY_TASK_ID"{job.suffix}',
        *_nothing_to_do('"$part"', _words(job.inputs)),
        f"mkdir -p {_quoted(job.output.rstrip('/'))}",
        f'run mlkit {_words(job.command)} --shard "$SLURM_ARRAY_TASK_ID/{job.shards}" --output "$part"',
    ]


def _merge(plan: Plan, job: Job, settings: Settings) -> list[str]:
    parts = f"{_quoted(job.parts)}{{1..{plan.shards}}}{job.suffix}"
    merge = f"run mlkit {_words(job.command)} {parts} --output {_quoted(job.output)}"
    if job.output != plan.target:
        result = _quoted(job.output)
        return [*_nothing_to_do(result, _quoted(job.parts)), merge]
    if settings.keep_parts:
        return [merge]
    work, done = _quoted(plan.work), _quoted(f"{plan.work}.merged")
    return [
        "# put back into the queue after the parts were removed: all is done",
        f"if [ ! -d {work} ] && [ -e {_quoted(plan.target)} ]; then exit 0; fi",
        merge,
        f"rm -rf {done}",
        f"mv {work} {done}",
        f"rm -rf {done}",
    ]


def _nothing_to_do(result: str, inputs: str) -> list[str]:
    """End the script where `result` exists and no input was changed or moved later: a file that exists is complete."""
    return [
        f'if [ -e {result} ] && [ -z "$(find -L {inputs} -cnewer {result} -print -quit)" ]; then',
        '    echo "$what: done already"',
        "    exit 0",
        "fi",
    ]


# The scripts that run them all


def _submit_script(plan: Plan) -> str:
    lines = [
        "#!/bin/bash",
        "# Submit the jobs; arguments are options of sbatch for all of them. Prints name<TAB>number of each job.",
        "# After a failure: mend what is wrong and submit again; parts that are there are not counted again.",
        "set -Eeuo pipefail",
        *_at_home(plan),
        'options=("$@") jobs=() lines=()',
        "trap '[ ${#jobs[@]} = 0 ] || scancel \"${jobs[@]}\"' ERR  # all of them or none",
        "submit() {",
        "    local number",
        '    number=$(sbatch --parsable "${@:3}" ${options[@]+"${options[@]}"} "$2")',
        '    jobs+=("${number%%;*}")',
        '    lines+=("$1\t${number%%;*}")',
        "}",
    ]
    for number, job in enumerate(plan.jobs):
        line = f"submit {job.name} {_quoted(f'{plan.folder}/{script_name(plan, job)}')}"
        if number:
            # kernels that could not be compiled ahead are no reason to stop
            condition = "afterany" if plan.jobs[number - 1].name == "warm" else "afterok"
            line += f' --dependency={condition}:"${{jobs[-1]}}" --kill-on-invalid-dep=yes'
        lines.append(line)
    return "\n".join([*lines, "printf '%s\\n' \"${lines[@]}\""]) + "\n"


def _local_script(plan: Plan) -> str:
    lines = [
        "#!/bin/bash",
        "# Run the same jobs here, without Slurm; the argument says how many tasks of an array run side by side.",
        "set -euo pipefail",
        *_at_home(plan),
    ]
    for job in plan.jobs:
        script = _quoted(f"{plan.folder}/{script_name(plan, job)}")
        if job.shards:
            array = f"env SLURM_ARRAY_TASK_ID={{}} bash {script}"
            lines.append(f'seq {job.shards} | xargs -P "${{1:-1}}" -I{{}} {array}')
        else:
            lines.append(f"bash {script}" + (" || true" if job.name == "warm" else ""))
    return "\n".join(lines) + "\n"


def _at_home(plan: Plan) -> list[str]:
    return [
        'cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")"',
        f"cd -P -- {_quoted(plan.home)}",
        f"mkdir -p {_quoted(f'{plan.folder}/log')}",
        f"rm -f {_quoted(f'{plan.folder}/failed.txt')}",
    ]


# Words


def _megabytes(memory: int) -> int:
    """Return what to ask of Slurm for a process bounded by `memory` bytes: a quarter and 128 MiB more."""
    return -(-memory * 5 // 4 // MEBIBYTE) + 128


def _words(arguments: Sequence[str]) -> str:
    return " ".join(map(_quoted, arguments))


def _quoted(text: str) -> str:
    return shlex.quote(text)


def _sbatch_quoted(text: str) -> str:
    """Quote a value of a #SBATCH line, as sbatch reads it."""
    if re.fullmatch(r"[\w./+%:,=@-]+", text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _one_line(text: str) -> str:
    return " ".join(text.split())
