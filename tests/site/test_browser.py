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

# Nine in ten elements are coloured words of code. Contrast is a matter of style: of those whose own
# and whose ancestors' tags, classes and styles are the same, axe compares the colours of one.
MARK_ALIKE = """() => {
  const seen = new Set();
  for (const element of document.querySelectorAll('div.highlight *')) {
    const chain = [];
    for (let up = element; up; up = up.parentElement)
      chain.push(up.localName, up.className, up.getAttribute('style'));
    const key = chain.join('|');
    if (seen.has(key)) element.dataset.alike = '';
    seen.add(key);
  }
  axe.configure({rules: [{id: 'color-contrast', selector: '*:not([data-alike])'}]});
}"""


def accessibility_problems(page) -> list[str]:
    """Violations of WCAG 2.1 A and AA that axe finds, less the named exceptions."""
    page.evaluate(AXE_SCRIPT)
    page.evaluate(MARK_ALIKE)
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
def test_page_is_silent_and_its_formulas_are_set(opened, name):
    assert opened.errors == []
    assert opened.outside == []
    page = opened.page
    assert page.locator("article mjx-container").count() >= page.locator("article .math").count()
    assert page.locator("mjx-merror").count() == 0


@every_page
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_page_is_accessible(opened, name, mode):
    page = opened.page
    page.emulate_media(color_scheme=mode)
    page.wait_for_function("mode => document.documentElement.dataset.theme === mode", arg=mode)
    assert accessibility_problems(page) == []
    assert opened.errors == []


@every_page
def test_page_fits_the_screen(opened, name):
    page = opened.page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(TOO_WIDE) == [], f"at {width} px"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
