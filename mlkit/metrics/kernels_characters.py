# mypy: ignore-errors
"""Compiled counting of n-grams of characters, for chrF."""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel


@inline
def find_key(key, mask, keys):
    """Return the slot of a packed n-gram (> 0), or the empty one where it would go."""
    # folded to 31 bits, the product stays below 2^63
    folded = (key ^ (key >> 31)) & 0x7FFFFFFF
    place = ((folded * 2654435761) >> 13) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & mask
    return place


@inline
def is_space(code):
    """Say whether str.split() divides at this code point."""
    if code < 0x80:
        return code == 32 or 9 <= code <= 13 or 28 <= code <= 31
    if code < 0x1680:
        return code == 0x85 or code == 0xA0
    if 0x2000 <= code <= 0x3000:
        return (
            code <= 0x200A
            or code == 0x2028
            or code == 0x2029
            or code == 0x202F
            or code == 0x205F
            or code == 0x3000
        )
    return code == 0x1680


@inline
def number_letters(text, start, stop, spaces, number_of, seen, letters, numbers):
    """Write the numbers of characters (from 1, new ones into `seen`), without white space unless `spaces`.

    Returns how many characters there are, and how many different ones by now.
    """
    count = 0
    for i in range(start, stop):
        code = text[i]
        number = number_of[code]
        if number == 0:
            if not spaces and is_space(code):
                continue
            seen[letters] = code
            letters += 1
            number = letters
            number_of[code] = number
        numbers[count] = number
        count += 1
    return count, letters


@kernel("b1(const i4[:], const i8[:], const i4[:], const i8[:], b1, i8[:,:])")
def count_letters(hypothesis, hypothesis_at, reference, reference_at, spaces, found):
    """Count the n-grams of characters of each segment, of its one reference, and those that they share.

    Texts are code points; segment s is hypothesis[hypothesis_at[s]:hypothesis_at[s + 1]]. White space does not
    count, unless `spaces`. found[s, 3 * (n - 1):3 * n] becomes: n-grams of the hypothesis (0 where the reference has
    none), of the reference, matches. Nothing is hashed away: an n-gram is its letters' numbers within the segment,
    packed into 62 bits. Returns False where a segment has too many letters for that.
    """
    segments = found.shape[0]
    orders = found.shape[1] // 3
    longest = np.int64(1)
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
    number_of = np.zeros(0x110000, np.int32)
    seen = np.empty(2 * longest, np.int32)
    own_numbers = np.empty(longest, np.int32)
    other_numbers = np.empty(longest, np.int32)
    for s in range(segments):
        letters = 0
        length, letters = number_letters(
            hypothesis, hypothesis_at[s], hypothesis_at[s + 1], spaces, number_of, seen, letters, own_numbers
        )
        width, letters = number_letters(
            reference, reference_at[s], reference_at[s + 1], spaces, number_of, seen, letters, other_numbers
        )
        for k in range(letters):
            number_of[seen[k]] = 0
        bits = 1
        while (1 << bits) <= letters:
            bits += 1
        if bits * orders > 62:
            return False
        size = 16
        while size < 2 * width:
            size *= 2
        mask = size - 1
        alive = length
        for i in range(length):
            own[i] = 0
            own_place[i] = i
        for j in range(width):
            other[j] = 0
        for n in range(orders):
            found[s, 3 * n] = max(0, length - n) if width > n else 0
            found[s, 3 * n + 1] = max(0, width - n)
            found[s, 3 * n + 2] = 0
        for n in range(min(orders, length, width)):
            keys[:size] = 0
            for j in range(width - n):
                key = (other[j] << bits) | other_numbers[j + n]
                other[j] = key
                place = find_key(key, mask, keys)
                if keys[place] == 0:
                    keys[place] = key
                    left[place] = 0
                left[place] += 1
            matched = 0
            kept = 0
            for k in range(alive):
                i = own_place[k]
                if i + n >= length:
                    break
                key = (own[k] << bits) | own_numbers[i + n]
                place = find_key(key, mask, keys)
                if keys[place] == 0:  # not in the reference: nor is any longer n-gram that begins here
                    continue
                if left[place] > 0:
                    left[place] -= 1
                    matched += 1
                own[kept] = key
                own_place[kept] = i
                kept += 1
            alive = kept
            found[s, 3 * n + 2] = matched
            if matched == 0:
                break
    return True
