"""Hints: another tool's names lead to ours, a guess is not made, errors name what was typed."""

from __future__ import annotations

import pytest

from mlkit.cli import other_tools
from mlkit.cli.registry import loaded_tree
from tests.conftest import Run

TREE = loaded_tree()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("boost train --n-estimators 3", "did you mean --rounds?"),
        ("boost train --objective binary", "did you mean --loss?"),
        ("boost train --num_iterations 3", "did you mean --rounds?"),
        ("boost train --label y", "did you mean --target?"),
        ("train-w2v x --alpha 1", "did you mean --lr?"),
        ("train-w2v x --size 3", "did you mean --dim?"),
        ("train-w2v x --iter 3", "did you mean --epochs?"),
        ("train-w2v x --workers 3", "did you mean --threads?"),
        ("bpe learn x -S 3", "did you mean --merges?"),
        ("vectors nn x --topn 3", "did you mean -k?"),
        ("vocab x --foo", "'mlkit vocab --help' shows the options"),
        ("warm --quit", "did you mean --quiet?"),
        ("train-w2v c.txt -output x", "write --output"),
        ("distance", "see 'mlkit vectors nn'"),
        ("gensim", "see 'mlkit vectors'"),
        ("sklearn", "see 'mlkit boost'"),
        ("nltk", "see 'mlkit ngram'"),
        ("tiktoken", "see 'mlkit bpe'"),
        ("shuffle", "see 'mlkit resample'"),
        ("perplexity", "see 'mlkit ngram perplexity'"),
        ("classify", "see 'mlkit fasttext'"),
        ("most_similar", "see 'mlkit vectors nn'"),
        ("version", "'mlkit --version' is an option"),
        ("bpe train", "see 'mlkit bpe learn'"),
        ("ngram eval", "see 'mlkit ngram perplexity'"),
        ("vectors neighbours", "see 'mlkit vectors nn'"),
        ("vectors similarity", "see 'mlkit vectors eval'"),
        ("boost fit", "see 'mlkit boost train'"),
        ("boost test", "see 'mlkit boost eval'"),
        ("boost shap", "see 'mlkit boost importance'"),
        ("meteor", "'mlkit --help' shows the commands"),
    ],
)
def test_the_hint(mlkit: Run, line: str, expected: str) -> None:
    done = mlkit(*line.split(), check=False)
    assert done.returncode == 2
    first, second = done.stderr.decode().splitlines()
    assert second.strip() == expected
    assert "Did you mean" not in first


def test_every_name_of_ours_is_there() -> None:
    names = {" ".join(path) for path in TREE}
    assert {name for name in other_tools.OURS if not name.startswith("--")} <= names
    for group, commands in other_tools.SUBCOMMANDS.items():
        assert {f"{group} {name}" for name in commands} <= names
    for command, options in other_tools.OPTIONS.items():
        known = {
            name
            for path, node in TREE.items()
            if path[:1] == (command,)
            for p in node.params
            for name in p.opts
        }
        assert [own for own in options if own in known], command


@pytest.mark.parametrize("line", ["vocab nosuch.txt", "cooccur nosuch.txt -o x"])
def test_errors_name_the_command_that_was_typed(mlkit: Run, line: str) -> None:
    done = mlkit(*line.split(), check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"mlkit {line.split()[0]}: nosuch.txt: ")


@pytest.mark.parametrize("trainer", ["fasttext", "net", "boost", "train-w2v"])
def test_help_of_a_range_test_of_a_trainer(mlkit: Run, trainer: str) -> None:
    assert b"mlkit lr-find" in mlkit("lr-find", trainer, "-h").stdout
