"""Figures: roles, both palettes in one SVG, alt text, and the small vocabulary."""

import base64
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from llmlib import plots

ALT = "Loss falls and settles on the dashed floor."


@pytest.fixture
def ax():
    with plt.rc_context():
        plots.use()
        _, ax = plt.subplots()
        yield ax
        plt.close("all")


def svg_of(ax):
    return plots.adaptive_svg(ax.figure)


def test_every_role_differs_in_colour_and_in_dash_or_marker():
    lines = [plots.role(name) for name in plots.ROLES]
    assert len({line["color"] for line in lines}) == len(lines)
    assert len({(str(line["linestyle"]), line.get("marker")) for line in lines}) == len(lines)


def test_overrides_win_and_unknown_roles_are_answered(ax):
    ax.plot([0, 1], [0, 1], **plots.role("gold", lw=4, marker=None))
    assert ax.lines[0].get_linewidth() == 4
    with pytest.raises(ValueError, match="truth, model"):
        plots.role("blue")


def test_svg_holds_both_palettes_and_no_loose_course_colour(ax):
    for name in plots.ROLES:
        ax.plot([0, 1], [0, 1], **plots.role(name))
    svg = svg_of(ax)
    ET.fromstring(svg)
    style, drawing = re.search(r"<style>(.*?)</style>(.*)", svg, re.S).groups()
    for light, dark, *_ in plots.ROLES.values():
        assert light in style
        assert light not in drawing
        assert dark in style or light == "#1d2430"  # ink and truth share a colour
    assert "http://www.w3.org" in svg
    assert "dc:date" not in svg


def test_the_same_figure_gives_the_same_svg():
    def draw():
        with plt.rc_context():
            plots.use()
            fig, ax = plt.subplots()
            ax.plot([0, 1], [0, 1], **plots.role("model"))
            svg = plots.adaptive_svg(fig)
            plt.close(fig)
            return svg

    assert draw() == draw()


@pytest.mark.parametrize("alt", ["", "figure.png", "A loss curve", "the figure of loss.svg"])
def test_alt_text_is_mandatory(ax, alt):
    with pytest.raises(ValueError, match="what the figure shows"):
        plots.show(ax.figure, alt=alt)


def test_show_outside_a_notebook_returns_the_figure_and_saves(ax, tmp_path):
    path = tmp_path / "figure.svg"
    figure = plots.show(ax.figure, ALT + ' "x" < y', "**Message.** `n` steps.", save=path)
    assert "<b>Message.</b> <code>n</code> steps." in figure
    assert 'alt="Loss falls and settles on the dashed floor. &quot;x&quot; &lt; y"' in figure
    data = re.search(r"base64,([^\"]+)", figure)[1]
    assert base64.b64decode(data).decode() == path.read_text()
    assert not plt.get_fignums()


def test_show_in_a_notebook_displays_and_returns_nothing(ax, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    assert plots.show(ax.figure, ALT) is None
    assert shown[0]["text/plain"] == f"[figure] {ALT}"
    assert shown[0]["text/html"].startswith("<figure")


@pytest.mark.parametrize(
    "history",
    [
        SimpleNamespace(step=[1, 2, 3], loss=[3.0, 2.0, 1.9]),
        ([1, 2, 3], [3.0, 2.0, 1.9]),
    ],
)
def test_loss_curve_draws_the_run_and_its_floor(ax, history):
    plots.loss_curve(ax, history, floor=1.83)
    run, floor = ax.lines
    assert list(run.get_xdata()) == [1, 2, 3]
    assert list(run.get_ydata()) == [3.0, 2.0, 1.9]
    assert floor.get_ydata()[0] == 1.83
    assert {t.get_text() for t in ax.texts} == {"model", "exact floor"}


def test_loss_curve_of_losses_alone_counts_from_zero(ax):
    plots.loss_curve(ax, [3.0, 2.0])
    assert list(ax.lines[0].get_xdata()) == [0, 1]


def test_labels_at_one_height_are_moved_apart_and_others_stay(ax):
    plots.loss_curve(ax, [3.0, 1.84], floor=1.83)
    plots.end_label(ax, 1, 3.0, "far", "gold")
    svg_of(ax)
    low, high = sorted((t.get_window_extent() for t in ax.texts[:2]), key=lambda box: box.y0)
    assert high.y0 - low.y1 > -0.5
    assert ax.texts[0].xyann[1] > 0 > ax.texts[1].xyann[1], "the model stays above the floor"
    assert ax.texts[2].xyann == (6, 0)


def test_bands_show_mean_and_range(ax):
    plots.bands(ax, [0, 1], [[1.0, 2.0], [3.0, 6.0]], "proxy", "guess")
    assert list(ax.lines[0].get_ydata()) == [2.0, 4.0]
    edge = ax.collections[0].get_paths()[0].vertices
    assert edge[:, 1].min() == 1.0
    assert edge[:, 1].max() == 6.0
    with pytest.raises(ValueError, match="one row a seed"):
        plots.bands(ax, [0, 1], [1.0, 2.0])


def test_heat_maps_values_to_ink(ax):
    image = plots.heat(ax, np.eye(2), ["a", "b"], ["c", "d"], numbers=True)
    assert image.cmap(0.0)[3] == 0.0
    assert image.cmap(1.0)[3] == 1.0
    assert [t.get_text() for t in ax.get_xticklabels()] == ["c", "d"]
    with pytest.raises(ValueError, match="matrix is"):
        plots.heat(ax, np.eye(3), ["a", "b"], ["c", "d"])


def test_truth_may_be_a_curve(ax):
    plots.truth_line(ax, ([0, 1, 2], [3, 2, 1]), "optimum")
    assert list(ax.lines[0].get_ydata()) == [3, 2, 1]
    assert ax.texts[0].get_text() == "optimum"


def test_the_agents_loop_is_drawn_with_its_doors():
    fig, ax = plt.subplots()
    plots.agent_loop(ax, {"letter": "1 a letter"})
    words = [text.get_text() for text in ax.texts]
    assert {"user", "program", "model", "tools", "memory", "1 a letter"} <= set(words)
    with pytest.raises(ValueError, match="no door 'window'"):
        plots.agent_loop(ax, {"window": "a thief"})
    plt.close(fig)
