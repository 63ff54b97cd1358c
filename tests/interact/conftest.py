"""A page that loads the course's stylesheet, and a browser to open it in."""

import os
import shutil
from pathlib import Path

import pytest

CSS = Path(__file__).parents[2] / "book" / "site" / "course.css"


@pytest.fixture(scope="session")
def browser():
    chromium = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if chromium is None:
        pytest.skip("Chromium is missing: apt install chromium")
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """open_page(*widgets, width=900, **options of the browser context) -> page.

    A script error, a console error or a request beyond this machine's files fails the test.
    """
    contexts, faults = [], []

    def open_(*widgets, width=900, **options):
        path = tmp_path / f"page{len(contexts)}.html"
        style = CSS.as_uri() if CSS.exists() else ""
        link = f'<link rel="stylesheet" href="{style}">' if style else ""
        body = "".join(w if isinstance(w, str) else w.html() for w in widgets)
        path.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Test</title>'
            '<meta name="viewport" content="width=device-width">'
            f'{link}<body><main class="bd-article" style="padding:1rem">{body}</main>',
            encoding="utf-8",
        )
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith("file:") else faults.append(r.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not faults
