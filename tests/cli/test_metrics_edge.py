"""sacreBLEU's 44 edge cases through the real binary: the same output, or a better behaviour that is named."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import SHARED, Run

EDGE = SHARED / "golden" / "metrics" / "edge"
ALL = ["-m", "bleu", "chrf", "ter"]
BLEU = ["-m", "bleu"]

Done = subprocess.CompletedProcess[bytes]


def golden() -> dict[str, tuple[str, int]]:
    """Return name -> (output, exit code) of sacreBLEU."""
    if not (EDGE / "results.txt").exists():
        return {}
    cases = {}
    for block in (EDGE / "results.txt").read_text().split("## ")[1:]:
        name, rest = block.split("\n", 1)
        body, code = rest.rsplit("rc=", 1)
        cases[name] = (body, int(code))
    return cases


GOLDEN = golden()

# name -> arguments (after `mlkit score`), and the file on stdin. The output must be sacreBLEU's.
SAME: dict[str, tuple[list[str], str | None]] = {
    "empty hyp line": (["ref", "-i", "h_emptyline", *ALL], None),
    "all-empty hyp": (["ref", "-i", "h_all_empty", *ALL], None),
    "empty ref line": (["r_emptyline", "-i", "ref", *ALL], None),
    "all refs empty": (["r_all", "-i", "ref", *ALL], None),
    "hyp and ref all empty": (["r_all", "-i", "h_all_empty", *ALL], None),
    "no final newline": (["ref", "-i", "h_nonl", *BLEU], None),
    "CRLF -i": (["ref", "-i", "h_crlf", *ALL], None),
    "CRLF stdin": (["ref", *BLEU], "h_crlf"),
    "BOM with -e utf-8-sig": (["ref", "-i", "h_bom", "-e", "utf-8-sig", *BLEU], None),
    "NBSP, U+3000, U+2028 inside -i": (["ref", "-i", "h_ws", *ALL], None),
    "NUL": (["ref", "-i", "h_nul", *ALL], None),
    "tab in -i file": (["ref", "-i", "h_tab", *BLEU], None),
    "VT FF FS US NEL inside -i (python whitespace)": (["ref", "-i", "h_ctl", *ALL], None),
    "lone CR -i": (["ref", "-i", "h_cr", *BLEU], None),
    "leading/double spaces": (["ref", "-i", "h_sp", *ALL], None),
    "same -tok none": (["ref", "-i", "h_sp", "-tok", "none", *BLEU], None),
    "same -tok char": (["ref", "-i", "h_sp", "-tok", "char", *BLEU], None),
    "num-refs 2 (tabs)": (["-nr", "2", "r2", "-i", "ref", *ALL], None),
    "gz ref": (["ref.gz", "-i", "ref", *BLEU], None),
    "sentence-level bleu": (["ref", "-i", "h_emptyline", "-sl", *BLEU], None),
    "sentence-level chrf": (["ref", "-i", "h_emptyline", "-sl", "-m", "chrf"], None),
    "sentence-level ter": (["ref", "-i", "h_emptyline", "-sl", "-m", "ter"], None),
    "13a entities": (["r13", "-i", "h13", *BLEU], None),
    "intl": (["r13", "-i", "h13", "-tok", "intl", *BLEU], None),
    "ter normalized": (["r13", "-i", "h13", "-m", "ter", "--ter-normalized"], None),
    "ter normalized no-punct": (
        ["r13", "-i", "h13", "-m", "ter", "--ter-normalized", "--ter-no-punct"],
        None,
    ),
}
# "same, stdin" stands twice in the golden file: after NBSP and after VT
TWICE = {"same, stdin": ["h_ws", "h_ctl"]}

PERFECT = b"= 100.0000 100.0/100.0/100.0/100.0 (BP = 1.000 ratio = 1.000 hyp_len = 8 ref_len = 8)"

# name -> (why it is better, arguments, file on stdin, exit code, what the output or the error holds)
BETTER: dict[str, tuple[str, list[str], str | None, int, bytes]] = {
    "zero-byte hyp (-i)": (
        "says which file is empty", ["ref", "-i", "empty", *BLEU], None, 1,
        b"empty has 0 lines, ref has 2; line 1 of ref is the first without a partner\n  empty is empty",
    ),
    "zero-byte hyp on stdin": (
        "names both counts", ["ref", *BLEU], "empty", 1, b"<stdin> has 0 lines, ref has 2; line 1 of ref",
    ),
    "zero-byte hyp and ref": (
        "says that both are empty", ["empty", "-i", "empty", *BLEU], None, 1, b"no segments: empty and empty are empty",
    ),
    "fewer hyp lines": (
        "names both counts and the first line without a partner", ["ref", "-i", "h_short", *BLEU], None, 1,
        b"h_short has 1 line, ref has 2; line 2 of ref is the first without a partner",
    ),
    "extra blank line at end": (
        "names both counts and the first line without a partner", ["ref", "-i", "h_extra", *BLEU], None, 1,
        b"h_extra has 3 lines, ref has 2; line 3 of h_extra is the first without a partner",
    ),
    "BOM": ("a BOM is no part of the first word", ["ref", "-i", "h_bom", *ALL], None, 0, PERFECT),
    "tab on stdin = 2 systems": (
        "a tab is data, on stdin as in a file; --tabs makes it part systems", ["ref", *BLEU], "h_tab", 0, PERFECT,
    ),
    "lone CR stdin (universal newlines)": (
        "stdin is read as a file is: a lone CR is data", ["ref", *BLEU], "h_cr", 0, PERFECT,
    ),
    "invalid utf-8": (
        "names file, line and byte", ["ref", "-i", "h_bad", *BLEU], None, 1, b"h_bad:2: invalid UTF-8 at byte 7",
    ),
    "num-refs 2 with trailing empty ref (rstrip eats the tab)": (
        "an empty last reference is an empty reference as any other", ["-nr", "2", "r2e", "-i", "ref", *BLEU], None, 0,
        b"BLEU|nrefs:2|",
    ),
    "-i - is not stdin": ("'-' is stdin", ["ref", "-i", "-", *BLEU], "ref", 0, PERFECT),
    "sentence-level ignores -f json": (
        "gives JSON lines", ["ref", "-i", "h_emptyline", "-sl", "-f", "json", *BLEU], None, 0,
        b'{"BLEU": {"score": 100.00000000000004, "statistics": [2, 2, 2, 1, 0, 0, 2, 1, 0, 0]}}}',
    ),
    "paired-bs chrf json crashes on numpy2": (
        "gives the results", ["ref", "-i", "h_sp", "h_emptyline", "-m", "chrf", "--paired-bs", "-q", "-f", "json"],
        None, 0, b'"system": "Baseline: h_sp"',
    ),
    "missing file": ("names the file in one line", ["nofile", "-i", "ref"], None, 1, b"nofile: no such file"),
    "same system twice": (
        "a usage error, in one line", ["ref", "-i", "h_sp", "h_sp", *BLEU], None, 2, b"h_sp is given twice",
    ),
}  # fmt: skip
# without -w 4 -f text in the golden run
OTHER_FORMAT = {
    "two metrics -b": ["ref", "-i", "h_emptyline", "-m", "bleu", "ter", "-b", "-w", "6", "-f", "text"]
}


def _run(mlkit: Run, arguments: list[str], stdin: str | None) -> Done:
    given = (EDGE / "files" / stdin).read_bytes() if stdin else b""
    return mlkit("score", *arguments, stdin=given, check=False, cwd=EDGE / "files")


def test_every_case_is_here(shared: Path) -> None:
    assert set(GOLDEN) == {*SAME, *TWICE, *BETTER, *OTHER_FORMAT}
    assert len(SAME) + sum(map(len, TWICE.values())) + len(BETTER) + len(OTHER_FORMAT) == 44


@pytest.mark.parametrize("name", SAME)
def test_same_as_sacrebleu(name: str, mlkit: Run, shared: Path) -> None:
    arguments, stdin = SAME[name]
    done = _run(mlkit, [*arguments, "-w", "4", "-f", "text", "--no-color"], stdin)
    assert (done.stdout.decode(), done.returncode) == GOLDEN[name]
    assert done.stderr == b""


@pytest.mark.parametrize("stdin", TWICE["same, stdin"])
def test_unicode_white_space_on_stdin(stdin: str, mlkit: Run, shared: Path) -> None:
    done = _run(mlkit, ["ref", *BLEU, "-w", "4", "-f", "text"], stdin)
    assert (done.stdout.decode(), done.returncode) == GOLDEN["same, stdin"]


def test_scores_alone(mlkit: Run, shared: Path) -> None:
    done = _run(mlkit, OTHER_FORMAT["two metrics -b"], None)
    assert (done.stdout.decode(), done.returncode) == GOLDEN["two metrics -b"]


@pytest.mark.parametrize("name", BETTER)
def test_better_than_sacrebleu(name: str, mlkit: Run, shared: Path) -> None:
    why, arguments, stdin, code, wanted = BETTER[name]
    formats = [] if "json" in arguments else ["-w", "4"]
    done = _run(mlkit, [*arguments, *formats], stdin)
    assert done.returncode == code, done.stderr
    assert wanted in (done.stderr if code else done.stdout), (why, done)
    if code:
        assert b"Traceback" not in done.stderr
        assert done.stdout == b""
    elif "json" in name:
        text = done.stdout.decode()
        records = json.loads(text) if "paired" in name else [json.loads(line) for line in text.splitlines()]
        assert len(records) == 2
