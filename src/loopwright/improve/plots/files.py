"""Figures as files beside a page, PNG and SVG, and as a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

from loopwright.improve.plots.canvas import FORMS

Draw = Callable[..., bytes]  # of form="png" or form="svg"


def save(drawn: Mapping[str, Draw], folder: Path, prefix: str = "") -> list[Path]:
    """Write every figure as ``PREFIXNAME.png`` and ``.svg``; returns the paths in that order."""
    if drawn:
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw in drawn.items():
        for form in FORMS:
            paths.append(folder / f"{prefix}{name}.{form}")
            paths[-1].write_bytes(draw(form=form))
    return paths


def inline(path: Path, label: str) -> str:
    """An SVG file as an element of a page. label: what is read to those who do not see it."""
    text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
