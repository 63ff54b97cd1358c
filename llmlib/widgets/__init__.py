"""Interactives with two lives: on the page without a kernel, and live with one (`.live()`).

frames(…)    bars that move with a slider            curves(…)    lines that change with a slider
heatmap(…)   an attention map, read row by row       vectors(…)   arrows in the plane
tokens(…)    type text, see it cut by several tokenizers, which run on the page
together(…)  two of these under one slider
trace(…)     an agent's runs, step by step: thought, call, result
sampling(…)  temperature, top-k, top-p and min-p on next-token distributions, on the page

Each returns an object; leave it as the last value of a cell. All take plain lists. No widget needs
a network, a library or a kernel; without JavaScript the first state and a table of the values
remain. A stored
notebook holds that HTML and no widget state: `.live()` is for a reader with a kernel who wants
values that the page does not store, and is taken out again before the notebook is saved.
"""

from .curves import curves
from .frames import frames
from .heatmap import heatmap
from .sampling import sampling
from .together import together
from .tokens import tokens
from .trace import trace
from .vectors import vectors

__all__ = ["curves", "frames", "heatmap", "sampling", "together", "tokens", "trace", "vectors"]
