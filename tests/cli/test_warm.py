"""`mlkit warm`: all kernels, or those of some rooms."""

from __future__ import annotations

from tests.conftest import Run


def test_the_kernels_of_a_room(mlkit: Run) -> None:
    done = mlkit("warm", "formats")
    assert done.stdout == b""
    ready = int(done.stderr.split()[0])
    both = int(mlkit("warm", "formats", "ngram").stderr.split()[0])
    assert 0 < ready < both


def test_a_room_without_kernels(mlkit: Run) -> None:
    done = mlkit("warm", "plots", check=False)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(
        "mlkit warm: no kernels of 'plots'; there are those of alignment, bpe, cluster"
    )
