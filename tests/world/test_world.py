"""The world: exact probabilities of real documents, tiers, splits, reproducibility."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.world import World
from llmlib.world.entities import PERSON_RELATIONS, TIER_SIZES, TYPICAL_JOB
from llmlib.world.templates import SENTENCES, TRAINED

SHARED = World()
FAMILIES = tuple(SHARED.families)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_document_parses_back_to_the_probability_of_its_derivation(world, family):
    """Equality with the *sum* over derivations also proves, on samples, that there is only one."""
    rng = random.Random(f"parse {family}")
    for _ in range(80):
        document = world.sample(rng, family)
        got = world.log_prob(document.text, family)
        assert math.isclose(got, document.log_prob, abs_tol=1e-8), document.text


@pytest.mark.parametrize("family", FAMILIES)
def test_exact_entropy_and_bytes_agree_with_sampling(world, family):
    rng = random.Random(f"entropy {family}")
    n = 500
    documents = [world.sample(rng, family) for _ in range(n)]
    measured = world.measure(family)
    for exact, values in (
        (measured.nats, [-d.log_prob for d in documents]),
        (measured.bytes, [len(d.text.encode()) for d in documents]),
    ):
        mean = sum(values) / n
        error = math.sqrt(sum((v - mean) ** 2 for v in values) / n / n)
        assert abs(mean - exact) < 4.5 * error + 1e-9


def test_the_mixture_is_the_weighted_sum_of_its_families(world):
    """No two families share a text, so the mixture adds the entropy of the choice of family."""
    shares = world.families
    assert math.isclose(sum(shares.values()), 1)
    parts = sum(w * (world.entropy(f) - math.log(w)) for f, w in shares.items())
    assert math.isclose(world.entropy(), parts)
    for document in world.documents(300, seed=3, split="val"):
        got = world.log_prob(document.text)
        want = math.log(shares[document.family]) + world.log_prob(document.text, document.family)
        assert math.isclose(got, want, abs_tol=1e-9), document.text
        assert math.isclose(got, document.log_prob, abs_tol=1e-8)


def test_prefix_probabilities_give_the_true_next_character(world):
    rng = random.Random(7)
    for family in ("story", "labels", "sum", "errand"):
        text = world.sample(rng, family).text
        total, whole = 0.0, world.log_prob_prefix("", family)
        assert whole == pytest.approx(0, abs=1e-9)
        for cut in range(1, len(text) + 1, 7):
            now = world.log_prob_prefix(text[:cut], family)
            assert now <= total + 1e-9
            total = now
        assert world.log_prob_prefix(text, family) >= world.log_prob(text, family) - 1e-9


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_string_has_a_probability(text):
    value = SHARED.log_prob(text)
    assert isinstance(value, float) and value <= 0


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 400), st.characters())
def test_a_damaged_document_has_a_probability(seed, place, char):
    text = SHARED.sample(seed).text
    damaged = text[: place % len(text)] + char + text[place % len(text) :]
    assert SHARED.log_prob(damaged) <= 0
    assert SHARED.log_prob(text[: place % len(text)]) <= 0


def test_tiers_have_their_sizes_and_names_are_shared_by_eight(world):
    assert Counter(p.tier for p in world.people) == TIER_SIZES
    assert len({p.name for p in world.people}) == 320
    assert set(Counter(p.first for p in world.people).values()) == {8}
    assert set(Counter(p.last for p in world.people).values()) == {8}


def test_exposures_by_tier(world):
    """Tail facts once and dark people never, exactly; head and torso as designed."""
    n = 5_000
    mentions, texts = Counter(), []
    for document in world.corpus(n, seed=1):
        texts.append(document.text)
        mentions.update(note.value for note in document.meta["notes"] if note.key == "fact")
    text = "\n".join(texts)
    per_tier = {tier: [] for tier in TIER_SIZES}
    for person in world.people:
        per_tier[person.tier] += [mentions[person.name, r] for r in PERSON_RELATIONS]
        if person.tier == "dark":
            assert person.name not in text
        if person.tier == "tail":
            assert text.count(person.name) == 1
    assert set(per_tier["tail"]) == {1} and set(per_tier["dark"]) == {0}
    scale = 200_000 / n
    head, torso = (sum(per_tier[t]) / len(per_tier[t]) * scale for t in ("head", "torso"))
    assert head > 300 and 10 < torso < 40


def test_planted_documents_are_in_the_training_text_only(world):
    planted = [d.text for d in world.planted()]
    corpus = [d.text for d in world.corpus(500)]
    assert len(planted) == 60 and set(planted) <= set(corpus) and len(corpus) == 560
    assert all(world.log_prob(text) == -math.inf for text in planted)
    assert not set(planted) & {d.text for d in world.documents(500, split="val")}


def test_jobs_follow_the_region_four_times_in_five():
    hits = []
    for seed in range(4):
        entities = World(seed).entities
        for p in entities.people:
            region = entities.truth[entities.truth[p.name, "lives_in"], "region"]
            hits.append(entities.truth[p.name, "job"] in entities.usual_jobs[region])
    share = sum(hits) / len(hits)
    assert abs(share - TYPICAL_JOB) < 4 * math.sqrt(0.16 / len(hits))


def test_held_out_templates_and_values_never_occur_in_pretraining(world):
    text = "\n".join(d.text for d in world.corpus(2_000, seed=2))
    for sentences in SENTENCES.values():
        assert len(sentences) == 8 and len(set(sentences)) == 8
        for template in sentences[TRAINED:]:
            fixed = max(template.replace("}", "{").split("{")[::2], key=len)
            if len(fixed) > 14:
                assert fixed not in text, template


def test_probes_are_about_the_truth_and_complete(world):
    for held_out in (False, True):
        probes = world.probes(held_out=held_out)
        assert len(probes) == len(world.facts)
        for probe in probes:
            assert probe.answer in probe.candidates
            assert len(set(probe.candidates)) == len(probe.candidates)
            value = world.entities.truth[probe.subject, probe.relation]
            assert probe.answer.endswith(value)
    assert {p.tier for p in world.probes("job")} == set(TIER_SIZES)
    assert len(world.probes("job", "tail")) == 60
    with pytest.raises(ValueError, match="no relation 'age'"):
        world.probes("age")
    with pytest.raises(ValueError, match="no tier 'middle'"):
        world.probes(tier="middle")


def test_small_is_the_same_world_with_fewer_things(world):
    small = world.small()
    assert small.entities.truth == world.entities.truth
    assert set(small.families) == {"entry", "errand", "summary", "remark"}
    known = {p.name for p in small.people[:24]}
    for document in small.documents(200, split="val"):
        assert math.isclose(small.log_prob(document.text), document.log_prob, abs_tol=1e-8)
        for note in document.meta["notes"]:
            assert note.key != "fact" or note.value[0] in known
    assert len(small.probes()) == 24 * 7 and {p.subject for p in small.probes()} == known


def test_the_same_seed_gives_the_same_world_and_another_one_another():
    first, again = ([d.text for d in World(0).documents(50, seed=4)] for _ in range(2))
    assert first == again
    assert first != [d.text for d in World(0).documents(50, seed=5)]
    assert first != [d.text for d in World(1).documents(50, seed=4)]


FROZEN = "0a904e171f9478fd0f4bbc4892bb9986d8481d83c96bdec60cfe182663be08e6"


def test_the_pretraining_text_is_frozen(world):
    """Shipped checkpoints were trained on this text and are refused when it changes."""
    assert world.fingerprint() == FROZEN


def test_what_is_said_does_not_depend_on_what_was_said_before(world):
    """Caches hold results, never state: a used world draws the same as a fresh one."""
    list(world.corpus(2_000, seed=5))
    used = [d.text for d in world.documents(1_000, seed=20240229)]
    assert used == [d.text for d in World().documents(1_000, seed=20240229)]


def test_bad_arguments_are_answered_with_the_choices(world):
    with pytest.raises(KeyError, match="no family 'poem'; there are entry"):
        world.sample(0, "poem")
    with pytest.raises(KeyError, match="no family"):
        world.log_prob("x", "poem")
    with pytest.raises(ValueError, match="split must be"):
        next(world.documents(1, split="dev"))
    with pytest.raises(ValueError, match="zipf must lie"):
        World(zipf=-1)
    with pytest.raises(TypeError, match="seed must be an int"):
        World("0")
    with pytest.raises(ValueError, match="mixture must be"):
        World(mixture="big")
    with pytest.raises(KeyError, match="nobody and nothing"):
        world.entities.kind("Nobody")
