"""Each page in Chromium: silent, self-contained, as wide as the screen, and accessible."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.site.pages import PAGES

WIDTHS = (320, 375, 1280)
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
# (rule, start of the selector, why): exceptions are named here or fail. None is needed now.
ALLOWED: list[tuple[str, str, str]] = []

every_page = pytest.mark.parametrize("name", [page.name for page in PAGES] + ["search"])

TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter(element => {
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height || box.right <= innerWidth + 1) return false;
  for (let up = element; up; up = up.parentElement) {
    const style = getComputedStyle(up);
    if (style.overflowX !== 'visible' || style.position === 'fixed') return false;
  }
  return true;
}).slice(0, 3).map(element => element.outerHTML.slice(0, 120))"""


def accessibility_problems(page) -> list[str]:
    """Violations of WCAG 2.1 A and AA that axe finds, less the named exceptions."""
    page.evaluate(AXE_SCRIPT)
    options = {
        "runOnly": {"type": "tag", "values": STANDARDS},
        "resultTypes": ["violations"],
        "preload": False,  # else axe fetches the style sheets anew, some from a wrong address
    }
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    problems = []
    for rule in found:
        for node in rule["nodes"]:
            selector = node["target"][0]
            allowed = any(rule["id"] == r and selector.startswith(s) for r, s, _ in ALLOWED)
            if not allowed:
                problems.append(f"{rule['id']}: {selector}: {node['html'][:120]}")
    return problems


@every_page
@pytest.mark.parametrize("visit", ["light", "dark"], indirect=True)
def test_page_is_accessible_and_silent(visit, name):
    page = visit.open(name)
    assert accessibility_problems(page) == []
    assert visit.errors == []
    assert visit.outside == []


@every_page
def test_page_fits_the_screen_and_its_formulas_are_set(visit, name):
    page = visit.open(name)
    assert page.locator("article mjx-container").count() >= page.locator("article .math").count()
    assert page.locator("mjx-merror").count() == 0
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(TOO_WIDE) == [], f"at {width} px"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
