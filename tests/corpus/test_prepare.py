"""Vocabulary and encoded corpus against the naive twin, over chunk borders, threads, spills and encodings."""

from __future__ import annotations

import gzip
import lzma
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlkit.corpus import prepare
from mlkit.corpus.prepare import EncodedCorpus, Vocabulary, build_vocabulary, encode_corpus, prepare_corpus
from mlkit.corpus.word_counter import CounterGroup
from mlkit.errors import DataError, MlkitError, ModelError, UsageError
from mlkit.formats import kernels_corpus, text_chunks
from mlkit.memory import resident
from tests.naive import corpus as naive

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
needs_jit = pytest.mark.skipif(not JIT, reason="too slow without compiled kernels")

# short words, words around 8 and 16 bytes, long ones, several alphabets, control characters
PIECES = ["a", "b", "the", "sevenab", "eightabc", "nineabcde", "fifteenabcdefgh", "sixteenabcdefghi", "x" * 40, "ψυχή",
          "日本語の文章", "e\x00", "\x01", "\x1f\x7f", "\u2028", "\u00a0", "😀"]  # fmt: skip
SEPARATORS = [" ", "  ", "\n", "\r\n", "\t", "\v", "\f", "\n\n", " \n "]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_chunks, "CHUNK", 40)


texts = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(SEPARATORS)), max_size=40).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)
relaxed = settings(
    max_examples=100 if JIT else 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def check(paths: list[Path], texts: list[bytes], **options: object) -> None:
    expected = naive.vocabulary(texts, 2)
    vocabulary, encoded = prepare_corpus(paths, min_count=2, **options)  # type: ignore[arg-type]
    assert [vocabulary.word_bytes(i) for i in range(len(vocabulary))] == [word for word, _ in expected]
    assert vocabulary.counts.tolist() == [count for _, count in expected]
    ids = naive.encode(texts, [word for word, _ in expected])
    assert encoded.ids.tolist() == ids
    assert (encoded.tokens, encoded.sentences) == (len(ids) - ids.count(-1), ids.count(-1))


@relaxed
@given(st.lists(texts, min_size=1, max_size=3), st.sampled_from([1, 3]))
def test_any_text_over_any_chunk_border(tmp_path: Path, contents: list[str], threads: int) -> None:
    paths = [tmp_path / f"{i}.txt" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content.encode())
    check(paths, [content.encode() for content in contents], threads=threads)


def test_random_words_of_all_lengths(tmp_path: Path) -> None:
    rng = random.Random(7)
    words = [
        bytes(rng.choices(b"abcdefghij\x00\xc3", k=rng.randrange(1, 30))) for _ in range(300 if JIT else 40)
    ]
    words = [word.replace(b"\xc3", "ä".encode()) for word in words]
    text = b"".join(rng.choice(words) + rng.choice([b" ", b"\n"]) for _ in range(5000 if JIT else 300))
    (tmp_path / "a").write_bytes(text)
    check([tmp_path / "a"], [text])


@needs_jit
def test_spilled_tables_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    words = [f"w{rng.randrange(90_000)}" for _ in range(150_000)]
    text = " ".join(words).replace(" w1", "\nw1").encode()
    (tmp_path / "a").write_bytes(text)
    monkeypatch.setattr(text_chunks, "CHUNK", 1 << 16)
    monkeypatch.setattr(prepare, "_memory_for_tables", lambda memory, threads: 1)
    spilled = []
    collect = CounterGroup.collect
    monkeypatch.setattr(
        CounterGroup,
        "collect",
        lambda self, g, parts, spill: (spilled.append(spill), collect(self, g, parts, spill)),
    )
    for threads in (1, 2):
        check([tmp_path / "a"], [text], threads=threads, memory=1, tmp_dir=str(tmp_path))
        assert sum(spilled) >= 3
    assert os.listdir(tmp_path) == ["a"]


@needs_jit
def test_memory_bound_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a b")
    with pytest.raises(UsageError, match="too small"):
        build_vocabulary([tmp_path / "a"], memory=1 << 20)


def test_a_word_longer_than_many_chunks(tmp_path: Path) -> None:
    text = b"a " + b"y" * 1000 + b" a " + b"y" * 1000
    (tmp_path / "a").write_bytes(text)
    check([tmp_path / "a"], [text])


def test_max_size_and_min_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("c c c b b b a a d")
    assert build_vocabulary([tmp_path / "a"], min_count=2, max_size=2).words() == ["b", "c"]
    assert build_vocabulary([tmp_path / "a"], min_count=1).words() == ["b", "c", "a", "d"]
    assert build_vocabulary([tmp_path / "a"], min_count=9).words() == []


def test_words_that_agree_in_sixteen_bytes_are_sorted_by_the_rest(tmp_path: Path) -> None:
    words = [
        "internationalisation",
        "internationalisations",
        "internationalisati",
        "b",
        "internationalisatia",
    ]
    (tmp_path / "a").write_text(" ".join(words))
    assert build_vocabulary([tmp_path / "a"], min_count=1).words() == sorted(words)


def test_bom_crlf_and_compression(tmp_path: Path) -> None:
    text = "\ufeffa b\r\nb a\r\n".encode()
    (tmp_path / "1.gz").write_bytes(gzip.compress(text))
    (tmp_path / "2.xz").write_bytes(lzma.compress(text))
    vocabulary, encoded = prepare_corpus([tmp_path], min_count=1)
    assert vocabulary.words() == ["a", "b"]
    assert encoded.ids.tolist() == [0, 1, -1, 1, 0, -1] * 2


@pytest.mark.parametrize("text", [b"", b"\n\n", b"  \r\n"])
def test_a_text_without_words(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a").write_bytes(text)
    vocabulary, encoded = prepare_corpus([tmp_path / "a"])
    assert (len(vocabulary), encoded.tokens, encoded.ids.tolist()) == (0, 0, [])


def test_lower(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        "A ÀB a àb ΟΔΟΣ\nİ Z@[`{ ΟΔΟΣ\n" + "ASCII only text to pass a chunk border " * 3
    )
    text = (tmp_path / "a").read_text().lower().encode()
    expected = naive.vocabulary([text], 1)
    vocabulary = build_vocabulary([tmp_path / "a"], min_count=1, lower=True)
    assert list(zip(vocabulary.words(), vocabulary.counts.tolist(), strict=True)) == [
        (word.decode(), count) for word, count in expected
    ]


def test_invalid_utf8_names_file_line_and_byte(tmp_path: Path) -> None:
    good = b"some words on a line that is long enough\n" * 5 + b"and then a line of more than one chunk, "
    (tmp_path / "a").write_bytes(good + b"b\xc3( d\n")
    for threads in (1, 2):
        with pytest.raises(DataError, match=r"a:6: invalid UTF-8 at byte 42$"):
            build_vocabulary([tmp_path / "a"], threads=threads)
    with pytest.raises(DataError, match=r"a:6: invalid UTF-8 at byte 42$"):
        build_vocabulary([tmp_path / "a"], shard=(1, 2))
    assert "b\ufffd(" in build_vocabulary([tmp_path / "a"], min_count=1, errors="replace").words()
    assert "then" not in build_vocabulary([tmp_path / "a"], min_count=1, errors="skip").words()


@settings(max_examples=300 if JIT else 20, deadline=None)
@given(st.binary(max_size=30), st.text(max_size=6))
def test_utf8_check_agrees_with_python(noise: bytes, text: str) -> None:
    for sample in (
        text.encode(),
        noise,
        text.encode("utf-8") + noise,
        text.encode("utf-16"),
        b"\xed" + noise,
    ):
        try:
            sample.decode("utf-8")
            valid = True
        except UnicodeDecodeError:
            valid = False
        data = np.frombuffer(sample + b" " * 16, np.uint8)
        with np.errstate(over="ignore"):
            found = kernels_corpus.check_utf8(data, np.uint64(len(sample)))
        assert (found < 0) == valid
        assert (found == kernels_corpus.ASCII) == sample.isascii()


# Shards


@relaxed
@given(st.lists(texts, min_size=1, max_size=3), st.integers(1, 5), st.booleans())
def test_shards_add_up(tmp_path: Path, contents: list[str], shards: int, packed: bool) -> None:
    paths = [tmp_path / f"{i}.txt" for i in range(len(contents))]
    for place, (path, content) in enumerate(zip(paths, contents, strict=True)):
        data = content.encode()
        path.write_bytes(gzip.compress(data) if packed and place == 1 else data)
    parts = [build_vocabulary(paths, min_count=1, shard=(index, shards)) for index in range(shards)]
    for index, part in enumerate(parts):
        part.save(tmp_path / f"part{index}")
    merged = prepare.merge_vocabularies([tmp_path / f"part{index}" for index in range(shards)])
    whole = build_vocabulary(paths, min_count=1)
    assert merged.fingerprint == whole.fingerprint


@needs_jit
def test_merging_within_a_bound_of_memory(tmp_path: Path) -> None:
    """Words that do not fit go to disk by parts; the sums are the same."""
    for part in range(3):
        rows = [f"{(k * k) % 99991:x}w{k % 7}\t{k % 13 + part}" for k in range(1, 60_000)]
        kept = {row.split("\t")[0]: row for row in rows}
        (tmp_path / f"part{part}").write_text("\n".join(kept.values()) + "\n")
    paths = [tmp_path / f"part{part}" for part in range(3)]
    whole = prepare.merge_vocabularies(paths, min_count=2)
    assert len(whole) > 30_000
    bound = resident() + (30 << 20)
    with pytest.raises(UsageError, match="too small"):
        prepare.merge_vocabularies(paths, memory=1 << 20)
    bounded = prepare.merge_vocabularies(paths, min_count=2, memory=bound, tmp_dir=str(tmp_path))
    assert bounded.fingerprint == whole.fingerprint
    group = CounterGroup(1, 1 << 20, str(tmp_path))
    for path in paths:
        for words in Vocabulary.blocks(path, 10_000):
            group.add(words)
    assert len(group.generations) > 1  # some were spilled
    assert group.finish(min_count=2).fingerprint == whole.fingerprint


@relaxed
@given(
    st.lists(st.sampled_from(["a\t1", "b 2", "\ufeff\t3", "é\t4", "</s> 9", "c\t5"]), unique=True),
    st.integers(1, 40),
)
def test_a_vocabulary_in_blocks_is_that_of_the_whole(tmp_path: Path, lines: list[str], size: int) -> None:
    path = tmp_path / "v"
    path.write_text("".join(f"{line}\n" for line in lines))
    try:
        whole = Vocabulary.load(path)
    except DataError:
        return  # a lone mark of byte order in the first line leaves no word
    blocks = list(Vocabulary.blocks(path, size))
    assert [word for words in blocks for word in words.words()] == whole.words()
    assert [count for words in blocks for count in words.counts.tolist()] == whole.counts.tolist()


@pytest.mark.parametrize("bad", [b"no count\n", b"\xff\t3\n"])
def test_blocks_name_the_line(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "v").write_bytes(b"".join(b"w%d\t1\n" % k for k in range(50)) + bad + b"z\t1\n")
    for size in (1, 20, 1000):
        with pytest.raises(DataError) as fault:
            list(Vocabulary.blocks(tmp_path / "v", size))
        assert fault.value.line == 51


def test_a_pipe_has_no_shards() -> None:
    with pytest.raises(UsageError, match="pipe"):
        build_vocabulary(["-"], shard=(0, 2))


# Vocabulary files


@pytest.mark.parametrize("format", ["tsv", "word2vec"])
def test_vocabulary_round_trip(tmp_path: Path, format: str) -> None:
    vocabulary = Vocabulary.from_words(["b", "ä\u2028", "a\x00"], [9, 9, 1])
    vocabulary.save(tmp_path / "v", format)
    found = Vocabulary.load(tmp_path / "v")
    assert (found.words(), found.counts.tolist()) == (["b", "ä\u2028", "a\x00"], [9, 9, 1])
    assert found.fingerprint == vocabulary.fingerprint
    assert (found.index("a\x00"), found.index("z")) == (2, -1)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["the", "of", "ψ", "a b", "x\ty", "", "\x00", "\u2028"]),
            st.sampled_from(["\t", " ", "\t\t"]),
            st.sampled_from(["1", "23", "0", "123456789012345678", "1234567890123456789", "-1", "4x", ""]),
            st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", ""]),
        ), max_size=6,
    ),
    rubbish=st.binary(max_size=3), place=st.integers(0, 40),
)  # fmt: skip
def test_a_vocabulary_read_at_once_is_that_read_by_lines(
    tmp_path: Path, lines: list[tuple[str, ...]], rubbish: bytes, place: int
) -> None:
    data = "".join("".join(line) for line in lines).encode()
    (tmp_path / "v").write_bytes(data[:place] + rubbish + data[place:])
    found = []
    for fast in (True, False):
        try:
            vocabulary = Vocabulary.load(tmp_path / "v", fast=fast)
            found.append((vocabulary.words(), vocabulary.counts.tolist()))
        except MlkitError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_a_vocabulary_to_train_with_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("")
    assert len(Vocabulary.load(tmp_path / "v")) == 0
    with pytest.raises(DataError, match="no words: the vocabulary is empty"):
        Vocabulary.load_known(tmp_path / "v")


def test_word2vec_vocabulary_loses_its_sentence_end(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("</s> 12\nthe 9\nof 3\n")
    assert Vocabulary.load(tmp_path / "v").words() == ["the", "of"]


@pytest.mark.parametrize("text", ["a\n", "a b\n", "a 1\na 2\n", "a -1\n", "a 1\n\nb 2\n", "a 1.5\n", "a ²\n"])
def test_faulty_vocabulary_names_the_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "v").write_text(text)
    with pytest.raises(DataError, match=r"v:\d"):
        Vocabulary.load(tmp_path / "v")


# Encoded corpora


def write(path: Path, text: str = "a b a\nc a b\n") -> Path:
    path.write_text(text)
    return path


def test_encoded_file_is_reused(tmp_path: Path) -> None:
    text = write(tmp_path / "a")
    vocabulary, first = prepare_corpus([text], min_count=1, encoded=tmp_path / "ids")
    content = (tmp_path / "ids").read_bytes()
    text.chmod(0)
    os.utime(text, (1, 1))
    again, second = prepare_corpus([text], min_count=1, encoded=tmp_path / "ids")
    assert (
        again.fingerprint
        == vocabulary.fingerprint
        == EncodedCorpus.open(tmp_path / "ids").header["vocabulary"]
    )
    assert second.ids.tolist() == first.ids.tolist() == [0, 1, 0, -1, 2, 0, 1, -1]
    assert second.vocabulary().words() == ["a", "b", "c"]
    text.chmod(0o600)
    prepare_corpus([text], min_count=1, encoded=tmp_path / "ids2", threads=2)
    assert (tmp_path / "ids2").read_bytes() == content


def test_encoded_file_of_other_settings_is_refused(tmp_path: Path) -> None:
    text = write(tmp_path / "a")
    prepare_corpus([text], min_count=1, encoded=tmp_path / "ids")
    with pytest.raises(ModelError, match="other settings"):
        prepare_corpus([text], min_count=2, encoded=tmp_path / "ids")
    with pytest.raises(ModelError, match="another vocabulary"):
        prepare_corpus([text], vocabulary=Vocabulary.from_words(["a"], [1]), encoded=tmp_path / "ids")
    write(text, "other words\n" * 3)
    with pytest.raises(ModelError, match="other input"):
        prepare_corpus([text], min_count=1, encoded=tmp_path / "ids")


def test_encode_with_a_given_vocabulary(tmp_path: Path) -> None:
    vocabulary = Vocabulary.from_words(["c", "a"], [1, 1])
    encoded = encode_corpus([write(tmp_path / "a", "a b a\nb b\nc\n\na")], vocabulary, threads=2)
    assert encoded.ids.tolist() == [1, 1, -1, 0, -1, 1, -1]
    with pytest.raises(ValueError, match="read-only"):
        encoded.ids[0] = 3


def test_truncated_encoded_files_are_refused(tmp_path: Path) -> None:
    prepare_corpus([write(tmp_path / "a")], min_count=1, encoded=tmp_path / "ids")
    content = (tmp_path / "ids").read_bytes()
    for size in range(0, len(content), 97):
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(ModelError):
            EncodedCorpus.open(tmp_path / "cut")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 300))
def test_random_encoded_files_never_crash(tmp_path: Path, noise: bytes, place: int) -> None:
    if not (tmp_path / "ids").exists():
        prepare_corpus([write(tmp_path / "a")], min_count=1, encoded=tmp_path / "ids")
    content = bytearray((tmp_path / "ids").read_bytes())
    content[place : place + len(noise)] = noise
    (tmp_path / "noise").write_bytes(content)
    try:
        EncodedCorpus.open(tmp_path / "noise").vocabulary()
    except MlkitError:
        pass
