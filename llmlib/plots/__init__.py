"""The course's figures: one look, six roles, light and dark from one SVG.

    plots.use()                                   # once, at the top of a notebook
    fig, ax = plt.subplots()
    plots.loss_curve(ax, history, floor=1.83)
    plots.show(fig, alt="Loss falls from 6.9 and settles on the dashed floor at 1.83.",
               caption="**The model reaches the floor.** One seed.")

`role(name)` fixes colour, dash and marker together, so a figure stays readable in grey: `truth`
(floor, Bayes optimum), `model` (what we build), `baseline`, `gold` (human or gold reward), `proxy`
(learned or guessed stand-in), `danger` (failure).
"""

from .diagrams import agent_loop
from .style import ROLES, end_label, role, use
from .svg import adaptive_svg, show
from .vocabulary import bands, heat, loss_curve, truth_line

__all__ = [
    "ROLES",
    "adaptive_svg",
    "agent_loop",
    "bands",
    "end_label",
    "heat",
    "loss_curve",
    "role",
    "show",
    "truth_line",
    "use",
]
