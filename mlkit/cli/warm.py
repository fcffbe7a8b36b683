"""`mlkit warm`: compile every kernel and keep it in the cache."""

from __future__ import annotations

import typer

from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Compile every kernel ahead of time.")


@app.command()
def warm() -> None:
    """Compile every kernel ahead of time.

    Later runs on this kind of CPU load the kernels in milliseconds. Do it once before a job array starts, or while
    an image is built. $NUMBA_CACHE_DIR (or $XDG_CACHE_HOME) says where they are kept.

    \b
    Example:
      mlkit warm
    """
    from mlkit import jit
    from mlkit.progress import Report

    kernels = jit.all_kernels()
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
