"""Hashes and n-grams against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.fasttext import subwords
from mlkit.fasttext.dictionary import read_corpus
from tests.naive import fasttext as naive

words = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=8)


@settings(max_examples=60, deadline=None)
@given(words, st.integers(0, 4), st.integers(0, 7))
def test_ngrams_of_many_words(texts, minn, maxn):
    texts = [text for text in texts if text != "</s>"]
    encoded = [text.encode() for text in texts]
    found = [[] for _ in texts]
    with np.errstate(over="ignore"):
        for owner, bucket in subwords.ngram_buckets(encoded, minn, maxn, 1009):
            for i, b in zip(owner.tolist(), bucket.tolist(), strict=True):
                found[i].append(b)
    for text, got in zip(texts, found, strict=True):
        grams = naive.ngrams(text, minn, maxn)
        assert sorted(got) == sorted(naive.token_hash(gram) % 1009 for gram in grams)
        assert subwords.ngram_strings(text.encode(), minn, maxn) == grams


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=9), max_size=9))
def test_token_hashes(tokens):
    assert subwords.hash_tokens(tokens).tolist() == [naive.token_hash(token) for token in tokens]
    assert [subwords.hash_token(token) for token in tokens] == [naive.token_hash(token) for token in tokens]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=4), max_size=7), st.integers(1, 4))
def test_word_ngrams(tokens, size):
    with np.errstate(over="ignore"):
        hashes = subwords.hash_tokens(tokens)
        line = np.zeros(len(tokens), np.int64)
        found = [b for _, part in subwords.word_ngram_buckets(hashes, line, size, 977) for b in part.tolist()]
    assert sorted(found) == sorted(naive.word_ngrams(tokens, size, 977))


def test_invalid_utf8_has_ngrams_too():
    assert subwords.ngram_strings(b"a\xff\x80", 2, 2) == [b"<a", b"a\xff\x80", b"\xff\x80>"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "cc", "é", "__label__x", "__label__y"]), max_size=6), max_size=6
    )
)
def test_numbering_a_text(tmp_path_factory, lines):
    text = "\n".join(" ".join(line) for line in lines)
    path = tmp_path_factory.mktemp("text") / "corpus.txt"
    path.write_text("z z\n" + text)
    corpus = read_corpus(str(path), min_count=2)
    tokens = [token for line in ("z z\n" + text).splitlines() for token in [*line.split(), "</s>"]]
    counts: dict[str, int] = {}
    for token in tokens:
        counts[token] = counts.get(token, 0) + 1
    names = [*corpus.words, *corpus.labels, *corpus.rare]
    assert [names[i].decode() for i in corpus.ids.tolist()] == tokens
    assert {w.decode(): c for w, c in zip(corpus.words, corpus.counts, strict=False)} == {
        token: count for token, count in counts.items() if count >= 2 and not token.startswith("__label__")
    }
    assert (
        corpus.counts[: len(corpus.words)].tolist()
        == sorted(corpus.counts[: len(corpus.words)].tolist())[::-1]
    )
