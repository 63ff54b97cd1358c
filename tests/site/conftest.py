"""Build the site once, serve it on this machine only, and open it in a real browser."""

import importlib.util
import os
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from tests.site.pages import ROOT, SITE

HOW_TO_GET_IT = (
    "Chromium is missing: apt-get install chromium (as root), or set CHROMIUM to its path"
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items):
    """Everything here needs the site; what asks for the browser is marked so.

    What looks at one opened page comes together, page by page, so that each is loaded once.
    """
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "site"):
            item.add_marker("site")
            if "browser" in item.fixturenames:
                item.add_marker("browser")
    items.sort(key=lambda i: i.callspec.params["name"] if "opened" in i.fixturenames else "")


@pytest.fixture(scope="session")
def built():
    """The result of one build by ``make book``'s own script: ``status``, ``said``, ``folder``."""
    script = ROOT / "book" / "scripts" / "build.py"
    spec = importlib.util.spec_from_file_location("book_build", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    status, said = module.build()
    assert (SITE / "index.html").exists(), f"the build left no page:\n{said}"
    return SimpleNamespace(status=status, said=said, folder=SITE)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Requests are not worth a line each."""


@pytest.fixture(scope="session")
def address(built):
    """``http://127.0.0.1:port`` of a server that gives the built site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(built.folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def find_chromium() -> str | None:
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium with a fresh profile. If missing: skipped, or failed where required."""
    path = find_chromium()
    if path is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(HOW_TO_GET_IT, pytrace=False)
        pytest.skip(HOW_TO_GET_IT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One open page that notes what no page may do: log an error, or ask for another host."""

    def __init__(self, context, address):
        self.address, self.errors, self.outside = address, [], []
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)  # milliseconds: the machine may be busy
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("response", self._answered)
        allowed = "|".join(map(re.escape, (address, "data:", "blob:")))
        context.route(re.compile(f"^(?!{allowed})"), self._refuse)

    def _heard(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def _answered(self, response):
        if response.status >= 400:
            self.errors.append(f"{response.status} for {response.url}")

    def _refuse(self, route):
        self.outside.append(route.request.url)
        route.abort()

    def open(self, name: str, query: str = ""):
        """Go to the page of a source name and wait until its formulas are set."""
        self.page.goto(f"{self.address}/{name}.html{query}", wait_until="load")
        self.page.evaluate("window.MathJax?.startup?.promise")
        return self.page


def new_visit(browser, address) -> tuple[Visit, BrowserContext]:
    """A page of its own at 1280 px, light until it is told otherwise, and the context to close."""
    size = {"width": 1280, "height": 900}
    context = browser.new_context(viewport=size, color_scheme="light", reduced_motion="reduce")
    return Visit(context, address), context


@pytest.fixture
def visit(browser, address):
    """A ``Visit`` in a context of its own, for one test."""
    visit, context = new_visit(browser, address)
    yield visit
    context.close()


@pytest.fixture(scope="session")
def last_opened():
    """The page that the tests before looked at: its name, its ``Visit``, and how to close it."""
    last = SimpleNamespace(name=None, visit=None, close=lambda: None)
    yield last
    last.close()


@pytest.fixture
def opened(browser, address, last_opened, name):
    """A ``Visit`` at page ``name``, loaded once for all tests that look at it and change nothing
    that the next one would miss; light and 1280 px wide at the start of each.
    """
    if last_opened.name != name:
        last_opened.close()
        visit, context = new_visit(browser, address)
        last_opened.name, last_opened.visit, last_opened.close = name, visit, context.close
        visit.open(name)
    page = last_opened.visit.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    return last_opened.visit
