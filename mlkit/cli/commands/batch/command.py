"""`mlkit batch`: write (or submit) the scripts that run a counting command in shards under Slurm.

`mlkit batch ngram count` takes the options of `mlkit ngram count`, read from that command, and those of batch_options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlkit.cli import config
from mlkit.cli.commands.batch import split
from mlkit.cli.output import out
from mlkit.cli.registry import App, Command, Deferred, Entry, Group, UsageFault
from mlkit.errors import MlkitError, UsageError


class Batch(Group):
    """`mlkit batch`, and the groups below it: only what can be cut into shards."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Say what can be cut into shards instead of 'no such command'."""
        try:
            return super().resolve_command(ctx, args)
        except UsageFault:
            names = ", ".join(kind.name for kind in split.kinds())
            raise UsageError(f"{args[0]!r} cannot be cut into shards; these can: {names}") from None


class Root(Batch):
    """`mlkit batch` itself."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for kind in split.kinds():
            group, name = kind.count
            real = split.load(group)
            # a group with a default command keeps its way of finding it
            inner: Any = type(group, (Batch, type(real)), {})(name=group, help=real.help)
            inner.add_command(Sharded(kind, real.commands[name], real.commands[kind.merge[-1]]), name)
            self.add_command(inner, group)


class Sharded(Command):
    """A counting command whose call becomes scripts."""

    def __init__(self, kind: Any, count: Any, merge: Any) -> None:
        self.kind, self.count, self.merge = kind, count, merge
        declared = Deferred("batch", Entry("batch.options", "", "")).load()
        parameters = [split.as_in_a_batch(parameter) for parameter in split.own(count)]
        extra = [parameter for parameter in declared.params if parameter.name not in config.COMMON]
        super().__init__(
            name=count.name, params=[*parameters, *extra], callback=self.run, short_help=count.get_short_help_str(100),
            help=f"Run 'mlkit {kind.name}' in shards under Slurm.\n\n{HELP}\n\n\b\nExample:\n  {kind.example}",
        )  # fmt: skip

    def invoke(self, ctx: Any) -> Any:
        """Remember which options were given: only those are written into the scripts."""
        sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
        self.given = {name for name, source in sources.items() if source and source.name != "DEFAULT"}
        if getattr(sources.get("tmp_dir"), "name", "") == "ENVIRONMENT":
            self.given.discard("tmp_dir")  # $TMPDIR is another one on every node
        return super().invoke(ctx)

    def run(self, **values: Any) -> None:
        """Plan the jobs, write the scripts, and submit or run them if that is wanted."""
        from mlkit.batch import Settings, make_plan, write_scripts
        from mlkit.formats.streams import refuse_same_file

        if values["submit"] and values["local"]:
            raise UsageError("--submit and --local exclude each other")
        given = {name: values[name] for name in self.given & values.keys()}
        stages = split.stages(self.kind, self.count, self.merge, given, values)
        refuse_same_file(values["output"], stages[-1].inputs)
        plan = make_plan(
            stages, values["output"], shards=values["shards"], folder=values["folder"], warm=values["warm"]
        )
        lists = {name: tuple(values[name] or ()) for name in ("sbatch", "merge_sbatch", "setup")}
        write_scripts(plan, Settings(**lists, at_once=values["at_once"], keep_parts=values["keep_parts"]))
        for name in stages[-1].inputs:
            if not Path(name).exists():
                out.warn(f"{name} does not exist (yet)")
        jobs = ", ".join(job.name + (f" ({job.shards} tasks)" if job.shards else "") for job in plan.jobs)
        out.words(f"{plan.folder}: scripts of {jobs}; logs will be in {plan.folder}/log")
        if values["submit"]:
            _start(f"{plan.folder}/submit.sh", plan.folder)
        elif values["local"]:
            _start(f"{plan.folder}/local.sh", plan.folder, str(values["local"]))
        else:
            out.line(f"{plan.folder}/submit.sh")


HELP = """Scripts for sbatch are written into OUTPUT.batch/: an array job that counts one shard a task, and a merge that
starts when all of them are done and writes --output, with the bytes of one run. --submit submits them; the printed
submit.sh does so later. --threads, --memory and the options of the merge go where they belong. Parts appear whole or
not at all: jobs that are put back into the queue, or submitted again after a failure, count only what is missing."""


def _start(script: str, folder: str, *arguments: str) -> None:
    import os
    import shutil
    import subprocess
    import sys

    if not arguments and shutil.which("sbatch") is None:
        raise MlkitError("sbatch is not installed here", hint=f"run {script} where it is, or use --local N")
    environment = dict(os.environ)
    if shutil.which("mlkit") is None:  # called by its path: the jobs find it too
        environment["PATH"] = f"{environment.get('PATH', '')}:{Path(sys.executable).parent}"
    done = subprocess.run(["bash", script, *arguments], env=environment)
    if done.returncode:
        hint = f"{folder}/failed.txt names the tasks that failed" if arguments else None
        raise MlkitError(f"{script} ended with exit code {done.returncode}", hint=hint)


app = App(
    help="Run counting commands in shards under Slurm.\n\n\b\nExample:\n"
    "  mlkit batch ngram count corpus.txt --order 3 --shards 8 -o all.counts"
)
app.info.cls = Root


@app.callback()
def batch() -> None:
    """Run counting commands in shards under Slurm."""
