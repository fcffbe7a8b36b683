"""The jobs of the command line: files in, files out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mlkit.bpe.counting import count_words
from mlkit.bpe.encode import Encoder
from mlkit.bpe.encode_options import Options, Output
from mlkit.bpe.load import load_model
from mlkit.bpe.model import BpeModel, Format, Kind
from mlkit.bpe.save import guess_format, refuse_format, save_model, vocab_path
from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import (
    Errors,
    display_name,
    is_standard,
    open_output,
    read_lines,
    refuse_same_file,
    write_text,
)  # fmt: skip
from mlkit.formats.word_counts import kind_of_counts, merge_word_counts, read_word_counts, write_word_counts
from mlkit.progress import Progress, silent
from mlkit.threads import thread_count


@dataclass(frozen=True)
class LearnJob:
    """What `mlkit bpe learn` is asked to do; see `LearnOptions` and `count_words`."""

    files: tuple[str, ...]
    output: str
    counts: str | None = None
    init: str | None = None
    kind: str | None = None
    vocab_size: int | None = None
    merges: int | None = None
    min_frequency: int = 2
    max_token_length: int | None = None
    special: str | None = None
    ties: str | None = None
    suffix: str = "</w>"
    weights: str | None = None
    format: str | None = None
    name: str = "tokenizer.json"
    errors: str = "strict"
    memory: int | None = None
    tmp_dir: str | None = None
    threads: int | None = None


def learn_job(
    job: LearnJob,
    progress: Progress = silent,
    counted: Callable[[str], AbstractContextManager[list[str]]] | None = None,
) -> BpeModel:
    """Learn a model and write it.

    counted: what counts words of a kind elsewhere (on workers) and gives files of counts while its block lasts.
    """
    from mlkit.bpe.learn import LearnOptions, counts_of_rows, learn, parse_specials

    inputs = [job.counts] if job.counts is not None else list(job.files)
    refuse_same_file(job.output, [*inputs, *([job.init] if job.init else [])])
    if job.vocab_size is not None and job.merges is not None:
        raise UsageError("give --vocab-size or --merges, not both")
    init = None if job.init is None else load_model(job.init)
    kind = _kind(job, init)
    options = LearnOptions(
        kind, job.vocab_size, job.merges, job.min_frequency, job.max_token_length, parse_specials(job.special),
        cast(Any, job.ties), job.suffix, init,
    )  # fmt: skip
    wanted = cast(Format, job.format) if job.format else guess_format(kind, job.name)
    suffix = job.suffix if kind == "chars" else ""
    refuse_format(BpeModel(kind, [], {}, suffix=suffix, counts=[]), wanted)
    if wanted == "fastbpe":
        raise UsageError("learning writes codes without counts; use --format subword-nmt")
    if job.counts is not None:
        if counted is not None:
            raise UsageError("--cluster and --processes count texts; --counts needs no counting")
        if job.files != ("-",):
            raise UsageError("give texts or --counts, not both")
        rows = read_word_counts(job.counts, kind if kind_of_counts(job.counts) else None)
        counts = counts_of_rows(rows, kind, display_name(job.counts))
    elif counted is not None:
        with counted(kind) as parts:
            counts = counts_of_rows(merge_word_counts(parts)[1], kind, "the parts")
    else:
        counts = count_words(
            job.files, kind, weights=_weights(job.weights), threads=thread_count(job.threads),
            errors=cast(Errors, job.errors), memory=job.memory, tmp_dir=job.tmp_dir, progress=progress,
        )  # fmt: skip
    model = learn(counts, options, progress)
    save_model(model, job.output, wanted)
    return model


def _kind(job: LearnJob, init: BpeModel | None) -> Kind:
    """Return the kind to learn: as asked, as the counts say, as the model to extend."""
    named = kind_of_counts(job.counts) if job.counts is not None and not is_standard(job.counts) else None
    if job.kind is not None and named is not None and job.kind != named:
        raise UsageError(f"{job.counts} holds words of {named}, not of {job.kind}")
    plain = "chars" if job.counts is not None else "bytes"
    return cast(Kind, job.kind or named or (init.kind if init is not None else plain))


def _weights(text: str | None) -> list[int]:
    if text is None:
        return []
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--weights takes whole numbers from 1 on, such as 1,3, not {text!r}")
    return [int(part) for part in parts]


def count_job(
    files: Sequence[str],
    output: str,
    kind: str,
    *,
    weights: str | None = None,
    shard: tuple[int, int] | None = None,
    errors: str = "strict",
    memory: int | None = None,
    tmp_dir: str | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> int:
    """Count words and write them; return how many distinct ones there are."""
    from mlkit.bpe.alphabet import from_bytes

    refuse_same_file(output, files)
    counts = count_words(
        files, cast(Kind, kind), weights=_weights(weights), threads=thread_count(threads),
        errors=cast(Errors, errors), shard=shard, memory=memory, tmp_dir=tmp_dir, progress=progress,
    )  # fmt: skip
    rows: Iterable[tuple[bytes, int]] = counts.rows()
    if kind == "bytes":
        # the byte alphabet sorts in its own way
        mapped = ((from_bytes(word).encode(), count) for word, count in rows)
        rows = mapped if memory is not None else iter(sorted(mapped))
    return write_word_counts(output, kind, rows)


def merge_job(files: Sequence[str], output: str) -> int:
    """Add up files of counts; return how many distinct words there are."""
    refuse_same_file(output, files)
    kind, rows = merge_word_counts(files)
    return write_word_counts(output, kind, rows)


def convert_job(model: str, output: str, format: str | None) -> None:
    """Write a model in another format."""
    refuse_same_file(output, [model])
    found = load_model(model)
    wanted = cast(Format, format) if format else guess_format(found.kind, Path(output).name)
    if wanted == "gpt2" and not is_standard(output):
        refuse_same_file(vocab_path(Path(output)), [model])
    save_model(found, output, wanted)


def encode_job(
    model: str,
    files: Sequence[str],
    output: str,
    *,
    kind: str = "pieces",
    marker: str | None = None,
    dropout: float = 0.0,
    seed: int = 1,
    glossaries: Sequence[str] = (),
    vocabulary: str | None = None,
    threshold: int | None = None,
    errors: str = "strict",
    threads: int | None = None,
    progress: Progress = silent,
) -> None:
    """Encode files."""
    refuse_same_file(output, [*files, model])
    options = Options(
        cast(Output, kind), marker, dropout, seed, _glossaries(glossaries),
        None if vocabulary is None else read_vocabulary(vocabulary, threshold),
    )  # fmt: skip
    encoder = Encoder(load_model(model), options, threads=thread_count(threads))
    with open_output(output) as stream:
        for part in encoder.encode_files(files, errors=cast(Errors, errors), progress=progress):
            stream.write(part)


def _glossaries(given: Sequence[str]) -> tuple[str, ...]:
    """Return expressions, those of ``@FILE`` one a line; without such a file it is one itself.

    Raises `UsageError` for a wrong expression.
    """
    import re

    found: list[str] = []
    for item in given:
        listed = item.startswith("@") and (item == "@-" or Path(item[1:]).exists())
        found += [line for line in read_lines(item[1:]) if line] if listed else [item]
    for expression in found:
        try:
            compiled = re.compile(expression)
        except re.error as error:
            raise UsageError(f"--glossaries: {expression!r} is not a regular expression ({error})") from None
        if compiled.groups:
            raise UsageError(f"--glossaries: write (?:...) for (...) in {expression!r}")
        if compiled.match(""):
            raise UsageError(f"--glossaries: {expression!r} matches nothing at all, too")
    return tuple(found)


def read_vocabulary(path: str, threshold: int | None) -> frozenset[str]:
    """Read a list of pieces and counts; return those that occur at least `threshold` times."""
    found = set()
    for number, line in enumerate(read_lines(path), 1):
        if not line:
            continue
        piece, space, count = line.strip("\r\n ").rpartition(" ")
        if not space or not count.isdecimal():
            raise DataError("not a piece and its count", path=display_name(path), line=number)
        if threshold is None or int(count) >= threshold:
            found.add(piece)
    return frozenset(found)


def decode_job(
    model: str, files: Sequence[str], output: str, *, kind: str = "pieces", marker: str | None = None,
    errors: str = "strict", threads: int | None = None,
) -> None:  # fmt: skip
    """Decode files."""
    from mlkit.bpe.decode import Decoder

    refuse_same_file(output, [*files, model])
    decoder = Decoder(load_model(model), Options(cast(Output, kind), marker), threads=thread_count(threads))
    with open_output(output) as stream:
        for part in decoder.decode_files(files, errors=cast(Errors, errors)):
            stream.write(part)


def vocab_job(
    model: str, files: Sequence[str], *, marker: str | None = None, errors: str = "strict",
    threads: int | None = None, progress: Progress = silent,
) -> Any:  # fmt: skip
    """Encode files and count the pieces."""
    from mlkit.bpe.statistics import count_pieces

    return count_pieces(
        load_model(model), files, options=Options(marker=marker), threads=thread_count(threads),
        errors=cast(Errors, errors), progress=progress,
    )  # fmt: skip


def write_lines(output: str, lines: Iterable[str]) -> None:
    """Write lines."""
    write_text(output, lines)


def describe_job(model: str) -> dict[str, Any]:
    """Return the facts about a model."""
    found = load_model(model)
    lengths = [len(token) for token in found.vocabulary if token not in found.specials]
    return {
        "model": model, "source": found.source, "type": found.kind, "merges": len(found.merges),
        "tokens": len(found.vocabulary), "highest_id": found.size - 1,
        "specials": sorted(found.specials, key=lambda token: found.specials[token]),
        "unknown": found.unknown, "end_of_word": found.suffix or None,
        "longest_token": max(lengths, default=0), "runs_in": "tokenizers" if found.foreign else "mlkit",
    }  # fmt: skip


def explain_job(model: str, words: Sequence[str]) -> list[dict[str, Any]]:
    """Return, for each word, its first symbols and the merges that make its pieces."""
    from mlkit.bpe.statistics import explain

    found = load_model(model)
    rows = []
    for word in words:
        start, steps = explain(found, word)
        merges = [
            {"rank": step.rank, "left": step.left, "right": step.right, "symbols": step.symbols}
            for step in steps
        ]
        rows.append({"word": word, "symbols": start, "merges": merges})
    return rows
