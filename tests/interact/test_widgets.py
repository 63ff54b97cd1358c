"""The interactives as Python objects: what they hold, refuse, and offer to a notebook."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from llmlib import plots, widgets
from llmlib.widgets.base import number, to_json
from llmlib.widgets.curves import MAX_POINTS, ROLES, _apart, _thin

BARS = [
    {"at": "0.5", "v": [0.8, 0.2], "read": "Sharp."},
    {"at": "1", "v": [0.6, 0.4], "read": "Plain."},
]


def bars(**options):
    return widgets.frames("Bars & <bread>", "Temperature", ["bread", "salt"], BARS, **options)


def lines(ys, **options):
    states = [{"at": str(i), "lines": {"model": y}, "read": f"Run {i}."} for i, y in enumerate(ys)]
    return widgets.curves("Runs", "Run", range(len(ys[0])), states, "step", "loss", **options)


def arrows():
    states = [
        {"at": str(i), "arrows": {"query": [1, i], "sum": [1, 0, 1, i]}, "read": "."}
        for i in (0, 1)
    ]
    return widgets.vectors("Arrows", "Position", states, reference={"start": [1, 0]})


def marked(marks=(0, 2), ys=([0.0, 1.0, 4.0],) * 2, **options):
    states = [
        {"at": str(i), "lines": {"gold": y}, "mark": k, "v": [0.25, 0.75], "read": f"At {k}."}
        for i, (k, y) in enumerate(zip(marks, ys, strict=True))
    ]
    return widgets.curves("Road", "β", [0, 1, 2], states, "√KL", "gold", ylim=(0, 4), **options)


def joined():
    road = marked()
    return widgets.together("Both", road, widgets.frames("Says", "β", ["a", "b"], road.states))


def attention(states=1):
    matrix = [[1.0, None], [0.25, 0.75]]
    given = [{"at": f"head {i}", "values": matrix, "read": f"Head {i}."} for i in range(states)]
    return widgets.heatmap("Map", "Head", ["a", "b"], ["a", "b"], given)


ALL = [bars, lambda: lines([[1.0, 2.0], [2.0, 3.0]]), arrows, attention, marked, joined]


def stored(widget):
    """The data that the page's script reads."""
    return json.loads(
        re.search(r'<script type="application/json">(.*?)</script>', widget.html())[1]
    )


class Balance(HTMLParser):
    void = frozenset({"input", "br", "img"})

    def __init__(self, text):
        super().__init__()
        self.open, self.faults = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


@pytest.mark.parametrize("make", ALL)
def test_html_is_well_formed_small_and_self_contained(make):
    html = make().html()
    check = Balance(html)
    assert (check.faults, check.open) == ([], [])
    assert len(html.encode()) < 20_000
    assert not re.search(r"https?://|@import|url\(", html.replace("http://www.w3.org", ""))


@pytest.mark.parametrize("make", ALL)
def test_a_notebook_stores_html_and_no_widget_state(make):
    bundle = make()._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert make().html() == make().html()


@pytest.mark.parametrize("make", ALL[1:-1])  # bars are a list, and stay
def test_without_styles_and_script_no_heap_of_labels_is_left(make):
    """What JupyterLab leaves of an untrusted output: text, tables, and how to get the picture."""
    bare = re.sub(r"<(style|script|svg|details)\b.*?</\1>", "", make().html(), flags=re.S)
    words = [word.strip() for word in re.sub(r"<[^>]*>", "\n", bare).split("\n") if word.strip()]
    assert any("run the cell" in word for word in words)
    assert len(words) <= 12, words


def test_text_is_escaped_and_data_cannot_close_the_script():
    html = bars().html()
    assert "Bars &amp; &lt;bread&gt;" in html
    assert "<" not in to_json({"read": "</script><b>"})
    assert json.loads(to_json({"read": "</script>\u2028"})) == {"read": "</script>\u2028"}


def test_table_holds_all_values_and_the_reference():
    head, rows = bars(reference=[0.5, 0.5]).table()
    assert head == ["Temperature", "bread", "salt"]
    assert rows[0] == ["0.5", "80.0\u00a0%", "20.0\u00a0%"]
    assert rows[-1] == ["dashed tick", "50.0\u00a0%", "50.0\u00a0%"]


@pytest.mark.parametrize("make", [*ALL[:3], marked, joined])
def test_every_state_fills_the_same_slots(make):
    widget = make()
    slots = widget.html().split("<script")[0].count("data-set=")
    assert slots > 0
    assert {len(state["set"]) for state in stored(widget)["states"]} == {slots}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: widgets.frames("t", "l", ["a"], []), "at least one state"),
        (lambda: widgets.frames("t", "l", ["a"], [{"at": 1, "v": [1]}]), "lacks read"),
        (lambda: widgets.frames("t", "l", ["a", "b"], [{"at": 1, "v": [1], "read": ""}]), "2 rows"),
        (lambda: bars(start=2), "there are 2 states"),
        (lambda: bars(reference=[1]), "reference has 1"),
        (lambda: lines([[1.0, 2.0]], roles={"model": "blue"}), "no such role"),
        (lambda: lines([[1.0, 2.0]], reference=[1, 2, 3]), "3 values for 2 x"),
        (lambda: lines([[float("nan")] * 2]), "no finite value"),
        (lambda: marked(marks=(0, 3)), "mark 3 at 1: there are 3 x"),
        (lambda: marked(ys=([0, float("nan"), 1],) * 2, marks=(0, 1)).html(), "no value to mark"),
        (lambda: widgets.together("t", bars()), "two pictures or more"),
        (lambda: widgets.together("t", bars(), bars()), "of one kind"),
        (lambda: widgets.together("t", bars(), arrows()), "different states"),
        (lambda: widgets.heatmap("t", "l", ["a"], ["b"], [{"at": 1, "values": [[1, 2]]}]), "1 × 1"),
        (lambda: widgets.heatmap("t", "l", ["a"], ["b"], [{"at": 1, "values": [[-1]]}]), "≥ 0"),
        (lambda: widgets.vectors("t", "l", [{"at": 1, "arrows": {"a": [1]}, "read": ""}]), "arrow"),
        (lambda: widgets.tokens("t", {}, ""), "at least one tokenizer"),
        (lambda: widgets.tokens("t", {"a": object()}, ""), "not BPE, WordPiece or Unigram"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_reason(build, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        build()


def test_states_must_name_the_same_lines():
    states = [{"at": i, "lines": {name: [1.0]}, "read": ""} for i, name in enumerate("ab")]
    with pytest.raises(ValueError, match="state 1 has lines"):
        widgets.curves("t", "l", [0], states, "x", "y")


def test_a_diverged_run_leaves_a_gap_and_a_dash():
    widget = lines([[1.0, float("nan"), 2.0, float("inf")]])
    (state,) = stored(widget)["states"]
    assert state["set"][0].count("M") == 2
    assert widget.table()[1][0][-3:] == ["—", "2", "∞"]


def test_paths_put_values_where_they_belong():
    widget = lines([[0.0, 10.0]], ylim=(0, 10))
    assert stored(widget)["states"][0]["set"][0] == "M0 1000l1000-1000"
    logarithmic = lines([[1.0, 10.0, 100.0]], ylim=(1, 100), log_y=True)
    assert stored(logarithmic)["states"][0]["set"][0] == "M0 1000l500-500l500-500"


def test_a_mark_stands_on_its_lines_and_only_it_moves():
    widget = marked(reference=[0, 2, 4])
    assert [state["set"] for state in stored(widget)["states"]] == [
        ["0.0", "100.0"],
        ["100.0", "0.0"],
    ]
    assert widget.table() == (
        ["β", "√KL", "gold", "exact"],
        [["0", "0", "0", "0"], ["1", "2", "4", "4"]],
    )
    moving = marked(ys=([0.0, 1.0, 4.0], [0.0, 2.0, 4.0]))
    assert len(stored(moving)["states"][0]["set"]) == 4
    assert len(moving.table()[1]) == 2
    states = [
        {"at": i, "lines": {"a": [1.0]}, "read": "", **m} for i, m in enumerate([{"mark": 0}, {}])
    ]
    with pytest.raises(ValueError, match="every state has a mark or none"):
        widgets.curves("t", "l", [0], states, "x", "y")


def test_pictures_together_share_a_slider_and_keep_their_tables():
    html = joined().html()
    assert html.count('type="range"') == 1
    assert html.index('class="tx-plot"') < html.index('class="tx-bars"')
    assert [state["set"] for state in stored(joined())["states"]] == [
        ["0.0", "100.0", "0.2500", "25.0\u00a0%", "0.7500", "75.0\u00a0%"],
        ["100.0", "0.0", "0.2500", "25.0\u00a0%", "0.7500", "75.0\u00a0%"],
    ]
    assert "All values as a table: Road" in html and "All values as a table: Says" in html


def test_roles_are_those_of_the_figures():
    assert set(ROLES) == set(plots.ROLES)


def test_long_lines_are_thinned_with_both_ends_kept():
    picked = _thin(10_000, MAX_POINTS)
    assert (len(picked), picked[0], picked[-1]) == (MAX_POINTS, 0, 9_999)
    assert _thin(3, 5) == [0, 1, 2]


def test_labels_never_cover_one_another():
    placed = _apart({"a": 50.0, "b": 51.0, "c": 99.0, "d": 99.5}, gap=7.5)
    heights = sorted(placed.values())
    assert all(b - a >= 7.49 for a, b in pairwise(heights))
    assert heights[0] >= 0
    assert heights[-1] <= 100


def test_heat_map_says_where_the_row_looks():
    html = attention().html()
    assert "“b” looks at “b” 0.75, “a” 0.25." in html
    assert 'type="range" class="tx-state"' not in html, "one state needs no slider"
    assert 'type="range" class="tx-state"' in attention(2).html()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (-2, "−2"), (123456, "123456"), (1e-5, "1e−05"), (None, "—"), (0, "0")],
)
def test_numbers_in_tables(value, text):
    assert number(value) == text


def test_live_view_asks_the_kernel_for_each_value():
    pytest.importorskip("ipywidgets")
    asked = []

    def compute(t):
        asked.append(t)
        return {"v": [t, 1 - t], "read": f"At {t}."}

    slide, view = bars().live(compute, values=[0.1, 0.2, 0.3]).children
    assert "At 0.1." in view.value
    slide.value = "0.3"
    assert "At 0.3." in view.value
    assert asked == [0.1, 0.3]


def test_live_view_without_compute_slides_through_the_states():
    pytest.importorskip("ipywidgets")
    slide, view = bars().live().children
    assert "Sharp." in view.value
    slide.value = "1"
    assert "Plain." in view.value
    with pytest.raises(ValueError, match="compute="):
        bars().live(values=[1])
