# mypy: ignore-errors
"""Encode: merge the symbols of distinct words, write them as text or ids, and put the words of a text together."""

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.bytes import copy16

NEWLINE = -1
MARK = -2
SPACES = -(1 << 30)

PIECES, IDS_TEXT, IDS_16, IDS_32 = 0, 1, 2, 3

NEVER = np.int64(1) << np.int64(62)
SHORT = 40  # symbols; longer words are merged with a heap
BLOCK = 512  # symbols: with dropout, longer words are merged in blocks of this size

U8 = np.uint64
# products of 32-bit halves never overflow, which plain numpy would warn of
FACTOR = np.uint64(0x9E3779B1)
SECOND_FACTOR = np.uint64(0x85EBCA77)
LOW = 0xFFFFFFFF
LOW_HALF = np.uint64(LOW)
HALF = np.uint64(32)


@kernel("void(const i4[:], const i4[:], const i8[:], i8[:], i8[:])")
def fill_merges(left, right, values, keys, found):
    """Enter merges into an open-addressed table (keys -1 when empty); the last of equal pairs counts."""
    mask = np.uint64(keys.shape[0] - 1)
    for k in range(left.shape[0]):
        key = (np.int64(left[k]) << 32) | np.int64(right[k])
        h = (np.uint64(left[k]) * FACTOR) ^ (np.uint64(right[k]) * SECOND_FACTOR)
        at = (h ^ (h >> HALF)) & mask
        while keys[at] != -1 and keys[at] != key:
            at = (at + np.uint64(1)) & mask
        keys[at] = key
        found[at] = values[k]


@inline
def merge_of(left, right, keys, found):
    """Return rank << 32 | new symbol of a pair, or NEVER."""
    if left < 0 or right < 0:
        return NEVER
    key = (np.int64(left) << 32) | np.int64(right)
    mask = np.uint64(keys.shape[0] - 1)
    h = (np.uint64(left) * FACTOR) ^ (np.uint64(right) * SECOND_FACTOR)
    at = (h ^ (h >> HALF)) & mask
    while True:
        if keys[at] == key:
            return found[at]
        if keys[at] == -1:
            return NEVER
        at = (at + np.uint64(1)) & mask


@inline
def code_point_at(text, i):
    """Return the code point at i and where the next one begins."""
    point = np.int64(text[i])
    if point < 0x80:
        return point, i + 1
    if point < 0xE0:
        return ((point & 0x1F) << 6) | (np.int64(text[i + 1]) & 0x3F), i + 2
    if point < 0xF0:
        point = ((point & 0x0F) << 12) | ((np.int64(text[i + 1]) & 0x3F) << 6)
        return point | (np.int64(text[i + 2]) & 0x3F), i + 3
    point = ((point & 0x07) << 18) | ((np.int64(text[i + 1]) & 0x3F) << 12)
    return point | ((np.int64(text[i + 2]) & 0x3F) << 6) | (np.int64(text[i + 3]) & 0x3F), i + 4


@inline
def spell(arena, start, stop, by_bytes, plain, final, first, closing, fallback, symbols, begins):
    """Write the symbols of a word and where each begins (relative to `start`); return how many.

    `first`, `closing`: symbols without characters at the beginning and end, or -1. `fallback`: symbols of bytes for
    unknown characters (empty: none).
    """
    count = 0
    if first >= 0:
        symbols[0] = first
        begins[0] = 0
        count = 1
    i = start
    while i < stop:
        here = i
        if by_bytes:
            point = np.int64(arena[i])
            i += 1
        else:
            point, i = code_point_at(arena, i)
        symbol = final[point] if i == stop else plain[point]
        if symbol < 0 and fallback.shape[0] > 0:
            for k in range(here, i):
                symbols[count] = fallback[arena[k]]
                begins[count] = k - start
                count += 1
        else:
            symbols[count] = symbol
            begins[count] = here - start
            count += 1
    if closing >= 0:
        symbols[count] = closing
        begins[count] = stop - start
        count += 1
    begins[count] = stop - start
    return count


@inline
def merge_short(symbols, begins, values, count, keys, found):
    """Merge the best pair, the leftmost of equals, until none is left; return how many symbols remain."""
    for k in range(count - 1):
        values[k] = merge_of(symbols[k], symbols[k + 1], keys, found)
    while count > 1:
        best = NEVER
        at = 0
        for k in range(count - 1):
            # ranks differ or the merge is the same: the upper half decides
            if values[k] < best and (values[k] >> 32) != (best >> 32):
                best = values[k]
                at = k
        if best == NEVER:
            break
        symbols[at] = best & LOW
        for k in range(at + 1, count - 1):
            symbols[k] = symbols[k + 1]
            begins[k] = begins[k + 1]
            values[k - 1] = values[k]
        begins[count - 1] = begins[count]
        count -= 1
        if at > 0:
            values[at - 1] = merge_of(symbols[at - 1], symbols[at], keys, found)
        if at < count - 1:
            values[at] = merge_of(symbols[at], symbols[at + 1], keys, found)
    return count


@inline
def heap_push(heap, size, value):
    """Enter a value into a heap with the least on top."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent] <= value:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = value


@inline
def heap_pop(heap, size):
    """Remove the top of a heap of `size` values."""
    value = heap[size - 1]
    size -= 1
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = value


@inline
def merge_long(symbols, begins, count, keys, found):
    """Merge as `merge_short` does, in time n log n; return how many symbols remain."""
    heap = np.empty(3 * count, np.int64)
    after = np.empty(count + 1, np.int32)
    prior = np.empty(count + 1, np.int32)
    size = 0
    for k in range(count):
        after[k] = k + 1
        prior[k] = k - 1
        if k + 1 < count:
            value = merge_of(symbols[k], symbols[k + 1], keys, found)
            if value != NEVER:
                heap_push(heap, size, ((value >> 32) << 32) | k)
                size += 1
    while size > 0:
        top = heap[0]
        heap_pop(heap, size)
        size -= 1
        k = top & LOW
        right = np.int64(after[k])
        if symbols[k] == -2 or right >= count:
            continue
        value = merge_of(symbols[k], symbols[right], keys, found)
        if value == NEVER or (value >> 32) != (top >> 32):
            continue
        symbols[k] = value & LOW
        symbols[right] = -2
        next_one = np.int64(after[right])
        after[k] = next_one
        if next_one < count:
            prior[next_one] = k
            value = merge_of(symbols[k], symbols[next_one], keys, found)
            if value != NEVER:
                heap_push(heap, size, ((value >> 32) << 32) | k)
                size += 1
        left = np.int64(prior[k])
        if left >= 0:
            value = merge_of(symbols[left], symbols[k], keys, found)
            if value != NEVER:
                heap_push(heap, size, ((value >> 32) << 32) | left)
                size += 1
    kept = 0
    for k in range(count):
        if symbols[k] != -2:
            symbols[kept] = symbols[k]
            begins[kept] = begins[k]
            kept += 1
    begins[kept] = begins[count]
    return kept


@inline
def scrambled(z):
    """Mix the bits of a 64-bit number, twice."""
    z = ((z & LOW_HALF) * FACTOR) ^ ((z >> HALF) * SECOND_FACTOR)
    z ^= (z >> np.uint64(29)) ^ (z << np.uint64(25))
    z = ((z & LOW_HALF) * SECOND_FACTOR) ^ ((z >> HALF) * FACTOR)
    return z ^ (z >> np.uint64(32)) ^ (z << np.uint64(27))


@inline
def start_random(rng, seed, line, word):
    """Start the random numbers of one word."""
    z = scrambled(seed ^ np.uint64(0x9E3779B97F4A7C15))
    z = scrambled(z ^ np.uint64(line))
    z = scrambled(z ^ np.uint64(word))
    rng[0] = z if z != np.uint64(0) else np.uint64(1)


@inline
def next_random(rng):
    """Return a number in [0, 1): Marsaglia's xorshift64, whose state is the array of one value."""
    x = rng[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    rng[0] = x
    return np.float64(x >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inline
def merge_dropout(symbols, begins, first, count, dropout, rng, keys, found):
    """Merge symbols[first:count] with every possible merge left out with probability `dropout` at each step.

    Returns the new `count`; what stood behind is not moved.
    """
    while count - first > 1:
        best = NEVER
        at = first
        for k in range(first, count - 1):
            value = merge_of(symbols[k], symbols[k + 1], keys, found)
            taken = value != NEVER and next_random(rng) >= dropout
            if taken and (best == NEVER or (value >> 32) < (best >> 32)):
                best = value
                at = k
        if best == NEVER:
            break
        symbols[at] = best & LOW
        for k in range(at + 1, count - 1):
            symbols[k] = symbols[k + 1]
            begins[k] = begins[k + 1]
        count -= 1
    return count


@inline
def write_number(value, out, at):
    """Write a number in decimal digits; return the place behind it."""
    digits = 1
    bound = np.int64(10)
    while value >= bound:
        bound *= 10
        digits += 1
    for k in range(digits - 1, -1, -1):
        out[at + k] = 48 + value % 10
        value //= 10
    return at + digits


@inline
def write_id(value, mode, out, at, begin):
    """Write one id behind what this word has written from `begin` on."""
    if mode == IDS_TEXT:
        if at > begin:
            out[at] = 32
            at += 1
        return write_number(value, out, at)
    out[at] = value & 0xFF
    out[at + 1] = (value >> 8) & 0xFF
    if mode == IDS_16:
        return at + 2
    out[at + 2] = (value >> 16) & 0xFF
    out[at + 3] = (value >> 24) & 0xFF
    return at + 4


@inline
def write_word(arena, start, symbols, begins, count, mode, unknown, fuse, closing, spelled, marker, out, at):
    """Write a merged word; return the place behind it, or -1 for a symbol that has no id.

    `spelled`: rows of length and text of each byte. `marker`: lengths and texts of what stands before a word, behind
    a piece that is not the last, and behind the last.
    """
    begin = at
    if mode != PIECES:
        last_unknown = False
        for k in range(count):
            value = np.int64(symbols[k])
            if value < 0:
                if unknown < 0:
                    return np.int64(-1)
                if fuse and last_unknown:
                    continue
                value = unknown
            last_unknown = symbols[k] < 0
            at = write_id(value, mode, out, at, begin)
        return at
    if closing >= 0 and count > 1 and begins[count - 1] == begins[count]:
        count -= 1
    for k in range(count):
        if k > 0:
            out[at] = 32
            at += 1
        else:
            for i in range(marker[0, 0]):
                out[at] = marker[0, 1 + i]
                at += 1
        for i in range(start + begins[k], start + begins[k + 1]):
            b = arena[i]
            for j in range(spelled[b, 0]):
                out[at] = spelled[b, 1 + j]
                at += 1
        row = 2 if k == count - 1 else 1
        for i in range(marker[row, 0]):
            out[at] = marker[row, 1 + i]
            at += 1
    return at


@kernel(
    "i8(const u1[:], const i8[:], i8, i8, b1, const i4[:], const i4[:], i8, i8, const i4[:], const i8[:],"
    " const i8[:], i8, i8, b1, const u1[:,:], const u1[:,:], u1[:], i8[:])"
)
def encode_words(
    arena, starts, first_word, last_word, by_bytes, plain, final, first, closing, fallback, keys, found, mode,
    unknown, fuse, spelled, marker, out, out_starts,
):  # fmt: skip
    """Encode words first_word..last_word - 1 into `out` from out_starts[first_word] on.

    Returns -1, or the number of a word with a character that has no id.
    """
    longest = np.int64(0)
    for word in range(first_word, last_word):
        longest = max(longest, starts[word + 1] - starts[word])
    symbols = np.empty(longest + 3, np.int32)
    begins = np.empty(longest + 3, np.int32)
    values = np.empty(SHORT + 3, np.int64)
    at = out_starts[first_word]
    for word in range(first_word, last_word):
        start = starts[word]
        count = spell(
            arena, start, starts[word + 1], by_bytes, plain, final, first, closing, fallback, symbols, begins
        )
        if count <= SHORT:
            count = merge_short(symbols, begins, values, count, keys, found)
        else:
            count = merge_long(symbols, begins, count, keys, found)
        at = write_word(
            arena, start, symbols, begins, count, mode, unknown, fuse, closing, spelled, marker, out, at
        )
        if at < 0:
            return np.int64(word)
        out_starts[word + 1] = at
    return np.int64(-1)


@kernel("i8(const i4[:], const i8[:], const i8[:], i8)")
def measure_items(items, starts, special_starts, joint):
    """Return how many bytes `join_items` writes; `joint` bytes stand between the words of a line."""
    total = np.int64(0)
    for k in range(items.shape[0]):
        item = np.int64(items[k])
        if item >= 0:
            total += starts[item + 1] - starts[item] + joint
        elif item == NEWLINE:
            total += 1
        elif item <= SPACES:
            total += SPACES - item
        else:
            total += special_starts[MARK - item + 1] - special_starts[MARK - item] + joint
    return total


@kernel("i8(const i4[:], const u1[:], const i8[:], const u1[:], const i8[:], b1, b1, u1[:])")
def join_items(items, words, starts, specials, special_starts, as_text, keep_spaces, out):
    """Write the encoded words of the items; as text, with a space between them and newlines; return the length.

    `words` and `out` have 16 bytes to spare: most words are shorter, and are copied at once.
    """
    at = np.int64(0)
    inside = False  # behind a word of the line
    for k in range(items.shape[0]):
        item = np.int64(items[k])
        if item >= 0:
            if inside and as_text:
                out[at] = 32
                at += 1
            begin = starts[item]
            length = starts[item + 1] - begin
            if length <= 16:
                copy16(words, U8(begin), out, U8(at))
            else:
                for i in range(length):
                    out[at + i] = words[begin + i]
            at += length
            inside = True
        elif item == NEWLINE:
            if as_text:
                out[at] = 10
                at += 1
            inside = False
        elif item <= SPACES:
            if keep_spaces:
                for _ in range(SPACES - item):
                    out[at] = 32
                    at += 1
        else:
            if inside and as_text:
                out[at] = 32
                at += 1
            for i in range(special_starts[MARK - item], special_starts[MARK - item + 1]):
                out[at] = specials[i]
                at += 1
            inside = True
    return at


@kernel(
    "i8(const i4[:], i8, f8, u8, i8[:], const u1[:], const i8[:], b1, const i4[:], const i4[:], i8, i8, const i4[:],"
    " const i8[:], const i8[:], i8, i8, b1, const u1[:,:], const u1[:,:], i4[:], u1[:], i8[:])"
)
def encode_items_with_dropout(
    items, stop, dropout, seed, place, arena, starts, by_bytes, plain, final, first, closing, fallback, keys, found,
    mode, unknown, fuse, spelled, marker, numbers, out, out_starts,
):  # fmt: skip
    """Encode every occurrence of a word anew; numbers[k] becomes the item's place among the encoded ones.

    Each word has its own random numbers, made from the seed, its line and its number in the line: place[0] and
    place[1], which go on. Returns -1, or the number of a word with a character that has no id.
    """
    longest = np.int64(0)
    for k in range(stop):
        if items[k] >= 0:
            longest = max(longest, starts[items[k] + 1] - starts[items[k]])
    symbols = np.empty(longest + 3, np.int32)
    begins = np.empty(longest + 3, np.int32)
    rng = np.zeros(1, np.uint64)
    at = np.int64(0)
    made = 0
    for k in range(stop):
        word = np.int64(items[k])
        numbers[k] = word
        if word == NEWLINE:
            place[0] += 1
            place[1] = 0
        if word < 0:
            continue
        start_random(rng, seed, place[0], place[1])
        place[1] += 1
        start = starts[word]
        total = spell(
            arena, start, starts[word + 1], by_bytes, plain, final, first, closing, fallback, symbols, begins
        )
        count = 0
        done = 0
        end = begins[total]
        while done < total:
            size = min(BLOCK, total - done)
            for i in range(size):
                symbols[count + i] = symbols[done + i]
                begins[count + i] = begins[done + i]
            done += size
            count = merge_dropout(symbols, begins, count, count + size, dropout, rng, keys, found)
        begins[count] = end
        at = write_word(
            arena, start, symbols, begins, count, mode, unknown, fuse, closing, spelled, marker, out, at
        )
        if at < 0:
            return word
        numbers[k] = made
        made += 1
        out_starts[made] = at
    return np.int64(-1)
