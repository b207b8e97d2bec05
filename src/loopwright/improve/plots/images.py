"""A generator over the rounds of a method: what it draws, as a sheet of pictures, and the figures that tell what it gives up."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loopwright.core.errors import InputError

_INK, _SOFT = "#1f2933", "#7b8794"
_COLOURS = ("#0b6bcb", "#c0392b", "#2e8540", "#8e44ad", "#b7791f")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif", "font.size": 9, "text.color": _INK, "axes.edgecolor": _SOFT, "axes.labelcolor": _INK,
    "xtick.color": _INK, "ytick.color": _INK, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
}  # fmt: skip
Array = np.ndarray[Any, np.dtype[Any]]


def picture_sheet(rows: Mapping[str, Array], *, low: float = -1.0, high: float = 1.0, title: str = "") -> bytes:
    """PNG: a line of pictures for every entry, under its name, such as the rounds of a method on the same prompts and noise.

    rows: by name, [n, side, side] or [n, side * side], all as many; ``high`` is black, ``low`` white.
    Raises InputError for none, or for pictures of several sizes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    squares = {name: _square(pictures) for name, pictures in rows.items()}
    if len({s.shape for s in squares.values()}) != 1:
        raise InputError(f"a sheet needs rows of as many pictures of one size, got {[s.shape for s in squares.values()]}")
    count, side = next(iter(squares.values())).shape[:2]
    with matplotlib.rc_context(rc=_STYLE):
        figure = Figure(figsize=(1.2 + 0.55 * count, (0.4 if title else 0.1) + 0.6 * len(squares)), layout="constrained")
        panels = figure.subplots(len(squares), 1, squeeze=False)[:, 0]
        for axes, (name, pictures) in zip(panels, squares.items(), strict=True):
            gap = np.full((count, side, 1), np.nan)  # a blank column between two pictures
            line = np.concatenate([pictures, gap], axis=2).transpose(1, 0, 2).reshape(side, -1)[:, :-1]
            axes.imshow(line, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        if title:
            figure.suptitle(title, fontsize=10)
        return _png(figure)


def curves(series: Mapping[str, Mapping[str, Sequence[float]]], *, across: str, x: Mapping[str, Sequence[float]]) -> bytes:
    """PNG: one panel a figure, one line a method, so that what rises is seen beside what it costs.

    series: by figure, then by method. x: by method, where its points lie, such as samples drawn so far; ``across`` names it.
    Raises InputError where nothing is given, or a line has not as many points as places.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if not series:
        raise InputError("there is no figure to draw: give at least one, such as {'reward': {'ddpo': [...]}}")
    with matplotlib.rc_context(rc=_STYLE):
        figure = Figure(figsize=(3.1 * len(series), 2.7), layout="constrained")
        for axes, (name, methods) in zip(figure.subplots(1, len(series), squeeze=False)[0], series.items(), strict=True):
            for colour, (method, values) in zip(_COLOURS * len(methods), methods.items(), strict=False):
                if len(values) != len(x.get(method, ())):
                    raise InputError(f"{name} of {method} has {len(values)} points for {len(x.get(method, ()))} places")
                axes.plot(x[method], values, marker="o", markersize=3, color=colour, label=method)
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_xlabel(across)
            axes.grid(color="#e4e7eb", linewidth=0.6)
            axes.set_axisbelow(True)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
        return _png(figure)


def _square(pictures: Array) -> Array:
    pictures = np.asarray(pictures, dtype=float)
    if pictures.ndim == 2:
        side = round(pictures.shape[1] ** 0.5)
        if side * side != pictures.shape[1]:
            raise InputError(f"expected square pictures, got {pictures.shape[1]} pixels")
        pictures = pictures.reshape(len(pictures), side, side)
    if pictures.ndim != 3 or not pictures.size:
        raise InputError(f"expected pictures [n, side, side], at least one, got {pictures.shape}")
    return pictures


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return out.getvalue()
