"""Read a BPE model from any file in use."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlkit.bpe.alphabet import byte_characters, from_bytes
from mlkit.bpe.charsmap import Charsmap
from mlkit.bpe.model import SPACE, SUFFIX, BpeModel, Kind, Pair, merge_ids_of, vocabulary_of
from mlkit.bpe.tiktoken_patterns import pattern_of, pipeline
from mlkit.errors import ModelError
from mlkit.formats import merges as merge_files
from mlkit.formats import sentencepiece, tiktoken, tokenizer_json
from mlkit.formats.streams import PathLike, display_name, open_input


def load_model(path: PathLike) -> BpeModel:
    """Read a model from any file in use: tokenizer.json, merges.txt (vocab.json beside it), vocab.json (merges.txt
    beside it), a folder with these, subword-nmt or fastBPE codes, tiktoken ranks, sentencepiece BPE .model.

    Raises `ModelError`.
    """
    enabled = gc.isenabled()
    gc.disable()  # a hundred thousand tuples hold no cycles, and looking for them takes a third of the time
    try:
        return _load(path)
    finally:
        if enabled:
            gc.enable()


def _load(path: PathLike) -> BpeModel:
    place = Path(path)
    if place.is_dir():
        inside = [place / "tokenizer.json", place / "merges.txt", place / "vocab.bpe"]
        found = next((file for file in inside if file.exists()), None)
        if found is None:
            raise ModelError("the folder holds no tokenizer.json and no merges.txt", path=str(path))
        return _load(found)
    with open_input(path) as stream:
        head = stream.read(512)
    name = display_name(path)
    if not head:
        raise ModelError("is empty", path=name)
    if head.lstrip()[:1] == b"{":
        return _from_json(path)
    if (head[:1] == b"\n" and head[2:3] == b"\n") or (place.suffix == ".model" and b"\n\x0b" in head[:64]):
        return _from_sentencepiece(path)
    if b'"bpe_simple_vocab' in head[:40]:
        raise ModelError(
            "CLIP's merges: its tokenizer cleans and lowercases text in its own way", path=name,
            hint="make a tokenizer.json of it with transformers, mlkit reads that",
        )  # fmt: skip
    if tiktoken.looks_like_ranks(head):
        return _from_ranks(path)
    return _from_merges(path)


def _from_json(path: PathLike) -> BpeModel:
    name = display_name(path)
    content = merge_files.parse_json(path)
    if isinstance(content, dict) and content and not isinstance(content.get("model"), dict | list):
        beside = _beside(path, ("merges.txt", "vocab.bpe"), "vocab.json", "merges.txt")
        if beside is None or not all(isinstance(number, int) for number in content.values()):
            raise ModelError("a vocabulary without merges: no merges.txt beside it", path=name)
        return _from_merges(beside, merge_files.check_vocabulary(content, name))
    found = tokenizer_json.interpret(content, name)
    return BpeModel(
        found.kind or _kind_of(found.merges), found.merges, found.vocabulary, found.specials, found.unknown,  # type: ignore[arg-type]
        found.suffix, foreign=found.text, source="tokenizer.json",
    )  # fmt: skip


def _beside(path: PathLike, names: Sequence[str], own: str, other: str) -> Path | None:
    """Find the companion of a file: x-vocab.json of x-merges.txt, or one of `names` in the same folder."""
    place = Path(path)
    candidates = [place.with_name(place.name.replace(own, other))] if own in place.name else []
    candidates += [place.with_name(name) for name in names]
    return next((file for file in candidates if file.exists() and file != place), None)


def _kind_of(pairs: Sequence[Pair]) -> Kind:
    """Tell the kind of a file of merges by its symbols."""
    characters = set().union(*(left + right for left, right in pairs[:5000]))
    if _suffix_of(pairs):
        return "chars"
    if SPACE in characters:
        return "metaspace"
    return "bytes" if "Ġ" in characters and characters <= set(byte_characters()) else "chars"


def _suffix_of(pairs: Sequence[Pair]) -> str:
    """Return </w> if a symbol ends in it, else nothing."""
    length = len(SUFFIX)
    return SUFFIX if any([right[-length:] == SUFFIX for _, right in pairs]) else ""


def _from_merges(path: PathLike, vocabulary: dict[str, int] | None = None) -> BpeModel:
    name = display_name(path)
    file = merge_files.read_merges(path)
    kind = _kind_of(file.pairs)
    if kind == "bytes" and vocabulary is None:
        beside = _beside(path, ("vocab.json", "encoder.json"), "merges.txt", "vocab.json")
        vocabulary = None if beside is None else merge_files.read_vocab_json(beside)
    if vocabulary is not None:
        return _with_vocabulary(kind, file.pairs, vocabulary, name)
    version = file.version or "0.1"
    if file.counts is not None:
        version = "0.2"
    if version.split()[0] not in ("0.1", "0.2"):
        raise ModelError(f"codes of version {version!r}; 0.1 and 0.2 are known", path=name)
    if version.endswith("byte"):
        raise ModelError("codes that subword-nmt learned with --byte are not supported", path=name)
    suffix = _suffix_of(file.pairs)
    closing = version == "0.1" and suffix == SUFFIX and kind == "chars"
    pairs, counts = _first_ones(file.pairs, file.counts)
    return BpeModel(
        kind, pairs, vocabulary_of(kind, pairs, suffix), unknown=None if kind == "bytes" else "<unk>",
        suffix=suffix, closing=closing, counts=counts, source="codes", has_ids=False,
        specials={} if kind == "bytes" else {"<unk>": 0},
    )  # fmt: skip


def _first_ones(pairs: list[Pair], counts: list[int] | None) -> tuple[list[Pair], list[int] | None]:
    """Leave out merges that come a second time: subword-nmt obeys the first."""
    if len(set(pairs)) == len(pairs):
        return pairs, counts
    places = {pair: place for place, pair in reversed(list(enumerate(pairs)))}
    kept = sorted(places.values())
    return [pairs[k] for k in kept], None if counts is None else [counts[k] for k in kept]


def _with_vocabulary(kind: Kind, pairs: list[Pair], vocabulary: dict[str, int], name: str) -> BpeModel:
    try:
        merge_ids = merge_ids_of(pairs, vocabulary)
    except KeyError:
        number, token = next(
            (number, token)
            for number, (left, right) in enumerate(pairs, 1)
            for token in (left, right, left + right)
            if token not in vocabulary
        )
        message = f"merge {number}: {token[:40]!r} is not in the vocabulary"
        raise ModelError(message, path=name) from None
    specials = {}
    if kind == "bytes":
        made = set(merge_ids[2])
        specials = {t: n for t, n in vocabulary.items() if n not in made and len(t) > 1}
    suffix = _suffix_of(pairs) if kind == "chars" else ""
    unknown = "<unk>" if "<unk>" in vocabulary else None
    model = BpeModel(kind, pairs, vocabulary, specials, unknown, suffix, source="merges.txt")
    model.__dict__["merge_ids"] = merge_ids  # a cached property
    return model


def _from_ranks(path: PathLike) -> BpeModel:
    tokens = tiktoken.read_ranks(path)
    ids = {token: rank for rank, token in enumerate(tokens)}
    name = display_name(path)
    if any(bytes([byte]) not in ids for byte in range(256)):
        raise ModelError("not all 256 bytes have a rank", path=name)
    pairs: list[Pair] = []
    for rank, token in enumerate(tokens):
        if len(token) > 1:
            parts = _parts(token, ids, rank)
            if len(parts) != 2:
                raise ModelError(f"the token of rank {rank} is not made of two of lower rank", path=name)
            pairs.append((from_bytes(parts[0]), from_bytes(parts[1])))
    pattern = pattern_of(tokens)
    return BpeModel(
        "bytes", pairs, {from_bytes(token): n for token, n in ids.items()}, source="tiktoken",
        foreign="" if pattern is None else pipeline(tokens, pattern),
    )  # fmt: skip


def _parts(token: bytes, ids: Mapping[bytes, int], limit: int) -> list[bytes]:
    """Merge the bytes of a token by the ranks below `limit`: the two parts left are those it is made of."""
    parts = [token[k : k + 1] for k in range(len(token))]
    while len(parts) > 1:
        best, place = limit, -1
        for k in range(len(parts) - 1):
            rank = ids.get(parts[k] + parts[k + 1], limit)
            if rank < best:
                best, place = rank, k
        if place < 0:
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _from_sentencepiece(path: PathLike) -> BpeModel:
    name = display_name(path)
    model = sentencepiece.read_sentencepiece(path)
    if model.model_type not in (sentencepiece.BPE, sentencepiece.UNIGRAM):
        kinds = {sentencepiece.WORD: "word", sentencepiece.CHAR: "char"}
        raise ModelError(
            f"a sentencepiece {kinds.get(model.model_type, 'unknown')} model; mlkit reads its BPE and unigram models",
            path=name,
        )
    vocabulary = {piece: number for number, (piece, _, _) in enumerate(model.pieces)}
    if len(vocabulary) != len(model.pieces):
        raise ModelError("a piece occurs twice", path=name)
    if model.byte_fallback and any(f"<0x{byte:02X}>" not in vocabulary for byte in range(256)):
        raise ModelError("its bytes have no pieces, though it falls back on them", path=name)
    if model.charsmap:
        try:
            Charsmap(model.charsmap)
        except ModelError as error:
            raise ModelError(error.message, path=name) from None
    pairs: list[Pair] = []
    ranks: list[int] = []
    if model.model_type == sentencepiece.BPE:
        pairs, ranks = _ranked(model)
    kinds_of = {piece: kind for piece, _, kind in model.pieces}
    unknown = next((piece for piece, kind in kinds_of.items() if kind == sentencepiece.UNKNOWN), None)
    return BpeModel(
        "metaspace", pairs, vocabulary,
        {p: vocabulary[p] for p, kind in kinds_of.items() if kind == sentencepiece.USER_DEFINED}, unknown,
        ranks=ranks, fuse_unknown=True, byte_fallback=model.byte_fallback, sentencepiece=model,
        whole_lines=not _word_by_word(model), source="sentencepiece",
    )  # fmt: skip


def _ranked(model: sentencepiece.SentencePieceModel) -> tuple[list[Pair], list[int]]:
    """Return all merges that make a piece, by score; those that make pieces of one score share a rank."""
    normal = [(score, piece) for piece, score, kind in model.pieces if kind == sentencepiece.NORMAL]
    order = {score: rank for rank, score in enumerate(sorted({score for score, _ in normal}, reverse=True))}
    known = {piece for _, piece in normal}
    ranked = sorted(
        (order[score], place, (piece[:cut], piece[cut:]))
        for place, (score, piece) in enumerate(normal)
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    )
    return [pair for _, _, pair in ranked], [rank for rank, _, _ in ranked]


def _word_by_word(model: sentencepiece.SentencePieceModel) -> bool:
    """Say whether the words of a line can be merged one by one: no piece and no symbol reaches over a space."""
    if model.model_type != sentencepiece.BPE or model.whitespace_suffix:
        return False
    if not model.dummy_prefix or not model.escape_whitespaces:
        return False
    kinds = {kind for _, _, kind in model.pieces}
    if (
        sentencepiece.USER_DEFINED in kinds
        or sentencepiece.UNUSED in kinds
        or sentencepiece.UNKNOWN not in kinds
    ):
        return False
    normal = [piece for piece, _, kind in model.pieces if kind == sentencepiece.NORMAL]
    characters = {piece for piece in normal if len(piece) == 1}
    return SPACE in characters and all(SPACE not in p[1:] and characters.issuperset(p) for p in normal)
