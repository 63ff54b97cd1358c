"""The trace viewer: as a Python object, and in a real browser."""

import re

import pytest

from llmlib import widgets
from llmlib.agents.backends import BackendError, Reply, ScriptedBackend, ToolCall
from llmlib.agents.loop import Guard, run_agent
from llmlib.agents.tools import ToolRegistry

ASK = [{"role": "system", "content": "Memory: none"}, {"role": "user", "content": "2 + 3 <b>?"}]


def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


class No(Guard):
    def refuse(self, call, messages):
        return "no sums"


def run(script, **options):
    return run_agent(ScriptedBackend(script), ToolRegistry([add]), ASK, **options)


def runs():
    call = ToolCall("", "add", {"a": 2, "b": 3})
    thinks = Reply("<|think|>I add.<|/think|>", (call,), "tool_calls")
    return {
        "good": run([thinks, "It is 5."]),
        "refused": run([thinks, call, "I may not."], guard=No()),
    }


def view(**options):
    return widgets.trace("Two runs", runs(), marks=["It is"], **options)


def test_rows_are_what_happened():
    made = view().runs["good"]
    assert [kind for kind, _, _ in made] == [
        "memory", "asked", "thought", "call", "result", "answer", "stop"]  # fmt: skip
    assert made[3][1] == "add(a: 2, b: 3)" and made[4][1] == "5"
    assert [tokens for _, _, tokens in made] == sorted(tokens for _, _, tokens in made)
    assert "refused" in [kind for kind, _, _ in view().runs["refused"]]


def test_troubles_and_long_texts_are_shown_too():
    broken = run([BackendError("busy")])
    kinds = [kind for kind, _, _ in widgets.trace("t", {"x": broken}).runs["x"]]
    assert kinds == ["memory", "asked", "trouble", "stop"]
    unreadable = ToolCall("", "add", raw="{oops", error="not JSON")
    rows = widgets.trace("t", {"x": run([unreadable, "x" * 5000])}).runs["x"]
    assert rows[2] == ("call", "add({oops)", rows[2][2]) and rows[3][0] == "error"
    assert len(rows[4][1]) == 600


def test_a_description_is_shown_where_it_holds_a_mark():
    rows = widgets.trace("t", {"x": run(["5"])}, marks=["sum of two"]).runs["x"]
    assert rows[2] == ("tool", "add: The sum of two numbers.", 0)


def test_html_is_whole_escaped_and_small():
    html = view().html()
    assert "2 + 3 &lt;b&gt;?" in html and "<mark>It is</mark> 5." in html
    assert html.count("<li") == html.count("</li>") and len(html) < 20_000
    assert not re.search(r"https?://", html)
    assert "All steps as a table" in html
    with pytest.raises(ValueError, match="at least one run"):
        widgets.trace("t", {})


def test_live_runs_the_agent_on_a_question():
    pytest.importorskip("ipywidgets")
    asked = []
    box, button, shown = view().live(lambda q: asked.append(q) or run(["Yes."]), "Hello?").children
    assert asked == ["Hello?"] and "Yes." in shown.value
    box.value = "More?"
    button.click()
    assert asked == ["Hello?", "More?"]


@pytest.mark.browser
def test_step_and_choose_by_keyboard(open_page):
    page = open_page(view(), view(start=3))
    first, second = page.locator("tta-trace").all()
    slider = first.locator("input[type=range]")
    slider.focus()
    visible = "ol:not([hidden]) li:not(.tx-later)"
    assert first.locator(visible).count() == 1 and second.locator(visible).count() == 4
    slider.press("ArrowRight")
    assert first.locator("output").inner_text() == "2 of 7"
    assert first.locator(".tx-on .tx-text").first.inner_text() == "2 + 3 <b>?"
    slider.press("End")
    assert first.locator(visible).count() == 7
    assert "stop" in first.locator("[aria-current=step]").inner_text()
    radio = first.locator("input[type=radio]").first
    radio.focus()
    radio.press("ArrowRight")
    assert first.locator("ol:not([hidden])").get_attribute("aria-label") == "refused"
    assert second.locator("ol:not([hidden])").get_attribute("aria-label") == "good"
    assert first.locator("ol:not([hidden]) .tx-refused").count() == 2


@pytest.mark.browser
def test_narrow_dark_and_without_script(open_page):
    page = open_page(view(start=-1), width=320, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page = open_page(view(), java_script_enabled=False)
    assert page.locator("li").count() == sum(len(r) for r in view().runs.values())
    assert page.locator("li").last.is_visible() and not page.locator("fieldset").is_visible()
