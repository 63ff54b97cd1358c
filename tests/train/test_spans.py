"""Span corruption and batches of pairs: nothing is lost, and everything is where T5 puts it."""

import numpy as np
import pytest
import torch

from llmlib.data import collate_pairs, corrupt_spans, merge_spans, pair_batches

SENTINELS = range(1000, 1033)


def corrupted(length, seed=0, **options):
    return corrupt_spans(range(length), SENTINELS, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("length", [2, 3, 7, 40, 200])
@pytest.mark.parametrize("options", [{}, {"density": 0.5, "mean_length": 8}, {"density": 0.01}])
def test_corrupting_and_merging_gives_the_text_back(length, options):
    for seed in range(20):
        source, target = corrupted(length, seed, **options)
        assert merge_spans(source, target, SENTINELS) == list(range(length))


def test_shape_of_source_and_target():
    """100 tokens at 15 % and 3 a span: 15 cut, in 5 spans, and one sentinel more in the target."""
    source, target = corrupted(100)
    marks = [t for t in source if t >= 1000]
    assert marks == [*range(1000, 1005)] and source[0] == 0
    assert [t for t in target if t >= 1000] == [*range(1000, 1006)] and target[-1] == 1005
    assert len(source) == 85 + 5 and len(target) == 15 + 6
    assert not any(a >= 1000 and b >= 1000 for a, b in zip(source, source[1:], strict=False))


def test_all_parts_of_a_text_are_cut_alike():
    counts = np.zeros(180)
    for seed in range(200):
        source, _ = corrupted(180, seed)
        cut = np.ones(180, dtype=bool)
        cut[[t for t in source if t < 1000]] = False
        counts += cut
    assert counts.sum() == 200 * 27 and counts[0] == 0  # a text begins with what is kept
    # 20 runs of this: the thirds within 0.15 ± 0.037 (the first a little under)
    assert np.abs(counts.reshape(3, 60).mean(1) / 200 - 0.15).max() < 0.05


def test_merging_what_a_model_wrote_badly():
    source = [5, 1000, 6, 1001]
    assert merge_spans(source, [8, 1001, 9], SENTINELS) == [5, 6, 9]
    assert merge_spans(source, [], SENTINELS) == [5, 6]


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two or more"):
        corrupt_spans([1], SENTINELS, rng)
    with pytest.raises(ValueError, match="needs 6 sentinels"):
        corrupt_spans(range(100), range(1000, 1003), rng)
    with pytest.raises(ValueError, match="occurs in the text"):
        corrupt_spans([5, 1000, 6], SENTINELS, rng)
    with pytest.raises(ValueError, match="density"):
        corrupt_spans([5, 6], SENTINELS, rng, density=1.0)
    with pytest.raises(ValueError, match="empty"):
        collate_pairs([([1], [])], start=0)


def test_collated_pairs():
    batch = collate_pairs([([5, 6, 7], [8, 9]), ([4], [3, 2, 1])], start=63, pad=0)
    assert batch.encoder_ids.tolist() == [[5, 6, 7], [4, 0, 0]]
    assert batch.encoder_mask.tolist() == [[True, True, True], [True, False, False]]
    assert batch.ids.tolist() == [[63, 8, 9], [63, 3, 2]]
    assert batch.targets.tolist() == [[8, 9, 0], [3, 2, 1]]
    assert batch.mask.tolist() == [[True, True, False], [True, True, True]]
    part = batch.rows(1, 2)
    assert len(part) == 1 and part.encoder_ids.tolist() == [[4, 0, 0]] and part.n_targets == 3


def test_batches_come_again_for_the_same_seed_and_cover_every_item():
    items = [([i], [i, i]) for i in range(1, 8)]
    first = [b.encoder_ids for b in pair_batches(items, 3, start=0, epochs=2)]
    again = [b.encoder_ids for b in pair_batches(items, 3, start=0, epochs=2)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert [len(b) for b in first] == [3, 3, 1, 3, 3, 1]
    for epoch in (first[:3], first[3:]):
        assert sorted(torch.cat(epoch).flatten().tolist()) == [*range(1, 8)]
    other = next(pair_batches(items, 7, start=0, seed=1)).encoder_ids
    assert not torch.equal(other, torch.cat(first[:3]))


def test_a_text_is_corrupted_anew_in_every_epoch():
    def make(ids, rng):
        return corrupt_spans(ids, SENTINELS, rng)

    batches = list(pair_batches([range(50)], 1, start=0, make=make, epochs=2))
    assert not torch.equal(batches[0].encoder_ids, batches[1].encoder_ids)
