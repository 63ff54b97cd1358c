"""Bad input gives an error that says what to do, in all three tokenizers alike."""

import pytest

from llmlib.tokenizer import BPE, Unigram, WordPiece, count_pieces

KINDS = pytest.mark.parametrize("kind", [BPE, WordPiece, Unigram])
TEXT = "the cat sat on the mat, the dog sat on the log. " * 20


@pytest.fixture(scope="module")
def trained():
    return {
        kind: kind.train(TEXT, 330, special_tokens=["<|a|>"]) for kind in (BPE, WordPiece, Unigram)
    }


@KINDS
@pytest.mark.parametrize("texts", ["", [], ["", ""]])
def test_nothing_to_train_on(kind, texts):
    with pytest.raises(ValueError, match="nothing to train on"):
        kind.train(texts, 500)


@KINDS
def test_empty_text_is_no_ids(kind, trained):
    assert trained[kind].encode("") == []
    assert trained[kind].decode([]) == ""


@KINDS
def test_lone_surrogates(kind, trained):
    with pytest.raises(ValueError, match=r"U\+D800 at position 3"):
        trained[kind].encode("cat\ud800")
    with pytest.raises(ValueError, match="lone surrogate"):
        kind.train(["cat", "\udfff"], 500)
    ids = trained[kind].encode("cat\ud800", errors="replace")
    assert ids == trained[kind].encode("cat\ufffd")


@KINDS
def test_bytes_that_are_not_utf8(kind, trained):
    with pytest.raises(ValueError, match="0xff at position 1"):
        trained[kind].encode(b"c\xff")
    assert trained[kind].encode(b"c\xff", errors="replace") == trained[kind].encode("c\ufffd")
    assert trained[kind].encode("naïve".encode()) == trained[kind].encode("naïve")
    with pytest.raises(ValueError, match="errors"):
        trained[kind].encode("a", errors="ignore")


@pytest.mark.parametrize(("kind", "size"), [(BPE, 255), (WordPiece, 5), (Unigram, 270), (BPE, -1)])
def test_vocabulary_smaller_than_the_alphabet(kind, size):
    with pytest.raises(ValueError, match="too small"):
        kind.train(TEXT, size)


def test_smallest_vocabularies():
    assert BPE.train(TEXT, 257, special_tokens=["<|a|>"]).merges == []
    with pytest.raises(ValueError, match="need 257"):
        BPE.train(TEXT, 256, special_tokens=["<|a|>"])


@KINDS
def test_a_megabyte_of_one_character(kind, trained):
    """Linear in time, and no stack or memory that grows with each character of a piece."""
    for text in ("a" * 1_000_000, " " * 1_000_000, "字" * 300_000):
        ids = trained[kind].encode(text)
        assert kind is WordPiece or trained[kind].decode(ids) == text


@KINDS
@pytest.mark.parametrize("id", [-1, 10_000])
def test_ids_outside_the_vocabulary(kind, id, trained):
    with pytest.raises(ValueError, match=f"id {id} is not in the vocabulary"):
        trained[kind].decode([5, id])
    with pytest.raises(ValueError, match=f"id {id} is not in the vocabulary"):
        trained[kind].token_bytes(id)


@KINDS
def test_what_is_not_text(kind, trained):
    with pytest.raises(TypeError, match="not list"):
        trained[kind].encode(["a"])
    with pytest.raises(TypeError):
        trained[kind].decode([1.5])


@KINDS
def test_special_tokens_are_ordinary_text_unless_allowed(kind, trained):
    tokenizer = trained[kind]
    assert tokenizer.encode("<|a|>", allowed_special={"<|a|>"}) == [0]
    assert tokenizer.encode("<|a|>", allowed_special="all") == [0]
    assert 0 not in tokenizer.encode("<|a|>")
    with pytest.raises(ValueError, match=r"<\|b\|>"):
        tokenizer.encode("a", allowed_special={"<|b|>"})
    with pytest.raises(ValueError, match="all"):
        tokenizer.encode("a", allowed_special="<|a|>")
    with pytest.raises(ValueError, match="twice"):
        kind.train(TEXT, 500, special_tokens=["<|a|>", "<|a|>"])
    with pytest.raises(ValueError, match="at least one character"):
        kind.train(TEXT, 500, special_tokens=[""])


@KINDS
def test_skip_special(kind, trained):
    ids = trained[kind].encode("<|a|>the cat<|a|>", allowed_special="all")
    assert trained[kind].decode(ids, skip_special=True) == "the cat"


def test_a_special_token_named_like_a_byte():
    with pytest.raises(ValueError, match="single bytes"):
        BPE.train(TEXT, 300, special_tokens=["Ġ"])


def test_the_longest_special_token_wins():
    tokenizer = BPE.train(TEXT, 300, special_tokens=["<a>", "<a><b>"])
    assert tokenizer.encode("<a><b><a>", allowed_special="all") == [1, 0]
    counts = count_pieces("x<a><b>y", special_tokens=["<a>", "<a><b>"])
    assert counts == {b"x": 1, b"y": 1}, "nor is the rest of its name counted in training"


def test_a_vocabulary_without_some_bytes_says_which():
    tokenizer = BPE({b"a": 0, b"b": 1}, [])
    assert tokenizer.encode("ab") == [0, 1]
    with pytest.raises(ValueError, match="0x63"):
        tokenizer.encode("abc")
