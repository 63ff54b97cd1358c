"""tokenizer.json: what we write `tokenizers` reads, what it writes we read, with the same ids."""

import json
from itertools import pairwise

import pytest
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as HFTokenizer

from llmlib.tokenizer import BPE, SPECIAL_TOKENS, WORLD_PATTERN, Unigram, WordPiece, load
from llmlib.tokenizer.alphabet import BYTE_TO_CHAR

SPECIAL = ("<|pad|>", "<|end|>")
# A text without characters younger than the oldest Unicode tables in `tokenizers`.
TEXT = (
    "The Quick brown  fox, doesn't jump.\n\tÜber naïve Ünïcödé e\u0301 日本語 한국어 123 4,567 ½ ﬁ "
    "a\u2581b \u2028 <|end|> [MASK] \u200b don't-stop! " + "x" * 120 + " 😀😀 <unk> <0x41>"
)


def train_ours(kind, text):
    extra = {"pattern": WORLD_PATTERN} if kind is BPE else {}
    return kind.train(text[:60_000], 700, special_tokens=SPECIAL_TOKENS, **extra)


@pytest.mark.parametrize("kind", [BPE, WordPiece, Unigram])
def test_what_we_save(kind, made_up, torture, tmp_path):
    ours = train_ours(kind, made_up)
    path = tmp_path / "tokenizer.json"
    ours.save(path)
    again, theirs = load(path), HFTokenizer.from_file(str(path))
    assert type(again) is kind
    assert again.fingerprint() == ours.fingerprint()
    for text in (made_up[150_000:200_000], torture, TEXT, "", " ", "<|user|>a<|end|><|end|>"):
        ids = ours.encode(text, allowed_special="all")
        assert ids == theirs.encode(text).ids
        assert ids == again.encode(text, allowed_special="all")
        assert ours.encode(text) == again.encode(text)
    assert ours.special_tokens == {name: i for i, name in enumerate(ours.special_tokens)}
    assert list(ours.special_tokens)[:13] == list(SPECIAL_TOKENS)
    assert ours.vocab_size == theirs.get_vocab_size() == 700
    assert list(tmp_path.iterdir()) == [path]


def hf_bpe():
    hf = HFTokenizer(models.BPE())
    hf.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=True)]
    )
    hf.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return hf, trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=list(SPECIAL), show_progress=False
    )


def hf_wordpiece():
    hf = HFTokenizer(models.WordPiece(unk_token="[UNK]"))
    hf.normalizer = normalizers.BertNormalizer()
    hf.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    hf.decoder = decoders.WordPiece()
    names = ["[UNK]", "[MASK]", *SPECIAL]
    return hf, trainers.WordPieceTrainer(vocab_size=600, special_tokens=names, show_progress=False)


def hf_unigram():
    hf = HFTokenizer(models.Unigram())
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    hf.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), spaces])
    hf.pre_tokenizer = pre_tokenizers.Metaspace()
    hf.decoder = decoders.Metaspace()
    return hf, trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<unk>", *SPECIAL], unk_token="<unk>", show_progress=False
    )


@pytest.mark.parametrize("make", [hf_bpe, hf_wordpiece, hf_unigram])
def test_what_they_save(make, made_up, tmp_path):
    theirs, trainer = make()
    theirs.train_from_iterator([made_up[:100_000], "The quick brown fox, don't jump. 123"], trainer)
    theirs.add_tokens([AddedToken("Quick", normalized=False), AddedToken("jum", single_word=True)])
    theirs.add_special_tokens([AddedToken("[MASK]", lstrip=True, rstrip=True)])
    path = tmp_path / "theirs.json"
    content = json.loads(theirs.to_str())
    for token in content["added_tokens"]:
        token["normalized"] = False
    path.write_text(json.dumps(content), "utf-8")
    theirs = HFTokenizer.from_file(str(path))
    ours = load(path)
    for text in (made_up[100_000:150_000], TEXT, "", "   ", "jump jum jum.", "  [MASK]  x", "ς ΑΣ"):
        assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids, text[:50]
    ours.save(tmp_path / "ours.json")
    assert HFTokenizer.from_file(str(tmp_path / "ours.json")).encode(TEXT).ids == (
        theirs.encode(TEXT).ids
    )


SPLITS = [
    pre_tokenizers.Split(pattern, behavior, invert)
    for pattern in (" ", Regex(r"\d+|,"))
    for behavior in (
        "isolated",
        "removed",
        "merged_with_previous",
        "merged_with_next",
        "contiguous",
    )
    for invert in (False, True)
]
OTHERS = [
    pre_tokenizers.Whitespace(),
    pre_tokenizers.WhitespaceSplit(),
    pre_tokenizers.Punctuation(),
    pre_tokenizers.Digits(False),
    pre_tokenizers.Metaspace(prepend_scheme="first"),
    pre_tokenizers.Metaspace(prepend_scheme="always", split=False),
    pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
]


@pytest.mark.parametrize("step", SPLITS + OTHERS)
def test_each_pre_tokenizer_alone(step, tmp_path):
    """The pieces are compared through the ids of a model that knows every part of the text."""
    text = "a  b, c,,12 34x5 ,, 6 "
    parts = {
        text[i:j].replace(" ", mark)
        for mark in (" ", "\u2581")
        for i in range(22)
        for j in range(23)
    }
    parts |= {"\u2581" + part for part in parts}
    vocab = [("<unk>", 0.0)] + [(part, -0.1 - len(part) ** 0.5) for part in sorted(parts) if part]
    hf = HFTokenizer(models.Unigram(vocab, 0))
    hf.pre_tokenizer = step
    path = tmp_path / "step.json"
    hf.save(str(path))
    assert load(path).encode(text) == hf.encode(text).ids


def test_an_added_token_that_is_not_special_is_always_matched(tmp_path):
    hf = HFTokenizer.from_str(json.dumps(BPE.train("the cat sat", 260).to_hf()))
    hf.add_tokens([AddedToken("cat", normalized=False, special=False)])
    hf.save(str(tmp_path / "tokenizer.json"))
    ours = load(tmp_path / "tokenizer.json")
    assert ours.encode("the cat") == hf.encode("the cat").ids
    assert not ours.special_tokens
    assert ours.decode(ours.encode("the cat"), skip_special=True) == "the cat"


def test_fingerprints_differ_where_ids_may(made_up):
    text = made_up[:20_000]
    base = BPE.train(text, 300)
    assert base.fingerprint() == BPE.train(text, 300).fingerprint()
    others = [
        BPE.train(text, 301),
        BPE.train(text, 300, pattern=WORLD_PATTERN),
        BPE.train(text, 300, special_tokens=["<|a|>"]),
        BPE.train(text, 300, special_tokens=["<|b|>"]),
        BPE.train(text[::-1], 300),
    ]
    prints = {other.fingerprint() for other in others} | {base.fingerprint()}
    assert len(prints) == 6


def broken(content, change):
    content = json.loads(json.dumps(content))
    change(content)
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("model"), "not a tokenizer.json"),
        (lambda c: c["model"].update(type="WordLevel"), "WordLevel"),
        (lambda c: c["model"].update(byte_fallback=True), "byte_fallback"),
        (lambda c: c.update(pre_tokenizer=None), "byte-level"),
        (lambda c: c.update(normalizer={"type": "Precompiled"}), "Precompiled"),
        (lambda c: c.update(pre_tokenizer={"type": "UnicodeScripts"}), "byte-level"),
        (lambda c: c["model"]["merges"].append(["q", "Z"]), "not in the vocabulary"),
        (lambda c: c["model"]["vocab"].update({"日": 9}), "not a byte-level token"),
    ],
)
def test_files_that_are_not_covered_are_refused(change, message, tmp_path):
    content = broken(BPE.train("some text", 260).to_hf(), change)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ValueError, match=message):
        load(path)


def test_damaged_files_are_refused(tmp_path):
    whole = tmp_path / "whole.json"
    BPE.train("some text", 260).save(whole)
    (tmp_path / "cut.json").write_text(whole.read_text("utf-8")[:2000], "utf-8")
    with pytest.raises(ValueError, match=r"not a tokenizer\.json"):
        load(tmp_path / "cut.json")
    (tmp_path / "ranks.tiktoken").write_bytes(b"IQ== 0\nnot base64 at all\n")
    with pytest.raises(ValueError, match="line 2"):
        BPE.from_tiktoken(tmp_path / "ranks.tiktoken", WORLD_PATTERN)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    first = BPE.train("some text", 258)
    first.save(path)

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match=r"could not write .*tokenizer.json.*No space"):
        BPE.train("other text", 257).save(path)
    assert load(path).fingerprint() == first.fingerprint()


def test_to_dict_is_enough_to_run_elsewhere(made_up):
    """Encode with nothing but the exported structure, as the page's JavaScript does."""
    tokenizer = BPE.train(made_up[:50_000], 400, special_tokens=SPECIAL)
    content = json.loads(json.dumps(tokenizer.to_dict()))
    rank = {(left, right): (n, new) for n, (left, right, new) in enumerate(content["merges"])}
    id_of = {token: id for id, token in enumerate(content["tokens"])}
    for piece, ids in tokenizer.encode_pieces(made_up[:2000]):
        mine = [id_of[BYTE_TO_CHAR[byte]] for byte in piece.encode()]
        while True:
            pairs = enumerate(pairwise(mine))
            found = [(*rank[pair], place) for place, pair in pairs if pair in rank]
            if not found:
                break
            _, new, place = min(found, key=lambda item: (item[0], item[2]))
            mine[place : place + 2] = [new]
        assert mine == ids
    for kind in (WordPiece, Unigram):
        other = kind.train(made_up[:50_000], 500).to_dict()
        assert len(json.loads(json.dumps(other))["tokens"]) == 500
