"""The sampling interactive: its rules are the library's, and it is usable by keyboard."""

import re

import pytest
import torch

from llmlib import widgets
from llmlib.generate import adjust
from llmlib.widgets.sampling import KNOBS
from tests.interact.test_widgets import Balance, stored

TOKENS = [f" word{i}" for i in range(40)]


def contexts(n=2, size=40):
    rng = torch.Generator().manual_seed(3)
    made = []
    for i in range(n):
        truth = torch.rand(size, generator=rng).double() * (torch.arange(size) < 5)
        made.append(
            {
                "at": f"{i + 1} of {n}",
                "text": f"Hobley <says> {i}\n",
                "logits": (3 * torch.randn(size, generator=rng)).tolist(),
                "tokens": TOKENS[:size],
                "truth": (truth / truth.sum()).tolist(),
            }
        )
    return made


def view(**options):
    return widgets.sampling("Knobs", contexts(), shown=6, key="Dashed: the world.", **options)


def test_html_is_well_formed_small_and_escaped():
    html = view().html()
    check = Balance(html)
    assert (check.faults, check.open) == ([], [])
    assert len(html.encode()) < 20_000
    assert "Hobley &lt;says&gt; 0" in html and not re.search(r"https?://|url\(", html)
    assert html.count('type="range"') == 5 and "␣word" in html


def test_logits_travel_sorted_and_the_truth_with_them():
    given, kept = contexts()[0], stored(view())["contexts"][0]
    assert kept["logits"] == sorted(kept["logits"], reverse=True) and kept["logits"][0] == 0
    assert sum(share for _, share in kept["known"]) == pytest.approx(1, abs=1e-4)
    best = given["logits"].index(max(given["logits"]))
    assert kept["tokens"][0] == TOKENS[best].replace(" ", "␣")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"truth": [0.5] * 40}, "not to 1"),
        ({"truth": [1.0]}, "of one length"),
        ({"tokens": ["a"]}, "of one length"),
        ({"logits": [1.0] * 3}, "same number of logits"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_reason(change, words):
    first, second = contexts()
    with pytest.raises(ValueError, match=words):
        widgets.sampling("Knobs", [first, second | change])
    with pytest.raises(TypeError, match="no kernel"):
        view().live()


@pytest.mark.browser
def test_javascript_gives_the_probabilities_of_python(open_page):
    page = open_page(view())
    logits = stored(view())["contexts"][0]["logits"]
    cases = [
        [t, k, p, m]
        for t in (0, 0.3, 1.0, 2.5)
        for k in (None, 1, 3, 20)
        for p in (None, 0.05, 0.5, 0.9, 0.99)
        for m in (None, 0.05, 0.3, 1.0)
    ]
    found = page.evaluate(
        "([x, cases]) => cases.map(c => window.ttaAdjust(x, ...c))", [logits, cases]
    )
    for (t, k, p, m), q in zip(cases, found, strict=True):
        want = adjust(torch.tensor([logits]), t, k, p, m)[0]
        assert torch.allclose(torch.tensor(q, dtype=torch.float32), want, atol=1e-5), (t, k, p, m)


@pytest.mark.browser
def test_knobs_by_keyboard(open_page):
    page = open_page(view())
    sentence, sliders = page.locator(".tx-read span").first, page.locator("input[type=range]")
    assert sentence.inner_text().startswith("40 tokens are left")
    page.locator("input.tx-knob1").press("Home")  # top-k 1
    assert sentence.inner_text().startswith("1 token is left")
    assert "can no longer be said" in sentence.inner_text()
    assert page.locator(".tx-draws li.tx-cut").count() == 6
    assert page.locator("input.tx-knob1").get_attribute("aria-valuetext").startswith("Top-k 1.")
    page.locator("input.tx-knob1").press("End")
    page.locator("input.tx-knob0").press("Home")
    assert page.locator("output").all_inner_texts()[1] == "0 (greedy)"
    assert page.locator(".tx-val").first.inner_text() == "100.0\u00a0%"
    sliders.first.press("End")
    assert "Hobley <says> 1" in page.locator(".tx-context").inner_text()
    assert sliders.count() == 1 + len(KNOBS)


@pytest.mark.browser
def test_the_script_draws_what_python_drew(open_page):
    drawn = []
    for script in (True, False):
        page = open_page(view(), java_script_enabled=script)
        parts = [".tx-draws", ".tx-context", "tbody", ".tx-read"]
        drawn.append([page.locator(part).all_text_contents() for part in parts])
        assert page.locator("input:visible").count() == (5 if script else 0)
    assert drawn[0] == drawn[1]


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 900])
def test_nothing_sticks_out(open_page, width):
    page = open_page(view(), width=width, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
