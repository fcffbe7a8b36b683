# mypy: ignore-errors
"""Compiled counting of n-grams of words, for BLEU on inputs where loading kernels pays: of numbered words, or of text.

Both kernels number the words of one segment at a time, in a table that stays in the first cache, and count by
`count_grams`. Nothing rests on a hash value: words are compared, and an n-gram is known by the number of its first
n - 1 words and its last word.
"""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.bytes import load8, mixed

U8 = np.uint64

# what a byte is to the tokenizer
PART, SPACE, ALONE, STOP, DASH, LEAD = 0, 1, 2, 3, 4, 5


@inline
def table_size(count):
    """Return the size of a table that `count` entries fill by half at most."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@inline
def find_slot(gram, token, mask, slots, slot_gram, slot_token):
    """Return the slot of the pair (n-1-gram, token), or the empty one where it would go."""
    # both products stay below 2^63
    mixed = (gram * 2246822519) ^ (token * 2654435761)
    place = (mixed ^ (mixed >> 17) ^ (mixed >> 33)) & mask
    while slots[place] >= 0 and (slot_gram[place] != gram or slot_token[place] != token):
        place = (place + 1) & mask
    return place


@inline
def count_grams(
    own, length, other, other_at, distinct, found, slots, slot_gram, slot_token, own_count, best_count, this_count,
    grams, other_grams,
):  # fmt: skip
    """Count the n-grams of one segment that it shares with its references, clipped by the largest count.

    own[:length]: the segment's words, numbered from 0 to `distinct` - 1. `other`: the references' words by the same
    numbers, -1 for any other word; reference k is other[other_at[k]:other_at[k + 1]]. found[n - 1] becomes the
    clipped number of n-grams. The rest is room: slots for `length` n-grams, one number per word.
    """
    orders = found.shape[0]
    references = other_at.shape[0] - 1
    for n in range(orders):
        found[n] = 0
    for i in range(length):
        grams[i] = own[i]
    for j in range(other_at[references]):
        other_grams[j] = other[j]
    mask = table_size(length) - 1
    for n in range(min(orders, length)):
        if n > 0:
            # n-grams are renumbered: those that go on from a matched n-1-gram
            slots[: mask + 1] = -1
            distinct = 0
            for i in range(length - n):
                gram = grams[i]
                if gram < 0 or best_count[gram] == 0:
                    grams[i] = -1
                    continue
                token = np.int64(own[i + n])
                place = find_slot(gram, token, mask, slots, slot_gram, slot_token)
                if slots[place] < 0:
                    slots[place] = distinct
                    slot_gram[place] = gram
                    slot_token[place] = token
                    distinct += 1
                grams[i] = slots[place]
        for number in range(distinct):
            own_count[number] = 0
            best_count[number] = 0
            this_count[number] = 0
        for i in range(length - n):
            if grams[i] >= 0:
                own_count[grams[i]] += 1
        for k in range(references):
            stop = other_at[k + 1] - n
            for j in range(other_at[k], stop):
                number = other_grams[j]
                if number < 0:
                    continue
                if n > 0:
                    token = np.int64(other[j + n])
                    number = np.int64(slots[find_slot(number, token, mask, slots, slot_gram, slot_token)])
                    other_grams[j] = number
                    if number < 0:
                        continue
                this_count[number] += 1
                best_count[number] = max(best_count[number], this_count[number])
            for j in range(other_at[k], stop):
                if other_grams[j] >= 0:
                    this_count[other_grams[j]] = 0
        total = 0
        for number in range(distinct):
            total += min(own_count[number], best_count[number])
        if total == 0:
            break
        found[n] = total


@kernel("void(const i4[:], const i8[:], const i4[:], const i8[:], const i8[:], i8[:,:])")
def count_matches(hypothesis, hypothesis_at, reference, reference_at, first_reference, matches):
    """Count the n-grams that each hypothesis segment shares with its references, clipped by the largest count.

    Segment s is hypothesis[hypothesis_at[s]:hypothesis_at[s + 1]]; its references are the streams
    first_reference[s] .. first_reference[s + 1] - 1 of `reference`, cut likewise by `reference_at`.
    matches[s, n - 1] becomes the clipped number of n-grams.
    """
    segments = matches.shape[0]
    longest = 1
    longest_others = 1
    most = 1
    for s in range(segments):
        longest = max(longest, hypothesis_at[s + 1] - hypothesis_at[s])
        span = reference_at[first_reference[s + 1]] - reference_at[first_reference[s]]
        longest_others = max(longest_others, span)
        most = max(most, first_reference[s + 1] - first_reference[s])
    size = table_size(longest)
    slots = np.empty(size, np.int32)  # number of the n-gram, -1 = empty
    slot_gram = np.empty(size, np.int64)
    slot_token = np.empty(size, np.int64)
    own_count = np.zeros(longest, np.int64)
    best_count = np.zeros(longest, np.int64)
    this_count = np.zeros(longest, np.int64)
    grams = np.empty(longest, np.int64)  # number of the n-gram that begins at a position
    other_grams = np.empty(longest_others, np.int64)  # the same, -1 = not in the hypothesis
    own = np.empty(longest, np.int32)
    other = np.empty(longest_others, np.int32)
    other_at = np.zeros(most + 1, np.int64)
    for s in range(segments):
        begin = hypothesis_at[s]
        length = hypothesis_at[s + 1] - begin
        mask = table_size(length) - 1
        slots[: mask + 1] = -1
        distinct = 0
        for i in range(length):
            token = np.int64(hypothesis[begin + i])
            place = find_slot(0, token, mask, slots, slot_gram, slot_token)
            if slots[place] < 0:
                slots[place] = distinct
                slot_gram[place] = 0
                slot_token[place] = token
                distinct += 1
            own[i] = slots[place]
        first = first_reference[s]
        references = first_reference[s + 1] - first
        for k in range(references + 1):
            other_at[k] = reference_at[first + k] - reference_at[first]
        for j in range(other_at[references]):
            token = np.int64(reference[reference_at[first] + j])
            other[j] = slots[find_slot(0, token, mask, slots, slot_gram, slot_token)]
        count_grams(
            own, length, other, other_at[: references + 1], distinct, matches[s], slots, slot_gram, slot_token,
            own_count, best_count, this_count, grams, other_grams,
        )  # fmt: skip


@inline
def white_space_at(text, i):
    """Return the length of the white space beyond ASCII at i (U+0085, U+00A0, U+1680, U+2000, ...), or 0."""
    b = text[i + 1]
    if text[i] == 0xC2:
        return 2 if b == 0x85 or b == 0xA0 else 0
    c = text[i + 2]
    if text[i] == 0xE1:
        return 3 if b == 0x9A and c == 0x80 else 0
    if text[i] == 0xE3:
        return 3 if b == 0x80 and c == 0x80 else 0
    if b == 0x80:
        return 3 if 0x80 <= c <= 0x8A or c == 0xA8 or c == 0xA9 or c == 0xAF else 0
    return 3 if b == 0x81 and c == 0x9F else 0


@inline
def replace_in(text, start, stop, rule):
    """Replace rule[2:2 + rule[0]] by the byte rule[1] (nothing if it is 0) in text[start:stop]; return the new stop."""
    length = np.int64(rule[0])
    i = start
    at = start
    while i < stop:
        k = 0
        if i + length <= stop:
            while k < length and text[i + k] == rule[2 + k]:
                k += 1
        if k < length:
            text[at] = text[i]
            at += 1
            i += 1
        else:
            if rule[1] != 0:
                text[at] = rule[1]
                at += 1
            i += length
    return at


@inline
def is_digit(text, i, start, stop):
    """Say whether an ASCII digit stands at i, within the line."""
    return start <= i < stop and 48 <= text[i] <= 57


@inline
def cut_line(text, start, stop, classes, begins, ends):
    """Write where the tokens of a line begin and end; return how many there are.

    The four rules of mteval-v13a in one pass. Its rules for . and , take pairs of characters from the left, so
    that of a row of them every second one decides: the last one stays with a digit behind it only if no pair took it.
    """
    count = 0
    token = np.int64(-1)  # where the token began that goes on
    i = start
    while i < stop:
        kind = classes[text[i]]
        width = 1
        if kind == LEAD:
            width = white_space_at(text, i)
            kind = SPACE if width else PART
            width = max(width, 1)
        elif kind == DASH:
            kind = ALONE if is_digit(text, i - 1, start, stop) else PART
        elif kind == STOP:
            while i + width < stop and classes[text[i + width]] == STOP:
                width += 1
            odd = 1 if is_digit(text, i - 1, start, stop) else 0
            alone = width
            if (width & 1) == odd and is_digit(text, i + width, start, stop):
                alone -= 1
            if alone == 0:
                i += 1
                continue
            if token >= 0:
                begins[count] = token
                ends[count] = i
                count += 1
            for k in range(alone):
                begins[count] = i + k
                ends[count] = i + k + 1
                count += 1
            token = i + alone if alone < width else -1
            i += width
            continue
        if kind == PART:
            if token < 0:
                token = i
            i += 1
            continue
        if token >= 0:
            begins[count] = token
            ends[count] = i
            count += 1
            token = -1
        if kind == ALONE:
            begins[count] = i
            ends[count] = i + 1
            count += 1
        i += width
    if token >= 0:
        begins[count] = token
        ends[count] = stop
        count += 1
    return count


@inline
def line_end(text, i):
    """Return where the line ends that goes on at i."""
    while text[i] != 10:
        i += 1
    return i


@inline
def cut(text, start, stop, classes, rules, begins, ends):
    """Prepare a line in its place, then cut it into tokens; return how many there are.

    rules[0] is obeyed always, the others where there is an ampersand.
    """
    if rules.shape[0] > 0:
        angle = False
        ampersand = False
        for i in range(start, stop):
            angle |= text[i] == 60
            ampersand |= text[i] == 38
        if angle:
            stop = replace_in(text, start, stop, rules[0])
        if ampersand:
            for k in range(1, rules.shape[0]):
                stop = replace_in(text, start, stop, rules[k])
    return cut_line(text, start, stop, classes, begins, ends)


@inline
def key_and_hash(text, begin, length):
    """Return the first bytes of a token (all, if there are up to 8) and a hash of the whole."""
    key = load8(text, U8(begin))
    if length < 8:
        key &= (U8(1) << U8(8 * length)) - U8(1)
    h = mixed(key ^ (U8(length) << U8(52)))
    for k in range(8, length, 8):
        h = mixed(h ^ load8(text, U8(begin + min(k, length - 8))))
    return key, h


@inline
def find_token(text, begin, length, key, h, mask, slots, keys, token_begin, token_length):
    """Return the slot of a token, or the empty one where it would go."""
    place = np.int64(h & U8(mask))
    while True:
        number = slots[place]
        if number < 0:
            return place
        if keys[number] == key and token_length[number] == length:
            other = token_begin[number]
            k = 8
            while k < length and text[begin + k] == text[other + k]:
                k += 1
            if k >= length:
                return place
        place = (place + 1) & mask


@kernel("void(u1[:], const u1[:], const u1[:,:], const i8[:], i8[:,:])")
def match_lines(text, classes, rules, first_reference, found):
    """Cut lines into tokens and count the n-grams that hypotheses share with their references.

    text: for each segment the line of the hypothesis and then those of its references, of which segment s has
    first_reference[s + 1] - first_reference[s]; UTF-8, a newline behind each line, 8 spare bytes at the end.
    It is changed where `rules` replace something: rows (length, replacement, bytes). classes[b]: what byte b is.
    found[s] becomes: tokens of the hypothesis, tokens of the reference with the closest length (the shorter of two;
    -1 without references), matches of n-grams for n = 1, 2, ...
    """
    segments = found.shape[0]
    longest = np.int64(1)
    longest_others = np.int64(1)
    most = np.int64(1)
    at = np.int64(0)
    for s in range(segments):
        references = first_reference[s + 1] - first_reference[s]
        most = max(most, references)
        stop = line_end(text, at)
        longest = max(longest, stop - at)
        at = stop + 1
        others = np.int64(0)
        for _ in range(references):
            stop = line_end(text, at)
            others += stop - at
            at = stop + 1
        longest_others = max(longest_others, others)
    size = table_size(longest)
    slots = np.empty(size, np.int32)
    slot_gram = np.empty(size, np.int64)
    slot_token = np.empty(size, np.int64)
    own_count = np.zeros(longest, np.int64)
    best_count = np.zeros(longest, np.int64)
    this_count = np.zeros(longest, np.int64)
    grams = np.empty(longest, np.int64)
    other_grams = np.empty(longest_others, np.int64)
    own = np.empty(longest, np.int32)
    other = np.empty(longest_others, np.int32)
    other_at = np.zeros(most + 1, np.int64)
    begins = np.empty(max(longest, longest_others), np.int64)
    ends = np.empty(max(longest, longest_others), np.int64)
    keys = np.empty(longest, np.uint64)
    token_begin = np.empty(longest, np.int64)
    token_length = np.empty(longest, np.int64)
    at = np.int64(0)
    for s in range(segments):
        stop = line_end(text, at)
        length = cut(text, at, stop, classes, rules, begins, ends)
        at = stop + 1
        mask = table_size(length) - 1
        slots[: mask + 1] = -1
        distinct = 0
        for i in range(length):
            begin = begins[i]
            size = ends[i] - begin
            key, h = key_and_hash(text, begin, size)
            place = find_token(text, begin, size, key, h, mask, slots, keys, token_begin, token_length)
            if slots[place] < 0:
                slots[place] = distinct
                keys[distinct] = key
                token_begin[distinct] = begin
                token_length[distinct] = size
                distinct += 1
            own[i] = slots[place]
        references = first_reference[s + 1] - first_reference[s]
        closest = np.int64(-1)
        for k in range(references):
            stop = line_end(text, at)
            count = cut(text, at, stop, classes, rules, begins, ends)
            at = stop + 1
            for j in range(count):
                begin = begins[j]
                size = ends[j] - begin
                key, h = key_and_hash(text, begin, size)
                place = find_token(text, begin, size, key, h, mask, slots, keys, token_begin, token_length)
                other[other_at[k] + j] = slots[place]
            other_at[k + 1] = other_at[k] + count
            gap, best = abs(count - length), abs(closest - length)
            if closest < 0 or gap < best or (gap == best and count < closest):
                closest = np.int64(count)
        found[s, 0] = length
        found[s, 1] = closest
        count_grams(
            own, length, other, other_at[: references + 1], distinct, found[s, 2:], slots, slot_gram, slot_token,
            own_count, best_count, this_count, grams, other_grams,
        )  # fmt: skip
