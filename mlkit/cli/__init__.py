"""`main()`: the entry of the command line, the single error boundary, and the signals."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

from mlkit.errors import MlkitError, Stopped, system_message


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run mlkit and exit: 0 done, 1 bad data or system, 2 usage, 128 + N for a signal N."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # so far, see __main__
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGUSR1, _stop)
    try:
        code = run(sys.argv[1:] if arguments is None else list(arguments))
    except Stopped as stopped:  # while the command was still being imported
        code = 128 + stopped.signal_number
    except KeyboardInterrupt:
        code = 130
    if code == 128 + signal.SIGPIPE:
        # end as any C tool does whose reader has gone: killed by the signal, without a word
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    # no interpreter shutdown: everything is flushed, and unloading LLVM takes a while
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code; every fault becomes one line on stderr."""
    if "TYPER_USE_RICH" not in os.environ and not sys.stdout.isatty():
        os.environ["TYPER_USE_RICH"] = "0"  # plain help in pipes and logs, at half the cost
    from mlkit import jit
    from mlkit.cli import registry
    from mlkit.cli.output import out

    jit.use_command_cache(announce=out.detail if not sys.stderr.isatty() else out.words)
    try:
        code = registry.run(registry.root_command(), arguments)
        sys.stdout.flush()
        return code
    except registry.ClickFault as fault:
        return _usage_fault(fault)
    except Stopped as stopped:
        if stopped.message:
            out.error(f"{registry.command_path()}: {stopped.message}")
        return 128 + stopped.signal_number
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except MlkitError as error:
        return _report(registry.command_path(), str(error), error.hint, error.exit_code)
    except OSError as error:
        return _report(registry.command_path(), system_message(error), None, 1)
    except MemoryError:
        hint = "use --memory, fewer dimensions or a smaller vocabulary"
        return _report(registry.command_path(), "out of memory", hint, 1)
    except Exception as error:  # a fault of mlkit itself: one line too, --debug shows where
        message = f"internal error: {type(error).__name__}: {error}"
        return _report(registry.command_path(), message, "this is a bug in mlkit; --debug shows where", 1)


def _usage_fault(fault: Any) -> int:
    from mlkit.cli.output import out as sink
    from mlkit.cli.registry import command_path

    message = fault.format_message()
    kind = type(fault).__name__
    if kind == "NoArgsIsHelpError":
        sys.stderr.write(message.rstrip("\n") + "\n")
        return 2
    hint: str | None = None
    if kind == "NoSuchOption":
        message, hint = _unknown_option(fault, command_path())
    elif message.startswith("No such command"):
        message, hint = _unknown_command(message.split("'")[1], fault, command_path())
    sink.error(
        f"{command_path()}: {' '.join(message.split())}",
        hint or f"'{command_path()} --help' shows the options",
    )
    return int(getattr(fault, "exit_code", 1))


def _unknown_option(fault: Any, path: str) -> tuple[str, str | None]:
    """Return the message and the hint for an option that the command does not have."""
    from mlkit.cli import other_tools

    known = [
        name for p in fault.ctx.command.params for name in (*p.opts, *p.secondary_opts) if name[:1] == "-"
    ]
    option = other_tools.our_option(fault.option_name, path.removeprefix("mlkit "), known)
    return f"No such option: {fault.option_name}", None if option is None else f"did you mean {option}?"


def _unknown_command(name: str, fault: Any, path: str) -> tuple[str, str]:
    """Return the message and the hint for a command that is not there: another tool's name, or a misspelt one."""
    from mlkit.cli import other_tools

    group = path.removeprefix("mlkit").strip()
    command = other_tools.ours(name, group)
    if command is not None and command.startswith("--"):
        return f"No such command '{name}'", f"'mlkit {command}' is an option"
    if command is not None:
        return f"No such command '{name}'", f"see 'mlkit {command}'"
    close = other_tools.similar(name, getattr(fault.ctx.command, "commands", {}))
    if close is not None:
        return f"No such command '{name}'. Did you mean '{close}'?", f"'{path} --help' shows the commands"
    return f"No such command '{name}'", f"'{path} --help' shows the commands"


def _report(command: str, message: str, hint: str | None, code: int) -> int:
    from mlkit.cli.output import out as sink

    if sink.debug:
        import traceback

        traceback.print_exc()
    sink.error(f"{command}: {' '.join(message.splitlines())}", hint)
    return code


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
