"""BPE against tokenizers, subword-nmt, tiktoken and gigatoken: speed and memory of learning, encoding, decoding."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import (
    Table,
    Usage,
    data,
    measure,
    mlkit_command,
    python_command,
    ratio,
    verdict,
)
from tests.conftest import SHARED

TITLE = "BPE"
PEERS = ("tokenizers", "subword-nmt", "tiktoken", "gigatoken")

_HF_LEARN = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
text, out, kind, size = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
tokenizer = Tokenizer(models.BPE())
settings = {}
if kind == "bytes":
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    settings["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
else:
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer.train([text], trainers.BpeTrainer(vocab_size=size, show_progress=False, **settings))
tokenizer.save(out)
"""
_HF_GPT2 = """
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
tokenizer = Tokenizer(models.BPE.from_file(sys.argv[1] + "/encoder.json", sys.argv[1] + "/vocab.bpe"))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
"""
_HF_ENCODE = (
    "import sys, hashlib\n"
    + _HF_GPT2
    + """
out = open(sys.argv[3], "w")
with open(sys.argv[2], encoding="utf-8", newline="\\n") as stream:
    while lines := [line.rstrip("\\n") for line in stream.readlines(8 << 20)]:
        for found in tokenizer.encode_batch(lines, add_special_tokens=False):
            out.write(" ".join(map(str, found.ids)) + "\\n")
"""
)
_HF_DECODE = (
    "import sys\n"
    + _HF_GPT2
    + """
out = open(sys.argv[3], "w", encoding="utf-8")
with open(sys.argv[2]) as stream:
    while lines := stream.readlines(8 << 20):
        rows = [list(map(int, line.split())) for line in lines]
        out.write("".join(text + "\\n" for text in tokenizer.decode_batch(rows, skip_special_tokens=False)))
"""
)
_TIKTOKEN = """
import sys, json
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
folder, text, out = sys.argv[1:4]
# the loader reads files by name only when it may keep a cache
import os; os.environ["TIKTOKEN_CACHE_DIR"] = ""
ranks = data_gym_to_mergeable_bpe_ranks(folder + "/vocab.bpe", folder + "/encoder.json")
expression = r"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
encoding = tiktoken.Encoding("gpt2", pat_str=expression, mergeable_ranks=ranks, special_tokens={})
with open(text, encoding="utf-8", newline="\\n") as stream, open(out, "w") as sink:
    while lines := [line.rstrip("\\n") for line in stream.readlines(8 << 20)]:
        for ids in encoding.encode_ordinary_batch(lines, num_threads=2):
            sink.write(" ".join(map(str, ids)) + "\\n")
"""
_GIGATOKEN = """
import sys
import gigatoken
tokenizer = gigatoken.Tokenizer(sys.argv[1])
ids = tokenizer.encode_files([sys.argv[2]])
"""
_SUBWORD_NMT = """
import sys
from subword_nmt.apply_bpe import BPE
bpe = BPE(open(sys.argv[1], encoding="utf-8"))
out = open(sys.argv[3], "w", encoding="utf-8")
for line in open(sys.argv[2], encoding="utf-8", newline="\\n"):
    out.write(bpe.process_line(line))
"""


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def row(job: str, ours: Usage, peer: Usage, target: str, reached: bool, same: str) -> list[object]:
    figures = [f"{x:.2f}" for x in (ours.wall, ours.cpu, peer.wall, peer.cpu)]
    return [
        job, *figures, f"{ours.rss_mb:.0f} / {peer.rss_mb:.0f}", ratio(peer.wall, ours.wall), ratio(peer.cpu, ours.cpu),
        target, verdict(reached), same,
    ]  # fmt: skip


COLUMNS = (
    "job", "wall s", "cpu s", "peer wall s", "peer cpu s", "RSS MB (mlkit / peer)", "wall ratio", "cpu ratio", "target",
    "reached", "result",
)  # fmt: skip


def run() -> Iterator[Table]:
    """Measure everything; HF's trainings of 100 MB take a minute each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = folder / "warm.txt"
        warm.write_bytes(data("corpus/enwiki.test.raw.txt").read_bytes() * 2)
        for kind in ("bytes", "chars"):
            measure(mlkit_command("bpe", "learn", warm, "-o", folder / "warm.json", "--type", kind, "-s", 99))
            measure(
                mlkit_command("bpe", "encode", "-m", folder / "warm.json", warm, "-o", folder / "x", "--ids")
            )
            measure(
                mlkit_command("bpe", "decode", "-m", folder / "warm.json", folder / "x", "-o", warm, "--ids")
            )
        yield learning(folder)
        yield encoding(folder)
        yield small(folder)


def learning(folder: Path) -> Table:
    """Learn 32,000 tokens from 10 and 100 MB."""
    rows = []
    for size, corpus, kind in (
        ("10 MB", "enwiki.10mb.raw", "bytes"), ("10 MB", "enwiki.10mb.norm", "chars"),
        ("100 MB", "enwiki.100mb.norm", "bytes"), ("100 MB", "enwiki.100mb.norm", "chars"),
    ):  # fmt: skip
        text = data(f"corpus/{corpus}.txt")
        count = 32_000 + (kind == "chars")  # mlkit's <unk>
        ours = measure(
            mlkit_command(
                "bpe", "learn", text, "-o", folder / "ours.json", "--type", kind, "--vocab-size", count,
                "--min-frequency", 0, "--end-of-word", "", "-q", "-t", 2,
            )
        )  # fmt: skip
        peer = measure(python_command(_HF_LEARN, text, folder / "hf.json", kind, 32_000))
        merges = [
            json.loads((folder / f"{who}.json").read_text())["model"]["merges"] for who in ("ours", "hf")
        ]
        same = f"{len(merges[0])} merges {'identical' if merges[0] == merges[1] else '**DIFFER**'}"
        wall, cpu = peer.wall / ours.wall, peer.cpu / ours.cpu
        if size == "10 MB":
            target, reached = "-", True
        elif kind == "bytes":
            target, reached = "6x wall, 4x cpu", wall >= 6 and cpu >= 4
        else:
            target, reached = "3x cpu", cpu >= 3
        rows.append(row(f"{kind}, {size}", ours, peer, target, reached, same))
    return Table(
        "Learning 32,000 tokens, against HF tokenizers",
        COLUMNS,
        rows,
        "mlkit with 2 threads, HF with its own.",
    )


def encoding(folder: Path) -> Table:
    """Encode and decode 10 and 100 MB."""
    gpt2 = SHARED / "data" / "formats" / "gpt2"
    small, large = data("corpus/enwiki.10mb.raw.txt"), data("corpus/enwiki.100mb.norm.txt")
    rows = []
    ours_ids, peer_ids = folder / "ours.ids", folder / "peer.ids"

    def encode(text: Path) -> Usage:
        return measure(
            mlkit_command(
                "bpe", "encode", "-m", gpt2 / "vocab.bpe", text, "-o", ours_ids, "--ids", "-q", "-t", 2
            )
        )

    def same() -> str:
        return "ids identical" if digest(ours_ids) == digest(peer_ids) else "**ids DIFFER**"

    ours = encode(small)
    peer = measure(python_command(_HF_ENCODE, gpt2, small, peer_ids))
    rows.append(row("ids, 10 MB, HF encode_batch", ours, peer, "-", True, same()))
    ours = encode(large)
    peer = measure(python_command(_HF_ENCODE, gpt2, large, peer_ids))
    reached = peer.wall / ours.wall >= 20
    rows.append(row("ids, 100 MB, HF encode_batch", ours, peer, "20x wall", reached, same()))
    peer = measure(python_command(_TIKTOKEN, gpt2, large, peer_ids))
    rows.append(row("ids, 100 MB, tiktoken", ours, peer, "-", True, same()))
    measure(mlkit_command("bpe", "convert", gpt2 / "vocab.bpe", folder / "gpt2.json"))
    peer = measure(python_command(_GIGATOKEN, folder / "gpt2.json", large))
    reached = peer.wall / ours.wall >= 0.8
    rows.append(row("ids, 100 MB, gigatoken (ids in memory)", ours, peer, "0.8x wall", reached, ""))
    for size, text in (("100 MB", large), ("10 MB", small)):
        if text is small:
            encode(small)
        decode = (
            "bpe",
            "decode",
            "-m",
            gpt2 / "vocab.bpe",
            ours_ids,
            "-o",
            folder / "text",
            "--ids",
            "-q",
            "-t",
            2,
        )
        ours = measure(mlkit_command(*decode))
        peer = measure(python_command(_HF_DECODE, gpt2, ours_ids, folder / "hf.text"))
        whole = digest(folder / "text") == digest(folder / "hf.text") == digest(text)
        gain = peer.wall / ours.wall
        same_text = f"text identical: {whole}"
        rows.append(row(f"decode ids, {size}, HF", ours, peer, "10x wall", gain >= 10, same_text))
    rows.append(subword_nmt(folder))
    return Table(
        "Encoding and decoding",
        COLUMNS,
        rows,
        "GPT-2's vocabulary; ratios are peer / mlkit, whole processes.",
    )


def subword_nmt(folder: Path) -> list[object]:
    """Encode to pieces with @@."""
    text = data("corpus/enwiki.10mb.norm.txt")
    codes = folder / "codes"
    measure(mlkit_command("bpe", "learn", text, "-o", codes, "--type", "chars", "-s", 32_000, "-q"))
    ours = measure(
        mlkit_command("bpe", "encode", "-m", codes, text, "-o", folder / "ours.bpe", "-q", "-t", 2)
    )
    peer = measure(python_command(_SUBWORD_NMT, codes, text, folder / "peer.bpe"))
    same = digest(folder / "ours.bpe") == digest(folder / "peer.bpe")
    return row(
        "pieces with @@, 10 MB, subword-nmt", ours, peer, "10x wall", peer.wall / ours.wall >= 10 and same,
        f"bytes identical: {same}",
    )  # fmt: skip


def small(folder: Path) -> Table:
    """Small inputs: whole processes."""
    gpt2 = SHARED / "data" / "formats" / "gpt2"
    rows = []
    text = data("corpus/enwiki.test.raw.txt").read_bytes()
    codes = folder / "codes"
    for job, model, options in (
        ("ids, GPT-2", gpt2 / "vocab.bpe", ["--ids"]),
        ("@@, 32,000 codes", codes, []),
    ):
        for size in (1_000, 100_000, 1_000_000):
            stdin = folder / "small.txt"
            stdin.write_bytes(text[:size].decode("utf-8", "ignore").encode())
            best = min(
                (
                    measure(mlkit_command("bpe", "encode", "-m", model, *options), stdin=stdin)
                    for _ in range(3)
                ),
                key=lambda usage: usage.cpu,
            )
            rows.append(
                [f"{job}, {size:,} bytes", f"{best.wall:.2f}", f"{best.cpu:.2f}", f"{best.rss_mb:.0f}", "0.4 s cpu",
                 verdict(best.cpu <= 0.4)]
            )  # fmt: skip
    return Table(
        "Small inputs: whole process of `mlkit bpe encode`",
        ("job", "wall s", "cpu s", "RSS MB", "target", "reached"),
        rows,
    )
