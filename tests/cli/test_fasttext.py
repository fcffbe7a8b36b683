"""mlkit fasttext through the real binary: with the original where it is installed, and on its own."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import command_environment

LABELS = {
    "fruit": "apple pear plum cherry fig",
    "tool": "hammer saw drill wrench file",
    "pet": "cat dog bird fish",
}


def corpus(lines=600, seed=1):
    draw = random.Random(seed)
    text = []
    for _ in range(lines):
        label = draw.choice(sorted(LABELS))
        words = draw.choices(LABELS[label].split(), k=3) + draw.choices(
            ["the", "a", "of", "my", "in", "to"], k=4
        )
        draw.shuffle(words)
        text.append(f"__label__{label} {' '.join(words)}\n")
    return "".join(text)


@pytest.fixture(scope="session")
def original():
    path = shutil.which("fasttext")
    if path is None:
        pytest.skip("needs the original: apt-get install fasttext")
    return lambda *arguments, stdin=b"", cwd=None: (
        subprocess.run(
            [path, *map(str, arguments)], input=stdin, capture_output=True, check=True, cwd=cwd, timeout=60
        ).stdout
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a text, a classifier and word vectors."""
    path = tmp_path_factory.mktemp("fasttext")
    (path / "train.txt").write_text(corpus())
    (path / "test.txt").write_text(corpus(120, seed=2))
    (path / "plain.txt").write_text(
        "".join(line.split(" ", 1)[1] for line in corpus(120, seed=3).splitlines(True))
    )
    run = [sys.executable, "-m", "mlkit", "fasttext"]
    common = {"cwd": path, "check": True, "env": command_environment(), "timeout": 120}
    options = [
        "-wordNgrams",
        2,
        "-bucket",
        5000,
        "-dim",
        12,
        "-minn",
        2,
        "-maxn",
        4,
        "-lr",
        0.5,
        "-thread",
        1,
    ]
    options = [*map(str, options), "-verbose", "0"]
    subprocess.run([*run, "supervised", "-input", "train.txt", "-output", "model", *options], **common)
    vectors = ["--dim", "12", "--bucket", "4000", "--min-count", "1", "--threads", "1", "-q"]
    subprocess.run([*run, "skipgram", "--input", "plain.txt", "--output", "vec", *vectors], **common)
    return path


def test_classifier_learns(mlkit, folder):
    lines = mlkit("fasttext", "test", folder / "model.bin", folder / "test.txt").stdout.decode().splitlines()
    assert lines[0] == "N\t120"
    assert float(lines[1].removeprefix("P@1\t")) > 0.95
    facts = json.loads(mlkit("fasttext", "test", folder / "model.bin", "-", "--json",
                             stdin=(folder / "test.txt").read_bytes()).stdout)  # fmt: skip
    assert facts["schema"] == "mlkit.fasttext.test"
    assert facts["examples"] == 120


@pytest.mark.shell
@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "model.bin", "plain.txt"], ["predict", "model.bin", "plain.txt", 2],
        ["test", "model.bin", "test.txt"], ["test", "model.bin", "test.txt", 2, 0.1],
        ["dump", "model.bin", "args"], ["dump", "model.bin", "dict"], ["dump", "vec.bin", "args"],
        ["predict", "model.bin", "-", -1],
    ],
)  # fmt: skip
def test_same_bytes_as_the_original(mlkit, original, folder, arguments):
    stdin = b"apple\n\nunknown words\n__label__pet a cat\nno newline"
    ours = mlkit("fasttext", *arguments, stdin=stdin, cwd=folder).stdout
    assert ours == original(*arguments, stdin=stdin, cwd=folder)


def numbers(text):
    """Split output into its words and its numbers."""
    words, values = [], []
    for token in text.decode().split():
        try:
            values.append(float(token))
        except ValueError:
            words.append(token)
    return words, np.array(values)


@pytest.mark.shell
@pytest.mark.parametrize(
    "arguments",
    [
        ["predict-prob", "model.bin", "plain.txt", 3], ["print-word-vectors", "vec.bin"],
        ["print-sentence-vectors", "vec.bin"], ["print-sentence-vectors", "model.bin"],
        ["print-ngrams", "vec.bin", "apple"], ["print-ngrams", "model.bin", "été"], ["nn", "vec.bin", 3],
        ["print-word-vectors", "model.bin"],
    ],
)  # fmt: skip
def test_same_numbers_as_the_original(mlkit, original, folder, arguments):
    stdin = "apple hammer\nunknownish été\n\nthe the\n".encode()
    if arguments[0] == "nn":
        stdin = b"apple\n"
    ours = numbers(mlkit("fasttext", *arguments, stdin=stdin, cwd=folder).stdout)
    theirs = numbers(original(*arguments, stdin=stdin, cwd=folder))
    assert ours[0] == theirs[0]
    np.testing.assert_allclose(ours[1], theirs[1], atol=1.1e-5, rtol=3e-5)


@pytest.mark.shell
@pytest.mark.parametrize("loss", ["hs", "ns", "ova"])
def test_every_loss_predicts_as_the_original_does(mlkit, original, folder, tmp_path, loss):
    mlkit("fasttext", "supervised", "-input", folder / "train.txt", "-output", "m", "-loss", loss, "-epoch", 5,
          "-lr", 0.5, "-bucket", 1000, "-minn", 2, "-maxn", 3, "-dim", 8, "--threads", 1)  # fmt: skip
    arguments = ["predict-prob", "m.bin", folder / "plain.txt", 3]
    ours, theirs = mlkit("fasttext", *arguments).stdout, original(*arguments, cwd=tmp_path)
    assert numbers(ours)[0] == numbers(theirs)[0]
    np.testing.assert_allclose(numbers(ours)[1], numbers(theirs)[1], atol=1.1e-5)


@pytest.mark.shell
def test_lid_176(mlkit, original, shared, tmp_path):
    model = shared / "data/formats/fasttext/lid.176.ftz"
    text = "This is English.\nC'est la vie, mon ami.\nЭто русский текст\n日本語の文章です\n \n".encode()
    ours = mlkit("fasttext", "predict-prob", model, "-", 2, stdin=text).stdout
    theirs = original("predict-prob", model, "-", 2, stdin=text)
    assert numbers(ours)[0] == numbers(theirs)[0]
    np.testing.assert_allclose(numbers(ours)[1], numbers(theirs)[1], atol=1.1e-5)


@pytest.mark.shell
def test_quantised_models_of_both(mlkit, original, folder, tmp_path):
    shutil.copy(folder / "model.bin", tmp_path / "m.bin")
    mlkit("fasttext", "quantize", "-output", "m", "-input", folder / "train.txt", "-cutoff", 600, "-qnorm",
          "-retrain", "-epoch", 2, "--threads", 1)  # fmt: skip
    assert (tmp_path / "m.ftz").stat().st_size < 40_000
    arguments = ["test", "m.ftz", folder / "test.txt"]
    assert mlkit("fasttext", *arguments).stdout == original(*arguments, cwd=tmp_path)
    assert b"P@1\t1\n" in mlkit("fasttext", *arguments).stdout
    again = mlkit("fasttext", "quantize", "-output", "m", check=False)
    assert again.returncode == 0
    vectors = mlkit("fasttext", "quantize", "-output", folder / "vec", check=False)
    assert vectors.returncode == 1
    assert b"classifier is needed" in vectors.stderr


@pytest.mark.filterwarnings("ignore")
def test_gensim_loads_what_we_write(mlkit, folder):
    facebook = pytest.importorskip("gensim.models.fasttext")
    theirs = facebook.load_facebook_model(str(folder / "vec.bin")).wv
    words = ["apple", "hammer", "unheardof"]
    printed = mlkit(
        "fasttext", "print-word-vectors", folder / "vec.bin", stdin=" ".join(words).encode()
    ).stdout
    ours = np.array([line.split()[1:] for line in printed.decode().splitlines()], float)
    np.testing.assert_allclose(ours, [theirs.get_vector(word) for word in words], atol=1e-5, rtol=1e-4)


def test_stdin_and_compression_train_the_same_model(mlkit, folder, tmp_path):
    packed = tmp_path / "train.txt.gz"
    packed.write_bytes(gzip.compress((folder / "train.txt").read_bytes()))
    options = ["-dim", 8, "-epoch", 2, "--threads", 1, "--no-vec"]
    mlkit("fasttext", "supervised", "-input", folder / "train.txt", "-output", "a", *options)
    # the file's name serves, too
    mlkit("fasttext", "supervised", "-input", packed, "-output", "b.bin", *options)
    mlkit(
        "fasttext",
        "supervised",
        "-input",
        "-",
        "-output",
        "c",
        *options,
        stdin=(folder / "train.txt").read_bytes(),
    )
    content = (tmp_path / "a.bin").read_bytes()
    assert content == (tmp_path / "b.bin").read_bytes() == (tmp_path / "c.bin").read_bytes()
    assert not (tmp_path / "a.vec").exists()


def test_native_file_predicts_the_same(mlkit, folder, tmp_path):
    mlkit("fasttext", "convert", folder / "model.bin", "m.safetensors")
    assert (tmp_path / "m.safetensors").stat().st_size < (folder / "model.bin").stat().st_size
    ours = mlkit("fasttext", "predict-prob", "m.safetensors", folder / "plain.txt", 2).stdout
    theirs = mlkit("fasttext", "predict-prob", folder / "model.bin", folder / "plain.txt", 2).stdout
    assert numbers(ours)[0] == numbers(theirs)[0]
    np.testing.assert_allclose(numbers(ours)[1], numbers(theirs)[1], atol=1e-5)
    mlkit("fasttext", "convert", "m.safetensors", "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == (folder / "model.bin").read_bytes()


def test_json_lines_come_at_once(folder):
    command = [sys.executable, "-m", "mlkit", "fasttext", "predict-prob", folder / "model.bin", "-", "--json"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=command_environment()
    ) as process:
        for text, label in ((b"apple plum", "__label__fruit"), (b"hammer saw", "__label__tool")):
            process.stdin.write(text + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())  # comes while stdin is still open
            assert answer["labels"] == [label]
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_confusion_matrix(mlkit, folder, tmp_path):
    done = mlkit("fasttext", "test-label", folder / "model.bin", folder / "test.txt", "--confusion", "c.tsv")
    assert done.stdout.decode().count("F1-Score") == 3
    rows = (tmp_path / "c.tsv").read_text().splitlines()
    assert rows[0] == "gold\tpredicted\tcount"
    assert sum(int(row.split("\t")[2]) for row in rows[1:]) == 120


def test_early_stopping_and_report(mlkit, folder):
    done = mlkit("fasttext", "supervised", "-input", folder / "train.txt", "-output", "m", "-epoch", 30, "-dim", 8,
                 "-lr", 1, "--valid", folder / "test.txt", "--patience", 2, "--threads", 1, "--json")  # fmt: skip
    facts = json.loads(done.stdout)
    assert len(facts["f1"]) < 30
    assert facts["best_epoch"] == int(np.argmax(facts["f1"])) + 1
    assert facts["settings"]["dim"] == 8


def test_autotune(mlkit, folder, tmp_path):
    done = mlkit("fasttext", "supervised", "-input", folder / "train.txt", "-output", "m", "-dim", 6,
                 "-autotune-validation", folder / "test.txt", "-autotune-duration", 20, "--autotune-trials", 3,
                 "-autotune-modelsize", "60k", "--threads", 1)  # fmt: skip
    assert b"--dim 6" in done.stderr
    assert (tmp_path / "m.ftz").stat().st_size <= 60 * 1024


@pytest.mark.shell
@pytest.mark.parametrize("command", ["supervised", "skipgram", "cbow"])
def test_stop_and_resume_give_the_same_bytes(mlkit, folder, tmp_path, command):
    text = tmp_path / "text.txt"
    text.write_text(corpus(4000))
    options = ["fasttext", command, "--input", text, "--dim", 16, "--epoch", 60, "--bucket", 2000, "--min-count", 1,
               "--threads", 1, "--no-vec"]  # fmt: skip
    mlkit(*options, "--output", "whole")
    saving = ["--checkpoint", "state", "--checkpoint-every", 0]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlkit", *map(str, options), "--output", "part", *map(str, saving)],
        cwd=tmp_path, env=command_environment(), stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "state").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    mlkit(*options, "--output", "part", *saving, "--resume")
    assert (tmp_path / "part.bin").read_bytes() == (tmp_path / "whole.bin").read_bytes()
    other = mlkit(*options, "--lr", 0.3, "--output", "part", *saving, "--resume", check=False)
    assert other.returncode == 1
    assert b"lr" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        (["predict", "none.bin", "-"], b"", 1, b"none.bin"),
        (["supervised", "-input", "text.txt", "-output", "m", "-lr", "1e30"], b"", 1, b"diverged"),
        (["test", "text.txt", "text.txt"], b"", 1, b"not a fastText model"),
        (["supervised", "-input", "plain.txt", "-output", "m"], b"", 1, b"no label found"),
        (["supervised", "-input", "-", "-output", "m"], b"", 1, b"empty"),
        (["skipgram", "-input", "text.txt", "-output", "m", "-loss", "ova"], b"", 2, b"ova"),
        (["supervised", "-input", "text.txt", "-output", "m", "-epcoh", "3"], b"", 2, b"--epcoh"),
        (["skipgram", "-input", "plain.txt", "-output", "m", "-minCount", "99999"], b"", 1, b"99999 times"),
        (["supervised", "-input", "text.txt", "-output", "m", "-autotune-validation", "text.txt",
          "-autotune-metric", "x"], b"", 2, b"metric"),
    ],
)  # fmt: skip
def test_faults_in_one_line(mlkit, tmp_path, arguments, stdin, code, words):
    (tmp_path / "text.txt").write_text(corpus(20))
    (tmp_path / "plain.txt").write_text("some words only\n")
    done = mlkit("fasttext", *arguments, stdin=stdin, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.glob("m.*"))


def test_pretrained_vectors(mlkit, folder, tmp_path):
    (tmp_path / "start.vec").write_text("2 4\napple 1 2 3 4\nnewword 4 3 2 1\n")
    mlkit("fasttext", "supervised", "-input", folder / "train.txt", "-output", "m", "-dim", 4, "-epoch", 0,
          "-pretrainedVectors", "start.vec", "--threads", 1, "-saveOutput")  # fmt: skip
    printed = mlkit("fasttext", "print-word-vectors", "m.bin", stdin=b"apple newword").stdout.decode()
    assert printed == "apple 1 2 3 4 \nnewword 4 3 2 1 \n"
    assert (tmp_path / "m.output").read_text().startswith("3 4\n__label__")


def test_without_room_for_character_ngrams_there_are_none(mlkit, tmp_path):
    """As the original: -maxn 0 (the tutorial's own command), or minn above maxn, trains on words alone."""
    (tmp_path / "text.txt").write_text(corpus(60))
    made = []
    for number, sizes in enumerate([(0, 0), (3, 0), (5, 3)]):
        mlkit("fasttext", "skipgram", "-input", "text.txt", "-output", f"m{number}",
              "-minn", sizes[0], "-maxn", sizes[1],
              "-minCount", 1, "-dim", 6, "-epoch", 1, "-bucket", 200, "-thread", 1, "-verbose", 0)  # fmt: skip
        made.append((tmp_path / f"m{number}.vec").read_bytes())
    assert made[0] == made[1] == made[2]
