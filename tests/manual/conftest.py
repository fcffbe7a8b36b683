"""The sample files that the manual's examples name, as the demonstration makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlkit.demo.samples import sample_files


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what ``mlkit demo --files-only`` makes."""
    folder = tmp_path_factory.mktemp("samples")
    for name, lines in sample_files().items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder
