"""Columns whose categories are mostly not those of training: they may have changed, or are written otherwise."""

from __future__ import annotations

from collections.abc import Callable

from mlkit.formats.table_files import Table


class Unseen:
    """Counts, over the parts of a table that a model has read, the values that no category of the model is."""

    def __init__(self, *known: str) -> None:
        self.known = known  # columns of which nothing is said, such as the target
        self.counts: dict[str, tuple[int, int]] = {}

    def watch(self, table: Table) -> None:
        """Take in what was found out about a part of the table."""
        for name, (strange, all_values) in table.whole.unseen.items():
            before = self.counts.get(name, (0, 0))
            self.counts[name] = before[0] + strange, before[1] + all_values

    def tell(self, remark: Callable[[str], None]) -> None:
        """Name the columns of which more than half of the values are strange."""
        for name, (strange, all_values) in self.counts.items():
            if name in self.known or strange <= all_values / 2:
                continue
            if strange == all_values:
                remark(f"column {name!r} has no value that was there in training: has it changed?")
            else:
                remark(
                    f"column {name!r}: {strange:,} of {all_values:,} values were not there in training: has it changed?"
                )
