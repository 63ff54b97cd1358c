"""The right answers of chapter 02, with switches that turn on their well-known mistakes."""


def leftmost(found):
    return min(found, key=lambda item: item[1])


def highest(found):
    return max(found, key=lambda item: (item[0], -item[1]))


def rightmost(found):
    return min(found, key=lambda item: (item[0], -item[1]))


def by_rank(word, ranks, choose):
    word = list(word)
    while True:
        pairs = list(zip(word, word[1:], strict=False))
        found = [(ranks[pair], place) for place, pair in enumerate(pairs) if pair in ranks]
        if not found:
            return word
        place = choose(found)[1]
        word[place : place + 2] = [word[place] + word[place + 1]]


def one_merge(word, ranks):
    """The one merge that comes first, and then no more."""
    pairs = list(zip(word, word[1:], strict=False))
    found = [(ranks[pair], place) for place, pair in enumerate(pairs) if pair in ranks]
    if not found:
        return list(word)
    place = min(found)[1]
    return [*word[:place], word[place] + word[place + 1], *word[place + 2 :]]


def one_pass(word, ranks):
    """One walk from the left that joins every pair with a rank, whatever the rank."""
    cut = []
    while word:
        size = 2 if tuple(word[:2]) in ranks else 1
        cut.append("".join(word[:size]))
        word = word[size:]
    return cut


def longest(word, tokens):
    cut = []
    while word:
        size = max(n for n in range(1, len(word) + 1) if n == 1 or word[:n] in tokens)
        cut.append(word[:size])
        word = word[size:]
    return cut


def wordpiece(word, vocab, prefix, keep=False, shortest=False):
    """The pieces of a word; `keep`: one [UNK] for each place without a piece."""
    pieces, start = [], 0
    while start < len(word):
        mark = prefix if start else ""
        ends = range(start + 1, len(word) + 1)
        fit = [end for end in ends if mark + word[start:end] in vocab]
        if not fit:
            if not keep:
                return ["[UNK]"]
            pieces.append("[UNK]")
            start += 1
            continue
        end = min(fit) if shortest else max(fit)
        pieces.append(mark + word[start:end])
        start = end
    return pieces


def any_wordpiece(word, vocab, start=0):
    """The first cut that works, going back to shorter pieces where the longest leads nowhere."""
    if start == len(word):
        return []
    for end in range(len(word), start, -1):
        piece = ("##" if start else "") + word[start:end]
        rest = any_wordpiece(word, vocab, end) if piece in vocab else None
        if rest is not None:
            return [piece, *rest]
    return None


def cuts(word, pieces):
    """All cuts of a word into pieces."""
    if not word:
        yield []
    for end in range(1, len(word) + 1):
        if word[:end] in pieces:
            yield from ([word[:end], *rest] for rest in cuts(word[end:], pieces))


def prompt(tokenizer, system, user):
    """The ids of a prompt that cannot be forged."""
    mark = tokenizer.special_tokens
    head = [mark["<|system|>"], *tokenizer.encode(system), mark["<|end|>"]]
    body = [mark["<|user|>"], *tokenizer.encode(user), mark["<|end|>"]]
    return head + body + [mark["<|assistant|>"]]
