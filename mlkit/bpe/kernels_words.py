# mypy: ignore-errors
"""Cut text into words and number them: GPT-2's pre-tokenizer as a state machine, words between spaces, a hash table.

What the cutters write is a row of items: a word's number (from 0), `NEWLINE`, `MARK - k` for the k-th special token,
or `SPACES - n` for n spaces at the start or the end of a line.

Words live in an arena: word w is arena[starts[w]:starts[w + 1]]. The hash table is open addressed; a slot holds the
first 8 bytes of a word, and above its number (plus 1) its length and some of the hash of the other bytes: a word of
up to 8 bytes is found without a look at the arena.
"""

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.bytes import first_mark, load8, mixed

NEWLINE = -1
MARK = -2
SPACES = -(1 << 30)

DOCUMENT, WITH_NEWLINE, WITHOUT_NEWLINE = 0, 1, 2
CHARS, METASPACE = 0, 1

SPACE = 3  # the class of white space in unicode_classes

U8 = np.uint64
HIGH_BITS = U8(0x8080808080808080)
NUMBER_BITS = U8(28)
NUMBERS = U8((1 << 28) - 1)
ALL = U8(0xFFFFFFFFFFFFFFFF)


@inline
def class_at(text, i, classes):
    """Return class + 8 * length in bytes of the character at i; `classes` is indexed by code point."""
    b = np.int64(text[i])
    if b < 0x80:
        return np.int64(classes[b]) + 8
    if b < 0xE0:
        return np.int64(classes[((b & 0x1F) << 6) | (np.int64(text[i + 1]) & 0x3F)]) + 16
    if b < 0xF0:
        point = ((b & 0x0F) << 12) | ((np.int64(text[i + 1]) & 0x3F) << 6) | (np.int64(text[i + 2]) & 0x3F)
        return np.int64(classes[point]) + 24
    point = ((b & 0x07) << 18) | ((np.int64(text[i + 1]) & 0x3F) << 12)
    point |= ((np.int64(text[i + 2]) & 0x3F) << 6) | (np.int64(text[i + 3]) & 0x3F)
    return np.int64(classes[point]) + 32


@inline
def run_of(text, i, limit, kind, classes):
    """Return where the run of characters of one class that begins at i ends."""
    while i < limit:
        b = np.int64(text[i])
        if b < 0x80:
            if np.int64(classes[b]) != kind:
                break
            i += 1
        else:
            found = class_at(text, i, classes)
            if (found & 7) != kind:
                break
            i += found >> 3
    return i


@inline
def contraction_at(text, i, limit):
    """Return the length of 's 't 'm 'd 're 've 'll at i, or 0."""
    if i + 1 >= limit:
        return 0
    b = text[i + 1]
    if b == 115 or b == 116 or b == 109 or b == 100:
        return 2
    if i + 2 >= limit:
        return 0
    c = text[i + 2]
    if (b == 114 and c == 101) or (b == 118 and c == 101) or (b == 108 and c == 108):
        return 3
    return 0


@inline
def space_end(text, i, limit, newline, classes):
    """Return where the white space at i ends; a newline closes the text unless it is one document."""
    while i < limit:
        found = class_at(text, i, classes)
        if (found & 7) != SPACE:
            break
        if text[i] == 10 and newline != DOCUMENT:
            if newline == WITH_NEWLINE:
                i += 1
            return i, True
        i += found >> 3
    return i, i == limit


@inline
def word_end(text, i, limit, newline, classes):
    """Return where the word of GPT-2's expression that begins at i ends."""
    found = class_at(text, i, classes)
    kind = found & 7
    if kind != SPACE:
        if text[i] == 39:
            length = contraction_at(text, i, limit)
            if length:
                return i + length
        return run_of(text, i + (found >> 3), limit, kind, classes)
    if text[i] == 32 and i + 1 < limit:
        after = class_at(text, i + 1, classes)
        if (after & 7) != SPACE:
            return run_of(text, i + 1 + (after >> 3), limit, after & 7, classes)
    stop, closed = space_end(text, i, limit, newline, classes)
    if closed:
        return stop
    # the last white space stays for the word behind it, unless it stands alone
    last = stop - 1
    while (text[last] & 0xC0) == 0x80:
        last -= 1
    return stop if last == i else last


@inline
def letters_at(text, i):
    """Return how many of the 8 bytes from i on are ASCII letters before the first other byte."""
    block = load8(text, U8(i))
    folded = (block | U8(0x2020202020202020)) & U8(0x7F7F7F7F7F7F7F7F)
    from_a = folded + U8(0x1F1F1F1F1F1F1F1F)
    past_z = folded + U8(0x0505050505050505)
    return first_mark((~from_a | past_z | block) & HIGH_BITS)


@inline
def letter_run(text, i, size):
    """Return where the run of ASCII letters at i ends."""
    while i + 8 <= size:
        found = letters_at(text, i)
        i += found
        if found < 8:
            return i
    while i < size and (65 <= text[i] <= 90 or 97 <= text[i] <= 122):
        i += 1
    return i


@inline
def space_or_newline(text, i, limit):
    """Return where the next space or newline stands, or `limit`."""
    while i + 8 <= limit:
        block = load8(text, U8(i))
        spaces = block ^ U8(0x2020202020202020)
        newlines = block ^ U8(0x0A0A0A0A0A0A0A0A)
        low = U8(0x7F7F7F7F7F7F7F7F)
        spaces = ~(((spaces & low) + low) | spaces)
        newlines = ~(((newlines & low) + low) | newlines)
        found = first_mark((spaces | newlines) & HIGH_BITS)
        i += found
        if found < 8:
            return i
    while i < limit and text[i] != 32 and text[i] != 10:
        i += 1
    return i


@inline
def first_bytes(text, start, stop):
    """Return the first 8 bytes (fewer in a shorter word) as a number."""
    if start + 8 <= text.shape[0]:
        block = load8(text, U8(start))
        if stop - start >= 8:
            return block
        return block & ((U8(1) << U8(8 * (stop - start))) - U8(1))
    block = U8(0)
    for k in range(min(np.int64(8), stop - start)):
        block |= U8(text[start + k]) << U8(8 * k)
    return block


@inline
def rest_of(text, start, stop):
    """Return a hash of the bytes behind the first 8 of a longer word."""
    h = U8(stop - start)
    i = start + 8
    while i + 8 < stop:
        h = mixed(h ^ load8(text, U8(i)))
        i += 8
    return mixed(h ^ load8(text, U8(stop - 8)))


@inline
def same_rest(text, start, stop, arena, begin):
    """Say whether a longer word stands in the arena at `begin`; its first 8 bytes are known to."""
    i = start + 8
    while i + 8 < stop:
        if load8(text, U8(i)) != load8(arena, U8(begin + i - start)):
            return False
        i += 8
    return load8(text, U8(stop - 8)) == load8(arena, U8(begin + stop - start - 8))


@inline
def key_and_mark(text, start, stop):
    """Return a word's first bytes, its place in any table, and the mark that stands over its number in a slot."""
    key = first_bytes(text, start, stop)
    length = stop - start
    mark = U8(min(length, np.int64(255)))
    h = key ^ (mark << U8(52))
    if length > 8:
        rest = rest_of(text, start, stop)
        h ^= rest
        mark |= (rest >> U8(36)) << U8(8)
    return key, mixed(h), mark


@inline
def number_of(text, start, stop, slots, arena, starts, state):
    """Return the number of the word text[start:stop], a new one if it was not met before, or -1 if it has no room."""
    key, h, mark = key_and_mark(text, start, stop)
    last = U8(slots.shape[0] - 1)
    at = h & last
    while True:
        found = slots[at, 1]
        if found == U8(0):
            break
        if slots[at, 0] == key and (found >> NUMBER_BITS) == mark:
            word = np.int64(found & NUMBERS) - 1
            if stop - start <= 8 or (
                starts[word + 1] - starts[word] == stop - start
                and same_rest(text, start, stop, arena, starts[word])
            ):
                return word
        at = (at + U8(1)) & last
    word = state[0]
    begin = starts[word]
    length = stop - start
    if 2 * (word + 1) > slots.shape[0] or word + 2 > starts.shape[0] or begin + length > arena.shape[0]:
        return np.int64(-1)
    for k in range(length):
        arena[begin + k] = text[start + k]
    starts[word + 1] = begin + length
    slots[at, 0] = key
    slots[at, 1] = (mark << NUMBER_BITS) | U8(word + 1)
    state[0] = word + 1
    return word


@inline
def short_word(text, start, stop, slots):
    """Return the number of a word of up to 8 bytes that its first slot holds, or -1: small enough to become no call.

    Eight bytes of text stand from `start` on.
    """
    length = U8(stop - start)
    key = load8(text, U8(start)) & (ALL >> (U8(64) - (length << U8(3))))
    at = mixed(key ^ (length << U8(52))) & U8(slots.shape[0] - 1)
    found = slots[at, 1]
    if slots[at, 0] == key and (found >> NUMBER_BITS) == length:
        return np.int64(found & NUMBERS) - 1
    return np.int64(-1)


@kernel("void(u8[:,:], const u1[:], const i8[:], i8)")
def refill(slots, arena, starts, words):
    """Enter the words into a larger, empty table."""
    last = U8(slots.shape[0] - 1)
    for word in range(words):
        key, h, mark = key_and_mark(arena, starts[word], starts[word + 1])
        at = h & last
        while slots[at, 1] != U8(0):
            at = (at + U8(1)) & last
        slots[at, 0] = key
        slots[at, 1] = (mark << NUMBER_BITS) | U8(word + 1)


@kernel("i8(const u1[:], const i8[:,:], i8, const u1[:], u8[:,:], u1[:], i8[:], i8[:], i4[:])")
def gpt2_items(text, marks, newline, classes, slots, arena, starts, state, items):
    """Cut text by GPT-2's expression into `items` and return how many.

    `marks`: rows (start, stop, special), ascending: special tokens, which cut the text. `newline`: how lines end.
    state: words, place in text, items, place in marks, flag. The kernel returns early, with the place in state[1],
    when the table has no room for another word.
    """
    size = text.shape[0]
    i = state[1]
    count = state[2]
    mark = state[3]
    while i < size:
        limit = size
        if mark < marks.shape[0]:
            limit = marks[mark, 0]
            if i == limit:
                items[count] = MARK - marks[mark, 2]
                count += 1
                i = marks[mark, 1]
                mark += 1
                continue
        if newline == WITHOUT_NEWLINE and text[i] == 10:
            items[count] = NEWLINE
            count += 1
            i += 1
            continue
        # most words: ASCII letters, with or without a space before them
        begin = i + 1 if text[i] == 32 else i
        stop = begin + letters_at(text, begin) if begin + 8 <= limit else begin + 8
        if stop == begin + 8:
            stop = letter_run(text, begin, limit)
        if stop == begin or (stop < limit and text[stop] >= 0x80):
            stop = word_end(text, i, limit, newline, classes)
        word = short_word(text, i, stop, slots) if stop - i <= 8 and i + 8 <= size else np.int64(-1)
        if word < 0:
            word = number_of(text, i, stop, slots, arena, starts, state)
        if word < 0:
            break
        items[count] = word
        count += 1
        i = stop
    state[1] = i
    state[2] = count
    state[3] = mark
    return count


@kernel("i8(const u1[:], const i8[:,:], i8, u8[:,:], u1[:], i8[:], i8[:], i4[:])")
def space_items(text, marks, kind, slots, arena, starts, state, items):
    """Cut text at spaces into `items` and return how many.

    CHARS: words are what stands between spaces; spaces at both ends of a line are items. METASPACE: a word begins
    with every space (or ▁), which is not part of it, and with every line or text behind a special token.
    state: as for `gpt2_items`.
    """
    size = text.shape[0]
    i = state[1]
    count = state[2]
    mark = state[3]
    fresh = state[4] == 0  # at the start of a line
    while i < size:
        limit = size
        if mark < marks.shape[0]:
            limit = marks[mark, 0]
            if i == limit:
                items[count] = MARK - marks[mark, 2]
                count += 1
                i = marks[mark, 1]
                mark += 1
                fresh = kind == METASPACE
                continue
        b = text[i]
        if b == 10:
            items[count] = NEWLINE
            count += 1
            i += 1
            fresh = True
            continue
        begin = i
        if kind == METASPACE:
            if b == 32:
                begin = i + 1
            elif b == 0xE2 and i + 2 < limit and text[i + 1] == 0x96 and text[i + 2] == 0x81:
                begin = i + 3
        elif b == 32:
            stop = i
            while stop < limit and text[stop] == 32:
                stop += 1
            if fresh or stop == size or text[stop] == 10:
                items[count] = SPACES - (stop - i)
                count += 1
            i = stop
            fresh = False
            continue
        stop = space_or_newline(text, begin, limit)
        if kind == METASPACE:
            for k in range(begin, stop - 2):
                if text[k] == 0xE2 and text[k + 1] == 0x96 and text[k + 2] == 0x81:
                    stop = k
                    break
        word = np.int64(-1)
        if begin < stop <= begin + 8 <= size:
            word = short_word(text, begin, stop, slots)
        if word < 0:
            word = number_of(text, begin, stop, slots, arena, starts, state)
        if word < 0:
            break
        items[count] = word
        count += 1
        i = stop
        fresh = False
    state[1] = i
    state[2] = count
    state[3] = mark
    state[4] = 0 if fresh else 1
    return count


@kernel("void(const i4[:], i8, i8[:], i8)")
def add_counts(items, used, counts, weight):
    """Add `weight` to the count of every word among the items."""
    for k in range(used):
        if items[k] >= 0:
            counts[items[k]] += weight


@kernel("void(const u1[:], const i8[:], const i8[:], i8, u8[:,:], u1[:], i8[:], i8[:], i8[:])")
def add_words(words, offsets, counts, size, slots, arena, starts, state, totals):
    """Enter `size` words with their counts into a table with room: word w is words[offsets[w]:offsets[w + 1]]."""
    for w in range(size):
        number = number_of(words, offsets[w], offsets[w + 1], slots, arena, starts, state)
        totals[number] += counts[w]
