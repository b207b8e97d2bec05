"""A generator over the rounds of a method: what it draws, as a sheet of pictures, and the figures that tell what it gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loopwright.core.errors import InputError
from loopwright.improve.plots.canvas import COLOURS, GRID, Form, render

Array = np.ndarray[Any, np.dtype[Any]]


def picture_sheet(
    rows: Mapping[str, Array], *, low: float = -1.0, high: float = 1.0, title: str = "", form: Form = "png"
) -> bytes:
    """A line of pictures for every entry, under its name, such as the rounds of a method on the same prompts and noise.

    rows: by name, [n, height, width] or, of square ones, [n, pixels], all as many; ``high`` is black, ``low`` white.
    Raises InputError for none, or for pictures of several sizes.
    """
    lines = {name: _pictures(pictures) for name, pictures in rows.items()}
    if len({line.shape for line in lines.values()}) != 1:
        raise InputError(f"a sheet needs rows of as many pictures of one size, got {[s.shape for s in lines.values()]}")
    count, height, width = next(iter(lines.values())).shape
    names = max(len(part) for name in lines for part in name.split("\n"))
    size = (0.1 + 0.09 * names + 0.55 * count, (0.4 if title else 0.1) + (0.1 + 0.5 * height / width) * len(lines))

    def draw(figure: Any) -> None:
        panels = figure.subplots(len(lines), 1, squeeze=False)[:, 0]
        for axes, (name, pictures) in zip(panels, lines.items(), strict=True):
            gap = np.full((count, height, 1), np.nan)  # a blank column between two pictures
            line = np.concatenate([pictures, gap], axis=2).transpose(1, 0, 2).reshape(height, -1)[:, :-1]
            axes.imshow(line, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        if title:
            figure.suptitle(title, fontsize=10)

    return render("pictures", size, draw, form)


def curves(
    series: Mapping[str, Mapping[str, Sequence[float]]], *, across: str, x: Mapping[str, Sequence[float]], form: Form = "png"
) -> bytes:
    """One panel a figure, one line a method, so that what rises is seen beside what it costs.

    series: by figure, then by method. x: by method, where its points lie, such as samples drawn so far; ``across`` names it.
    Raises InputError where nothing is given, or a line has not as many points as places.
    """
    if not series:
        raise InputError("there is no figure to draw: give at least one, such as {'reward': {'ddpo': [...]}}")
    for name, methods in series.items():
        for method, values in methods.items():
            if len(values) != len(x.get(method, ())):
                raise InputError(f"{name} of {method} has {len(values)} points for {len(x.get(method, ()))} places")

    def draw(figure: Any) -> None:
        for axes, (name, methods) in zip(figure.subplots(1, len(series), squeeze=False)[0], series.items(), strict=True):
            for number, (method, values) in enumerate(methods.items()):
                axes.plot(x[method], values, marker="o", markersize=3, color=COLOURS[number % len(COLOURS)], label=method)
            axes.set_title(name)
            axes.set_xlabel(across)
            axes.grid(**GRID)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))

    return render("rounds", (3.1 * len(series), 2.7), draw, form)


def _pictures(pictures: Array) -> Array:
    pictures = np.asarray(pictures, dtype=float)
    if pictures.ndim == 2:
        side = round(pictures.shape[1] ** 0.5)
        if side * side != pictures.shape[1]:
            raise InputError(f"expected square pictures, got {pictures.shape[1]} pixels")
        pictures = pictures.reshape(len(pictures), side, side)
    if pictures.ndim != 3 or not pictures.size:
        raise InputError(f"expected pictures [n, height, width], at least one, got {pictures.shape}")
    return pictures
