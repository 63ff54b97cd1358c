"""The site as its reader uses it: searching, reading at night, moving things, opening answers."""

import pytest

from tests.site.pages import CHAPTERS

every_chapter = pytest.mark.parametrize("name", [page.name for page in CHAPTERS])
CONTROL = "input, select, textarea, button, [tabindex='0']:not(details *)"


def test_search_finds_attention(visit):
    page = visit.open("book/welcome")
    page.keyboard.press("Control+k")
    page.keyboard.type("attention")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?*")
    first = page.locator("#search-results li a").first
    first.wait_for()
    first.click()
    page.wait_for_load_state()
    assert "attention" in page.locator("article").inner_text().lower()
    assert visit.errors == [] and visit.outside == []


def test_theme_button_changes_the_page_and_is_remembered(visit):
    page = visit.open("book/welcome")
    background = "getComputedStyle(document.body).backgroundColor"
    seen = {page.evaluate(background)}
    for _ in range(2):  # the button goes through automatic, light and dark
        page.locator("button.theme-switch-button:visible").click()
        seen.add(page.evaluate(background))
    assert len(seen) == 2
    chosen = page.evaluate("document.documentElement.dataset.theme")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == chosen


def _state(element) -> str:
    """What a reader of the interactive sees or hears: its text, and the state of its parts."""
    return element.evaluate(
        "e => e.innerText + [...e.querySelectorAll('[aria-valuetext], [aria-label]')].map("
        "c => c.getAttribute('aria-valuetext') + c.getAttribute('aria-label')).join()"
    )


def _operate(page, control) -> None:
    """Use one control by keyboard only."""
    control.focus()
    kind = control.evaluate("c => c.tagName + ':' + (c.type || '')").lower()
    if kind.startswith(("textarea", "input:text")):
        page.keyboard.press("End")
        page.keyboard.type(" unbelievable 1234")
    elif kind.startswith(("button", "input:checkbox")):
        page.keyboard.press("Enter" if kind.startswith("button") else "Space")
    else:
        at_end = control.evaluate("c => c.max !== undefined && c.value === c.max")
        page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")


@every_chapter
def test_each_interactive_works_by_keyboard(opened, name):
    page = opened.page
    names = page.evaluate(
        "[...new Set([...document.querySelectorAll('article *')]"
        ".map(e => e.localName).filter(n => n.startsWith('tta-')))]"
    )
    assert names, "a chapter has at least one interactive"
    for element in [e for kind in names for e in page.locator(kind).all()]:
        before = _state(element)
        control = element.locator(CONTROL).first
        _operate(page, control)
        page.wait_for_timeout(150)
        assert _state(element) != before, element.evaluate("e => e.innerText.slice(0, 80)")
    assert opened.errors == []


@every_chapter
def test_code_can_be_copied_and_solutions_open_by_keyboard(opened, name):
    page = opened.page
    cells = page.locator("div.cell_input pre").count()
    assert page.locator("div.cell_input button.copybtn").count() == cells > 0
    solutions = page.locator("details:has(> summary:text-matches('solution', 'i'))")
    assert solutions.count() >= 5
    assert not page.locator(
        "article details[open]:has(> summary:text-matches('hint|solution', 'i'))"
    ).count()
    first = solutions.first
    code = first.locator("pre").first
    assert not code.is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert code.is_visible()
