"""What is known of every task while a stream is learned: a heat map of accuracies, and their curves with the worst case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.blocks import continual
from loopwright.core.errors import InputError
from loopwright.improve.plots.canvas import EMPTY, INK, SOFT, Form, render


def accuracy_heat(
    matrix: Any, steps: Sequence[int], ends: Sequence[int], *, title: str = "", form: Form = "svg"
) -> bytes:
    """A row for each task, a column for each evaluation, as the bytes of an SVG or PNG file. White lines: the task changes.

    matrix, ends: see blocks.continual. steps: [evaluations] how many steps had been made. Raises InputError for others.
    """
    found, rows, at = _checked(matrix, steps, ends)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_facecolor(EMPTY)
        # An evaluation's colour lasts until the next one.
        borders = [*at, at[-1] + (at[-1] - at[-2] if len(at) > 1 else 1)]
        image = axes.pcolormesh(borders, np.arange(found.shape[1] + 1) + 0.5, found.T, cmap="viridis", vmin=0, vmax=1)
        for row in rows[:-1]:
            axes.axvline(at[row], color="white", linewidth=1.2)
        axes.set_yticks(range(1, found.shape[1] + 1))
        axes.invert_yaxis()
        axes.set_xlabel("steps")
        axes.set_ylabel("task")
        axes.set_title(title)
        figure.colorbar(image, ax=axes, label="accuracy")

    return render("accuracy-heat", (7.2, 1.2 + 0.4 * found.shape[1]), draw, form)


def accuracy_curves(
    matrix: Any, steps: Sequence[int], ends: Sequence[int], *, title: str = "", form: Form = "svg"
) -> bytes:
    """A line for each task from when it begins, and WC-ACC, as the bytes of an SVG or PNG file; see accuracy_heat."""
    found, rows, at = _checked(matrix, steps, ends)

    def draw(figure: Any) -> None:
        import matplotlib

        axes = figure.subplots()
        colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.88, len(rows)))
        begins = [0, *rows[:-1]]
        for task, (begin, colour) in enumerate(zip(begins, colours, strict=True)):
            axes.plot(at[begin:], found[begin:, task], color=colour, linewidth=1.3, label=f"task {task + 1}")
        curve = continual.worst_case_curve(found, rows)
        axes.plot(at, curve, color=INK, linewidth=1.8, linestyle=(0, (4, 2)), label="WC-ACC")
        for row in rows[:-1]:
            axes.axvline(at[row], color=SOFT, linewidth=0.8, linestyle=":")
        axes.set_ylim(-0.03, 1.03)
        if len(at) > 1:
            axes.set_xlim(at[0], at[-1])
        axes.set_xlabel("steps")
        axes.set_ylabel("accuracy on held-out questions")
        if title:
            axes.set_title(title)
        figure.legend(loc="outside right upper")

    return render("accuracy-curves", (7.6, 3.6), draw, form)


def _checked(matrix: Any, steps: Sequence[int], ends: Sequence[int]) -> tuple[np.ndarray, list[int], list[int]]:
    found, rows = continual.checked(matrix, ends)
    at = [int(step) for step in steps]
    if len(at) != len(found) or at != sorted(set(at)):
        raise InputError(f"steps must be {len(found)} rising numbers, one for each evaluation, got {len(at)}: {at[:6]}")
    return found, rows, at
