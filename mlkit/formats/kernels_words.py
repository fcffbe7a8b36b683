# mypy: ignore-errors
"""Language-model text: words to numbers, ARPA and count lines.

Words are found by open addressing over 64-bit keys of their bytes.

A key holds the bytes of a word of up to 8 bytes exactly (its length is compared as well); longer words are
compared byte by byte.
"""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel

U8 = np.uint64
ZERO, ONE, THREE, SEVEN, EIGHT = U8(0), U8(1), U8(3), U8(7), U8(8)
SHIFT = U8(32)
MIX, MIX_LENGTH = U8(0xD6E8FEB86659FD93), U8(0x9E3779B97F4A7C15)
LARGE = 10**17
TEN, THOUSAND, MILLION, ZERO_DIGIT, BYTE = U8(10), U8(1000), U8(1000000), U8(48), U8(255)
# the digits of 000 to 999
TRIPLES = np.array([48 + i // 10**k % 10 for i in range(1000) for k in (2, 1, 0)], np.uint8)
POWERS = 10.0 ** np.arange(23)
NEWLINE, SPACE, TAB, RETURN = np.uint8(10), np.uint8(32), np.uint8(9), np.uint8(13)


@inline
def is_space(byte):
    """Say whether a byte is ASCII white space (NUL is data)."""
    return byte == SPACE or (byte >= TAB and byte <= RETURN)


@inline
def scramble(key):
    """Spread a key over all 64 bits."""
    key = (key ^ (key >> SHIFT)) * MIX
    return key ^ (key >> SHIFT)


@inline
def word_key(text, start, stop):
    """Return the key of the word text[start:stop]."""
    packed, mixed = ZERO, ZERO
    for i in range(stop - start):
        packed = (packed << EIGHT) | U8(text[U8(start + i)])
        if i & 7 == 7:
            mixed = scramble(mixed ^ packed)
            packed = ZERO
    return mixed ^ packed


@inline
def find_slot(text, start, length, key, slots, keys, starts, lengths, blob):
    """Return the slot of a word, or the empty one where it belongs."""
    mask = U8(slots.size - 1)
    slot = scramble(key + U8(length) * MIX_LENGTH) & mask
    while True:
        word = slots[slot]
        if word < 0:
            return slot
        if keys[word] == key and lengths[word] == length:
            same = True
            if length > 8:
                begin = starts[word]
                for i in range(length):
                    if blob[U8(begin + i)] != text[U8(start + i)]:
                        same = False
                        break
            if same:
                return slot
        slot = (slot + ONE) & mask


@kernel("void(const u1[:], i8, i8[:], i4[:], u8[:], i8[:], i4[:], i8[:], i4[:])")
def number_words(text, size, state, slots, keys, starts, lengths, counts, ids):
    """Number the words of text[:size] by first occurrence; -1 in `ids` ends a line.

    state: position, number of words, number of ids; returns early when the arrays of words are full. An
    unfinished last line is ended as well.
    """
    position, words, written = state[0], state[1], state[2]
    while position < size:
        byte = text[U8(position)]
        if byte == NEWLINE:
            ids[written] = -1
            written += 1
            position += 1
            continue
        if is_space(byte):
            position += 1
            continue
        start = position
        packed, mixed = ZERO, ZERO
        taken = 0
        while not is_space(byte):
            packed = (packed << EIGHT) | U8(byte)
            taken += 1
            if taken & 7 == 0:
                mixed = scramble(mixed ^ packed)
                packed = ZERO
            position += 1
            if position == size:
                break
            byte = text[U8(position)]
        key = mixed ^ packed
        slot = find_slot(text, start, np.int32(taken), key, slots, keys, starts, lengths, text)
        word = slots[slot]
        if word < 0:
            if words == keys.size:
                position = start
                break
            word = np.int32(words)
            slots[slot] = word
            keys[words] = key
            starts[words] = start
            lengths[words] = taken
            counts[words] = 0
            words += 1
        counts[word] += 1
        ids[written] = word
        written += 1
    if position == size and size > 0 and text[size - 1] != NEWLINE:
        ids[written] = -1
        written += 1
    state[0], state[1], state[2] = position, words, written


@kernel("void(i4[:], const u8[:], const i4[:], i8)")
def fill_slots(slots, keys, lengths, words):
    """Put `words` distinct words into empty slots."""
    mask = U8(slots.size - 1)
    for word in range(words):
        slot = scramble(keys[word] + U8(lengths[word]) * MIX_LENGTH) & mask
        while slots[slot] >= 0:
            slot = (slot + ONE) & mask
        slots[slot] = word


@kernel(
    "void(const u1[:], const i8[:], const i4[:], const u8[:], i4[:], u8[:], i8[:], i4[:], u1[:], i8[:], i4[:])"
)
def merge_words(text, starts, lengths, keys, slots, all_keys, all_starts, all_lengths, blob, state, numbers):
    """Add the words of a piece of text to a vocabulary with room; `numbers` becomes their ids there.

    state: number of words, bytes used. Every word in `blob` is followed by a newline.
    """
    words, used = state[0], state[1]
    for i in range(keys.size):
        slot = find_slot(text, starts[i], lengths[i], keys[i], slots, all_keys, all_starts, all_lengths, blob)
        word = slots[slot]
        if word < 0:
            word = np.int32(words)
            slots[slot] = word
            all_keys[words] = keys[i]
            all_starts[words] = used
            all_lengths[words] = lengths[i]
            for k in range(lengths[i]):
                blob[U8(used + k)] = text[U8(starts[i] + k)]
            used += lengths[i]
            blob[used] = NEWLINE
            used += 1
            words += 1
        numbers[i] = word
    state[0], state[1] = words, used


@kernel("void(const u1[:], const i8[:], u8[:], i4[:])")
def key_words(blob, starts, keys, lengths):
    """Compute keys and lengths of words that newlines end: word i is blob[starts[i] : starts[i + 1] - 1]."""
    for i in range(keys.size):
        length = starts[i + 1] - starts[i] - 1
        keys[i] = word_key(blob, starts[i], starts[i] + length)
        lengths[i] = length


@kernel("i8(const u1[:], i8, const i4[:], const u8[:], const i8[:], const i4[:], const u1[:], i4, i4[:])")
def look_up_text(text, size, slots, keys, starts, lengths, blob, unknown, ids):
    """Write the id of every word of text[:size], `unknown` for others, -1 at the ends of lines; return how many."""
    position, written = 0, 0
    while position < size:
        byte = text[U8(position)]
        if byte == NEWLINE:
            ids[written] = -1
            written += 1
            position += 1
            continue
        if is_space(byte):
            position += 1
            continue
        start = position
        packed, mixed = ZERO, ZERO
        taken = 0
        while not is_space(byte):
            packed = (packed << EIGHT) | U8(byte)
            taken += 1
            if taken & 7 == 0:
                mixed = scramble(mixed ^ packed)
                packed = ZERO
            position += 1
            if position == size:
                break
            byte = text[U8(position)]
        slot = find_slot(text, start, np.int32(taken), mixed ^ packed, slots, keys, starts, lengths, blob)
        word = slots[slot]
        ids[written] = word if word >= 0 else unknown
        written += 1
    if size > 0 and text[size - 1] != NEWLINE:
        ids[written] = -1
        written += 1
    return written


# ARPA: numbers and lines


@inline
def skip_blanks(text, position, end):
    """Return the position of the next byte that is no space or tab."""
    while position < end and (text[U8(position)] == SPACE or text[U8(position)] == TAB):
        position += 1
    return position


@inline
def word_end(text, position, end):
    """Return where the word at `position` ends; a newline or the end of the text ends it, too."""
    while position < end and not is_space(text[U8(position)]):
        position += 1
    return position


@inline
def parse_number(text, start, stop):
    """Return the decimal number text[start:stop], NaN for what is none; "inf" is known."""
    i = start
    sign = 1.0
    if i < stop and (text[U8(i)] == 45 or text[U8(i)] == 43):
        if text[U8(i)] == 45:
            sign = -1.0
        i += 1
    if (
        stop - i == 3
        and (text[U8(i)] | 32) == 105
        and (text[U8(i + 1)] | 32) == 110
        and (text[U8(i + 2)] | 32) == 102
    ):
        return sign * np.inf
    mantissa = np.int64(0)
    digits = 0
    exponent = 0
    point = False
    while i < stop:
        byte = text[U8(i)]
        if byte >= 48 and byte <= 57:
            if mantissa < LARGE:
                mantissa = mantissa * 10 + (np.int64(byte) - 48)
                if point:
                    exponent -= 1
            elif not point:
                exponent += 1
            digits += 1
        elif byte == 46 and not point:
            point = True
        else:
            break
        i += 1
    if digits == 0:
        return np.nan
    if i < stop:
        if (text[U8(i)] | 32) != 101 or stop - i > 6:
            return np.nan
        i += 1
        negative = False
        if i < stop and (text[U8(i)] == 45 or text[U8(i)] == 43):
            negative = text[U8(i)] == 45
            i += 1
        if i == stop:
            return np.nan
        power = 0
        while i < stop:
            byte = text[U8(i)]
            if byte < 48 or byte > 57:
                return np.nan
            power = power * 10 + (np.int64(byte) - 48)
            i += 1
        exponent += -power if negative else power
    value = np.float64(mantissa)
    if exponent < 0:
        if exponent >= -22:
            return sign * (value / POWERS[-exponent])
        return sign * (value / 10.0 ** (-exponent))
    return sign * (value * 10.0**exponent)


@inline
def scan_word(text, position, end):
    """Return the key of the word at `position` and where it ends."""
    packed, mixed = ZERO, ZERO
    taken = 0
    while position < end:
        byte = text[U8(position)]
        if byte <= SPACE and is_space(byte):
            break
        packed = (packed << EIGHT) | U8(byte)
        taken += 1
        if taken & 7 == 0:
            mixed = scramble(mixed ^ packed)
            packed = ZERO
        position += 1
    return mixed ^ packed, position


GOOD, BAD_NUMBER, BAD_WORDS, UNKNOWN_WORD, POSITIVE = 0, 1, 2, 3, 4


@kernel(
    "i8(const u1[:], i8, i8, const i4[:], const u8[:], const i8[:], const i4[:], const u1[:],"
    " i4[:,:], f4[:], f4[:], i8[:])"
)
def parse_grams(text, begin, end, slots, keys, starts, lengths, blob, grams, probabilities, backoffs, state):
    """Parse the lines `log10 p, words, [log10 backoff]` in text[begin:end]; return how many were read.

    state becomes: what is wrong (0: nothing), the position of the line where it is wrong.
    """
    order = grams.shape[1]
    line = begin
    found = 0
    while line < end:
        position = skip_blanks(text, line, end)
        if position < end and is_space(text[U8(position)]):
            line = position + 1
            continue
        if position == end:
            break
        state[1] = line
        stop = word_end(text, position, end)
        value = parse_number(text, position, stop)
        if value != value:
            state[0] = BAD_NUMBER
            return found
        if value > 1e-6:
            state[0] = POSITIVE
            return found
        probabilities[found] = min(value, 0.0)
        for k in range(order):
            position = skip_blanks(text, stop, end)
            key, stop = scan_word(text, position, end)
            if stop == position:
                state[0] = BAD_WORDS
                return found
            slot = find_slot(
                text, position, np.int32(stop - position), key, slots, keys, starts, lengths, blob
            )
            if slots[slot] < 0:
                state[0] = UNKNOWN_WORD
                state[1] = position
                return found
            grams[found, k] = slots[slot]
        position = skip_blanks(text, stop, end)
        stop = word_end(text, position, end)
        backoffs[found] = 0.0
        if stop > position:
            value = parse_number(text, position, stop)
            if value != value:
                state[0] = BAD_WORDS
                return found
            backoffs[found] = value
            position = skip_blanks(text, stop, end)
        while position < end and text[U8(position)] == RETURN:
            position += 1
        if position < end and text[U8(position)] != NEWLINE:
            state[0] = BAD_WORDS
            return found
        line = position + 1
        found += 1
    return found


@kernel("i8(const u1[:], i8, i8, i8[:], i4[:], f4[:], f4[:], i8[:])")
def parse_unigrams(text, begin, end, starts, lengths, probabilities, backoffs, state):
    """Parse the lines of the 1-grams as `parse_grams` does; the words are told by their places in the text."""
    line = begin
    found = 0
    while line < end:
        position = skip_blanks(text, line, end)
        if position < end and is_space(text[U8(position)]):
            line = position + 1
            continue
        if position == end:
            break
        state[1] = line
        stop = word_end(text, position, end)
        value = parse_number(text, position, stop)
        if value != value:
            state[0] = BAD_NUMBER
            return found
        if value > 1e-6:
            state[0] = POSITIVE
            return found
        probabilities[found] = min(value, 0.0)
        position = skip_blanks(text, stop, end)
        stop = word_end(text, position, end)
        if stop == position:
            state[0] = BAD_WORDS
            return found
        starts[found] = position
        lengths[found] = stop - position
        position = skip_blanks(text, stop, end)
        stop = word_end(text, position, end)
        backoffs[found] = 0.0
        if stop > position:
            value = parse_number(text, position, stop)
            if value != value:
                state[0] = BAD_WORDS
                return found
            backoffs[found] = value
            position = skip_blanks(text, stop, end)
        while position < end and text[U8(position)] == RETURN:
            position += 1
        if position < end and text[U8(position)] != NEWLINE:
            state[0] = BAD_WORDS
            return found
        line = position + 1
        found += 1
    return found


@inline
def write_digits(out, at, value, digits):
    """Write `value` with exactly so many digits; return the position after them."""
    for k in range(digits - 1, -1, -1):
        rest = value // 10
        out[U8(at + k)] = 48 + (value - rest * 10)
        value = rest
    return at + digits


@inline
def write_number(out, at, value):
    """Write a logarithm with 6 decimals, trailing zeros dropped; return the position after it."""
    scaled = U8(abs(np.float64(value)) * 1e6 + 0.5)
    if scaled == ZERO:
        out[U8(at)] = 48
        return at + 1
    if value < 0.0:
        out[U8(at)] = 45
        at += 1
    whole = scaled // MILLION
    fraction = scaled - whole * MILLION
    if whole < TEN:
        out[U8(at)] = np.uint8(whole + ZERO_DIGIT)
        at += 1
    else:
        digits = 1
        power = TEN
        while power <= whole:
            digits += 1
            power *= TEN
        at = write_digits(out, at, np.int64(whole), digits)
    if fraction != ZERO:
        high = fraction // THOUSAND
        first, second = high * THREE, (fraction - high * THOUSAND) * THREE
        out[U8(at)] = 46
        for k in range(3):
            out[U8(at + 1 + k)] = TRIPLES[first + U8(k)]
            out[U8(at + 4 + k)] = TRIPLES[second + U8(k)]
        at += 7
        while out[U8(at - 1)] == 48:
            at -= 1
    return at


@inline
def write_word(out, at, blob, start, stop):
    """Copy a word; return the position after it. Up to 8 bytes more are copied: both arrays have them."""
    for i in range(0, stop - start, 8):
        # eight loads and eight stores become one of each
        begin, to = U8(start + i), U8(at + i)
        packed = U8(blob[begin])
        for k in range(1, 8):
            packed |= U8(blob[begin + U8(k)]) << U8(8 * k)
        for k in range(8):
            out[to + U8(k)] = np.uint8((packed >> U8(8 * k)) & BYTE)
    return at + (stop - start)


@kernel("i8(const i4[:,:], const u1[:], const i8[:])")
def words_size(grams, blob, starts):
    """Return the bytes of the words of all n-grams, a separator after each."""
    total = 0
    for i in range(grams.shape[0]):
        for k in range(grams.shape[1]):
            word = grams[i, k]
            total += starts[word + 1] - starts[word]
    return total


@kernel("i8(const i4[:,:], const f4[:], const f4[:], const u1[:], const i8[:], u1[:])")
def format_grams(grams, probabilities, backoffs, blob, starts, out):
    """Write ARPA lines; a backoff of 0 is left out, as is the column when `backoffs` is empty. Return the size."""
    at = 0
    order = grams.shape[1]
    for i in range(grams.shape[0]):
        at = write_number(out, at, probabilities[i])
        out[at] = TAB
        at += 1
        for k in range(order):
            word = grams[i, k]
            at = write_word(out, at, blob, starts[word], starts[word + 1] - 1)
            out[at] = SPACE
            at += 1
        if backoffs.size and backoffs[i] != 0.0:
            out[at - 1] = TAB
            at = write_number(out, at, backoffs[i])
            at += 1
        out[at - 1] = NEWLINE
    return at


@kernel("i8(const i4[:,:], const i8[:], const u1[:], const i8[:], u1[:])")
def format_counts(grams, counts, blob, starts, out):
    """Write the lines `words<TAB>count`; return the size."""
    at = 0
    for i in range(grams.shape[0]):
        for k in range(grams.shape[1]):
            word = grams[i, k]
            at = write_word(out, at, blob, starts[word], starts[word + 1] - 1)
            out[at] = SPACE
            at += 1
        out[at - 1] = TAB
        value = counts[i]
        digits = 1
        power = 10
        while power <= value:
            digits += 1
            power *= 10
        at = write_digits(out, at, value, digits)
        out[at] = NEWLINE
        at += 1
    return at
