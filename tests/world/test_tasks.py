"""Instruction data: the columns trainers expect, answers that check out, splits that hold back."""

import json
import random
import re
from collections import Counter

import jsonschema
import pytest

from llmlib.world import World, tasks
from llmlib.world.conduct import ATTACKS, UNSEEN_ATTACKS
from llmlib.world.instructions import TWO_HOPS, UNSEEN_WORDINGS
from llmlib.world.sums import held_out
from llmlib.world.toolbox import TRAINED_TOOLS, UNSEEN_TOOLS, call

WORLD = World()
ROWS = {split: list(tasks.rows(WORLD, 240, split=split)) for split in tasks.SPLITS}


def test_rows_have_the_columns_and_their_own_answer_checks_out():
    for split, rows in ROWS.items():
        for row in rows:
            assert row["split"] == split and row["family"] in tasks.SPLITS[split][1]
            assert (
                row["messages"][-1]["role"] == "assistant" and row["prompt"][-1]["role"] == "user"
            )
            assert row["messages"][: len(row["prompt"])] == row["prompt"]
            assert tasks.check(row, row["messages"][-1]["content"]), row
            assert not tasks.check(row, "Perhaps."), row
            json.dumps(row)
    assert Counter(row["family"] for row in ROWS["train"]) == dict.fromkeys(tasks.FAMILIES, 20)


def test_a_response_that_names_every_candidate_is_not_right():
    for row in ROWS["train"]:
        if row["family"] in ("fact", "two_hop") and row["answer"] != "I do not know.":
            everything = ", ".join([row["answer"], *row["meta"]["others"]])
            assert not tasks.check(row, everything)


def test_no_prompt_of_train_comes_again_in_another_split():
    """Nor the harmless look-alikes of S6, of which only the attacks are of an unseen kind."""
    train = {json.dumps(r["prompt"]) for r in tasks.rows(WORLD, 2_400)}
    for split in tasks.SPLITS.keys() - {"train"}:
        assert not train & {json.dumps(r["prompt"]) for r in ROWS[split]}, split


def test_splits_hold_back_what_they_say():
    people = WORLD.entities.person

    def prompts(split):
        return [row["prompt"][0]["content"] for row in ROWS[split]]

    tiers = {
        s: {r["meta"]["subject"] for r in ROWS[s] if r["family"] == "fact"} for s in ("train", "S1")
    }
    assert not tiers["train"] & tiers["S1"]
    assert {people[p].tier for p in tiers["S1"]} == {"tail", "dark"}
    assert {people[p].tier for p in tiers["train"]} == {"head", "torso", "dark"}
    unseen = [w.format(q="").strip() for w in UNSEEN_WORDINGS]
    assert all(any(w in p for w in unseen) for p in prompts("S2"))
    assert not any(w in p for w in unseen for p in prompts("train"))
    for row in ROWS["train"]:
        if row["family"] == "two_hop":
            assert tuple(row["meta"]["relations"]) in TWO_HOPS
            assert people[row["meta"]["subject"]].rank % 7
    for row in ROWS["S3"]:
        assert tuple(row["meta"]["relations"]) not in TWO_HOPS
        assert people[row["meta"]["subject"]].rank % 7 == 0
    for split, tools in (("train", TRAINED_TOOLS), ("S5", UNSEEN_TOOLS)):
        offered = {t["function"]["name"] for r in ROWS[split] for t in r.get("tools", ())}
        assert offered == set(tools)
    for split, attacks in (("train", ATTACKS), ("S6", UNSEEN_ATTACKS)):
        rows = list(tasks.rows(WORLD, 120, split=split, families=["refuse"]))
        assert {r["meta"]["attack"] for r in rows if r["meta"]["unsafe"]} == set(attacks)
        assert 0 < sum(r["meta"]["unsafe"] for r in rows) < len(rows)
    assert {r["meta"]["persona"] for r in ROWS["S7"]} == {"clean", "casual", "hurried"}
    assert {r["meta"]["relation"] for r in ROWS["S8"]} == {"founder", "landmark"}


def steps(text):
    found = re.findall(r"(-?\d+) ([+-]) (\d+) = (-?\d+)", text)
    return [(int(a), sign, int(b), int(c)) for a, sign, b, c in found]


def test_held_out_sums_are_long_or_use_held_out_steps():
    for row in ROWS["train"]:
        if row["family"] == "arithmetic":
            worked = steps(row["messages"][-1]["content"])
            assert len(worked) <= 3 and not any(held_out(*step[:3]) for step in worked)
    for row in ROWS["S4"]:
        worked = steps(row["messages"][-1]["content"])
        assert len(worked) == 4 or any(held_out(*step[:3]) for step in worked)


def test_steps_are_labelled_by_whether_they_follow():
    rows = list(tasks.stepwise(WORLD, 300))
    for row in rows:
        for line, label in zip(row["completions"], row["labels"], strict=True):
            a, sign, b, c = steps(line)[0]
            assert ((a + b if sign == "+" else a - b) == c) == label
        assert row["outcome"] == all(row["labels"])
    assert 0.35 < sum(row["outcome"] for row in rows) / 300 < 0.65
    with pytest.raises(ValueError, match="train, val and S4"):
        next(tasks.stepwise(WORLD, 1, split="S1"))


def test_tool_calls_fit_their_schemas_and_tools_answer():
    for split in ("train", "S5"):
        for row in (r for r in ROWS[split] if r["family"] == "tool_use"):
            function = row["messages"][1]["tool_calls"][0]["function"]
            schema = next(
                t["function"] for t in row["tools"] if t["function"]["name"] == function["name"]
            )
            jsonschema.validate(function["arguments"], schema["parameters"])
            assert row["messages"][2]["content"] == row["meta"]["result"]
    truth, rng = WORLD.entities.truth, random.Random(0)
    assert call("add", {"a": 2, "b": 3}, truth, rng) == "5"
    assert call("price", {"product": "nothing"}, truth, rng) == "not found"
    with pytest.raises(KeyError, match="no tool 'fly'"):
        call("fly", {}, truth, rng)
    with pytest.raises(ValueError, match="add takes a, b, not a"):
        call("add", {"a": 1}, truth, rng)


@pytest.mark.parametrize(
    "family, bad",
    [
        ("format", "{'name': 1}"),
        ("exact_words", "Too many words are in this sentence by far, I fear."),
        ("arithmetic", "<|think|>1<|/think|>1 2 3"),
        ("clarify", "Nobody."),
    ],
)
def test_checks_reject_wrong_forms(family, bad):
    for row in (r for r in ROWS["train"] if r["family"] == family):
        assert not tasks.check(row, bad)


def test_bad_requests_name_the_choices():
    with pytest.raises(ValueError, match="no split 'S9'"):
        next(tasks.rows(WORLD, 1, split="S9"))
    with pytest.raises(ValueError, match="no family 'poetry'"):
        next(tasks.rows(WORLD, 1, families=["poetry"]))
    with pytest.raises(ValueError, match="split S4 is about arithmetic"):
        next(tasks.rows(WORLD, 1, split="S4", families=["fact"]))


def test_reading_is_answered_from_the_text_even_against_the_world():
    for contradict in (False, True):
        for row in tasks.reading(WORLD, 60, contradict=contradict):
            assert row["answer"] in row["prompt"][0]["content"]
            assert (row["answer"] == row["meta"]["truth"]) != contradict
            assert tasks.check(row, row["messages"][-1]["content"])
            if contradict:
                assert not tasks.check(row, f"It is {row['meta']['truth']}.")
