"""Wrong attempts at the exercises of chapter 02, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "02.1": [
        (("tail[::-1]", "tail"), "wrong order"),
        (("128 + code_point % 64", "code_point % 64"), "mark 10"),
        (("code_point < 2048", "code_point <= 2048"), "where one length ends"),
        ("def utf8(code_point):\n    return [code_point]\n", "takes 2 bytes"),
        (("[mark + code_point]", "[code_point]"), "first byte lacks its mark"),
    ],
    "02.2": [
        (("+ count", "+ 1"), "each word is counted once"),
        (("counts.get(pair, 0) + count", "count"), "do not replace"),
        (("zip(word, word[1:])", "set(zip(word, word[1:]))"), "twice"),
        (
            "def pair_counts(word_counts):\n"
            "    text = [token for word in word_counts for token in word]\n"
            "    counts = {}\n"
            "    for pair in zip(text, text[1:]):\n"
            "        counts[pair] = counts.get(pair, 0) + 1\n"
            "    return counts\n",
            "across the edges",
        ),
    ],
    "02.3": [
        (("min(found)", "min(found, key=lambda f: f[1])"), "lowest rank"),
        (("min(found)", "min(found, key=lambda f: (f[0], -f[1]))"), "leftmost"),
        (
            "def encode_by_rank(word, ranks):\n"
            "    word, i = list(word), 0\n"
            "    while i < len(word):\n"
            "        if tuple(word[i : i + 2]) in ranks:\n"
            "            word[i : i + 2] = [word[i] + word[i + 1]]\n"
            "        i += 1\n"
            "    return word\n",
            "look again",
        ),
        (("min(found)", "max(found, key=lambda f: (f[0], -f[1]))"), "highest rank first"),
        (
            "def encode_by_rank(word, ranks):\n"
            "    word, tokens, cut = ''.join(word), {a + b for a, b in ranks}, []\n"
            "    while word:\n"
            "        n = max(n for n in range(1, len(word) + 1) if n == 1 or word[:n] in tokens)\n"
            "        cut.append(word[:n])\n"
            "        word = word[n:]\n"
            "    return cut\n",
            "longest token",
        ),
        (
            (
                "        word[i : i + 2] = [word[i] + word[i + 1]]\n",
                "        word[i : i + 2] = [word[i] + word[i + 1]]\n        return word\n",
            ),
            "stop too early",
        ),
    ],
    "02.4": [
        (("n_tokens / n_words", "n_words / n_tokens"), "turn the fraction round"),
        (
            "def fertility(encode, texts):\n"
            "    return sum(len(encode(t)) / len(t.split()) for t in texts) / len(texts)\n",
            "a long text should count for more",
        ),
        (
            (
                "len(encode(text)) for text in texts",
                "len(encode(w)) for t in texts for w in t.split()",
            ),
            "word by word",
        ),
        (("len(text.split())", "1"), "tokens per text"),
        (
            "def fertility(encode, texts):\n"
            "    glued = ' '.join(texts)\n"
            "    return len(encode(glued)) / len(glued.split())\n",
            "glue the texts",
        ),
    ],
    "02.5": [
        (("pieces.append(prefix + word", "pieces.append(word"), "lack their ##"),
        (("range(len(word), start, -1)", "range(start + 1, len(word) + 1)"), "shortest"),
        (('"##" if start else ""', '""'), "looked up with ##"),
        (
            (
                '            return ["[UNK]"]\n',
                '            pieces.append("[UNK]")\n            start += 1\n'
                "            continue\n",
            ),
            "whole word becomes [UNK]",
        ),
        (
            "def wordpiece(word, vocab):\n"
            "    def cut(start):\n"
            "        if start == len(word):\n"
            "            return []\n"
            "        for end in range(len(word), start, -1):\n"
            "            piece = ('##' if start else '') + word[start:end]\n"
            "            rest = cut(end) if piece in vocab else None\n"
            "            if rest is not None:\n"
            "                return [piece, *rest]\n"
            "    return cut(0) or ['[UNK]']\n",
            "never looks back",
        ),
    ],
    "02.6": [
        (("return cut[::-1]", "return cut"), "turn the list round"),
        (("+ log_prob[piece]", "- 1"), "fewest pieces"),
        (('[float("-inf")] * len(word)', "[0.0] * len(word)"), "-inf, and not 0"),
        (("    if best[-1]", "    if False and best[-1]"), "ValueError"),
        (
            "def viterbi(word, log_prob):\n"
            "    cut = []\n"
            "    while word:\n"
            "        fit = [n for n in range(1, len(word) + 1) if word[:n] in log_prob]\n"
            "        cut.append(word[: max(fit)])\n"
            "        word = word[max(fit) :]\n"
            "    return cut\n",
            "longest piece from the left",
        ),
    ],
    "02.7": [
        (
            "def safe_prompt(tokenizer, system, user):\n"
            "    text = f'<|system|>{system}<|end|><|user|>{user}<|end|><|assistant|>'\n"
            "    return tokenizer.encode(text, allowed_special='all')\n",
            "forged a system turn",
        ),
        (
            "def safe_prompt(tokenizer, system, user):\n"
            "    return tokenizer.encode(\n"
            "        f'<|system|>{system}<|end|><|user|>{user}<|end|><|assistant|>')\n",
            "spelled out as text",
        ),
        (
            ("tokenizer.encode(user)", "tokenizer.encode(user.replace('<|end|>', ''))"),
            "altered",
        ),
        (
            ("tokenizer.encode(system)", "tokenizer.encode(system, allowed_special='all')"),
            "did a text bring its own",
        ),
        (
            ('*tokenizer.encode(system), mark["<|end|>"]', "*tokenizer.encode(system)"),
            "Is one missing",
        ),
        (('        mark["<|assistant|>"],\n', ""), "<|assistant|> is missing"),
    ],
    "02.8": [
        (("set(special)", "set()"), "special tokens should be left out"),
        (("range(vocab_size)", "range(max(seen))"), "above the largest"),
        (("if i not in seen", "if i in seen and i not in special"), "do occur"),
        (
            "def never_trained(vocab_size, documents, special=()):\n"
            "    return [i for i in range(vocab_size) if i not in special\n"
            "            and any(i not in ids for ids in documents)]\n",
            "missing from some",
        ),
    ],
}
