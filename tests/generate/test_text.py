"""Text from ids: whole characters only, and nothing of a stop string or beyond it."""

import itertools
import random

import pytest
import torch

from llmlib.generate import TextStream, complete, generate, stream_text
from llmlib.model import ModelConfig, Transformer
from llmlib.tokenizer import BPE

TEXT = "naïve café — 日本語 🙂🙃 end. And ever on: ééé 日日 🙂 stop here."


@pytest.fixture(scope="module")
def tokenizer():
    return BPE.train([TEXT] * 3, 300, special_tokens=["<|endoftext|>"])


def pieces(tokenizer, ids, stops=()):
    text = TextStream(tokenizer, stops)
    for id in ids:
        yield text.add(id)
        if text.stopped:
            return
    yield text.finish()


def cuts(tokenizer, seed):
    """Ids of TEXT, cut into tokens in a random way: characters are cut, too."""
    rng, data = random.Random(seed), TEXT.encode()
    names = {tokenizer.token_bytes(id): id for id in range(tokenizer.vocab_size - 1)}
    while data:
        fitting = [n for n in range(1, 9) if data[:n] in names]
        size = rng.choice(fitting)
        yield names[data[:size]]
        data = data[size:]


@pytest.mark.parametrize("seed", range(8))
def test_pieces_are_whole_characters_and_the_whole_text(tokenizer, seed):
    got = list(pieces(tokenizer, cuts(tokenizer, seed)))
    assert "".join(got) == TEXT
    assert "�" not in "".join(got)
    assert len(got) > 20


@pytest.mark.parametrize("stop", ["🙃", "日日", " end.", "é", ".", "ever on: é", "a", "n"])
@pytest.mark.parametrize("seed", range(3))
def test_the_text_ends_exactly_before_the_stop_string(tokenizer, stop, seed):
    """Wherever it lies: across tokens, within one, in characters of which a token holds a part."""
    got = list(pieces(tokenizer, cuts(tokenizer, seed), [stop]))
    assert "".join(got) == TEXT[: TEXT.index(stop)]


def test_beginnings_of_a_stop_string_are_held_back_and_given_out(tokenizer):
    text = TextStream(tokenizer, ["aab"])
    said = [text.add(id) for letter in "caacaaab" for id in tokenizer.encode(letter)]
    assert said == ["c", "", "", "aac", "", "", "a", ""]
    assert text.stopped and text.add(5) == text.finish() == ""


def test_of_several_the_first_that_is_complete_counts(tokenizer):
    """However the text is cut: also if one token brings several."""
    for ids in ([tokenizer.encode(letter)[0] for letter in "xabcd"], tokenizer.encode("xabcd")):
        assert "".join(pieces(tokenizer, ids, ["abcd", "bc"])) == "xa"
        assert "".join(pieces(tokenizer, ids, ["bc", "abc"])) == "x"
        assert "".join(pieces(tokenizer, ids, ["zz", "d"])) == "xabc"


def test_an_unfinished_stop_string_or_character_is_said_at_the_end(tokenizer):
    ids = tokenizer.encode("so st")
    assert "".join(pieces(tokenizer, ids, ["stop"])) == "so st"
    half = tokenizer.encode_bytes("é".encode()[:1])
    assert list(pieces(tokenizer, half)) == ["", "�"] == ["", tokenizer.decode(half)]


@pytest.mark.parametrize(
    ("stops", "message"),
    [
        ("end", "a list of texts"),
        ([""], "at least one character"),
        ([3], "at least one character"),
        (["\udc8e"], "half a character"),
    ],
)
def test_impossible_stop_strings_are_named(tokenizer, stops, message):
    with pytest.raises(ValueError, match=message):
        TextStream(tokenizer, stops)
    with pytest.raises(ValueError, match=message):
        stream_text(None, tokenizer, "x", stop_strings=stops)


def test_complete_stops_at_a_string_wherever_the_model_writes_it(tokenizer):
    torch.manual_seed(0)
    config = ModelConfig(tokenizer.vocab_size, 32, 2, 4, max_seq_len=200, init_std=0.3)
    model, options = Transformer(config), {"max_new_tokens": 150, "seed": 1, "stop": ()}
    whole = complete(model, tokenizer, "ca", **options)
    new = generate(model, tokenizer.encode("ca"), max_new_tokens=150, seed=1)[0]
    assert whole == tokenizer.decode(new)
    assert "".join(stream_text(model, tokenizer, "ca", **options)) == whole
    for size, start in itertools.product((1, 2, 5), (0, 9, 40)):
        stop = whole[start : start + size]
        if "�" not in stop:
            got = complete(model, tokenizer, "ca", stop_strings=[stop], **options)
            assert got == whole[: whole.index(stop)]
