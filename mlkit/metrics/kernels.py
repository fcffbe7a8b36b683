# mypy: ignore-errors
"""Compiled counting of n-grams, for BLEU and chrF on inputs where it pays to import numba."""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel


@inline
def find_slot(gram, token, mask, slots, slot_gram, slot_token):
    """Return the slot of the pair (n-1-gram, token), or the empty one where it would go."""
    # both products stay below 2^63
    mixed = (gram * 2246822519) ^ (token * 2654435761)
    place = (mixed ^ (mixed >> 17) ^ (mixed >> 33)) & mask
    while slots[place] >= 0 and (slot_gram[place] != gram or slot_token[place] != token):
        place = (place + 1) & mask
    return place


@kernel("void(const i4[:], const i8[:], const i4[:], const i8[:], const i8[:], i8[:,:])")
def count_matches(hypothesis, hypothesis_at, reference, reference_at, first_reference, matches):
    """Count the n-grams that each hypothesis segment shares with its references, clipped by the largest count.

    Segment s is hypothesis[hypothesis_at[s]:hypothesis_at[s + 1]]; its references are the streams
    first_reference[s] .. first_reference[s + 1] - 1 of `reference`, cut likewise by `reference_at`.
    matches[s, n - 1] becomes the clipped number of n-grams. An n-gram is known by the number of its first n - 1
    tokens and its last token, so that nothing rests on a hash value.
    """
    segments, orders = matches.shape
    longest = 1
    longest_references = 1
    for s in range(segments):
        longest = max(longest, hypothesis_at[s + 1] - hypothesis_at[s])
        span = reference_at[first_reference[s + 1]] - reference_at[first_reference[s]]
        longest_references = max(longest_references, span)
    size = 16
    while size < 2 * longest:
        size *= 2
    slots = np.empty(size, np.int32)  # number of the n-gram, -1 = empty
    slot_gram = np.empty(size, np.int64)
    slot_token = np.empty(size, np.int64)
    own_count = np.zeros(longest, np.int64)
    best_count = np.zeros(longest, np.int64)
    this_count = np.zeros(longest, np.int64)
    grams = np.empty(longest, np.int64)  # number of the n-gram that begins at a position
    reference_grams = np.empty(longest_references, np.int64)  # the same, -1 = not in the hypothesis

    for s in range(segments):
        begin = hypothesis_at[s]
        length = hypothesis_at[s + 1] - begin
        origin = reference_at[first_reference[s]]
        size = 16
        while size < 2 * length:
            size *= 2
        mask = size - 1
        grams[:length] = 0
        reference_grams[: reference_at[first_reference[s + 1]] - origin] = 0
        for n in range(orders):
            matches[s, n] = 0
        for n in range(min(orders, length)):
            slots[:size] = -1
            distinct = 0
            for i in range(length - n):
                gram = grams[i]
                token = np.int64(hypothesis[begin + i + n])
                place = find_slot(gram, token, mask, slots, slot_gram, slot_token)
                if slots[place] < 0:
                    slots[place] = distinct
                    slot_gram[place] = gram
                    slot_token[place] = token
                    own_count[distinct] = 0
                    best_count[distinct] = 0
                    this_count[distinct] = 0
                    distinct += 1
                number = slots[place]
                own_count[number] += 1
                grams[i] = number
            for k in range(first_reference[s], first_reference[s + 1]):
                stop = reference_at[k + 1] - n
                for j in range(reference_at[k], stop):
                    gram = reference_grams[j - origin]
                    if gram < 0:
                        continue
                    place = find_slot(gram, np.int64(reference[j + n]), mask, slots, slot_gram, slot_token)
                    number = np.int64(slots[place])
                    reference_grams[j - origin] = number
                    if number >= 0:
                        this_count[number] += 1
                        best_count[number] = max(best_count[number], this_count[number])
                for j in range(reference_at[k], stop):
                    if reference_grams[j - origin] >= 0:
                        this_count[reference_grams[j - origin]] = 0
            total = 0
            for number in range(distinct):
                total += min(own_count[number], best_count[number])
            if total == 0:
                break
            matches[s, n] = total


@inline
def find_key(key, mask, keys):
    """Return the slot of a packed n-gram (> 0), or the empty one where it would go."""
    # folded to 31 bits, the product stays below 2^63
    folded = (key ^ (key >> 31)) & 0x7FFFFFFF
    place = ((folded * 2654435761) >> 13) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & mask
    return place


@kernel("b1(const i4[:], const i8[:], const i4[:], const i8[:], i8[:,:])")
def count_letters(hypothesis, hypothesis_at, reference, reference_at, matches):
    """Count the n-grams of characters that each segment shares with its one reference, as `count_matches` does.

    Returns False, with nothing counted, where the alphabet is too large to pack an n-gram into 62 bits.
    """
    segments, orders = matches.shape
    number_of = np.zeros(0x110000, np.int32)
    letters = 0
    for text in (hypothesis, reference):
        for code in text:
            if number_of[code] == 0:
                letters += 1
                number_of[code] = letters
    bits = 1
    while (1 << bits) <= letters:
        bits += 1
    if bits * orders > 62:
        return False
    longest = 1
    for s in range(segments):
        longest = max(longest, reference_at[s + 1] - reference_at[s], hypothesis_at[s + 1] - hypothesis_at[s])
    size = 16
    while size < 2 * longest:
        size *= 2
    keys = np.zeros(size, np.int64)
    left = np.zeros(size, np.int32)  # occurrences in the reference that no n-gram of the hypothesis has used
    own = np.empty(longest, np.int64)
    own_place = np.empty(longest, np.int64)
    other = np.empty(longest, np.int64)
    for s in range(segments):
        begin, origin = hypothesis_at[s], reference_at[s]
        length, width = hypothesis_at[s + 1] - begin, reference_at[s + 1] - origin
        size = 16
        while size < 2 * width:
            size *= 2
        mask = size - 1
        alive = length
        for i in range(length):
            own[i] = 0
            own_place[i] = i
        other[:width] = 0
        for n in range(orders):
            matches[s, n] = 0
        for n in range(min(orders, length, width)):
            keys[:size] = 0
            for j in range(width - n):
                key = (other[j] << bits) | number_of[reference[origin + j + n]]
                other[j] = key
                place = find_key(key, mask, keys)
                if keys[place] == 0:
                    keys[place] = key
                    left[place] = 0
                left[place] += 1
            found = 0
            kept = 0
            for k in range(alive):
                i = own_place[k]
                if i + n >= length:
                    break
                key = (own[k] << bits) | number_of[hypothesis[begin + i + n]]
                place = find_key(key, mask, keys)
                if keys[place] == 0:  # not in the reference: nor is any longer n-gram that begins here
                    continue
                if left[place] > 0:
                    left[place] -= 1
                    found += 1
                own[kept] = key
                own_place[kept] = i
                kept += 1
            alive = kept
            matches[s, n] = found
            if found == 0:
                break
    return True
