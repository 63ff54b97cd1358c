"""The same logits as `transformers`, for every style of every family, read from disk."""

import pytest
import torch
import transformers

from llmlib.checkpoint.hf import from_hf, to_hf
from llmlib.generate import generate
from llmlib.model import KVCache
from tests.model.references import TOLERANCE, batch, difference, padding, reference_logits


def test_logits_equal_on_whole_sequences(saved):
    theirs, folder = saved
    ids = batch()
    assert difference(from_hf(folder)(ids), reference_logits(theirs, ids)) <= TOLERANCE


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_equal_with_padding(saved, side):
    theirs, folder = saved
    ids, mask = batch(), padding(side)
    ours = from_hf(folder)(ids, pad_mask=mask)
    assert torch.isfinite(ours).all()
    assert difference(ours, reference_logits(theirs, ids, mask), mask) <= TOLERANCE


@pytest.mark.parametrize("side", [None, "left"])
def test_cached_logits_equal(saved, side):
    theirs, folder = saved
    model, ids = from_hf(folder), batch()
    mask = None if side is None else padding(side)
    cache, pieces = KVCache(model.config, 3, 40), (25, 1, 9, 1, 1, 1, 1, 1)
    parts, start = [], 0
    for size in pieces:
        part = slice(start, start + size)
        here = None if mask is None else mask[:, part]
        parts.append(model(ids[:, part], cache=cache, pad_mask=here))
        start += size
    ours = torch.cat(parts, dim=1)
    assert start == 40
    assert difference(ours, reference_logits(theirs, ids, mask), mask) <= TOLERANCE
    assert difference(ours, model(ids, pad_mask=mask), mask) <= TOLERANCE


def test_greedy_text_equals_generate(saved):
    theirs, folder = saved
    ids, mask = batch(length=12), padding("left", (12, 9, 5), 12)
    theirs_new = theirs.generate(
        ids,
        attention_mask=mask.long(),
        do_sample=False,
        max_new_tokens=24,
        min_new_tokens=24,
        pad_token_id=0,
        eos_token_id=None,
    )[:, 12:]
    prompts = [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)]
    for cache in (True, False):
        ours = generate(from_hf(folder), prompts, max_new_tokens=24, temperature=0, cache=cache)
        assert ours == theirs_new.tolist()


def test_written_folder_is_loaded_by_transformers(saved, tmp_path):
    """Under the same model_type; and back again with the same configuration and weights."""
    theirs, folder = saved
    model, ids = from_hf(folder), batch()
    kind = theirs.config.model_type
    assert to_hf(model, tmp_path, family=kind) == kind
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(loaded) is type(theirs)
    assert difference(loaded(ids).logits, model(ids)) <= TOLERANCE
    again = from_hf(tmp_path)
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        gap = (tensor - again.state_dict()[name]).abs().max()
        assert gap <= 2e-7, name  # nothing, but for Gemma's norms: (w - 1) + 1
