"""The interactives in a real browser: keyboard, independence, no script, dark, narrow, print."""

import random

import pytest

from llmlib import widgets
from llmlib.tokenizer import BPE, GPT4_PATTERN, WORLD_PATTERN, Unigram, WordPiece

pytestmark = pytest.mark.browser

STATES = [{"at": str(t), "v": [t / 4, 1 - t / 4], "read": f"At {t}."} for t in range(5)]
RUNS = [
    {"at": f"{i}", "lines": {"AdamW": [3.0 - i, 2.0], "Muon": [2.5, 1.0 + i]}, "read": f"Run {i}."}
    for i in range(3)
]
TURNS = [{"at": f"{i}", "arrows": {"query": [1 - i, i]}, "read": f"Turn {i}."} for i in range(2)]
WORDS = ["the", " baker", " sells"]
MAPS = [
    {"at": "head 1", "values": [[1, None, None], [0.5, 0.5, None], [0.1, 0.7, 0.2]], "read": "H1."},
    {"at": "head 2", "values": [[1, None, None], [0, 1, None], [0, 0, 1]], "read": "H2."},
]
TRAINING = [
    "The baker of Oster sells bread; the baker's bread isn't dear: 12 coins, 1,205 in all.\n"
] * 9


def bars(**options):
    return widgets.frames("Bars", "Temperature", ["bread", "salt"], STATES, start=2, **options)


def curves():
    return widgets.curves("Runs", "Rate", [0, 1], RUNS, "step", "loss", {"floor": 0.5})


def vectors():
    return widgets.vectors("Turns", "Position", TURNS)


def together():
    states = [s | {"lines": {"gold": [0, 1, 2, 1, 0]}, "mark": k} for k, s in enumerate(STATES)]
    road = widgets.curves("Road", "Temperature", range(5), states, "step", "gold")
    shares = widgets.frames("Shares", "Temperature", ["bread", "salt"], states)
    return widgets.together("Road and shares", road, shares)


def heat():
    return widgets.heatmap("Attention", "Head", WORDS, WORDS, MAPS)


@pytest.fixture(scope="module")
def tokenizers():
    corpus = [*TRAINING, "naïve café 日本語 😀 Привет ▁ x\ty"]
    return {
        "BPE": BPE.train(corpus, 330, special_tokens=("<|end|>",)),
        "BPE, digits": BPE.train(corpus, 300, pattern=WORLD_PATTERN),
        "BPE, GPT-4": BPE.train(corpus, 300, pattern=GPT4_PATTERN),
        "WordPiece": WordPiece.train(corpus, 120),
        "Unigram": Unigram.train(corpus, 400),
        "Unigram, pieces": Unigram.train(corpus, 400, pattern=WORLD_PATTERN),
    }


def everything(tokenizers):
    tokens = widgets.tokens("Tokens", tokenizers, "The baker's 12 loaves\n 日")
    return [bars(reference=[0.3, 0.7]), curves(), vectors(), together(), heat(), tokens]


def test_slider_by_keyboard(open_page):
    page = open_page(bars())
    slider = page.locator("tta-frames input")
    read, output = page.locator(".tx-read span").first, page.locator("output")
    slider.focus()
    assert read.inner_text() == "At 2."
    for key, at in (("ArrowRight", 3), ("End", 4), ("ArrowLeft", 3), ("Home", 0)):
        slider.press(key)
        assert (read.inner_text(), output.inner_text()) == (f"At {at}.", str(at))
        assert slider.get_attribute("aria-valuetext") == f"Temperature {at}. At {at}."
    assert page.locator(".tx-val").first.inner_text() == "0.0\u00a0%"


def test_instances_are_independent(open_page):
    page = open_page(bars(), bars(), curves())
    first, second = page.locator("tta-frames").all()
    first.locator("input").press("End")
    assert first.locator(".tx-read span").first.inner_text() == "At 4."
    assert second.locator(".tx-read span").first.inner_text() == "At 2."
    assert page.locator("tta-curves .tx-read span").first.inner_text() == "Run 0."


def test_inserted_after_loading_as_jupyterlab_does_it(open_page):
    page = open_page("")
    page.evaluate(
        """html => {
            const box = document.createElement("div");
            document.querySelector("main").append(box);
            box.innerHTML = html;
            for (const old of box.querySelectorAll("script")) {
                const fresh = document.createElement("script");
                for (const a of old.attributes) fresh.setAttribute(a.name, a.value);
                fresh.textContent = old.textContent;
                old.replaceWith(fresh);
            }
        }""",
        bars().html(),
    )
    page.locator("tta-frames input").press("End")
    assert page.locator(".tx-read span").first.inner_text() == "At 4."


def test_curves_and_arrows_move(open_page):
    page = open_page(curves(), vectors())
    for tag in ("tta-curves", "tta-vectors"):
        path = page.locator(f"{tag} path[data-set]").first
        before = path.get_attribute("d")
        page.locator(f"{tag} input").press("ArrowRight")
        assert path.get_attribute("d") != before
        assert page.locator(f"{tag} .tx-read span").first.inner_text().endswith("1.")


def test_one_slider_moves_a_mark_and_bars(open_page):
    page = open_page(together())
    slider, dot = page.locator("tta-together input"), page.locator(".tx-mark b")
    before = dot.bounding_box()
    slider.press("ArrowRight")
    page.wait_for_timeout(300)  # it glides
    after = dot.bounding_box()
    assert after["x"] > before["x"] and after["y"] < before["y"]
    assert page.locator(".tx-val").first.inner_text() == "25.0\u00a0%"
    assert slider.get_attribute("aria-valuetext") == "Temperature 1. At 1."


def test_heat_map_row_by_keyboard_click_and_head(open_page):
    page = open_page(heat())
    sentence, picker = page.locator(".tx-row-read"), page.locator("input.tx-picker")
    assert sentence.inner_text() == "“sells” looks at “baker” 0.70, “sells” 0.20, “the” 0.10."
    picker.press("ArrowLeft")
    assert sentence.inner_text() == "“baker” looks at “the” 0.50, “baker” 0.50."
    assert "“baker” looks at" in picker.get_attribute("aria-valuetext")
    page.locator(".tx-row").first.click()
    assert sentence.inner_text() == "“the” looks at “the” 1.00."
    page.locator("input.tx-state").press("End")
    picker.press("End")
    assert sentence.inner_text() == "“sells” looks at “sells” 1.00."
    assert page.locator(".tx-read span").first.inner_text() == "H2."
    page.locator("summary").click()
    assert page.locator("tbody tr").last.inner_text().split("\t")[1:] == ["0.00", "0.00", "1.00"]


def test_without_javascript_a_state_and_a_table_remain(open_page, tokenizers):
    page = open_page(*everything(tokenizers), java_script_enabled=False)
    assert page.locator("table:visible").count() == 7
    assert page.locator("input:visible, textarea:visible").count() == 0
    assert page.locator("tta-tokens .tx-chip:visible").count() > 50
    assert page.locator("tta-frames .tx-read").inner_text() == "At 2."


@pytest.mark.parametrize("width", [320, 900])
def test_nothing_sticks_out(open_page, tokenizers, width):
    page = open_page(*everything(tokenizers), width=width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.evaluate(
        """[...document.querySelectorAll(".tta-x")].flatMap(box => {
            const edge = box.getBoundingClientRect().right;
            return [...box.querySelectorAll("*")].filter(e => !e.closest(".tx-scroll, svg"))
                .filter(e => e.getBoundingClientRect().right > edge + 1).map(e =>
                e.outerHTML.slice(0, 99));
        })"""
    )
    assert boxes == []


def test_reduced_motion_and_print(open_page):
    page = open_page(bars(), reduced_motion="reduce")
    duration = "getComputedStyle(document.querySelector('.tx-bar')).transitionDuration"
    assert page.evaluate(duration) == "0s"
    page.emulate_media(media="print")
    assert not page.locator("input").is_visible()
    assert page.locator(".tx-bar").first.is_visible()


def test_forced_colours_keep_bars_and_cells_visible(open_page):
    page = open_page(bars(), heat(), forced_colors="active")
    bar = "getComputedStyle(document.querySelector('.tx-bar')).backgroundImage"
    assert "gradient" in page.evaluate(bar)
    cell = "getComputedStyle(document.querySelector('.tx-row i'), '::before').opacity"
    assert page.evaluate(cell) == "1"


# ── tokenizers on the page ───────────────────────────────────────────────────

ALPHABETS = [
    "abehrst ",
    "aAbB'sSlLvVeE dmt",
    " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u2028\u3000\ufeff\u200b a1",
    "0123456789.,+-=$^`|~<>[]()%€½²٣",
    "日本語中文かなカナ한국어",
    "aé\u0301ßſıİǅﬁ  ·—“”…",
    "😀👩‍👩‍👧‍👦🇫🇷\u200d\ufe0f𝔸𐍈",
    "<|end|>[UNK]<unk><0x41>##▁",
    "\x00\x01\x7f\x80\xff\ufffd\ufffe\uffff\U0010ffff",
]


def texts():
    rng = random.Random(0)
    fixed = ["", " ", "\n\n", "a" * 600, "ab" * 300, "<0x41>", "▁▁a ▁", "##ing", *TRAINING[:1]]
    fixed += ["The baker's 1205 loaves <|end|>", "x" * 101 + " y", "  two  spaces ", "don't DON'T"]
    drawn = [
        "".join(rng.choice(rng.choice(ALPHABETS)) for _ in range(rng.randrange(1, 60)))
        for _ in range(300)
    ]
    return fixed + drawn + [a * 2 for a in ALPHABETS]


def test_javascript_gives_the_ids_of_python(open_page, tokenizers):
    page = open_page(widgets.tokens("Tokens", tokenizers, "x"))
    cases = texts()
    found = page.evaluate(
        """cases => {
            const box = document.querySelector("tta-tokens");
            return box.tools.map((_, k) => cases.map(text => box.encode(k, text)));
        }""",
        cases,
    )
    for (name, tokenizer), rows in zip(tokenizers.items(), found, strict=True):
        for text, ids in zip(cases, rows, strict=True):
            assert ids == tokenizer.encode(text), (name, text)


def test_the_script_draws_what_python_drew(open_page, tokenizers):
    widget = widgets.tokens("Tokens", tokenizers, "The baker's\t12 loaves\n <b>日</b> &amp; ⟨x⟩")
    parts = [".tx-chips", ".tx-count", "tta-tokens > .tx-read", "tbody"]
    drawn = []
    for script in (True, False):
        page = open_page(widget, java_script_enabled=script)
        drawn.append([page.locator(part).all_text_contents() for part in parts])
    assert drawn[0] == drawn[1]


def test_typing_changes_tokens_and_counts(open_page, tokenizers):
    page = open_page(widgets.tokens("Tokens", {"BPE": tokenizers["BPE"]}, "bread"))
    page.locator("textarea").fill("bread bread")
    ids = tokenizers["BPE"].encode("bread bread")
    assert page.locator(".tx-chip small").all_inner_texts() == [str(id) for id in ids]
    assert page.locator(".tx-count span").inner_text().startswith(f"{len(ids)} tokens")
    assert "␣" in page.locator(".tx-chips").inner_text()
    page.locator("textarea").fill("")
    assert page.locator(".tx-count span").inner_text() == "0 tokens, – characters each"


def test_page_weight_of_four_real_vocabularies(tokenizers):
    assert len(widgets.tokens("Tokens", tokenizers, "x").html().encode()) < 150_000
