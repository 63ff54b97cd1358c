"""T5 1.0 and 1.1 against `transformers`: the same logits, from disk and back, and the same text."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file

from llmlib.checkpoint.hf import from_hf, to_hf
from llmlib.generate import generate_pairs
from llmlib.model import DecoderCache, EncoderDecoder
from tests.model.references import TOLERANCE, batch, difference, padding, write

FILE = "model.safetensors"
STACKS = ("encoder", "decoder")


def inputs():
    """Texts beyond 128 tokens, where the last bucket takes all distances."""
    return batch(length=170), batch(length=150, seed=2)


def their_logits(model, source, target, mask=None):
    mask = None if mask is None else mask.long()
    return model(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits


def test_logits_equal(t5):
    theirs, folder = t5
    source, target = inputs()
    ours = from_hf(folder)
    assert isinstance(ours, EncoderDecoder)
    assert ours.config.tie_embeddings == ("lm_head.weight" not in load_file(folder / FILE))
    assert difference(ours(source, target), their_logits(theirs, source, target)) <= TOLERANCE


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_equal_with_an_encoder_mask(t5, side):
    theirs, folder = t5
    source, target = inputs()
    mask = padding(side, (170, 131, 17), 170)
    ours = from_hf(folder)(source, target, encoder_mask=mask)
    assert difference(ours, their_logits(theirs, source, target, mask)) <= TOLERANCE


def test_cached_logits_equal(t5):
    theirs, folder = t5
    source, target = inputs()
    mask = padding("right", (170, 131, 17), 170)
    model = from_hf(folder)
    cache, parts = DecoderCache(model.config, 3, 150), []
    for part in target.split([120, 1, 1, 25, 1, 1, 1], dim=1):
        parts.append(model(None if parts else source, part, encoder_mask=mask, cache=cache))
    ours = torch.cat(parts, dim=1)
    assert difference(ours, their_logits(theirs, source, target, mask)) <= TOLERANCE
    assert difference(ours, model(source, target, encoder_mask=mask)) <= TOLERANCE


def test_greedy_text_equals_generate(t5):
    theirs, folder = t5
    source, mask = batch(length=20), padding("right", (20, 15, 9), 20)
    new = theirs.generate(
        source,
        attention_mask=mask.long(),
        do_sample=False,
        max_new_tokens=24,
        min_new_tokens=24,
        eos_token_id=None,
        pad_token_id=0,
        use_cache=False,  # their cache has as many layers as the encoder: here one too few
    )[:, 1:]
    sources = [row[keep].tolist() for row, keep in zip(source, mask, strict=True)]
    for cache in (True, False):
        options = {"start": 0, "max_new_tokens": 24, "temperature": 0, "cache": cache}
        assert generate_pairs(from_hf(folder), sources, **options) == new.tolist()


def test_written_folder_is_loaded_by_transformers(t5, tmp_path):
    _, folder = t5
    source, target = inputs()
    model = from_hf(folder)
    assert to_hf(model, tmp_path) == "t5"
    loaded = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    assert difference(their_logits(loaded, source, target), model(source, target)) <= TOLERANCE
    again = from_hf(tmp_path)
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_files_as_found_on_the_hub(t5, tmp_path):
    """Copies of the shared table, a table that nobody reads, and fields left at their default."""
    theirs, folder = t5
    raw = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / FILE)
    copies = {f"{s}.embed_tokens.weight": tensors["shared.weight"].clone() for s in STACKS}
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    copies[unused] = torch.ones(32, 3)
    for name in ("relative_attention_num_buckets", "relative_attention_max_distance"):
        raw.pop(name, None)
    write(tmp_path, raw, tensors | copies)
    source, target = inputs()
    assert difference(from_hf(tmp_path)(source, target), their_logits(theirs, source, target)) <= (
        TOLERANCE
    )


def test_a_file_saved_again_by_transformers_five(t5, tmp_path):
    """It writes that 1.1 is tied, which it is not, and keeps the truth in another field."""
    theirs, _ = t5
    theirs.save_pretrained(tmp_path)
    source, target = inputs()
    ours = from_hf(tmp_path)(source, target)
    assert difference(ours, their_logits(theirs, source, target)) <= TOLERANCE


def test_sampling_repeats_and_stops(t5):
    model = from_hf(t5[1])
    sources = [[5, 6, 7], [8, 9]]
    options = {"start": 0, "max_new_tokens": 12, "top_p": 0.9, "seed": 3}
    rows = generate_pairs(model, sources, **options)
    assert rows == generate_pairs(model, sources, **options)
    assert rows == generate_pairs(model, sources, **options, cache=False)
    stop = rows[0][4]
    cut = generate_pairs(model, sources, **options, stop=[stop])
    assert cut[0] == rows[0][: rows[0].index(stop) + 1]
    with pytest.raises(ValueError, match="at least one token"):
        generate_pairs(model, [[]], start=0, max_new_tokens=2)
    with pytest.raises(ValueError, match="max_new_tokens"):
        generate_pairs(model, sources, start=0, max_new_tokens=0)
