"""Rich's console, for texts that may come from anywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from loopwright.cli.streams import Told, raw
from loopwright.core.visible import visible


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

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def cell(text: object, style: str = "") -> Text:
    """A text from anywhere in a style of its own, for a table."""
    return Text(visible(str(text)), style=style)
