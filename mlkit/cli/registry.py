"""Name -> command: the lazy command tree, and the only contact with Typer's inner classes.

A command's module is imported when the command is called (or its help is asked for); ``mlkit --help`` needs only the
table below. Every command made with `App` has ``--config``, ``--print-config``, ``-q``, ``-v``, ``--debug`` and ``-h``.
"""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from mlkit.cli import config
from mlkit.cli.output import out
from mlkit.errors import Stopped, UsageError

VECTORS, MODELS, TEXT, METRICS, TABLES, TOOLS = (
    "Word vectors", "Language models", "Text", "Metrics", "Tables", "Tools",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One command: the module of mlkit.cli.commands with its `app`, its help in one line, its panel of the help."""

    module: str
    help: str
    panel: str


COMMANDS: dict[str, Entry] = {
    "vocab": Entry("vocab", "Count the words of texts.", VECTORS),
    "train-w2v": Entry("train_w2v", "Learn word vectors from text.", VECTORS),
    "cooccur": Entry("cooccur", "Count which words occur near which.", VECTORS),
    "train-glove": Entry("train_glove", "Learn word vectors from co-occurrences.", VECTORS),
    "fasttext": Entry(
        "fasttext.train",
        "Train word vectors and text classifiers as fastText does, and use its models.",
        VECTORS,
    ),
    "vectors": Entry("vectors.query", "Query, evaluate and convert word vectors.", VECTORS),
    "ngram": Entry("ngram.train", "Count n-grams, train and use n-gram language models.", MODELS),
    "bpe": Entry("bpe.learn", "Learn, apply and convert byte pair encodings.", TEXT),
    "bleu": Entry("metrics.bleu", "Score translations with BLEU.", METRICS),
    "ter": Entry("metrics.ter", "Score translations with TER.", METRICS),
    "chrf": Entry("metrics.chrf", "Score translations with chrF or chrF++.", METRICS),
    "score": Entry("metrics.score", "Score translations with several metrics in one pass.", METRICS),
    "table": Entry("tables.table", "Look at a table.", TABLES),
    "impute": Entry(
        "tables.impute",
        "Fill the missing values of a table, or delete rows that have any.",
        TABLES,
    ),
    "resample": Entry(
        "tables.resample",
        "Sample the rows of a table: balance classes, split into parts.",
        TABLES,
    ),
    "reweight": Entry(
        "tables.reweight",
        "Weight rows against distribution shift, for --weight of the trainers.",
        TABLES,
    ),
    "boost": Entry("tables.boost", "Boosted trees on tables: gradient boosting and AdaBoost.", TABLES),
    "bag": Entry(
        "tables.bag",
        "Bagging, random forests and extremely randomised trees on tables.",
        TABLES,
    ),
    "stack": Entry(
        "tables.stack",
        "Stacked models on tables: out-of-fold predictions feed a final model.",
        TABLES,
    ),
    "kmeans": Entry("clustering.kmeans", "Cluster tables and word vectors by k-means.", TABLES),
    "gmm": Entry("clustering.gmm", "Gaussian mixtures of tables: soft clusters, densities, samples.", TABLES),
    "divergence": Entry(
        "distributions.divergence",
        "Compare distributions: words, tables, language models.",
        TABLES,
    ),
    "net": Entry("net.train", "Neural networks on tables and labelled text.", TABLES),
    "lr-find": Entry("lr_find.command", "Find a learning rate by a range test.", TOOLS),
    "batch": Entry("batch.command", "Run counting commands in shards under Slurm.", TOOLS),
    "warm": Entry("warm", "Compile every kernel ahead of time.", TOOLS),
    "completion": Entry("completion", "Print shell completions and man pages.", TOOLS),
    "help": Entry("help", "Show the manual: a page for each family of commands and each topic.", TOOLS),
    "demo": Entry("demo", "Show what mlkit does, on text that every machine has.", TOOLS),
}

# exceptions of Typer's vendored click, reached through the public class
UsageFault: Any = typer.BadParameter.__mro__[1]
ClickFault: Any = typer.BadParameter.__mro__[2]

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
# MLKIT_TRAIN_W2V_DIM sets --dim of train-w2v: Typer derives the names from the path below this prefix
ROOT_OPTIONS = {**HELP_OPTIONS, "auto_envvar_prefix": "MLKIT"}

# what stands for the value of an option in help, unless it says so itself
VALUE_NAMES = {"int": "N", "int range": "N", "float": "X", "float range": "X", "str": "TEXT"}

_path: list[str] = []


def command_path() -> str:
    """Return the command that is running, as the user named it: ``mlkit bpe encode``."""
    return " ".join(["mlkit", *_path])


def forget_default() -> None:
    """Take the default that a group chose by itself out of the path: nobody typed it."""
    _path.pop()


def refuse_single_dash(arguments: Sequence[str], parameters: Iterable[Any]) -> None:
    """Raise a usage error for ``-output``: it would be read as ``-o utput``."""
    known = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    for argument in arguments:
        if argument == "--":
            return
        name = argument.split("=", 1)[0]
        if len(name) > 2 and name[:2] != "--" and name not in known and f"-{name}" in known:
            raise UsageError(f"{name}: a long option has two dashes", hint=f"write -{name}")


def _name_the_page(command: Any, context: Any) -> None:
    """Let the help of a command end with the page of the manual that it belongs to."""
    words = context.command_path.split()[1:]
    if words and not command.epilog:
        from mlkit import manual

        if topic := manual.topic_of(words[0]):
            command.epilog = f"The manual has more: 'mlkit help {topic}'."


class Command(TyperCommand):
    """A command with the options that every command has, and with --config."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", HELP_OPTIONS)
        super().__init__(*arguments, **settings)
        for parameter in self.params:
            # every option has a variable; help names only those that commands share, such as MLKIT_THREADS
            if hasattr(parameter, "show_envvar") and not parameter.envvar:
                parameter.show_envvar = False
            if hasattr(parameter, "is_flag") and not parameter.is_flag and not parameter.metavar:
                parameter.metavar = VALUE_NAMES.get(parameter.type.name)
        self.params.extend(_common_options())

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _name_the_page(self, ctx)
        super().format_help(ctx, formatter)

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Read --config before the options are parsed: its values become the defaults."""
        if "--print-config" in args:
            # a user may look at the settings of a command without naming its inputs
            for parameter in self.params:
                parameter.required = False
        refuse_single_dash(args, self.params)
        values = config.values_from_arguments(args, self.params, command_path())
        if values:
            extra["default_map"] = values
        return super().make_context(info_name, args, parent=parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Set the sink's loudness, print the configuration if that is wanted, else run."""
        common = {name: ctx.params.pop(name, None) for name in config.COMMON}
        out.configure(
            quiet=bool(common["quiet"]), verbose=bool(common["verbose"]), debug=bool(common["debug"])
        )
        if common["print_config"]:
            out.line(config.effective(self.params, ctx.params).rstrip("\n"))
            return None
        out.settings = partial(config.settings, self.params, dict(ctx.params))
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Typer would exit with 1; a reader that has gone ends us as it ends any C tool
            raise Stopped(signal.SIGPIPE) from None


EXAMPLES_OF_GROUP = 3


def _first_examples(commands: Iterable[Any]) -> Iterable[str]:
    """Yield the first example of each command's help, as the command's docstring has it."""
    for command in commands:
        lines = (command.help or "").partition("Example:")[2].splitlines()
        yield from [line for line in lines if line.lstrip().startswith("mlkit ")][:1]


class Group(TyperGroup):
    """A command with subcommands, in named panels also where help is plain text."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings.setdefault("context_settings", HELP_OPTIONS)
        settings["no_args_is_help"] = True
        super().__init__(*arguments, **settings)
        examples = list(_first_examples(self.commands.values()))
        if examples and "Example" not in (self.help or ""):
            # \b: lines that stay as they are
            self.help = "\n".join([self.help or "", "", "\b", "Example:", *examples[:EXAMPLES_OF_GROUP]])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _name_the_page(self, ctx)
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Remember which command runs: error messages begin with it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            _path.append(name)
        return name, command, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by panel (plain help; rich help knows panels itself)."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                panel = panel if isinstance(panel, str) else "Commands"
                panels.setdefault(panel, []).append((name, command.get_short_help_str(80)))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


class Deferred(TyperCommand):
    """A command whose module is imported when it is needed."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.help, short_help=entry.help, rich_help_panel=entry.panel)
        self.entry = entry

    def load(self) -> Any:
        """Import the module and return the real command."""
        module = importlib.import_module(f"mlkit.cli.commands.{self.entry.module}")
        command = get_command(module.app)
        command.name = self.name
        return command

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent=parent, **extra)


class Root(Group):
    """The command `mlkit` itself."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for name, entry in ordered(COMMANDS).items():
            self.add_command(Deferred(name, entry), name)


class App(typer.Typer):
    """A typer.Typer whose commands are ours: ``app = App(help=...)`` and ``@app.command()`` in a command's module."""

    def __init__(self, help: str | None = None, **settings: Any) -> None:
        super().__init__(
            help=help, cls=Group, add_completion=False, pretty_exceptions_enable=False,
            context_settings=HELP_OPTIONS, **settings,
        )  # fmt: skip

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Register a function as a command."""
        settings.setdefault("cls", Command)
        return super().command(name, **settings)


def ordered(commands: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the commands by panel, in the order in which panels are declared."""
    panels = (VECTORS, MODELS, TEXT, METRICS, TABLES, TOOLS)
    return dict(sorted(commands.items(), key=lambda item: panels.index(item[1].panel)))


def root_command() -> Any:
    """Return the command tree's root."""
    app = typer.Typer(
        cls=Root, pretty_exceptions_enable=False, context_settings=ROOT_OPTIONS, add_completion=False,
        help="Classical NLP and machine learning as composable commands.",
        epilog="'mlkit COMMAND --help' explains a command, 'mlkit help' is the manual, 'mlkit demo' a first run.",
    )  # fmt: skip

    @app.callback()
    def root(
        version: bool = typer.Option(
            False,
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
            allow_from_autoenv=False,
            show_default=False,
        ),
    ) -> None: ...

    return get_command(app)


def loaded_tree() -> dict[tuple[str, ...], Any]:
    """Return every command, loaded, under its path: for completions, man pages and tests."""
    tree: dict[tuple[str, ...], Any] = {}

    def walk(path: tuple[str, ...], command: Any) -> None:
        command = command.load() if isinstance(command, Deferred) else command
        tree[path] = command
        if isinstance(command, TyperGroup):
            for name, child in command.commands.items():
                walk((*path, name), child)

    walk((), root_command())
    return tree


def run(command: Any, arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; faults of the call are raised as `ClickFault`."""
    _path.clear()
    try:
        result = command.main(args=list(arguments), prog_name="mlkit", standalone_mode=False)
    except SystemExit as end:
        # the reader of a help page has gone: as in `Command.invoke`
        if isinstance(end.__context__, BrokenPipeError):
            raise Stopped(signal.SIGPIPE) from None
        raise
    return result if isinstance(result, int) else 0


def _print_version(wanted: bool) -> None:
    if wanted:
        from mlkit.version import __version__

        out.line(f"mlkit {__version__}")
        raise typer.Exit


def _common_options() -> Iterable[TyperOption]:
    panel = "Every command"

    def flag(name: str, declarations: list[str], help_text: str) -> TyperOption:
        return TyperOption(
            param_decls=[name, *declarations], is_flag=True, default=False, help=help_text, rich_help_panel=panel,
            show_default=False, type=bool, allow_from_autoenv=False,
        )  # fmt: skip

    return [
        TyperOption(
            param_decls=["config_file", "--config"], type=str, metavar="FILE", rich_help_panel=panel,
            help="Read options from a YAML file (flags and environment win).", allow_from_autoenv=False,
        ),
        flag("print_config", ["--print-config"], "Print the effective options as YAML and exit."),
        flag("quiet", ["-q", "--quiet"], "Say nothing but errors on stderr."),
        flag("verbose", ["-v", "--verbose"], "Say more on stderr."),
        flag("debug", ["--debug"], "Show a traceback for errors."),
    ]  # fmt: skip
