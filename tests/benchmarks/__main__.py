"""``python -m tests.benchmarks NAME...``: run suites, print their tables, write them to RESULTS.md.

Options are passed to the suite as ``sys.argv`` has them (such as ``--full``); ``--dry`` prints only.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tests.benchmarks.harness import Table, markdown, write_results

SUITES = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if path.stem not in ("__init__", "__main__", "harness")
)


def main() -> None:
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    flags = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    if not names or any(name not in SUITES for name in names):
        raise SystemExit(f"usage: python -m tests.benchmarks NAME... [--dry]; suites: {', '.join(SUITES)}")
    for name in names:
        suite = importlib.import_module(f"tests.benchmarks.{name}")
        tables: list[Table] = []
        for table in suite.run():
            print(markdown(table), flush=True)
            tables.append(table)
        if "--dry" not in flags:
            command = " ".join(["python -m tests.benchmarks", name, *flags])
            write_results(name, suite.TITLE, tables, command, getattr(suite, "PEERS", ()))


if __name__ == "__main__":
    main()
