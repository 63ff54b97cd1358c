"""The landing page's measured figure is the one that chapter 06 drew when it was last run."""

import importlib.util
import json

import pytest

from tests.notebooks.notebook import ROOT

script = ROOT / "book" / "scripts" / "take_promise.py"
spec = importlib.util.spec_from_file_location("take_promise", script)
take_promise = importlib.util.module_from_spec(spec)
spec.loader.exec_module(take_promise)


@pytest.mark.skipif(not take_promise.CHAPTER.exists(), reason="chapter 06 is not written yet")
def test_figure_and_its_text_are_the_chapters_own():
    chapter = json.loads(take_promise.CHAPTER.read_text("utf-8"))
    picture, alt = take_promise.first_figure(chapter, take_promise.HEADING)
    again = "run python book/scripts/take_promise.py, and put what it prints into book/welcome.md"
    assert take_promise.PICTURE.read_text("utf-8") == picture, again
    assert f"![{alt}](figures/promise.svg)" in (ROOT / "book/welcome.md").read_text("utf-8"), again
