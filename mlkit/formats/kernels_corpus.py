# mypy: ignore-errors
"""Kernels of the corpus: words to ids through a hash table, eight bytes at a time.

A word is a run of bytes other than ASCII white space (space, \\t, \\n, \\v, \\f, \\r). Its key is two 64-bit numbers:
for at most 15 bytes they are the bytes themselves and the length, so that equal keys are equal words and the text of
the word need not be fetched; longer words have a hash and the length, and are compared byte by byte.

`table` is an open-addressing hash table of 32-byte slots (key, key, id, count), half a cache line each; a
second key of 0 marks a free slot. `blob` and `offsets` hold the words in the order of their ids.
All arithmetic on keys is modulo 2^64.
"""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.bytes import load8

U8 = np.uint64
ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN = (U8(k) for k in range(8))
EIGHT, NINE, TEN, THIRTEEN, FIFTEEN, SIXTEEN, SPACE = U8(8), U8(9), U8(10), U8(13), U8(15), U8(16), U8(32)
BITS_16, BITS_24, BITS_40, BITS_48, BITS_56 = U8(16), U8(24), U8(40), U8(48), U8(56)
LOW_BITS = U8(0x0101010101010101)
HIGH_BITS = U8(0x8080808080808080)
BELOW_21 = U8(0x2121212121212121)
LONG = U8(0xFF00000000000000)
MIX_1, MIX_2 = U8(0x9E3779B97F4A7C15), U8(0xD6E8FEB86659FD93)

DONE, TABLE_FULL, IDS_FULL = 0, 1, 2
ASCII, INVALID = -2, 0
SENTENCE_END = np.int32(-1)


@inline
def is_space(byte):
    """Say whether a byte is ASCII white space."""
    return byte == SPACE or (byte >= NINE and byte <= THIRTEEN)


@inline
def low_bytes(block):
    """Mark bytes below 0x21: the lowest mark is exact, marks above it may be false."""
    return (block - BELOW_21) & ~block & HIGH_BITS


@inline
def first_key(text, start, length):
    """Return the first key of any word: its first 8 bytes, or a hash of a long word."""
    key = ZERO
    if length <= FIFTEEN:
        for k in range(min(length, EIGHT)):
            key |= U8(text[start + U8(k)]) << (EIGHT * U8(k))
        return key
    i = ZERO
    while i + EIGHT <= length:
        key = (key ^ load8(text, start + i)) * MIX_1
        key ^= key >> SPACE
        i += EIGHT
    while i < length:
        key = (key ^ U8(text[start + i])) * MIX_2
        key ^= key >> SPACE
        i += ONE
    return key


@inline
def second_key(text, start, length):
    """Return the second key: bytes 8 to 14 below the length, never 0."""
    if length > FIFTEEN:
        return LONG | length
    key = length << BITS_56
    i = EIGHT
    while i < length:
        key |= U8(text[start + i]) << (EIGHT * (i - EIGHT))
        i += ONE
    return key


@inline
def home(key, key2, shift):
    """Return the slot where the search for a word begins."""
    mixed = key * MIX_1
    return ((mixed ^ (mixed >> SPACE) ^ key2) * MIX_2) >> shift


@inline
def locate(key, key2, text, start, table, shift, blob, offsets):
    """Return the position in `table` of the word's slot, or of the free slot where it belongs."""
    last = U8(table.size) - FOUR
    slot = home(key, key2, shift) << TWO
    while True:
        found = table[slot + ONE]
        if found == ZERO:
            return slot
        if found == key2 and table[slot] == key:
            if key2 < LONG:
                return slot
            at = U8(offsets[table[slot + TWO]])
            length = key2 & ~LONG
            same = True
            for k in range(length):
                if blob[at + U8(k)] != text[start + U8(k)]:
                    same = False
                    break
            if same:
                return slot
        slot = (slot + FOUR) & last


@inline
def insert(slot, key, key2, word, text, start, length, table, blob, offsets):
    """Put a new word with count 0 into a free slot; there must be room."""
    at = U8(offsets[word])
    for k in range(length):
        blob[at + U8(k)] = text[start + U8(k)]
    offsets[word + 1] = offsets[word] + np.int64(length)
    table[slot] = key
    table[slot + ONE] = key2
    table[slot + TWO] = U8(word)
    table[slot + THREE] = ZERO


@kernel("i8(const u1[:], u8, u8[:], u8, u1[:], i8[:], i4[:], i8[:], b1)")
def tokenise(text, size, table, shift, blob, offsets, ids, state, frozen):
    """Count the words of text[:size] and write their ids, and -1 at line ends after a word, into `ids`.

    16 bytes of white space must follow text[:size]. `state` is (number of words, position, ids written), updated.
    `frozen`: the table is not changed and words that it lacks get no id. Return DONE, TABLE_FULL or IDS_FULL; after
    making room, the caller calls again.
    """
    words = state[0]
    position = U8(state[1])
    written = state[2]
    room_words = offsets.size - 1
    room_ids = ids.size - 2
    status = DONE
    while position < size:
        if written > room_ids:
            status = IDS_FULL
            break
        block = load8(text, position)
        marks = low_bytes(block)
        length = ZERO
        key = block
        key2 = ZERO
        if marks != ZERO:
            inside = ((marks & (~marks + ONE)) >> SEVEN) - ONE  # the bytes before the lowest mark
            length = ((inside & LOW_BITS) * LOW_BITS) >> BITS_56
            key = block & inside
            key2 = length << BITS_56
        else:
            block = load8(text, position + EIGHT)
            marks = low_bytes(block)
            length = SIXTEEN
            if marks != ZERO:
                inside = ((marks & (~marks + ONE)) >> SEVEN) - ONE
                length = EIGHT + (((inside & LOW_BITS) * LOW_BITS) >> BITS_56)
                key2 = (block & inside) | (length << BITS_56)
        end = U8(text[position + length])
        if length == SIXTEEN or not is_space(end):
            # a long word, or one with control characters
            while not is_space(U8(text[position + length])):
                length += ONE
            end = U8(text[position + length])
            key = first_key(text, position, length)
            key2 = second_key(text, position, length)
        if length != ZERO:
            slot = locate(key, key2, text, position, table, shift, blob, offsets)
            if frozen:
                if table[slot + ONE] != ZERO:
                    ids[written] = np.int32(table[slot + TWO])
                    written += 1
            else:
                if table[slot + ONE] == ZERO:
                    if words >= room_words or offsets[words] + np.int64(length) > blob.size:
                        status = TABLE_FULL
                        break
                    insert(slot, key, key2, words, text, position, length, table, blob, offsets)
                    words += 1
                ids[written] = np.int32(table[slot + TWO])
                written += 1
                table[slot + THREE] += ONE
            position += length
        if end == TEN and (written == 0 or ids[written - 1] != SENTENCE_END):
            ids[written] = SENTENCE_END
            written += 1
        position += ONE
    state[0] = words
    state[1] = np.int64(position)
    state[2] = written
    return status


@kernel("void(const u8[:], u8[:], u8)")
def rehash(old, table, shift):
    """Copy the slots of `old` into the larger, empty `table`."""
    last = U8(table.size) - FOUR
    for i in range(0, old.size, 4):
        at = U8(i)
        if old[at + ONE] != ZERO:
            slot = home(old[at], old[at + ONE], shift) << TWO
            while table[slot + ONE] != ZERO:
                slot = (slot + FOUR) & last
            for k in range(4):
                table[slot + U8(k)] = old[at + U8(k)]


@kernel("void(const u8[:], i8[:], u1[:])")
def read_table(table, counts, parts):
    """Write the count of every word, and a byte of its hash, into arrays indexed by id."""
    for i in range(0, table.size, 4):
        at = U8(i)
        if table[at + ONE] != ZERO:
            word = table[at + TWO]
            counts[word] = np.int64(table[at + THREE])
            parts[word] = np.uint8(home(table[at] * MIX_2, table[at + ONE], BITS_56))


@kernel("i8(const u1[:], const i8[:], const i8[:], u8[:], u8, u1[:], i8[:], i8)")
def add_words(words, starts, counts, table, shift, blob, offsets, size):
    """Add words with their counts to a table that has room; return the new number of words."""
    for i in range(counts.size):
        start = U8(starts[i])
        length = U8(starts[i + 1]) - start
        key = first_key(words, start, length)
        key2 = second_key(words, start, length)
        slot = locate(key, key2, words, start, table, shift, blob, offsets)
        if table[slot + ONE] == ZERO:
            insert(slot, key, key2, size, words, start, length, table, blob, offsets)
            size += 1
        table[slot + THREE] += U8(counts[i])
    return size


@kernel("void(const u1[:], const i8[:], const u8[:], u8, const u1[:], const i8[:], i4[:])")
def find_words(words, starts, table, shift, blob, offsets, found):
    """Write the id of every word, or -1 for a word that the table lacks."""
    for i in range(found.size):
        start = U8(starts[i])
        length = U8(starts[i + 1]) - start
        key = first_key(words, start, length)
        key2 = second_key(words, start, length)
        slot = locate(key, key2, words, start, table, shift, blob, offsets)
        found[i] = np.int32(table[slot + TWO]) if table[slot + ONE] != ZERO else np.int32(-1)


@kernel("void(const u1[:], const i8[:], const i8[:], u1[:], i8[:])")
def gather_words(blob, offsets, order, out, starts):
    """Copy the words `order` of a list one after another into `out`, their ends into `starts[1:]`."""
    at = 0
    for i in range(order.size):
        begin = offsets[order[i]]
        for k in range(offsets[order[i] + 1] - begin):
            out[U8(at + k)] = blob[U8(begin + k)]
        at += offsets[order[i] + 1] - begin
        starts[i + 1] = at


@kernel("void(const u1[:], const i8[:], i8, u8[:])")
def prefix_keys(blob, offsets, skip, keys):
    """Write 8 bytes of every word from byte `skip` on as big-endian numbers, so that they sort as bytes do."""
    for i in range(keys.size):
        key = ZERO
        begin = offsets[i] + skip
        for k in range(8):
            byte = U8(blob[U8(begin + k)]) if begin + k < offsets[i + 1] else ZERO
            key = (key << EIGHT) | byte
        keys[i] = key


@kernel("i8(i4[:], const i4[:], i4[:], i8, i8[:])")
def renumber(ids, numbers, out, last, tokens):
    """Replace ids through `numbers` and drop the unknown (-1) and the ends of empty sentences.

    `last` is what was written before (-1 at the start); `out` may be `ids` itself. `tokens` becomes (ids that are
    words, sentence ends, last id written). Return the number of ids written.
    """
    written = 0
    sentences = 0
    for i in range(ids.size):
        local = ids[U8(i)]
        number = np.int64(-1)
        if local >= 0:
            number = np.int64(numbers[U8(local)])
            if number < 0:
                continue
        elif last < 0:
            continue
        else:
            sentences += 1
        out[U8(written)] = np.int32(number)
        last = number
        written += 1
    tokens[0] = written - sentences
    tokens[1] = sentences
    tokens[2] = last
    return written


@kernel("i8(const u1[:], i8, i8, b1)")
def last_space(text, start, stop, newline):
    """Return the position of the last white space (or newline only) in text[start:stop], or -1."""
    i = stop - 1
    while i >= start:
        byte = U8(text[U8(i)])
        if byte == TEN or (not newline and is_space(byte)):
            return i
        i -= 1
    return np.int64(-1)


@kernel("i8(const u1[:], i8)")
def count_newlines(text, size):
    """Return the number of newlines in text[:size]."""
    lines = 0
    for i in range(size):
        lines += text[U8(i)] == np.uint8(10)
    return lines


@kernel("void(u1[:], i8)")
def lower_ascii(text, size):
    """Turn A-Z into a-z in text[:size]."""
    for i in range(size):
        byte = text[U8(i)]
        upper = byte >= np.uint8(65) and byte <= np.uint8(90)
        text[U8(i)] = byte | np.uint8(32) if upper else byte


@inline
def is_continuation(byte):
    """Say whether a byte can only be inside a UTF-8 sequence."""
    return (byte & U8(0xC0)) == U8(0x80)


@kernel("i8(const u1[:], u8)")
def check_utf8(text, size):
    """Return -2 for ASCII, -1 for other valid UTF-8, else the position near an invalid byte.

    16 bytes below 0x80 must follow text[:size].
    """
    i = ZERO
    result = np.int64(-2)
    while i < size:
        if load8(text, i) & HIGH_BITS == ZERO:
            i += EIGHT
            continue
        a = U8(text[i])
        if a < U8(0x80):
            i += ONE
            continue
        result = np.int64(-1)
        b = U8(text[i + ONE])
        if a < U8(0xC2) or a > U8(0xF4) or not is_continuation(b):
            return np.int64(i)
        if a < U8(0xE0):
            i += TWO
            continue
        if not is_continuation(U8(text[i + TWO])):
            return np.int64(i)
        if a < U8(0xF0):
            # no overlong forms, no surrogates
            if (a == U8(0xE0) and b < U8(0xA0)) or (a == U8(0xED) and b > U8(0x9F)):
                return np.int64(i)
            i += THREE
            continue
        if not is_continuation(U8(text[i + THREE])):
            return np.int64(i)
        if (a == U8(0xF0) and b < U8(0x90)) or (a == U8(0xF4) and b > U8(0x8F)):
            return np.int64(i)
        i += FOUR
    return result
