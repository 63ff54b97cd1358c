"""What a notebook shows for the course's figures, interactives and checks, and shows only once."""

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

SETUP = """
from llmlib import checks, plots, widgets
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

@checks.exercise("95.1", "one")
def check(attempt):
    checks.equal(attempt(), 1, "the number")
"""


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("TTA_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell.instance()
    shell.run_cell(SETUP).raise_error()
    yield shell
    InteractiveShell.clear_instance()


def test_a_figure_is_displayed_once_with_its_alt_text(shell):
    with capture_output() as shown:
        result = shell.run_cell("""
fig, ax = plt.subplots()
ax.plot([0, 1], [1, 0], **plots.role("model"))
plots.show(fig, alt="The line falls from one to zero.")
""")
    assert result.result is None
    (figure,) = shown.outputs
    assert set(figure.data) == {"text/html", "text/plain"}
    assert 'alt="The line falls from one to zero."' in figure.data["text/html"]


def test_an_interactive_leaves_html_and_no_widget_view(shell):
    states = '[{"at": "1", "v": [0.5], "read": "Half."}]'
    result = shell.run_cell(f'widgets.frames("Bars", "At", ["a"], {states});').result
    data, _ = shell.display_formatter.format(result)
    assert set(data) == {"text/html", "text/plain"}
    assert data["text/plain"] == "[interactive] Bars"


def test_a_verdict_is_printed_and_not_echoed(shell, capsys):
    shell.run_cell("verdict = check(lambda: 1)")
    assert capsys.readouterr().out == "✓ Exercise 95.1, one: correct.\n"
    assert shell.display_formatter.format(shell.user_ns["verdict"]) == ({}, {})
