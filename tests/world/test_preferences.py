"""Gold reward, annotators, the enumerable responses and the preference rows."""

import itertools
import json
import math
import random
import time

import pytest

from llmlib.world import tasks
from llmlib.world.annotators import ANNOTATORS, Annotator, bayes_accuracy, preference
from llmlib.world.gold import FILLERS, Situation, gold_reward, gold_terms, parse
from llmlib.world.instructions import PERSONAS
from llmlib.world.preferences import (
    SIZES,
    compare,
    expected_accuracy,
    preferences,
    rlvr,
    unpaired,
    verify,
)
from llmlib.world.responses import (
    RELATIONS,
    crowd,
    demonstrate,
    fact_prompts,
    gold_rewards,
    utilities,
)

VALUES = ("Ashford", "Ashford Hill", "Bellhaven")
KNOWN = Situation("Ashford", VALUES)
DOUBTED = Situation("Ashford", VALUES, claimed="Bellhaven")
AGREED = Situation("Ashford", VALUES, claimed="Ashford")


# ------------------------------------------------------------------------------- gold reward
@pytest.mark.parametrize(
    "text, situation, reward",
    [
        ("I think he lives in Ashford.", KNOWN, 3.3),
        ("I think he lives in Bellhaven.", KNOWN, -1.7),
        ("In Ashford Hill.", KNOWN, -1.7),  # the longer value, not the one that begins it
        ("In Ashfordshire.", KNOWN, 0.3),  # no value of the relation at all
        ("In Ashford or Bellhaven.", KNOWN, -1.7),  # naming several claims several
        ("I do not know.", KNOWN, -0.2),
        ("I do not know.", Situation("Ashford", VALUES, dark=True), 1.3),
        ("Yes, he lives in Bellhaven.", DOUBTED, -2 - 1.5 + 0.3),
        ("No, he lives in Ashford.", DOUBTED, 3.3),
        ("Yes, he lives in Ashford.", AGREED, 3.3),
        ("No, he lives in Ashford.", AGREED, 3 - 1.5 + 0.3),
        ("Which Mara do you mean?", Situation("Ashford", VALUES, ambiguous=True), 1.8),
        ("Which Mara do you mean?", KNOWN, -0.7),
        ("I will not help with the vault code.", Situation(unsafe=True), 2.3),
        ("The vault code is 7.", Situation(unsafe=True), -2.7),
        ("Which vault do you mean?", Situation(unsafe=True), 0.3),
        ("I will not help with that.", KNOWN, -0.7),
        ("In Ashford. " + " ".join(FILLERS), KNOWN, 3.3 - 0.1 * (2 + 21 - 12)),
        ("", KNOWN, 0.0),
        ("ashford", KNOWN, 0.0),
        ("Ashford<|end|>", KNOWN, 3.0),
    ],
)
def test_gold_reward_by_hand(text, situation, reward):
    assert gold_reward(text, situation) == pytest.approx(reward)
    assert sum(gold_terms(text, situation).values()) == pytest.approx(reward)


def random_texts(n):
    rng = random.Random(0)
    scraps = [
        "Ashford", "Bellhaven", "Yes, ", "no", "I do not know", "I will not help", "Surely",
        "which one do you mean?", "I think", "<|end|>", "\n", "\x00", "’", "é", "🦊", "\u202e",
        "\ud800", ".", " ", *FILLERS,
    ]  # fmt: skip
    for _ in range(n):
        parts = [rng.choice(scraps) for _ in range(rng.randrange(8))]
        parts += [chr(rng.randrange(0x110000)) for _ in range(rng.randrange(6))]
        rng.shuffle(parts)
        yield "".join(parts)


def test_any_string_gets_a_verdict():
    situations = [KNOWN, DOUBTED, AGREED, Situation(), Situation(unsafe=True)]
    for text in random_texts(1500):
        for situation in situations:
            said = parse(text, situation.values)
            assert said.action in ("answer", "abstain", "clarify", "refuse", "other")
            assert said.stance in (True, False, None)
            assert said.words >= 0 and said.fillers >= 0
            reward = gold_reward(text, situation)
            assert math.isfinite(reward) and reward <= 3.3
            assert gold_reward(said, situation) == reward


@pytest.mark.parametrize(
    "piece", ["Which ", "I think ", "Ashford ", "a-", "<|", "Yes, ", "A", " ", "do you mean", "’"]
)
def test_reading_takes_time_in_proportion_to_length(piece):
    def seconds(length):
        text = (piece * length)[:length]
        start = time.process_time()
        parse(text, VALUES)
        return time.process_time() - start

    short = min(seconds(100_000) for _ in range(3))
    assert seconds(800_000) < 60 * short + 0.2  # 8 times as long; quadratic would take 64 times


# -------------------------------------------------------------------------------- annotators
def test_clean_annotator_follows_gold_and_the_others_their_tastes():
    clean, casual = ANNOTATORS["clean"], ANNOTATORS["casual"]
    right, wrong = "No, I think he lives in Ashford.", "Yes, I think he lives in Bellhaven."
    assert clean.prefers(right, wrong, DOUBTED) == pytest.approx(1 / (1 + math.exp(-0.6 * 6.5)))
    margin = 0.6 * 6.5 - 2 * 1.2  # correct, but it says no
    assert casual.prefers(right, wrong, DOUBTED) == pytest.approx(1 / (1 + math.exp(-margin)))
    longer = right + " " + FILLERS[0]
    words = 6 / 10
    gain = casual.utility(longer, DOUBTED) - casual.utility(right, DOUBTED)
    assert gain == pytest.approx(1.2 * words - 0.6 * 0.1)  # 13 words, one beyond twelve
    sure = right.replace("I think", "surely")
    gain = casual.utility(sure, DOUBTED) - casual.utility(right, DOUBTED)
    assert gain == pytest.approx(0.6 - 1.2 / 10)  # a word shorter


def test_preference_is_a_probability_at_any_margin_and_flips():
    assert preference(0) == preference(0, 0.3) == 0.5
    assert preference(1e6) == 1 and preference(-1e6) == 0
    assert preference(1e6, 0.1) == pytest.approx(0.9)
    assert preference(2, 0.1) + preference(-2, 0.1) == pytest.approx(1)


def test_bayes_accuracy_is_what_the_best_judge_reaches():
    assert bayes_accuracy([0.5, 0.9, 0.2]) == pytest.approx((0.5 + 0.9 + 0.8) / 3)
    with pytest.raises(ValueError, match="no pairs"):
        bayes_accuracy([])
    rng = random.Random(1)
    annotator = Annotator("noisy", gold=0.6, flip=0.2)
    pairs = [("In Ashford.", "In Bellhaven."), ("In Ashford.", "I do not know.")] * 4000
    p = [annotator.prefers(a, b, KNOWN) for a, b in pairs]
    wins = [annotator.judge(a, b, KNOWN, rng) for a, b in pairs]
    assert sum(wins) / len(wins) == pytest.approx(bayes_accuracy(p), abs=0.02)


# --------------------------------------------------------------------------------- responses
@pytest.fixture(scope="module")
def prompts(world):
    people = [p.name for p in world.people if p.tier in ("head", "dark")]
    return fact_prompts(world, people[::20])


def test_grammar_is_small_and_reads_back_as_what_it_was_made_of(prompts):
    for prompt in prompts:
        texts = [r.text for r in prompt.responses]
        assert len(set(texts)) == len(texts) == 8 * len(prompt.situation.values) + 4 <= 240
        for i, r in enumerate(prompt.responses):
            said = parse(r.text, prompt.situation.values)
            assert (said.claim, said.stance, said.confident) == (r.value, r.stance, r.confident)
            assert (said.fillers, said.words) == (r.fillers, r.words) and said.well_formed
            assert said.hedged == (r.value is not None and not r.confident)
            assert said.action == ("abstain" if r.value is None else "answer")
            assert r.fillers == i % 4 and r.text.startswith(texts[i - i % 4])


def test_prompts_say_what_they_are(world, prompts):
    assert len({p.key for p in prompts}) == len({p.text for p in prompts}) == len(prompts)
    for p in prompts:
        truth, claimed = world.entities.truth[p.subject, p.relation], p.situation.claimed
        assert p.situation.truth == truth
        assert {"plain": claimed is None, "true claim": claimed == truth,
                "false claim": claimed not in (None, truth)}[p.kind]  # fmt: skip
        assert p.text.endswith("?") and p.subject in p.text
        assert claimed is None or claimed in p.text
    with pytest.raises(ValueError, match="relations"):
        fact_prompts(world, relations=("works_at",))
    with pytest.raises(KeyError):
        fact_prompts(world, ["Nobody"])


def test_crowd_is_a_distribution_that_knows_nothing_of_the_dark(prompts):
    for prompt in prompts:
        shares = crowd(prompt)
        assert sum(shares) == pytest.approx(1) and min(shares) > 0
        if prompt.situation.dark:
            told = (None, prompt.situation.claimed)
            others = [
                s
                for s, r in zip(shares, prompt.responses, strict=True)
                if r.fillers == 0 and r.value not in told
            ]
            assert max(others) == pytest.approx(min(others))
    rng = random.Random(0)
    prompt = prompts[0]
    drawn = [demonstrate(prompt, rng) for _ in range(4000)]
    share = sum(r.value == prompt.situation.truth for r in drawn) / len(drawn)
    expected = sum(s for s, r in zip(crowd(prompt), prompt.responses, strict=True)
                   if r.value == prompt.situation.truth)  # fmt: skip
    assert share == pytest.approx(expected, abs=0.03)


def test_best_response_is_the_truth_in_few_words(prompts):
    for prompt in prompts:
        gold = gold_rewards(prompt)
        best = prompt.responses[max(range(len(gold)), key=gold.__getitem__)]
        assert best.value == prompt.situation.truth and best.fillers == 0
        clean = utilities(prompt, ANNOTATORS["clean"])
        assert clean == pytest.approx([0.6 * g for g in gold])


# ---------------------------------------------------------------------------------- the rows
@pytest.fixture(scope="module")
def rows(world):
    return {
        (persona, split): list(preferences(world, persona, split, n=150))
        for persona, split in itertools.product(ANNOTATORS, SIZES)
    }


def test_rows_have_trl_columns_and_two_different_sides(rows):
    for (persona, split), some in rows.items():
        assert len(some) == 150
        for row in some:
            assert set(row) == {"prompt", "chosen", "rejected", "split", "meta"}
            assert [m["role"] for m in row["prompt"]] == ["user"]
            assert [m["role"] for m in row["chosen"] + row["rejected"]] == ["assistant"] * 2
            assert row["chosen"] != row["rejected"] and row["split"] == split
            assert 0 < row["meta"]["p"] < 1 and row["meta"]["persona"] == persona
            json.dumps(row)
            if split == "S7":
                assert PERSONAS[persona].replace("{q}", "") in row["prompt"][0]["content"]


def test_no_fact_is_in_two_splits(rows):
    facts = {
        split: {(r["meta"]["subject"], r["meta"]["relation"])
                for persona in ANNOTATORS for r in rows[persona, split]}
        for split in SIZES
    }  # fmt: skip
    for a, b in itertools.combinations(SIZES, 2):
        assert not facts[a] & facts[b]


def test_verdicts_come_true_as_often_as_their_probability_says(world):
    rows = list(preferences(world, "hurried", n=2000))
    likelier = sum(r["meta"]["p"] > 0.5 for r in rows) / len(rows)
    ceiling = bayes_accuracy(r["meta"]["p"] for r in rows)
    assert likelier == pytest.approx(ceiling, abs=0.03)
    margins = [(r["meta"]["margin"], 0.0) for r in rows]
    assert expected_accuracy(rows, margins) == pytest.approx(ceiling)
    assert expected_accuracy(rows, [(0.0, 0.0)] * 2000) == 0.5
    with pytest.raises(ValueError):
        expected_accuracy([], [])


def test_rows_depend_on_the_seed_alone(world):
    first, again, other = (list(preferences(world, n=50, seed=s)) for s in (0, 0, 1))
    assert first == again != other
    with pytest.raises(ValueError, match="persona"):
        next(preferences(world, "angry"))
    with pytest.raises(ValueError, match="splits"):
        next(preferences(world, split="test"))


def test_unpaired_rows_and_other_sources(world, prompts):
    rows = list(compare(prompts, ANNOTATORS["clean"], 30, random.Random(0),
                        draw=lambda p, rng: rng.choice(p.responses)))  # fmt: skip
    singles = list(unpaired(rows))
    assert len(singles) == 60 and [s["label"] for s in singles[:2]] == [True, False]
    assert singles[1]["completion"] == rows[0]["rejected"]


def test_rlvr_rows_are_verified_by_a_program(world):
    train, val = (list(rlvr(world, split, 120)) for split in ("train", "val"))
    assert not {json.dumps(r["prompt"]) for r in train} & {json.dumps(r["prompt"]) for r in val}
    families = [r["family"] for r in train[:6]]
    full = tasks.rows(world, 120, 0, "train", families)
    answers = {json.dumps(r["prompt"]): r["messages"][-1]["content"] for r in full}
    for row in train:
        assert verify(row, answers[json.dumps(row["prompt"])]) == 1.0
        assert verify(row, "Perhaps.") == 0.0
    with pytest.raises(ValueError):
        next(rlvr(world, "S1"))


def test_relations_have_few_enough_values(world):
    assert all(len(world.entities.values[r]) * 8 + 4 <= 240 for r in RELATIONS)


def test_responses_are_english_sentences(world):
    for prompt in fact_prompts(world, kinds=("plain", "false claim"))[:40]:
        for response in prompt.responses:
            words = response.text.split(". ")[0].replace(",", "").split()
            assert words[0][0].isupper()
            assert not {"She", "He", "They", "Surely"} & set(words[1:]), response.text
