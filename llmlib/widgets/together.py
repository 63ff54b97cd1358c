"""Several pictures of the same states under one slider."""

from .base import Interactive, escape, folded_table, page


class Together(Interactive):
    """Pictures of different kinds, one below the other; each reads its own entries of a state."""

    tag = "tta-together"

    def __init__(self, title, parts, key):
        if len(parts) < 2:
            raise ValueError("two pictures or more can be shown together")
        if len({type(part) for part in parts}) < len(parts):
            raise ValueError("pictures of one kind would read the same entries of a state")
        first = parts[0]
        ats = [[str(state["at"]) for state in part.states] for part in parts]
        if any(at != ats[0] for at in ats):
            raise ValueError(f"the pictures have different states: {ats}")
        rows = zip(*(part.states for part in reversed(parts)), strict=True)
        states = [{k: v for state in row for k, v in state.items()} for row in rows]
        super().__init__(title, first.label, states, first.start, key)
        self.parts = list(parts)
        self.styles = tuple(dict.fromkeys(name for part in parts for name in part.styles))

    def picture(self, state):
        picture = ""
        for part in self.parts:
            drawn, values = part.draw(state)
            self._values += values
            picture += f'<p class="tx-part">{escape(part.title)}</p>{drawn}'
        return picture

    def tables(self):
        """A folded table for each picture."""
        return "".join(
            folded_table(part.title, *part.table(), f"All values as a table: {part.title}")
            for part in self.parts
        )

    def html(self):
        inside = self.controls() + self.body(self.states[self.start])
        return page(self, inside + self.tables(), self.data())


def together(title, *parts, key=""):
    """Two or more interactives of different kinds, such as `curves` and `frames`, as one.

    parts: made from states with the same "at", in the same order; the first gives the slider's
    label, its start and the sentences. Their titles become headings. key: what is to be known about
    all of them.
    """
    return Together(title, parts, key)
