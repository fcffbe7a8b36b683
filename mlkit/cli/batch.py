"""`mlkit batch`: write (or submit) the scripts that run a counting command in shards under Slurm.

`mlkit batch ngram count` takes the options of `mlkit ngram count`, read from that command, and those of batch_options.
Which of them the merge gets is told by the merge's own options.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlkit.cli import config, options
from mlkit.cli.output import out
from mlkit.cli.registry import COMMANDS, App, Command, Deferred, Entry, Group, UsageFault
from mlkit.errors import MlkitError, UsageError

OTHER_WAYS = ("shard", "processes", "cluster")  # options of running that a batch takes the place of
COUNT_WORDS = {"min_count": "min_count", "max_vocab": "max_size"}  # of cooccur: what it gives to vocab merge


class Batch(Group):
    """`mlkit batch`, and the groups below it: only what can be cut into shards."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Say what can be cut into shards instead of 'no such command'."""
        try:
            return super().resolve_command(ctx, args)
        except UsageFault:
            names = ", ".join(kind.name for kind in _kinds())
            raise UsageError(f"{args[0]!r} cannot be cut into shards; these can: {names}") from None


class Root(Batch):
    """`mlkit batch` itself."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for kind in _kinds():
            group, name = kind.count
            real = _load(group)
            # a group with a default command keeps its way of finding it
            inner: Any = type(group, (Batch, type(real)), {})(name=group, help=real.help)
            inner.add_command(Sharded(kind, real.commands[name], real.commands[kind.merge[-1]]), name)
            self.add_command(inner, group)


class Sharded(Command):
    """A counting command whose call becomes scripts."""

    def __init__(self, kind: Any, count: Any, merge: Any) -> None:
        self.kind, self.count, self.merge = kind, count, merge
        declared = Deferred("batch", Entry("mlkit.cli.batch_options", "", "")).load()
        parameters = [_as_in_a_batch(parameter) for parameter in _own(count)]
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
        stages = self.stages(values)
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

    def stages(self, values: dict[str, Any]) -> list[Any]:
        """Return the counts and merges that the options ask for: of cooccur, also of the vocabulary."""
        from mlkit.batch import Stage

        def stage(kind: Any, count: Any, merge: Any, given: dict[str, Any], vocabulary: bool = False) -> Any:
            shared = {p.name for p in _own(count) if _is_running(p) or _is_argument(p)}
            counted = {
                name: value for name, value in given.items() if name in shared or name not in _names(merge)
            }
            merged = {p.name: given[p.name] for p in _own(merge) if p.name in given and not _is_argument(p)}
            threads = values["threads"] or 1
            memory = options.size(values["memory"]) if values["memory"] else None
            return Stage(
                kind, tuple(_words(count, counted)), tuple(_words(merge, merged)), tuple(_files(count, counted)),
                (threads, threads if "threads" in _names(merge) else 1),
                (memory, memory if "memory" in _names(merge) else None), vocabulary,
            )  # fmt: skip

        given = {name: values[name] for name in self.given if name in _names(self.count)}
        if self.kind.count[0] != "cooccur" or "vocab" in given:
            return [stage(self.kind, self.count, self.merge, given)]
        words = next(kind for kind in _kinds() if kind.count[0] == "vocab")
        vocab = _load("vocab").commands
        wanted = {name: value for name, value in given.items() if name in _names(vocab["count"])}
        wanted |= {new: values[old] for old, new in COUNT_WORDS.items() if values[old] is not None}
        rest = {name: value for name, value in given.items() if name not in COUNT_WORDS}
        return [
            stage(words, vocab["count"], vocab["merge"], wanted),
            stage(self.kind, self.count, self.merge, rest, vocabulary=True),
        ]


HELP = """Scripts for sbatch are written into OUTPUT.batch/: an array job that counts one shard a task, and a merge that
starts when all of them are done and writes --output, with the bytes of one run. --submit submits them; the printed
submit.sh does so later. --threads, --memory and the options of the merge go where they belong. Parts appear whole or
not at all: jobs that are put back into the queue, or submitted again after a failure, count only what is missing."""


def _kinds() -> Any:
    from mlkit.batch import SHARDABLE

    return SHARDABLE


def _load(name: str) -> Any:
    return Deferred(name, COMMANDS[name]).load()


def _own(command: Any) -> list[Any]:
    """Return the parameters of a command that are its own, and not ways of running it that a batch replaces."""
    return [p for p in command.params if p.name not in (*config.COMMON, *OTHER_WAYS)]


def _names(command: Any) -> set[str]:
    return {parameter.name for parameter in _own(command)}


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _is_running(parameter: Any) -> bool:
    return getattr(parameter, "rich_help_panel", None) == options.RUN


def _as_in_a_batch(parameter: Any) -> Any:
    """Return a parameter as a batch has it: files must be named, and a task has one CPU unless told."""
    parameter = copy.copy(parameter)
    if _is_argument(parameter):
        parameter.required, parameter.help, parameter.show_default = True, "Files or folders.", False
    elif parameter.name == "output":
        parameter.required, parameter.default, parameter.show_default = True, None, False
        parameter.help = "The result: what the merge writes."
    elif parameter.name == "threads":
        parameter.help, parameter.show_default = "CPUs and threads of a task.", "1"
    return parameter


def _words(command: Any, given: dict[str, Any]) -> Iterable[str]:
    """Yield the arguments that call a command with the given values (--output and --threads are the scripts')."""
    for parameter in _own(command):
        value = config.plain(given.get(parameter.name))
        if value is None or parameter.name in ("output", "threads"):
            continue
        values = value if isinstance(value, list) else [value]
        if _is_argument(parameter):
            yield from map(_file, values)
        elif parameter.is_flag:
            yield from (parameter.opts if value else parameter.secondary_opts)[:1]
        else:
            name = max(parameter.opts, key=len)
            for text in map(str, values):
                yield from ([f"{name}={text}"] if text.startswith("-") else [name, text])


def _files(command: Any, given: dict[str, Any]) -> Iterable[str]:
    """Yield the files that a command reads: its arguments, and the options that name a file."""
    for parameter in _own(command):
        value = given.get(parameter.name)
        if value is None or parameter.name == "output":
            continue
        if _is_argument(parameter):
            yield from map(_file, value)
        elif parameter.metavar == "FILE":
            yield _file(value)


def _file(name: str) -> str:
    return f"./{name}" if name.startswith("-") and name != "-" else name


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


app = App(help="Run counting commands in shards under Slurm.")
app.info.cls = Root


@app.callback()
def batch() -> None:
    """Run counting commands in shards under Slurm."""
