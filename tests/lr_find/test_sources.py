"""Points from lines and from commands."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mlkit.errors import DataError, UsageError
from mlkit.lr_find import RULES
from mlkit.lr_find.curve import record
from mlkit.lr_find.sources import curves_from_file, points_from_command, points_from_lines


def test_lines() -> None:
    lines = ["lr\tloss", "# comment", "", "1e-4\t2.3\textra", "1e-3 nan"]
    (first, second) = points_from_lines(lines, "x")
    assert first == (1e-4, 2.3)
    assert math.isnan(second[1])


@pytest.mark.parametrize(
    ("line", "message"), [("0.1", "x:2: expected"), ("-1 2", "x:2: a learning rate"), ("a b", "x:2")]
)
def test_wrong_lines_are_named(line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(points_from_lines(["1 2", line], "x"))


def test_the_last_number_of_a_command() -> None:
    points = points_from_command("echo epoch 1 loss 0.5; echo epoch 2: {lr} -1.5e-1", [0.25, 0.5])
    assert list(points) == [(0.25, -0.15), (0.5, -0.15)]


def test_a_pattern() -> None:
    template = "echo 'loss=3 loss=2.5 done in 4 s'; : {lr}"
    assert list(points_from_command(template, [1], r"loss=([\d.]+)")) == [(1, 2.5)]
    assert math.isnan(next(points_from_command("echo {lr} nan", [1]))[1])


@pytest.mark.parametrize(
    ("template", "pattern", "error", "message"),
    [
        ("echo 1", None, UsageError, r"\{lr\}"),
        ("echo {lr}", "(", UsageError, "--pattern"),
        ("exit 3 # {lr}", None, DataError, "exit code 3"),
        ("echo nothing # {lr}", None, DataError, "no number"),
        ("echo {lr} abc", "([a-z]+)", DataError, "'abc', which is no number"),
    ],
)
def test_commands_that_fail_are_shown(
    template: str, pattern: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(points_from_command(template, [0.1], pattern))


def test_a_command_that_fails_later_ends_the_test() -> None:
    said: list[str] = []
    found = list(points_from_command("test {lr} != 3 && echo {lr}", [1, 2, 3, 4], remark=said.append))
    assert [rate for rate, _ in found] == [1, 2, 3]
    assert found[:2] == [(1, 1), (2, 2)]
    assert found[2][1] != found[2][1], "no number: the curve ends before it"
    assert said == ["the command failed with exit code 1: test 3 != 3 && echo 3; the test ends here"]


def test_commas_separate_too() -> None:
    assert list(points_from_lines(["lr,loss", "1e-4,2.5", "1e-3, 2"], "x")) == [(1e-4, 2.5), (1e-3, 2)]


def test_the_lines_of_a_file_are_what_was_planned(tmp_path: Path) -> None:
    """A test that stops early is trimmed by a tenth of the whole plan, as fastai's."""
    rates = 1e-5 * 10 ** (5 * np.arange(200) / 200)
    losses = 2.3 - 1.8 * np.exp(-((np.log10(rates) + 2.2) ** 2)) + (rates * 8) ** 3
    text = "".join(
        f"{rate!r}\t{loss!r}\n" for rate, loss in zip(rates.tolist(), losses.tolist(), strict=True)
    )
    (tmp_path / "whole.tsv").write_text("rate\tloss\n# a comment\n" + text)
    (tmp_path / "bare.tsv").write_text(text)
    expected = record(zip(rates, losses, strict=True), wanted=200)
    assert len(expected) < 190  # it diverges before the end
    (tmp_path / "cut.tsv").write_text("".join(text.splitlines(keepends=True)[: len(expected)]))
    for name, steps in (("whole.tsv", None), ("bare.tsv", None), ("bare.tsv", 200), ("cut.tsv", 200)):
        (found,) = curves_from_file(tmp_path / name, steps=steps)
        assert found.steps == 200
        assert RULES["valley"](found.rates, found.smooth, found.steps) == RULES["valley"](
            expected.rates, expected.smooth, 200
        )
    (other,) = curves_from_file(tmp_path / "cut.tsv")
    assert other.steps == len(expected)
