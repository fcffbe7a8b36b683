"""`mlkit warm`: compile every kernel and keep it in the cache."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Compile every kernel ahead of time.")


@app.command()
def warm(
    rooms: Annotated[
        list[str] | None,
        typer.Argument(help="Rooms such as formats, ngram, bpe, word2vec.", show_default="all"),
    ] = None,
) -> None:
    """Compile every kernel ahead of time.

    Later runs on this kind of CPU load the kernels in milliseconds. Do it once before a job array starts, or while
    an image is built. $NUMBA_CACHE_DIR (or $XDG_CACHE_HOME) says where they are kept.

    \b
    Example:
      mlkit warm
      mlkit warm formats ngram
    """
    from mlkit import jit
    from mlkit.errors import UsageError
    from mlkit.progress import Report

    known = {name.split(".")[1] for name in jit.kernel_modules()}
    for room in rooms or []:
        if room not in known:
            raise UsageError(f"no kernels of {room!r}; there are those of {', '.join(sorted(known))}")
    kernels = [
        kernel for kernel in jit.all_kernels() if not rooms or kernel.__module__.split(".")[1] in rooms
    ]
    with out.progress("Compiling") as report:
        for done, kernel in enumerate(kernels, 1):
            kernel.compile()
            report(Report("compiling", done, len(kernels), "kernels"))
    uncached = [kernel.__name__ for kernel in kernels if not kernel.cached]
    if uncached:
        out.warn(
            f"{len(uncached)} of {len(kernels)} kernels could not be cached: is the cache directory writable?"
        )
        raise typer.Exit(1)
    out.words(f"{len(kernels)} kernels are ready")
