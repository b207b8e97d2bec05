"""Rich's console, for texts that may come from anywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from loopwright.cli.streams import Told, raw
from loopwright.core.visible import visible

_NARROW = 60  # columns
_SHORT = 6  # characters that a cut text keeps


class SafeConsole(Console):
    """Shows texts as they are: nothing in them is markup, a ``:picture:``, a link or a code that the terminal obeys.

    Lines are left for the terminal to break, so that a copied path is whole; ``wraps`` is for tables.
    """

    def __init__(self, *, stderr: bool = False, wraps: bool = False) -> None:
        stream: Any = Told(raw(sys.stderr)) if stderr else sys.stdout
        super().__init__(file=stream, stderr=stderr, highlight=False, soft_wrap=not wraps, markup=False, emoji=False)

    def render_str(self, text: str, **more: Any) -> Text:
        """Every text that is printed or put into a table comes through here, before its width is measured."""
        return super().render_str(visible(text), **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The last look, at what came in another way; codes of Rich's own are in segments of their own."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
                continue
            style = segment.style
            if style is not None and style.link:
                style = style.update_link(None)
            yield Segment(visible(segment.text), style)

    @property
    def narrow(self) -> bool:
        """Whether columns would not fit."""
        return self.width < _NARROW

    def print_table(self, table: Table, *, by_cells: bool = False) -> None:
        """A table; on a narrow terminal, or ``by_cells``, a line for each cell: columns would cut what is to be copied."""
        if not self.narrow and not by_cells:
            self.print(table)
            return
        if table.title:
            self.print(table.title, style=table.title_style)
        names = [str(column.header) for column in table.columns]
        room = max(map(len, names), default=0)
        for row in zip(*(column.cells for column in table.columns), strict=True):
            self.print()
            for name, value in zip(names, row, strict=True):
                said = value if isinstance(value, Text) else self.render_str(str(value))
                if said.plain:
                    self.print(Text.assemble((f"{name:<{room}}  ", "dim"), said), soft_wrap=True)

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def cell(text: object, style: str = "") -> Text:
    """A text from anywhere in a style of its own, for a table."""
    return Text(visible(str(text)), style=style)


def fit(lines: Sequence[Sequence[Text]], columns: Sequence[int], width: int) -> bool:
    """Cut texts of these columns so that a table of ``width`` characters has one row for each line, the longest columns most.

    Args:
        lines: the cells of a table, all as long, its names included; they are changed.
        columns: which may be cut.
        width: of all columns together, without what is between them.

    Returns:
        Whether there is room; where there is not, nothing is cut.
    """
    needs = [max(line[at].cell_len for line in lines) for at in range(len(lines[0]))]
    room = width - sum(need for at, need in enumerate(needs) if at not in columns)
    if room < sum(min(_SHORT, needs[at]) for at in columns):
        return False
    for left, at in zip(range(len(columns), 0, -1), sorted(columns, key=needs.__getitem__), strict=True):
        most = max(_SHORT, room // left)
        for line in lines:
            line[at].truncate(most, overflow="ellipsis")
        room -= min(most, needs[at])
    return True
