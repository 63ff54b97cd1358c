"""Memory: calls keep their results, summaries invent nothing, notes say who wrote them."""

import pytest

from llmlib.agents.backends import ScriptedBackend, ToolCall
from llmlib.agents.backends.base import check_request
from llmlib.agents.loop import run_agent
from llmlib.agents.memory import Notebook, Summary, Window, about_tokens, turns, what_happened
from llmlib.agents.tools import ToolRegistry

TASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add up."}]


def turn(i, results=1):
    calls = [ToolCall(f"c{i}-{j}", "add", {"a": i, "b": j}) for j in range(results)]
    return [
        {"role": "assistant", "content": f"step {i}",
         "tool_calls": [call.as_message_part() for call in calls]},
        *({"role": "tool", "tool_call_id": call.id, "content": f"result {call.id} " * 5}
          for call in calls),
    ]  # fmt: skip


LONG = TASK + [message for i in range(12) for message in turn(i, 1 + i % 3)]


@pytest.mark.parametrize("limit", [0, 50, 100, 200, 400, 800, 10_000])
def test_no_call_is_parted_from_its_results(limit):
    shown = Window(limit)(LONG)
    assert shown[:2] == TASK
    open_calls = set()
    for message in shown[2:]:
        if message["role"] == "assistant":
            assert not open_calls
            open_calls = {part["id"] for part in message["tool_calls"]}
        else:
            open_calls.remove(message["tool_call_id"])
    assert not open_calls
    check_request(shown, None, 1)
    assert shown[-1] == LONG[-1], "the latest turn is always there"
    assert about_tokens(shown) <= limit or len(turns(shown)) == 3
    kept = [m for m in LONG if m in shown]
    assert kept == shown, "the order stays"


def test_a_window_that_holds_everything_changes_nothing_and_copies():
    shown = Window(10_000)(LONG)
    assert shown == LONG and shown is not LONG
    shown[1]["content"] = "changed"
    assert LONG[1]["content"] == "Add up."
    assert Window(10)([]) == [] and Window(0)(TASK) == TASK


def test_more_room_never_shows_less():
    sizes = [len(Window(limit)(LONG)) for limit in range(0, 1200, 20)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] == len(LONG)


def test_a_summary_stands_in_for_what_was_left_out():
    memory = Summary(Window(200), what_happened)
    shown = memory(LONG)
    said = shown[1]["content"]
    assert said.startswith("Add up.\nSo far: ")
    for i in range(12):
        call_id = f"c{i}-0"
        assert (call_id in said) != any(m.get("tool_call_id") == call_id for m in shown)
    assert 'add {"a": 0, "b": 0} gave result c0-0' in said
    assert memory(TASK) == TASK and LONG[1]["content"] == "Add up."


def test_a_run_far_beyond_the_window_goes_on():
    def add(a: int, b: int) -> str:
        """The sum."""
        return f"{a + b} " * 50

    backend = ScriptedBackend([ToolCall("", "add", {"a": i, "b": i}) for i in range(7)] + ["Done."])
    trace = run_agent(backend, ToolRegistry([add]), TASK, memory=Window(150))
    assert trace.stop == "answered"
    assert max(about_tokens(r["messages"]) for r in backend.requests) <= 150


# ---------------------------------------------------------------- notes
def test_a_notebook_finds_says_by_whom_and_outlives_the_run(tmp_path):
    path = tmp_path / "notes.jsonl"
    book = Notebook(path)
    book.add("The cook is called Ada.", "user")
    book.add("The gardener is called Tom.", "tool:lookup")
    book.add("The cook is called Ada.", "user")
    assert len(book.remarks) == 2
    again = Notebook(path)
    assert again.remarks == book.remarks
    assert again.search("Who is the gardener?", 1)[0].source == "tool:lookup"
    assert again.search("Who is the gardener?", 1, sources=["user"])[0].text.startswith("The cook")
    assert again.search("plums") == []
    path.write_text(path.read_text() + '{"text": "The new', encoding="utf-8")
    assert Notebook(path).remarks == book.remarks


def test_recall_puts_what_fits_before_the_question():
    book = Notebook()
    book.add("The cook is called Ada.", "user")
    ask = [{"role": "user", "content": "Remind the cook."}]
    assert book.recall(ask)[0] == {"role": "system", "content": "Memory: The cook is called Ada."}
    with_system = book.recall([TASK[0], *ask])
    assert with_system[0]["content"] == "Be brief. Memory: The cook is called Ada."
    assert len(with_system) == 2 and ask == [{"role": "user", "content": "Remind the cook."}]
    assert book.recall([{"role": "user", "content": "plums?"}]) == [
        {"role": "user", "content": "plums?"}
    ]
    assert book.recall(ask, sources=["agent"]) == ask
