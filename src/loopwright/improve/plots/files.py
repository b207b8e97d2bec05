"""Figures as files beside a page, PNG and SVG, and as a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from loopwright.core.outfolder import OutFolder
from loopwright.core.outputs import check_file, write_file
from loopwright.improve.page import escape
from loopwright.improve.plots.canvas import FORMS, MAKER

Draw = Callable[..., bytes]  # of form="png" or form="svg"


def save(drawn: Mapping[str, Draw], folder: Path | OutFolder, prefix: str = "", *, force: bool = False) -> list[Path]:
    """Write every figure as ``PREFIXNAME.png`` and ``.svg``; returns the paths in that order.

    folder: in a run's own folder, what the run did not write stays: the figure gets another name. In any other, a file of this
    name that is no figure of ours is an InputError, before any is written; force: replace it.
    """
    made = {f"{prefix}{name}.{form}": draw(form=form) for name, draw in drawn.items() for form in FORMS}
    if isinstance(folder, OutFolder):
        return [folder.write(name, data) for name, data in made.items()]
    for name in made:
        check_file(folder / name, "a figure", force=force, ours=is_figure)
    for name, data in made.items():
        write_file(folder / name, [data])
    return [folder / name for name in made]


def is_figure(start: bytes) -> bool:
    """Whether a file that begins so is a figure of ours."""
    return MAKER.encode() in start[:4096]


def inline(path: Path, label: str) -> str:
    """An SVG file as an element of a page. label: what is read to those who do not see it."""
    text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
