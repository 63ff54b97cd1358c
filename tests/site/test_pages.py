"""What can be read from the built files: links, alternative texts, sizes, buttons."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from tests.site.pages import CHAPTERS, PAGES, ROOT, SITE

MAX_BYTES = 1_500_000
FILE_NAME = re.compile(r"\.(png|svg|jpe?g|gif|webp)\b|^_images/", re.IGNORECASE)
RAW_MYST = re.compile(r":::|\{(?:cite|doc|term|ref|numref|eq)\}`")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_chapter = pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(path: Path) -> frozenset[str]:
    return frozenset(tag["id"] for tag in soup(path).find_all(id=True))


def test_build_has_no_warning(built):
    assert built.status == 0, built.said


def test_the_road_has_no_gap_and_links_what_is_listed(built):
    """Chapters may be finished out of order; a reader sees all of them, and which can be read."""
    listed = [int(Path(page.name).name[:2]) for page in CHAPTERS]
    assert listed == sorted(set(listed))
    steps = soup(SITE / "book" / "welcome.html").select(".tta-road li")
    assert [int(step.text.split()[0]) for step in steps] == list(range(1, len(steps) + 1))
    assert [int(step.text.split()[0]) for step in steps if step.find("a")] == listed


@every_page
def test_links_and_anchors_resolve(page, built):
    broken = []
    for tag in soup(page.html).select("a[href], link[href], script[src], img[src]"):
        target = urlsplit(tag.get("href") or tag.get("src"))
        if target.scheme or target.netloc:
            continue
        path = (page.html.parent / unquote(target.path)).resolve() if target.path else page.html
        if not path.exists():
            broken.append(target.geturl())
        elif target.fragment and path.suffix == ".html":
            fragment = unquote(target.fragment)
            if fragment not in anchors(path):
                broken.append(target.geturl())
    assert not broken


@every_page
def test_page_loads_nothing_from_another_host(page, built):
    tags = soup(page.html).select("script[src], img[src], iframe[src], source[src], link[href]")
    named = [t.get("src") or t["href"] for t in tags if "canonical" not in t.get("rel", [])]
    assert not [url for url in named if urlsplit(url).netloc]


@every_page
def test_images_have_written_alternative_text(page, built):
    poor = []
    for image in soup(page.html).select("article img, article svg[role=img]"):
        alt = image.get("alt") or image.get("aria-label") or ""
        if len(alt.split()) < 4 or FILE_NAME.search(alt):
            poor.append((image.get("src", "inline svg")[:80], alt))
    assert not poor


@every_page
def test_page_is_small_and_whole(page, built):
    assert page.html.stat().st_size <= MAX_BYTES
    article = soup(page.html).select_one("article.bd-article")
    assert len(article.find_all("h1")) == 1
    for code in article.find_all(["pre", "code"]):
        code.extract()
    assert not RAW_MYST.search(article.get_text())
    soup.cache_clear()  # this test took the code out of the parsed page


@every_chapter
def test_chapter_opens_in_colab(page, built):
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    repository = re.search(r"^  url: https://github\.com/(\S+)$", config, re.MULTILINE)[1]
    wanted = f"https://colab.research.google.com/github/{repository}/blob/main/{page.name}.ipynb"
    buttons = [tag["href"] for tag in soup(page.html).select(".article-header-buttons a[href]")]
    assert wanted in buttons


@every_chapter
def test_chapter_links_only_to_pages_that_exist(page, built):
    """A Markdown link to an unlisted notebook would otherwise become a download or plain text."""
    article = soup(page.html).select_one("article.bd-article")
    assert not article.select("a.download[href$='.ipynb'], span.xref.myst")


def test_no_page_is_left_out(built):
    """The road on the landing page links to every chapter that is listed."""
    links = {tag["href"] for tag in soup(SITE / "book/welcome.html").select("article a[href]")}
    assert {f"../{page.name}.html" for page in CHAPTERS} <= links
