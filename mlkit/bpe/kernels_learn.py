# mypy: ignore-errors
"""Learn merges: pair counts in a hash table, lists of places, a heap with lazy updates.

The words stand in one row of symbols, each closed by `END`. A symbol of several characters keeps its first place:
symbols[p] is its id, and its last place holds minus its length, so that both neighbours are found at once. Places
inside are negative.

A pair has a count and a list of places, which may be out of date: a place counts when the pair still stands there.
Pairs below `state[THRESHOLD]` wait outside the heap.
"""

import numpy as np

from mlkit.jit import inline, kernel, prefetch

END = -(1 << 31)

KEY, COUNT = 0, 1  # columns of `pairs`; the key is left << 32 | right
# columns of `lists`: where the places are, how many; the number + 1 among the pairs touched in this step;
# 1 while the pair can be merged, plus twice the further entries that `tokenizers` would hold for it
FIRST, LENGTH, TOUCHED, LIVE = 0, 1, 2, 3
# places in `state`
PAIRS, POOL, HEAP, TOKENS, TOKEN_BYTES, MERGES, THRESHOLD, FORCED, NEED = range(9)

DONE, ROOM, STEPS, HEAP_ROOM = 0, 1, 2, 3
TIES_HF, TIES_SUBWORD_NMT = 0, 1

# products of 32-bit halves never overflow, which plain numpy would warn of
FACTOR = np.uint64(0x9E3779B1)
SECOND_FACTOR = np.uint64(0x85EBCA77)
LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


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


@kernel("i8(const u1[:], const i8[:], i8, b1, const i4[:], const i4[:], i4, i4[:], i4[:])")
def spell_words(arena, starts, words, by_bytes, plain, final, first, symbols, word_of):
    """Write the words as rows of symbols and return how many places are used; words of one symbol are left out.

    `plain` and `final` (the last of a word) map a byte or code point to a symbol; `first` is a symbol that begins
    every word, or -1.
    """
    at = 0
    for word in range(words):
        begin = at
        if first >= 0:
            symbols[at] = first
            word_of[at] = word
            at += 1
        i = starts[word]
        stop = starts[word + 1]
        while i < stop:
            if by_bytes:
                point, i = np.int64(arena[i]), i + 1
            else:
                point, i = code_point_at(arena, i)
            symbols[at] = final[point] if i == stop else plain[point]
            word_of[at] = word
            at += 1
        if at - begin < 2:
            at = begin
        else:
            symbols[at] = END
            word_of[at] = word
            at += 1
    return at


@kernel("void(const u1[:], const i8[:], i8, b1[:], b1[:])")
def mark_characters(arena, starts, words, seen, last):
    """Set seen[c] for every code point of the words, last[c] for those that end one."""
    for word in range(words):
        i = starts[word]
        stop = starts[word + 1]
        while i < stop:
            point, i = code_point_at(arena, i)
            seen[point] = True
            if i == stop:
                last[point] = True


@inline
def slot_of(left, right, slots, pairs):
    """Return the slot of a pair, or the empty one where it belongs."""
    key = (left << 32) | right
    mask = np.uint64(slots.shape[0] - 1)
    h = (np.uint64(left) * FACTOR) ^ (np.uint64(right) * SECOND_FACTOR)
    at = (h ^ (h >> SHIFT)) & mask
    while True:
        pair = slots[at]
        if pair < 0 or pairs[pair, KEY] == key:
            return at
        at = (at + np.uint64(1)) & mask


@inline
def pair_of(left, right, slots, pairs, lists, state):
    """Return the number of a pair, a new one if it was not met before."""
    at = slot_of(left, right, slots, pairs)
    pair = np.int64(slots[at])
    if pair < 0:
        pair = state[PAIRS]
        state[PAIRS] = pair + 1
        slots[at] = pair
        pairs[pair, KEY] = (left << 32) | right
        pairs[pair, COUNT] = 0
        for column in range(4):
            lists[pair, column] = 0
    return pair


@kernel("void(i4[:], const i8[:,:], i8)")
def refill(slots, pairs, size):
    """Enter the pairs into a larger table whose slots are all -1."""
    for pair in range(size):
        key = pairs[pair, KEY]
        slots[slot_of(key >> 32, key & 0xFFFFFFFF, slots, pairs)] = pair


@kernel("i8(const i4[:], const i4[:], i8, i8, const i8[:], i4[:], i8[:,:], i4[:,:], i8[:])")
def count_pairs(symbols, word_of, start, stop, counts, slots, pairs, lists, state):
    """Count the pairs of symbols[start:stop]; return where it stopped: the table may have to grow."""
    room = min(pairs.shape[0], slots.shape[0] // 2)
    for p in range(start, stop - 1):
        if symbols[p] >= 0 and symbols[p + 1] >= 0:
            if state[PAIRS] >= room:
                return p
            pair = pair_of(np.int64(symbols[p]), np.int64(symbols[p + 1]), slots, pairs, lists, state)
            pairs[pair, COUNT] += counts[word_of[p]]
            lists[pair, LENGTH] += 1
            lists[pair, LIVE] = 1
    return stop


@kernel("void(const i4[:], i8, const i4[:], const i8[:,:], i4[:,:], i8[:], i4[:])")
def list_places(symbols, size, slots, pairs, lists, state, pool):
    """Fill the lists of places of all pairs that `count_pairs` counted."""
    used = 0
    for pair in range(state[PAIRS]):
        lists[pair, FIRST] = used
        used += lists[pair, LENGTH]
        lists[pair, LENGTH] = 0
    for p in range(size - 1):
        if symbols[p] >= 0 and symbols[p + 1] >= 0:
            pair = slots[slot_of(np.int64(symbols[p]), np.int64(symbols[p + 1]), slots, pairs)]
            pool[lists[pair, FIRST] + lists[pair, LENGTH]] = p
            lists[pair, LENGTH] += 1
    state[POOL] = used


@inline
def compare_tokens(a, b, token_starts, token_bytes):
    """Compare two tokens as strings (UTF-8 sorts like code points): negative, 0 or positive."""
    i, i_end = token_starts[a], token_starts[a + 1]
    j, j_end = token_starts[b], token_starts[b + 1]
    while i < i_end and j < j_end:
        if token_bytes[i] != token_bytes[j]:
            return np.int64(token_bytes[i]) - np.int64(token_bytes[j])
        i += 1
        j += 1
    return (i_end - i) - (j_end - j)


@inline
def before(count, pair, other_count, other, ties, pairs, token_starts, token_bytes):
    """Say whether a pair is merged before another one."""
    if count != other_count:
        return count > other_count
    if ties == TIES_HF:
        return pairs[pair, KEY] < pairs[other, KEY]
    key = pairs[pair, KEY]
    other_key = pairs[other, KEY]
    order = compare_tokens(key >> 32, other_key >> 32, token_starts, token_bytes)
    if order == 0:
        order = compare_tokens(key & 0xFFFFFFFF, other_key & 0xFFFFFFFF, token_starts, token_bytes)
    return order > 0


@inline
def push(pair, count, heap, state, ties, pairs, token_starts, token_bytes):
    """Enter a pair into the heap (rows: count, pair)."""
    i = state[HEAP]
    state[HEAP] = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if not before(count, pair, heap[parent, 0], heap[parent, 1], ties, pairs, token_starts, token_bytes):
            break
        heap[i, 0] = heap[parent, 0]
        heap[i, 1] = heap[parent, 1]
        i = parent
    heap[i, 0] = count
    heap[i, 1] = pair


@inline
def sink(i, count, pair, heap, size, ties, pairs, token_starts, token_bytes):
    """Put an entry at place i of the heap and let it sink."""
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and before(
            heap[child + 1, 0], heap[child + 1, 1], heap[child, 0], heap[child, 1],
            ties, pairs, token_starts, token_bytes,
        ):  # fmt: skip
            child += 1
        if not before(heap[child, 0], heap[child, 1], count, pair, ties, pairs, token_starts, token_bytes):
            break
        heap[i, 0] = heap[child, 0]
        heap[i, 1] = heap[child, 1]
        i = child
    heap[i, 0] = count
    heap[i, 1] = pair


@inline
def top_pair(heap, state, minimum, ties, pairs, lists, token_starts, token_bytes):
    """Return the pair to merge next, or -1 when none is as frequent as `minimum`, or -2 if the heap needs room."""
    while True:
        while state[HEAP] > 0:
            count = heap[0, 0]
            pair = heap[0, 1]
            now = pairs[pair, COUNT]
            if lists[pair, LIVE] != 0 and now == count:
                return pair
            size = state[HEAP]
            if lists[pair, LIVE] != 0 and now < count and now >= state[THRESHOLD]:
                sink(np.int64(0), now, pair, heap, size, ties, pairs, token_starts, token_bytes)
            else:
                state[HEAP] = size - 1
                last_count = heap[size - 1, 0]
                last_pair = heap[size - 1, 1]
                sink(
                    np.int64(0), last_count, last_pair, heap, size - 1, ties, pairs, token_starts, token_bytes
                )
        above = state[THRESHOLD]
        if above <= minimum:
            return np.int64(-1)
        lower = max(minimum, above // 4)
        waiting = 0
        for pair in range(state[PAIRS]):
            if lists[pair, LIVE] != 0 and lower <= pairs[pair, COUNT] < above:
                waiting += 1
        if waiting > heap.shape[0]:
            state[NEED] = waiting
            return np.int64(-2)
        state[THRESHOLD] = lower
        for pair in range(state[PAIRS]):
            if lists[pair, LIVE] != 0 and lower <= pairs[pair, COUNT] < above:
                push(pair, pairs[pair, COUNT], heap, state, ties, pairs, token_starts, token_bytes)


@inline
def token_of(a, b, token_starts, token_bytes, token_slots, state):
    """Return the id of the token a + b: that of an equal string, or a new one (then its bytes are entered)."""
    begin = state[TOKEN_BYTES]
    at = begin
    h = np.uint64(0xCBF29CE4)
    for part in (a, b):
        for k in range(token_starts[part], token_starts[part + 1]):
            token_bytes[at] = token_bytes[k]
            h = (((h & LOW) ^ np.uint64(token_bytes[k])) * FACTOR) ^ (h >> SHIFT)
            at += 1
    mask = np.uint64(token_slots.shape[0] - 1)
    slot = (h ^ (h >> SHIFT)) & mask
    new = state[TOKENS]
    token_starts[new + 1] = at
    while token_slots[slot] >= 0:
        old = np.int64(token_slots[slot])
        if compare_tokens(old, new, token_starts, token_bytes) == 0:
            return old
        slot = (slot + np.uint64(1)) & mask
    token_slots[slot] = new
    state[TOKENS] = new + 1
    state[TOKEN_BYTES] = at
    return new


@kernel("void(const u1[:], const i8[:], i8, i4[:])")
def enter_tokens(token_bytes, token_starts, tokens, token_slots):
    """Enter the bytes of tokens into the table of `token_of`, whose slots are -1; the first of equals stays."""
    for token in range(tokens):
        h = np.uint64(0xCBF29CE4)
        for k in range(token_starts[token], token_starts[token + 1]):
            h = (((h & LOW) ^ np.uint64(token_bytes[k])) * FACTOR) ^ (h >> SHIFT)
        mask = np.uint64(token_slots.shape[0] - 1)
        slot = (h ^ (h >> SHIFT)) & mask
        while token_slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        token_slots[slot] = token


@inline
def add_place(pair, place, weight, fresh, touched, used, pairs, lists):
    """Count a new occurrence of a pair, and note its place for the list; used: (places, touched pairs)."""
    pairs[pair, COUNT] += weight
    number = np.int64(lists[pair, TOUCHED])
    if number == 0:
        number = used[1] + 1
        used[1] = number
        lists[pair, TOUCHED] = number
        touched[number - 1, 0] = pair
        touched[number - 1, 1] = 0
    touched[number - 1, 1] += 1
    fresh[used[0], 0] = pair
    fresh[used[0], 1] = place
    used[0] += 1


@inline
def merge_places(
    pair,
    new,
    limit,
    symbols,
    word_of,
    counts,
    lengths,
    slots,
    pairs,
    lists,
    pool,
    fresh,
    touched,
    used,
    state,
):
    """Put `new` wherever the pair stands, and bring the counts of the pairs around it up to date."""
    a = pairs[pair, KEY] >> 32
    b = pairs[pair, KEY] & 0xFFFFFFFF
    length_a = np.int64(lengths[a])
    length = np.int64(lengths[a] + lengths[b])
    first = np.int64(lists[pair, FIRST])
    last = first + lists[pair, LENGTH]
    for k in range(first, last):
        if k + 12 < last:
            prefetch(symbols, pool[k + 12])
            prefetch(word_of, pool[k + 12])
        p = np.int64(pool[k])
        q = p + length_a
        if symbols[p] != a or symbols[q] != b:
            continue
        weight = counts[word_of[p]]
        behind = p + length
        symbols[q] = -1
        symbols[behind - 1] = -length
        symbols[p] = new
        if p > 0:
            mark = np.int64(symbols[p - 1])
            if mark != END:
                place = p - 1 if mark >= 0 else p + mark
                x = np.int64(symbols[place])
                old = pair_of(x, a, slots, pairs, lists, state)
                pairs[old, COUNT] -= weight
                if lengths[x] + length < limit:
                    made = pair_of(x, np.int64(new), slots, pairs, lists, state)
                    add_place(made, place, weight, fresh, touched, used, pairs, lists)
        y = np.int64(symbols[behind])
        if y >= 0:
            old = pair_of(b, y, slots, pairs, lists, state)
            pairs[old, COUNT] -= weight
            if lengths[y] + length < limit:
                made = pair_of(np.int64(new), y, slots, pairs, lists, state)
                add_place(made, p, weight, fresh, touched, used, pairs, lists)


@inline
def file_places(fresh, touched, used, pairs, lists, pool, heap, state, ties, token_starts, token_bytes):
    """Write the lists of the pairs that got new places, and enter the pairs into the heap."""
    end = state[POOL]
    for k in range(used[1]):
        pair = touched[k, 0]
        old_first = np.int64(lists[pair, FIRST])
        old_length = np.int64(lists[pair, LENGTH])
        if lists[pair, LIVE] != 0 and old_length > 0:
            # `tokenizers` keeps a second entry for a pair that comes up again
            lists[pair, LIVE] += 2
        else:
            lists[pair, LIVE] = 1
        lists[pair, FIRST] = end
        for place in range(old_length):
            pool[end + place] = pool[old_first + place]
        end += old_length + touched[k, 1]
    state[POOL] = end
    for k in range(used[0]):
        pair = fresh[k, 0]
        pool[np.int64(lists[pair, FIRST]) + lists[pair, LENGTH]] = fresh[k, 1]
        lists[pair, LENGTH] += 1
    for k in range(used[1]):
        pair = np.int64(touched[k, 0])
        lists[pair, TOUCHED] = 0
        if pairs[pair, COUNT] >= state[THRESHOLD] and pairs[pair, COUNT] > 0:
            push(pair, pairs[pair, COUNT], heap, state, ties, pairs, token_starts, token_bytes)


@inline
def room_for(need, copied, pairs, pool, heap, fresh, touched, slots, state):
    """Say whether `need` new pairs and places, and `copied` old places, have room; else sets state[NEED]."""
    state[NEED] = need + copied
    return (
        state[PAIRS] + need <= pairs.shape[0]
        and 2 * (state[PAIRS] + need) <= slots.shape[0]
        and state[POOL] + need + copied <= pool.shape[0]
        and state[HEAP] + need <= heap.shape[0]
        and need <= fresh.shape[0]
        and need <= touched.shape[0]
    )


@kernel(
    "i8(i8, i8, i8, i8, i8, const i4[:,:], i4[:], const i4[:], const i8[:], i4[:], u1[:], i8[:], i4[:],"
    " i4[:], i8[:,:], i4[:,:], i4[:], i8[:,:], i4[:,:], i4[:,:], i8[:], i4[:,:])"
)
def learn_steps(
    steps, vocabulary_size, minimum, limit, ties, forced, symbols, word_of, counts, lengths, token_bytes,
    token_starts, token_slots, slots, pairs, lists, pool, heap, fresh, touched, state, merges,
):  # fmt: skip
    """Merge until `vocabulary_size` tokens or `merges` is full (DONE), something must grow (ROOM), or STEPS.

    `forced`: pairs to merge first, whatever their counts. `merges` rows: left, right, new.
    """
    used = np.zeros(2, np.int64)
    for _ in range(steps):
        if state[TOKENS] >= vocabulary_size or state[MERGES] >= merges.shape[0]:
            return DONE
        if state[TOKENS] + 2 > token_starts.shape[0]:
            return ROOM
        is_forced = state[FORCED] < forced.shape[0]
        if is_forced:
            if not room_for(1, 0, pairs, pool, heap, fresh, touched, slots, state):
                return ROOM
            left = np.int64(forced[state[FORCED], 0])
            right = np.int64(forced[state[FORCED], 1])
            pair = pair_of(left, right, slots, pairs, lists, state)
        else:
            pair = top_pair(heap, state, minimum, ties, pairs, lists, token_starts, token_bytes)
            if pair == -1:
                return DONE
            if pair == -2:
                return HEAP_ROOM
        left = pairs[pair, KEY] >> 32
        right = pairs[pair, KEY] & 0xFFFFFFFF
        need = 2 * np.int64(lists[pair, LENGTH])
        both = token_starts[left + 1] - token_starts[left] + token_starts[right + 1] - token_starts[right]
        if state[TOKEN_BYTES] + both > token_bytes.shape[0]:
            return ROOM
        if not room_for(need, 0, pairs, pool, heap, fresh, touched, slots, state):
            return ROOM
        new = state[TOKENS]
        lengths[new] = lengths[left] + lengths[right]
        found = token_of(left, right, token_starts, token_bytes, token_slots, state)
        # a token that exists may bring pairs back that have lists already: these are copied
        if found != new and not room_for(need, state[POOL], pairs, pool, heap, fresh, touched, slots, state):
            return ROOM
        copies = 1 + (lists[pair, LIVE] >> 1) if ties == TIES_HF else 1
        if left == right:
            first = lists[pair, FIRST]
            pool[first : first + lists[pair, LENGTH]].sort()
        used[0] = 0
        used[1] = 0
        lists[pair, LIVE] = 0
        merge_places(
            pair, found, limit, symbols, word_of, counts, lengths, slots, pairs, lists, pool, fresh, touched,
            used, state,
        )  # fmt: skip
        lists[pair, LENGTH] = 0
        if ties == TIES_SUBWORD_NMT or is_forced:
            pairs[pair, COUNT] = 0
        file_places(fresh, touched, used, pairs, lists, pool, heap, state, ties, token_starts, token_bytes)
        if is_forced:
            state[FORCED] += 1
        for _copy in range(copies):
            if state[MERGES] < merges.shape[0]:
                merges[state[MERGES], 0] = left
                merges[state[MERGES], 1] = right
                merges[state[MERGES], 2] = found
                state[MERGES] += 1
    return STEPS
