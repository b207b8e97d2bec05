"""What the figures have in common: colours, type, and bytes that are the same for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Literal

from loopwright.core.visible import visible

Form = Literal["png", "svg"]
FORMS: tuple[Form, ...] = ("png", "svg")
MAKER = "Loopwright"  # by which a file is known as a figure of ours, that may be drawn again
INK, SOFT, LINE, EMPTY = "#1f2933", "#7b8794", "#b8c1cc", "#eef1f4"
COLOURS = ("#0b6bcb", "#c0392b", "#2e8540", "#8e44ad", "#b7791f")
GRID = {"color": "#e4e8ee", "linewidth": 0.6}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "text.color": INK, "text.parse_math": False,
    "axes.edgecolor": SOFT, "axes.labelcolor": INK, "axes.axisbelow": True, "axes.titlelocation": "left",
    "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "xtick.color": INK, "ytick.color": INK,
    "legend.frameon": False, "legend.fontsize": 9,
}  # fmt: skip


def readable(figure: Any) -> None:
    """Write out what cannot stand in a figure's texts: control characters make an SVG file that no program reads."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        told = text.get_text()
        if (shown := visible(told)) != told:
            text.set_text(shown)


def render(name: str, size: tuple[float, float], draw: Callable[[Any], None], form: Form) -> bytes:
    """The bytes of the file. size: in inches. draw: fills the figure it is given.

    name: of the kind of figure; it keeps the ids of two figures on one page apart.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(rc={**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        draw(figure)
        readable(figure)
        out = io.BytesIO()
        # Without these the same numbers would give other bytes in the next second.
        metadata = {"Date": None, "Creator": MAKER} if form == "svg" else {"Software": MAKER}
        figure.savefig(out, format=form, dpi=150, metadata=metadata)
    return out.getvalue()
