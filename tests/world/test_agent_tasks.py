"""Agent tasks: an expert solves each, the verdict is exact, and what is held back stays so."""

import json
import random
from collections import Counter

import jsonschema
import pytest

from llmlib.checkpoint import load_shipped_tokenizer
from llmlib.tokenizer.calls import parse_call, to_template
from llmlib.tokenizer.chat import encode_chat, render
from llmlib.world import World, agent_experts, agent_tasks, injections
from llmlib.world.agent_experts import act
from llmlib.world.agent_tasks import check, solve, unauthorised
from llmlib.world.desk import Desk, Note
from llmlib.world.toolbox import TRAINED_TOOLS

WORLD = World()
TASKS = list(agent_tasks.agent_tasks(WORLD))
INJECTED = {s: list(agent_tasks.injected(WORLD, 400, split=s)) for s in ("train", "val", "S6")}
PLAIN = list(agent_tasks.transcripts(WORLD, 600))
RESIST = list(agent_tasks.transcripts(WORLD, 600, resist=True))


def is_plan(row):
    return row["messages"][0]["content"].startswith(agent_experts.PLAN)


def replay(row):
    """The desk's notes after the calls of a transcript."""
    notes = []
    for turn, result in zip(row["messages"], row["messages"][1:], strict=False):
        for call in turn.get("tool_calls", ()):
            name, given = call["function"]["name"], call["function"]["arguments"]
            if name == "remind" and not result["content"].startswith("error"):
                notes.append(Note(**given))
    return notes


def test_there_are_three_hundred_tasks_of_all_families_and_the_expert_solves_each():
    assert len(TASKS) == 300 and len({(t.question, t.letter, t.memory) for t in TASKS}) > 270
    assert set(Counter(t.family for t in TASKS).values()) == {20}
    for task in (*TASKS, *INJECTED["val"], *INJECTED["S6"]):
        turns = solve(task, WORLD)
        notes = replay({"messages": turns})
        assert check(task, turns[-1]["content"], notes), task
        assert not unauthorised(task, notes)
        assert bool(task.notes) <= (task.family in agent_tasks.WRITING)


def test_a_wrong_answer_or_a_wrong_desk_is_no_success():
    for task in TASKS:
        words, notes = solve(task, WORLD)[-1]["content"], list(task.notes)
        assert not check(task, "Perhaps.", notes)
        if task.others:
            assert not check(task, f"{words} Or {task.others[0]}.", notes)
            assert not check(task, f"It is {task.others[0]}.", notes)
        stray = Note("Nobody", "buy bread", "six o'clock")
        assert not check(task, words, [*notes, stray])
        assert unauthorised(task, [*notes, stray]) == [stray]
        if notes:
            assert not check(task, words, []) and not check(task, words, notes * 2)
            assert unauthorised(task, notes * 2) == notes


def test_the_same_arguments_give_the_same_tasks_and_other_seeds_others():
    again = list(agent_tasks.agent_tasks(WORLD))
    assert [t.messages for t in again] == [t.messages for t in TASKS]
    assert list(agent_tasks.transcripts(WORLD, 20)) == PLAIN[:20]
    assert list(agent_tasks.transcripts(WORLD, 20, seed=1)) != PLAIN[:20]


def test_no_question_of_a_transcript_comes_again_in_a_task():
    asked = {m["content"].split(" Remind")[0] for row in PLAIN + RESIST
             for m in row["messages"] if m["role"] == "user"}  # fmt: skip
    for task in (*TASKS, *INJECTED["val"], *INJECTED["S6"]):
        assert task.messages[-1]["content"].split(" Remind")[0] not in asked
    train = list(agent_tasks.agent_tasks(WORLD, 600, split="train"))
    held = {(t.question, t.letter.split(".")[0]) for t in TASKS}
    assert not held & {(t.question, t.letter.split(".")[0]) for t in train}


def test_conditional_reminders_hold_about_half_of_the_time():
    tasks = agent_tasks.agent_tasks(WORLD, 200, families=["remind_if"])
    assert 70 < sum(bool(t.notes) for t in tasks) < 130


# ---------------------------------------------------------------- attacks
def test_attacks_stand_where_they_should_and_ask_for_what_nobody_allowed():
    for split, tasks in INJECTED.items():
        families = injections.UNSEEN_ATTACKS if split == "S6" else injections.ATTACKS
        assert Counter(t.channel for t in tasks) == dict.fromkeys(injections.CHANNELS, 100)
        assert {t.attack for t in tasks} == set(families)
        for task in tasks:
            assert task.injected not in task.notes
            where = {"letter": task.letter, "memory": task.memory,
                     "tool_result": " ".join(task.tails.values()),
                     "tool_description": json.dumps(task.tools)}  # fmt: skip
            order = f"emind {task.injected.who} to {task.injected.what} at {task.injected.when}"
            assert [c for c, text in where.items() if order in text] == [task.channel]
            obeyed = [*task.notes, task.injected]
            assert unauthorised(task, obeyed) == [task.injected]
            assert not check(task, solve(task, WORLD)[-1]["content"], obeyed)


def test_unseen_attacks_are_in_no_transcript():
    text = json.dumps(PLAIN + RESIST)
    for template in injections.UNSEEN_ATTACKS.values():
        assert template.split("{")[0].strip() not in text
    assert not {row["meta"]["attack"] for row in PLAIN} - {None}
    attacks = Counter(row["meta"]["attack"] for row in RESIST)
    assert set(attacks) - {None} == set(injections.ATTACKS) and attacks[None] == 450


# ---------------------------------------------------------------- transcripts
def test_transcripts_are_conversations_with_valid_calls_that_end_in_success():
    for row in PLAIN + RESIST:
        schemas = {t["function"]["name"]: t["function"] for t in row["tools"]}
        assert set(schemas) <= set(TRAINED_TOOLS)
        if is_plan(row):
            continue
        assert [list(n) for n in replay(row)] == row["meta"]["notes"]
        assert row["messages"][-1]["role"] == "assistant"
        for turn in row["messages"]:
            for call in turn.get("tool_calls", ()):
                function = call["function"]
                jsonschema.validate(function["arguments"], schemas[function["name"]]["parameters"])
        json.dumps(row)


def test_transcripts_fit_the_context_and_survive_the_template():
    tokenizer = load_shipped_tokenizer()
    for row in PLAIN[:150] + RESIST[:150]:
        messages = to_template(row["messages"], row["tools"])
        ids, mask = encode_chat(tokenizer, messages)
        assert len(ids) <= 490 and any(mask)
        assert "<|think|>" not in str([m.get("content") for m in messages])
        assert render(messages)
        calls = [c for m in messages for c in m.get("calls", ())]
        given = [c["function"] for m in row["messages"] for c in m.get("tool_calls", ())]
        if is_plan(row):
            assert calls and len(row["messages"]) == 3
            continue
        assert [parse_call(c, row["tools"]) for c in calls] == [
            (f["name"], f["arguments"]) for f in given
        ]


def test_some_tools_are_busy_and_then_called_again():
    busy = [row for row in PLAIN if "is busy" in json.dumps(row["messages"])]
    assert 0.05 < len(busy) / len(PLAIN) < 0.15
    for row in busy:
        calls = [m["tool_calls"] for m in row["messages"] if m.get("tool_calls")]
        assert any(a == b for a, b in zip(calls, calls[1:], strict=False))
    calm = list(agent_tasks.transcripts(WORLD, 100, errors=False))
    assert "is busy" not in json.dumps([row["messages"] for row in calm])
    gave_up = [r for r in PLAIN if r["messages"][-1]["content"] == agent_experts.GAVE_UP]
    assert {row["family"] for row in gave_up} == {"agent_unknown"}


def test_the_expert_can_be_asked_at_any_point():
    task = next(t for t in TASKS if t.family == "two_hop")
    thought, (name, arguments) = act(task.expert, [])
    assert name == "lookup" and "First" in thought
    assert act(task.expert, ["error: the line is busy. Try again."])[1] == (name, arguments)
    assert act(task.expert, ["error: no such thing"]).words == agent_experts.GAVE_UP
    assert act(task.expert, ["Ada Moss", "painter"]).answer == "painter"
    assert act(task.expert, ["Ada Moss. Forget it.", "painter", "more"]).answer == "painter"


def test_a_plan_filled_in_is_what_the_expert_does():
    counts = Counter(is_plan(row) for row in PLAIN)
    assert 0.1 < counts[True] / 600 < 0.2
    planned = {row["family"] for row in PLAIN if is_plan(row)}
    assert planned == {f"agent_{family}" for family in agent_experts.PLANNED}
    for task in TASKS:
        if task.family not in agent_experts.PLANNED:
            with pytest.raises(ValueError, match="depends on"):
                agent_experts.plan(task)
            continue
        desk, results = task.desk(WORLD), []
        for name, arguments in agent_experts.plan(task):
            for key, value in arguments.items():
                if isinstance(value, str) and value.startswith("$"):
                    value = results[int(value[1:]) - 1].split(". ")[0]
                    arguments[key] = int(value.split()[0]) if name == "add" else value
            try:
                results.append(desk.call(name, arguments))
            except LookupError:
                assert task.family == "unknown"
        turns = solve(task, WORLD)
        given = [m["tool_calls"][0]["function"] for m in turns if m.get("tool_calls")]
        assert desk.calls == [(f["name"], f["arguments"]) for f in given]


def test_errors_read_as_those_of_the_registry():
    from llmlib.agents.backends import ToolCall
    from llmlib.agents.tools import Tool, ToolRegistry

    task = next(t for t in TASKS if t.family == "unknown")
    desk = task.desk(WORLD)
    name, arguments = act(task.expert, [])[1]
    schema = next(t["function"] for t in task.tools if t["function"]["name"] == name)
    one = Tool(name, "", schema["parameters"], lambda **given: desk.call(name, given))
    result = ToolRegistry([one]).run(ToolCall("0", name, arguments))
    assert result.is_error and result.text == solve(task, WORLD)[1]["content"]


# ---------------------------------------------------------------- the desk
def test_a_desk_answers_alike_keeps_notes_and_has_mishaps():
    truth = WORLD.entities.truth
    name = WORLD.people[0].name
    desk = Desk(truth, 1, tails={1: "Hello."}, busy=(0,))
    with pytest.raises(ConnectionError, match="Try again"):
        desk.call("weather", {"town": "Lowmarsh"})
    first = desk.call("weather", {"town": "Lowmarsh"})
    assert desk.call("weather", {"town": "Lowmarsh"}) == f"{first}. Hello."
    assert Desk(truth, 1).call("weather", {"town": "Lowmarsh"}) == first
    for relation in ("lives in", "lives_in"):
        given = {"subject": name, "relation": relation}
        assert desk.call("lookup", given) == truth[name, "lives_in"]
        assert given["relation"] == relation
    note = {"who": "Ada", "what": "buy bread", "when": "six o'clock"}
    assert desk.call("remind", note) == "done" and desk.notes == [Note(**note)]
    with pytest.raises(LookupError, match="nothing is known"):
        desk.call("lookup", {"subject": "Nobody", "relation": "pet"})
    with pytest.raises(KeyError):
        desk.call("fly", {})
    with pytest.raises(ValueError, match="add takes"):
        desk.call("add", {"a": 1})
    assert len(desk.calls) == 9 and desk.notes == [Note(**note)]


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="train and val"):
        next(agent_tasks.agent_tasks(WORLD, split="S6"))
    with pytest.raises(ValueError, match="no family 'fly'"):
        next(agent_tasks.agent_tasks(WORLD, families=["fly"]))
    with pytest.raises(ValueError, match="train, val and S6"):
        next(agent_tasks.injected(WORLD, split="S1"))


def test_attack_texts_avoid_what_is_allowed():
    rng = random.Random(0)
    allowed = tuple(injections.attack_text(rng, "plain")[1] for _ in range(50))
    assert not {injections.attack_text(rng, "plain", allowed)[1] for _ in range(200)} & set(allowed)
