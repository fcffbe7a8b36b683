from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.bpe import BpeModel, Encoder, LineEncoder, Options, load_model
from mlkit.bpe import encode as encoding
from mlkit.bpe.decode import Decoder
from mlkit.bpe.encode_compiled import KernelEncoder, Tables
from mlkit.bpe.encode_plain import PlainEncoder
from mlkit.bpe.save import save_model
from mlkit.bpe.text_blocks import Piece
from mlkit.errors import DataError, UsageError
from mlkit.jit import jit_disabled
from tests.bpe.conftest import sample_text
from tests.naive import bpe as naive

tokenizers = pytest.importorskip("tokenizers")

TEXT = st.text(
    st.one_of(
        st.sampled_from(list(" \n\tkalominathe'é中🙂19<pad>▁Ġ@")), st.characters(exclude_categories=["Cs"])
    ),
    max_size=60,
)
CASES = [
    Options(), Options("ids"), Options("uint16"), Options("uint32"),
    Options(dropout=0.3), Options("ids", dropout=0.7, seed=5), Options("uint32", dropout=1.0), Options(marker="▁"),
]  # fmt: skip


def piece(text: str) -> Piece:
    return Piece("x", 0, 1, 0, text.encode())


def both(model: BpeModel, options: Options, text: str) -> bytes:
    """Encode with the kernels and in plain Python; both must agree."""
    fast = bytes(KernelEncoder(Tables(model, options)).encode(piece(text)))
    assert fast == Encoder(model, options, plain=True).plain.encode(piece(text))
    return fast


@pytest.mark.parametrize("options", CASES, ids=lambda o: f"{o.output}-{o.marker}-{o.dropout}")
def test_kernels_and_plain_python_agree(model: BpeModel, options: Options, text: str) -> None:
    both(model, options, text + "  two  spaces  \n\n<pad>x<pad> y<pad>\nlast line")


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_kernels_and_plain_python_agree_on_anything(model: BpeModel, text: str) -> None:
    for options in (CASES[0], CASES[1], CASES[4]):
        both(model, options, text)


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_round_trip(model: BpeModel, text: str) -> None:
    for options in (Options(), Options("ids"), Options(marker="▁"), Options(dropout=0.5)):
        if model.kind != "bytes" and options.output == "ids":
            continue  # characters without an id become <unk>
        if "<pad>" in text and options.output == "pieces":
            continue
        if model.kind != "bytes" and ("▁" in text or "@@" in text):
            continue  # text that looks like markers
        encoded = both(model, options, text)
        assert encoded.count(b"\n") == text.count("\n")
        decoded = b"".join(
            map(bytes, Decoder(model, options).decode_pieces(iter([piece(encoded.decode())])))
        ).decode()
        if model.kind == "bytes":
            assert decoded == text
        elif model.kind == "metaspace":
            assert decoded.split("\n") == [line[line.startswith(" ") :] for line in text.split("\n")]
        elif options.marker is None:
            assert [line.split(" ") for line in decoded.split("\n")] == [
                line.split(" ") if not line.strip(" ") else _single_spaced(line).split(" ")
                for line in text.split("\n")
            ]


def _single_spaced(line: str) -> str:
    """Keep the spaces at both ends and single the others."""
    core = " ".join(part for part in line.split(" ") if part)
    lead, trail = len(line) - len(line.lstrip(" ")), len(line) - len(line.rstrip(" "))
    return " " * lead + core + " " * trail


def test_pieces_are_those_of_the_definition(model: BpeModel, text: str) -> None:
    encoder = PlainEncoder(model, Options())
    for word in sorted(set(text.split())):
        assert encoder.merge(encoder.symbols(word)) == naive.encode(encoder.symbols(word), model.merges)


def test_long_words_merge_as_short_ones(model: BpeModel) -> None:
    encoder = PlainEncoder(model, Options())
    word = "kalomina" * 60 + "thering" * 40
    parts = encoder.symbols(word)
    assert len(parts) > 500
    expected = naive.encode(parts, model.merges)
    assert encoder.merge(list(parts)) == expected
    assert len(both(model, Options(), word).split()) == len(expected)


@pytest.mark.skipif(jit_disabled(), reason="measures the speed of compiled code")
def test_a_long_line_without_spaces_is_linear(corpus: Path) -> None:
    import time

    from mlkit.bpe.counting import count_words
    from mlkit.bpe.learn import LearnOptions, learn

    model = learn(count_words([corpus], "bytes"), LearnOptions("bytes", merges=100))
    encoder = KernelEncoder(Tables(model, Options("ids")))
    encoder.encode(piece("warm up"))
    start = time.process_time()
    encoder.encode(piece("kalomina" * 100_000))
    assert time.process_time() - start < 5


def test_threads_change_nothing(model: BpeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SMALL", -1)
    monkeypatch.setattr(encoding, "_CHUNK", 2000)
    path = tmp_path / "text"
    path.write_text(sample_text(500), newline="")
    for options in (Options(), Options("ids", dropout=0.2), Options("uint16")):
        results = {
            b"".join(map(bytes, Encoder(model, options, threads=threads).encode_files([path])))
            for threads in (1, 2, 3)
        }
        assert len(results) == 1
        if options.output != "uint16":
            assert results == {Encoder(model, options).plain.encode(piece(sample_text(500)))}


def test_dropout_depends_on_its_seed(model: BpeModel, text: str) -> None:
    plain, first, second = (
        both(model, Options(dropout=p, seed=s), text) for p, s in ((0.0, 1), (0.2, 1), (0.2, 2))
    )
    assert len({plain, first, second}) == 3
    assert len(plain.split()) < len(first.split())
    everything = both(model, Options(dropout=1.0), "kalo mina")
    assert len(everything.split()) >= 8


@pytest.mark.parametrize("kind", ["bytes", "chars", "metaspace"])
def test_tokenizers_loads_what_mlkit_writes(kind: str, text: str, corpus: Path, tmp_path: Path) -> None:
    from mlkit.bpe.counting import count_words
    from mlkit.bpe.learn import LearnOptions, learn

    model = learn(count_words([corpus], kind), LearnOptions(kind, merges=300, specials=("<pad>",)))  # type: ignore[arg-type]
    save_model(model, tmp_path / "tokenizer.json")
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    again = load_model(tmp_path / "tokenizer.json")
    assert (again.kind, again.merges, again.vocabulary, again.specials) == (
        model.kind, model.merges, model.vocabulary, model.specials,
    )  # fmt: skip
    encoder = Encoder(again, Options("ids"))
    for line in [*text.split("\n"), "  q Ω<pad>x ", "", " "]:
        assert list(map(int, encoder.encode_line(line))) == peer.encode(line).ids, line


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("hf/bytelevel8k.tokenizer.json", "hf_bytelevel8k"), ("hf/bytelevel8k-merges.txt", "hf_bytelevel8k"),
        ("sentencepiece/enwiki10mb_bpe8k.model", "sp_bpe8k"),
    ],
)  # fmt: skip
def test_ids_of_the_golden_file(name: str, key: str, shared: Path) -> None:
    formats = shared / "data" / "formats"
    rows = [json.loads(line) for line in open(formats / "expected_encodings.jsonl")]
    model = load_model(formats / name)
    encoder = Encoder(model, Options("ids"))
    text = "\n".join(row["text"] for row in rows)
    expected = "\n".join(" ".join(map(str, row[key])) for row in rows)
    prepared = encoder._prepare(piece(text))
    assert bytes(KernelEncoder(Tables(model, Options("ids"))).encode(prepared)).decode() == expected
    assert encoder.plain.encode(prepared).decode() == expected


def test_gpt2_ids_are_those_of_hf_and_tiktoken(shared: Path, tmp_path: Path, text: str) -> None:
    import base64

    from mlkit.bpe.alphabet import to_bytes

    folder = shared / "data" / "formats" / "gpt2"
    model = load_model(folder / "vocab.bpe")
    assert load_model(folder / "encoder.json").merges == model.merges
    peer = tokenizers.Tokenizer(
        tokenizers.models.BPE.from_file(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
    )
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    lines = text.split("\n")
    expected = "\n".join(" ".join(map(str, found.ids)) for found in peer.encode_batch(lines))
    assert both(model, Options("ids"), text).decode() == expected
    ranks = tmp_path / "gpt2.tiktoken"
    rows = sorted((number, to_bytes(token)) for token, number in model.vocabulary.items() if number < 50256)
    ranks.write_bytes(b"".join(b"%b %d\n" % (base64.b64encode(token), number) for number, token in rows))
    assert load_model(ranks).merges == model.merges


def test_subword_nmts_own_reference(shared: Path) -> None:
    folder = shared / "data" / "formats" / "subword-nmt"
    model = load_model(folder / "bpe.ref")
    text = folder.joinpath("corpus.en").read_text()
    expected = folder.joinpath("corpus.bpe.ref.en").read_bytes()
    assert both(model, Options(), text) == expected


def subword_nmt(codes: Path, text: str, **settings: object) -> str:
    peer = pytest.importorskip("subword_nmt.apply_bpe")
    with open(codes) as stream:
        bpe = peer.BPE(stream, **settings)
    return "".join(bpe.process_line(line) for line in io.StringIO(text))


@pytest.mark.parametrize("version", ["0.1", "0.2", "fastbpe"])
def test_codes_give_what_subword_nmt_gives(version: str, tmp_path: Path, text: str, corpus: Path) -> None:
    from mlkit.bpe.counting import count_words
    from mlkit.bpe.learn import LearnOptions, learn

    merges = learn(count_words([corpus], "chars"), LearnOptions("chars", merges=300)).merges
    if version == "0.1":
        merges = [(a, b.removesuffix("</w>")) for a, b in merges] + [
            ("r", "</w>"),
            ("er", "</w>"),
            ("g", "</w>"),
        ]
        merges = list(dict.fromkeys(merges))
    codes = tmp_path / "codes"
    lines = [f"{left} {right}" for left, right in merges]
    codes.write_text("\n".join([*(["#version: 0.2"] if version != "0.1" else []), *lines]) + "\n")
    given = codes
    if version == "fastbpe":
        given = tmp_path / "fast"
        given.write_text("".join(f"{line} {1000 - k}\n" for k, line in enumerate(lines)))
    text += "  lead and  trail  \n   \nunknown Ω x\n"
    assert both(load_model(given), Options(), text).decode() == subword_nmt(codes, text)


def test_glossaries_and_vocabulary_as_in_subword_nmt(tmp_path: Path, text: str, corpus: Path) -> None:
    from mlkit.bpe.counting import count_words
    from mlkit.bpe.learn import LearnOptions, learn

    codes = tmp_path / "codes"
    save_model(learn(count_words([corpus], "chars"), LearnOptions("chars", merges=300)), codes)
    model = load_model(codes)
    glossaries = ["ing", "k[ab]", "19+"]
    assert both(model, Options(glossaries=tuple(glossaries)), text).decode() == subword_nmt(
        codes, text, glossaries=glossaries
    )
    plain = subword_nmt(codes, text).split()
    vocabulary = {word for word in set(plain) if plain.count(word) > 12}
    assert both(model, Options(vocabulary=frozenset(vocabulary)), text).decode() == subword_nmt(
        codes, text, vocab=vocabulary
    )


def test_unknown_characters_do_not_vanish(model: BpeModel) -> None:
    from dataclasses import replace

    if model.kind == "bytes":
        return
    assert "Ω" in both(model, Options(), "kalo Ωmi").decode()
    unknown = str(model.vocabulary["<unk>"])
    assert unknown in both(model, Options("ids"), "kalo Ωmi").decode().split()
    strict = replace(model, unknown=None)
    for encode in (
        KernelEncoder(Tables(strict, Options("ids"))).encode,
        Encoder(strict, Options("ids")).plain.encode,
    ):
        with pytest.raises(DataError, match=r"x:2: 'Ω.*' in 'Ωmi' is not in the vocabulary"):
            encode(piece("kalo\nmi Ωmi\n"))


def test_faults_of_decoding(model: BpeModel) -> None:
    decoder = Decoder(model, Options("ids"))
    for bad, message in (
        (f"1 2\n3 {model.size}\n", "is not in the vocabulary"),
        ("1\nx 2", "'x' is not an id"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            list(decoder.decode_pieces(iter([piece(bad)])))
        assert caught.value.line == 2
        decoding = Decoder(model, Options("ids"))._decoder(False)
        with pytest.raises(DataError, match=message) as caught:
            decoding(piece(bad))
        assert caught.value.line == 2
    if model.kind == "bytes":
        for small in (True, False):
            with pytest.raises(DataError, match="not part of byte-level pieces"):
                Decoder(model)._decoder(small)(piece("a\n中"))


def test_fast_and_plain_decoding_agree(model: BpeModel, text: str) -> None:
    encoded = both(model, Options("ids"), text).decode()
    decoder = Decoder(model, Options("ids"))
    fast, plain = decoder._decoder(False)(piece(encoded)), decoder._decoder(True)(piece(encoded))
    assert bytes(fast) == bytes(plain)
    encoded = both(model, Options(), text).decode()
    fast, plain = (
        Decoder(model)._decoder(False)(piece(encoded)),
        Decoder(model)._decoder(True)(piece(encoded)),
    )
    assert bytes(fast) == bytes(plain)


def test_binary_ids_decode(model: BpeModel, tmp_path: Path) -> None:
    text = "kalo mi na\nthe ing\n\n est"
    for output in ("uint16", "uint32"):
        path = tmp_path / output
        path.write_bytes(both(model, Options(output), text))
        decoded = b"".join(map(bytes, Decoder(model, Options(output)).decode_files([path]))).decode()
        if model.kind == "bytes":
            assert decoded == text
        else:
            assert decoded.split() == text.split()
        path.write_bytes(path.read_bytes() + b"\1")
        with pytest.raises(DataError, match="ends inside an id"):
            list(Decoder(model, Options(output)).decode_files([path]))


def test_options_that_do_not_fit(model: BpeModel) -> None:
    with pytest.raises(UsageError, match="dropout"):
        Encoder(model, Options(dropout=1.5))
    with pytest.raises(UsageError, match="--marker"):
        Encoder(model, Options("ids", marker="▁"))
    if model.kind != "chars":
        with pytest.raises(UsageError, match="--glossaries"):
            Encoder(model, Options(glossaries=("a",)))
        with pytest.raises(UsageError, match="--marker"):
            Encoder(model, Options(marker="@@"))


def test_pieces_of_a_line(model: BpeModel) -> None:
    assert (
        "".join(LineEncoder(model).encode("kalo mina")).replace("@@", "").replace("Ġ", "").replace("▁", "")
        == "kalomina"
    )
