"""`mlkit bleu` as a user calls it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run, command_environment

REFERENCE = "the cat sat on the mat\nhello big world\nit is 3.5, ok?\n"
HYPOTHESIS = "the cat sat on a mat\nhello world\nit is 3.5 , ok\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "ref").write_text(REFERENCE)
    (tmp_path / "hyp").write_text(HYPOTHESIS)
    (tmp_path / "other").write_text(REFERENCE.replace("big", "small").replace("cat", "dog"))
    (tmp_path / "labels").write_text("news\nchat\nnews\n")
    return tmp_path


def peer(*arguments: str, cwd: Path) -> str:
    """Return the output of sacreBLEU's command."""
    command = [str(Path(sys.executable).with_name("sacrebleu")), *arguments]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env=command_environment({"PYTHONWARNINGS": None})
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_file_and_stdin(files: Path, mlkit: Run) -> None:
    assert mlkit("bleu", "ref", "-i", "hyp").stdout == mlkit("bleu", "ref", stdin=HYPOTHESIS.encode()).stdout
    assert mlkit("bleu", "ref", "-i", "hyp").stdout.decode() == peer(
        "ref", "-i", "hyp", "-f", "text", cwd=files
    )


def test_compressed_input(files: Path, mlkit: Run) -> None:
    (files / "packed").write_bytes(gzip.compress(HYPOTHESIS.encode()))
    assert mlkit("bleu", "ref", "-i", "packed").stdout == mlkit("bleu", "ref", "-i", "hyp").stdout


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "json"],
        ["-f", "json", "-w", "7", "-tok", "intl", "-lc"],
        ["-f", "text", "-s", "floor", "-sv", "0.5", "-sh"],
        ["-f", "text", "--smooth-method", "add-k", "-w", "3", "-b"],
        ["-f", "json", "-ci", "-cin", "100", "-w", "4"],
        ["-f", "text", "-ci", "-cin", "100"],
        ["-sl", "-f", "text", "-w", "5", "-sh"],
        ["-sl", "-f", "text", "-b"],
    ],
)
def test_the_same_command_line_gives_the_same_output(options: list[str], files: Path, mlkit: Run) -> None:
    expected = peer("ref", "other", "-i", "hyp", *options, cwd=files)
    assert mlkit("bleu", "ref", "other", "-i", "hyp", *options).stdout.decode() == expected


@pytest.mark.parametrize(
    "options", [[], ["-w", "4"], ["-pbs", "-pbsn", "50"], ["-par", "-parn", "50", "-j", "1"]]
)
def test_several_systems_as_json(options: list[str], files: Path, mlkit: Run) -> None:
    expected = peer("ref", "-i", "hyp", "other", "-f", "json", *options, cwd=files)
    assert mlkit("bleu", "ref", "-i", "hyp", "other", "-f", "json", *options).stdout.decode() == expected


def test_the_seed_of_sacrebleu(files: Path, mlkit: Run) -> None:
    done = mlkit("bleu", "ref", "-i", "hyp", "--confidence", env={"SACREBLEU_SEED": "7"})
    assert done.stdout == mlkit("bleu", "ref", "-i", "hyp", "--confidence", "--seed", "7").stdout
    assert b"|bs:1000|seed:7|" in done.stdout


def test_segments(files: Path, mlkit: Run) -> None:
    lines = mlkit("bleu", "ref", "-i", "hyp", "--sentence-level").stdout.decode().splitlines()
    assert lines[0].split("\t")[:4] == ["segment", "BLEU", "hyp_len", "ref_len"]
    assert lines[2].split("\t")[2:] == ["2", "3", "2", "0", "0", "0", "2", "1", "0", "0"]
    records = [
        json.loads(line)
        for line in mlkit("bleu", "ref", "-i", "hyp", "--sentence-level", "--json").stdout.splitlines()
    ]
    assert [record["segment"] for record in records] == [1, 2, 3]
    assert records[0]["schema"] == "mlkit.score.segment"
    assert str(records[1]["scores"]["BLEU"]["score"]) == lines[2].split("\t")[1]


def test_groups(files: Path, mlkit: Run) -> None:
    lines = mlkit("bleu", "ref", "-i", "hyp", "--by", "labels").stdout.decode().splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["label", "segments"], ["news", "2"], ["chat", "1"]]
    (files / "ref.news").write_text("".join(line + "\n" for line in REFERENCE.splitlines()[::2]))
    news = "".join(line + "\n" for line in HYPOTHESIS.splitlines()[::2]).encode()
    alone = json.loads(mlkit("bleu", "ref.news", "--json", stdin=news).stdout)
    assert lines[1].split("\t")[2] == repr(alone["scores"]["BLEU"]["score"])
    fault = mlkit("bleu", "ref", "-i", "hyp", "--by", "hyp", "--sentence-level", "--confidence", check=False)
    assert fault.returncode == 2
    (files / "labels").write_text("news\n")
    fault = mlkit("bleu", "ref", "-i", "hyp", "--by", "labels", check=False)
    assert (fault.returncode, fault.stderr) == (1, b"mlkit bleu: labels:2: 1 labels for 3 segments\n")


def test_tables(files: Path, mlkit: Run) -> None:
    given = ["bleu", "ref", "-i", "other", "hyp", "--paired-bs", "--paired-bs-n", "40"]
    assert b"\\begin{tabular}{lr}\n\\toprule\nSystem & BLEU" in mlkit(*given, "-f", "latex").stdout
    assert b"| System | BLEU |\n|---|---:|\n| Baseline: other |" in mlkit(*given, "-f", "markdown").stdout
    header, *rows = mlkit(*given, "-f", "tsv").stdout.decode().splitlines()
    assert header == "system\tBLEU\tBLEU_mean\tBLEU_interval\tBLEU_p_value"
    assert [len(row.split("\t")) for row in rows] == [5, 5]
    text = mlkit(*given).stdout.decode()
    assert "Paired bootstrap, 40 resamples" in text
    assert "BLEU|nrefs:1|bs:40|seed:12345|" in text


def test_variable_references_and_tabs(files: Path, mlkit: Run) -> None:
    (files / "refs").write_text("the cat sat on the mat\ta cat sat\nhello world\t\n\tit is 3.5, ok?\n")
    done = mlkit("bleu", "refs", "--variable-refs", "-i", "hyp")
    assert done.stdout.startswith(b"BLEU|nrefs:var|")
    (files / "refs").write_text("a\tb\n\t\nc\n")
    fault = mlkit("bleu", "refs", "--variable-refs", "-i", "hyp", check=False)
    assert (fault.returncode, fault.stderr) == (1, b"mlkit bleu: refs:2: no reference in this line\n")
    systems = "".join(
        f"{a}\t{b}\n" for a, b in zip(HYPOTHESIS.splitlines(), REFERENCE.splitlines(), strict=True)
    )
    rows = mlkit("bleu", "ref", "--tabs", "-f", "tsv", "-w", "1", stdin=systems.encode()).stdout.decode()
    assert rows.splitlines()[1:] == ["System 1\t62.2", "System 2\t100.0"]


def test_a_subword_model(files: Path, mlkit: Run) -> None:
    (files / "codes").write_text("#version: 0.2\nt h\nth e</w>\nc a\nca t</w>\n")
    done = mlkit("bleu", "ref", "-i", "hyp", "--tokenizer-model", "codes")
    assert b"|tok:subword-" in done.stdout
    fault = mlkit("bleu", "ref", "-i", "hyp", "-tok", "flores200", check=False)
    assert fault.returncode == 2
    assert b"'flores200' is not offered: it needs the FLORES-200 model" in fault.stderr
    assert b"--tokenizer-model FILE" in fault.stderr


def test_a_warning_for_tokenized_text(files: Path, mlkit: Run) -> None:
    (files / "many").write_text("a b c d .\n" * 100)
    assert b"many lines end in ' .'" in mlkit("bleu", "many", "-i", "many").stderr
    assert mlkit("bleu", "many", "-i", "many", "--force").stderr == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ref", "-i", "hyp", "--paired-bs"], b"give more than one hypothesis file"),
        (["ref", "-i", "hyp", "other", "--confidence"], b"a confidence interval is for one system"),
        (["ref", "-i", "hyp", "other", "--sentence-level"], b"--sentence-level is for one system"),
        (["ref", "-i", "hyp", "-tok", "13b"], b"unknown tokenizer '13b'"),
        (["ref", "-i"], b"-i needs the name of a file"),
        (["ref", "-i", "hyp", "-e", "latin-1"], b"the encoding 'latin-1' is not offered"),
        (["-", "-i", "-"], b"only one input can be stdin"),
        (["ref", "-i", "hyp", "--errors", "skip"], b"--errors skip would move lines"),
        (["-i", "hyp"], b"REF"),
    ],
)
def test_faults_of_the_call(arguments: list[str], message: bytes, files: Path, mlkit: Run) -> None:
    done = mlkit("bleu", *arguments, check=False)
    assert done.returncode == 2
    assert message in done.stderr


def test_neither_numpy_nor_numba_is_loaded(files: Path) -> None:
    """Start-up decides on a test set: the imports must not come back."""
    (files / "long").write_text(REFERENCE * 700)
    code = "import sys; from mlkit.cli import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    for command in ("bleu", "ter"):
        done = subprocess.run(
            [sys.executable, "-c", code, command, "long", "-i", "long"],
            cwd=files, env=command_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        loaded = {name.split(".")[0] for name in done.stderr.split()}
        assert "mlkit" in loaded
        assert not loaded & {"numpy", "numba", "llvmlite", "rich", "yaml", "tokenizers"}
