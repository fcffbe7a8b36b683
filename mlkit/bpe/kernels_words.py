# mypy: ignore-errors
"""Cut text into words and number them: GPT-2's pre-tokenizer as a state machine, words between spaces, a hash table.

What the cutters write is a row of items: a word's number (from 0), `NEWLINE`, `MARK - k` for the k-th special token,
or `SPACES - n` for n spaces at the start or the end of a line.

Words live in an arena: word w is arena[starts[w]:starts[w + 1]]. The hash table is open addressed; a slot holds
the upper half of the hash and the number of the word plus 1.
"""

import numpy as np

from mlkit.jit import inline, kernel

NEWLINE = -1
MARK = -2
SPACES = -(1 << 30)

DOCUMENT, WITH_NEWLINE, WITHOUT_NEWLINE = 0, 1, 2
CHARS, METASPACE = 0, 1

SPACE = 3  # the class of white space in unicode_classes

SEED = np.uint64(0x9E3779B97F4A7C15)
# products of 32-bit halves never overflow, which plain numpy would warn of
FACTOR = np.uint64(0x9E3779B1)
SECOND_FACTOR = np.uint64(0x85EBCA77)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


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
def mixed(h):
    """Mix the bits of a 64-bit number."""
    h = ((h & LOW) * FACTOR) ^ ((h >> HALF) * SECOND_FACTOR)
    return h ^ (h >> HALF) ^ (h << np.uint64(27))


@inline
def hash_of(text, start, stop):
    """Return a 64-bit hash of text[start:stop], eight bytes at a time."""
    h = SEED ^ np.uint64(stop - start)
    i = start
    while i + 8 <= stop:
        block = (
            np.uint64(text[i])
            | (np.uint64(text[i + 1]) << np.uint64(8))
            | (np.uint64(text[i + 2]) << np.uint64(16))
            | (np.uint64(text[i + 3]) << np.uint64(24))
            | (np.uint64(text[i + 4]) << np.uint64(32))
            | (np.uint64(text[i + 5]) << np.uint64(40))
            | (np.uint64(text[i + 6]) << np.uint64(48))
            | (np.uint64(text[i + 7]) << np.uint64(56))
        )
        h = mixed(h ^ block)
        i += 8
    block = np.uint64(0)
    while i < stop:
        block = (block << np.uint64(8)) | np.uint64(text[i])
        i += 1
    return mixed(h ^ block)


@inline
def number_of(text, start, stop, slots, arena, starts, state):
    """Return the number of the word text[start:stop], a new one if it was not met before, or -1 if it has no room."""
    h = hash_of(text, start, stop)
    mask = np.uint64(slots.shape[0] - 1)
    tag = h & ~LOW
    at = h & mask
    length = stop - start
    while True:
        slot = slots[at]
        if slot == np.uint64(0):
            break
        if (slot & ~LOW) == tag:
            word = np.int64(slot & LOW) - 1
            begin = starts[word]
            if starts[word + 1] - begin == length:
                same = True
                for k in range(length):
                    if arena[begin + k] != text[start + k]:
                        same = False
                        break
                if same:
                    return word
        at = (at + np.uint64(1)) & mask
    word = state[0]
    begin = starts[word]
    if 2 * (word + 1) > slots.shape[0] or word + 2 > starts.shape[0] or begin + length > arena.shape[0]:
        return np.int64(-1)
    for k in range(length):
        arena[begin + k] = text[start + k]
    starts[word + 1] = begin + length
    slots[at] = tag | np.uint64(word + 1)
    state[0] = word + 1
    return word


@kernel("void(u8[:], const u1[:], const i8[:], i8)")
def refill(slots, arena, starts, words):
    """Enter the words into a larger, empty table."""
    mask = np.uint64(slots.shape[0] - 1)
    for word in range(words):
        h = hash_of(arena, starts[word], starts[word + 1])
        at = h & mask
        while slots[at] != np.uint64(0):
            at = (at + np.uint64(1)) & mask
        slots[at] = (h & ~LOW) | np.uint64(word + 1)


@kernel("i8(const u1[:], const i8[:,:], i8, const u1[:], u8[:], u1[:], i8[:], i8[:], i4[:])")
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
        stop = word_end(text, i, limit, newline, classes)
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


@kernel("i8(const u1[:], const i8[:,:], i8, u8[:], u1[:], i8[:], i8[:], i4[:])")
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
        stop = begin
        while stop < limit:
            c = text[stop]
            if c == 32 or c == 10:
                break
            if kind == METASPACE and c == 0xE2 and stop + 2 < limit:
                if text[stop + 1] == 0x96 and text[stop + 2] == 0x81:
                    break
            stop += 1
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


@kernel("void(const u1[:], const i8[:], const i8[:], i8, u8[:], u1[:], i8[:], i8[:], i8[:])")
def add_words(words, offsets, counts, size, slots, arena, starts, state, totals):
    """Enter `size` words with their counts into a table with room: word w is words[offsets[w]:offsets[w + 1]]."""
    for w in range(size):
        number = number_of(words, offsets[w], offsets[w + 1], slots, arena, starts, state)
        totals[number] += counts[w]
