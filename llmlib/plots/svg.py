"""Figures that follow the page: one SVG with both palettes inside, on its own paper.

An SVG shown through <img> evaluates prefers-color-scheme against the color-scheme of the element
that embeds it, so the picture follows the site's light/dark button without a script. It also paints
its own background, so it stays legible where a viewer ignores that rule (an old browser, a dark
JupyterLab on a light desktop).
"""

import base64
import html
import io
import re

import matplotlib.pyplot as plt

from .style import ROLES, spread_labels

# Axes, text and paper: light -> dark. Ink and the truth line share a light colour, hence also a
# dark one.
_CHROME = {
    "#fcfbf8": "#14171c",
    "#515a68": "#a9afba",
    "#ddd8cc": "#353d49",
    "#f4f1ea": "#1d222a",
    "#1d2430": "#e6e2d9",
}
_DARK = {light: dark for light, dark, *_ in ROLES.values()} | _CHROME
_SHOWN_DPI = 110  # drawn small and shown a little larger, so that letters survive a phone
_FILE_NAME = re.compile(r"\.(png|svg|jpe?g|gif|pdf|webp)\s*$", re.I)


def adaptive_svg(fig):
    """`fig` as SVG text whose course colours switch to their dark partners where the viewer prefers
    dark.
    """
    spread_labels(fig)
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.S)
    used = [colour for colour in _DARK if colour in svg]
    for i, colour in enumerate(used):
        svg = svg.replace(colour, f"var(--c{i})")
    light = ";".join(f"--c{i}:{colour}" for i, colour in enumerate(used))
    dark = ";".join(f"--c{i}:{_DARK[colour]}" for i, colour in enumerate(used))
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    return svg.replace(">", ">" + style, 1)


def show(fig, alt, caption="", save=None):
    """Show `fig` with its alt text and caption, and close it.

    alt: what the figure *shows*, five words or more; ValueError otherwise, because a picture nobody
    described is lost on whoever cannot see it. caption: begins with the message; `**bold**` and
    `code` marks are understood. save: also write the SVG to this path. In a notebook the figure is
    displayed and None returned; anywhere else (a script, a test) the `<figure>` is returned as HTML
    text.
    """
    _check_alt(alt)
    svg = adaptive_svg(fig)
    width = round(fig.get_figwidth() * _SHOWN_DPI)
    plt.close(fig)
    if save is not None:
        with open(save, "w", encoding="utf-8") as file:
            file.write(svg)
    data = base64.b64encode(svg.encode()).decode()
    figure = (
        f'<figure class="tta-figure"><img width="{width}" style="max-width:100%;height:auto" '
        f'alt="{html.escape(alt, quote=True)}" src="data:image/svg+xml;base64,{data}">'
        + (f"<figcaption>{_inline(caption)}</figcaption>" if caption else "")
        + "</figure>"
    )
    return _display(figure, alt)


def _check_alt(alt):
    if _FILE_NAME.search(alt) or len(alt.split()) < 5:
        raise ValueError(
            f"alt text must say in five words or more what the figure shows, not {alt!r}; "
            'for example alt="Loss falls from 6.9 and settles on the dashed floor at 1.83."'
        )


def _inline(caption):
    caption = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", caption)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", caption)


def _display(figure, alt):
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return figure
    if get_ipython() is None:
        return figure
    display({"text/html": figure, "text/plain": f"[figure] {alt}"}, raw=True)
    return None
