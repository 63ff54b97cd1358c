"""Sphinx extension: pages that ask nothing of the network and load each script once.

Two things the stock set-up does otherwise:

- MathJax would come from a content network. The files that a page can ask for are copied from the
  installed package ``sphinx-mathjax-offline`` (all of it would be 24 MB, most of it never read).
- Sphinx 7.4 lists some of the theme's scripts twice, and the second run of one logs an error.
"""

import importlib.util
import shutil
from pathlib import Path

MATHJAX_PACKAGE = "sphinx-mathjax-offline"
# The component that pages load, and what it may load: fonts, TeX extensions, speech.
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions", "a11y", "sre")


def copy_mathjax(app, exception):
    """Copy the needed parts of MathJax to ``_static/mathjax`` once the pages are written."""
    if exception is not None or app.builder.format != "html":
        return
    spec = importlib.util.find_spec(MATHJAX_PACKAGE)
    if spec is None:
        raise RuntimeError(
            f"{MATHJAX_PACKAGE} is not installed: run `make book`, which installs it"
        )
    source = Path(spec.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX_PARTS:
        if (target / part).exists():
            continue
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part)
        else:
            shutil.copy2(source / part, target / part)


def load_each_script_once(app, pagename, templatename, context, doctree):
    """Keep the first of equal entries in the page's list of scripts."""
    kept = {}
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        # a script in the page itself has no file name: one caller says None, the other ""
        kept.setdefault((getattr(script, "filename", script) or "", body), script)
    if "script_files" in context:
        context["script_files"] = list(kept.values())


def setup(app):
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", load_each_script_once, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
