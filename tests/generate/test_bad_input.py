"""Bad input of everything that writes: the error names the thing and says what to do."""

import numpy as np
import pytest
import torch

from llmlib.generate import (
    JsonSchema,
    Regex,
    TextStream,
    beam_search,
    complete,
    generate,
    speculative,
    stream,
    stream_text,
)
from llmlib.model import ModelConfig, Transformer
from llmlib.tokenizer import BPE

# what is called, with what, which error, what it names, what it says to do
WRITERS = {
    "generate": lambda model, ids, **more: generate(model, ids, max_new_tokens=3, **more),
    "stream": lambda model, ids, **more: stream(model, ids, max_new_tokens=3, **more),
    "beam_search": lambda model, ids, **more: beam_search(
        model, ids, max_new_tokens=3, **({"beams": 2} | more)
    ),
    "speculative": lambda model, ids, **more: speculative(
        model, model, ids, max_new_tokens=3, **more
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("empty", [[], [[]], torch.zeros(1, 0, dtype=torch.long), np.array([])])
def test_a_prompt_of_no_tokens(model, writer, empty):
    with pytest.raises(ValueError, match=r"(?s)at least one token.*begin with <\|endoftext\|>"):
        WRITERS[writer](model, empty)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_prompt_that_fills_the_context(model, writer):
    with pytest.raises(ValueError, match="512 tokens leaves no room.*context of 512: shorten it"):
        WRITERS[writer](model, [1] * 512)


@pytest.mark.parametrize("writer", WRITERS)
def test_an_id_that_the_model_does_not_have(model, writer):
    with pytest.raises((IndexError, ValueError), match="1500.*own tokenizer"):
        list(WRITERS[writer](model, [1, 1500]))


@pytest.mark.parametrize("writer", WRITERS)
def test_a_stop_that_is_no_id(model, writer):
    with pytest.raises(ValueError, match="stop holds ids from 0 to 1023, not '.'.*stop_strings"):
        WRITERS[writer](model, [1], stop=["."])


@pytest.mark.parametrize("writer", ["generate", "stream", "speculative"])
@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("temperature", -1, "temperature must be 0 .greedy. or above"),
        ("temperature", "hot", "temperature must be a number"),
        ("top_k", 0, "top_k must be a whole number of at least 1"),
        ("top_p", 0.0, "top_p must be above 0 and at most 1"),
        ("min_p", 1.5, "min_p must be between 0 and 1"),
    ],
)
def test_impossible_sampling(model, writer, option, value, says):
    with pytest.raises(ValueError, match=says):
        WRITERS[writer](model, [1], **{option: value})


def test_seeds_constraints_and_beams_that_do_not_fit(model, tokenizer):
    with pytest.raises(ValueError, match="3.*seeds.*2|2.*prompts.*3|seed"):
        generate(model, [[1], [2]], max_new_tokens=1, seed=[1, 2, 3])
    with pytest.raises(ValueError, match="1 constraints for 2 prompts: one a prompt"):
        generate(model, [[1], [2]], max_new_tokens=1, constraint=[Regex("a", tokenizer)])
    narrow = Transformer(ModelConfig(vocab_size=900, d_model=8, n_layers=1, n_heads=1))
    with pytest.raises(ValueError, match="1024 tokens does not fit a model of 900.*own tokenizer"):
        generate(narrow, [1], max_new_tokens=1, constraint=Regex("a", tokenizer))
    with pytest.raises(ValueError, match="beams"):
        beam_search(model, [1], beams=0, max_new_tokens=1)


def test_an_impossible_schema_or_pattern(tokenizer):
    with pytest.raises(ValueError, match="minimum and maximum: no value"):
        JsonSchema({"type": "integer", "minimum": 5, "maximum": 4}, tokenizer)
    with pytest.raises(ValueError, match="matches no text"):
        Regex("[^\\s\\S]", tokenizer)
    with pytest.raises(ValueError, match="format is not supported"):
        JsonSchema({"type": "string", "format": "date"}, tokenizer)


def test_a_stop_string_of_half_a_character(tokenizer, model):
    for half in ("\ud83d", "a\udc00"):
        with pytest.raises(ValueError, match="half a character.*give whole characters"):
            TextStream(tokenizer, [half])
        with pytest.raises(ValueError, match="half a character"):
            complete(model, tokenizer, "x", stop_strings=[half])
    with pytest.raises(ValueError, match=r"a list of texts.*\['end'\]"):
        stream_text(model, tokenizer, "x", stop_strings="end")


def test_an_empty_text_with_nothing_to_begin_it(model):
    bare = BPE.train(["a b c"] * 3, 260)
    with pytest.raises(ValueError, match=r"prompt is empty.*no <\|endoftext\|> to start from"):
        complete(model, bare, "")
