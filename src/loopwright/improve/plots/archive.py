"""An archive of elites as a heat map: one square a cell, its colour the objective of the elite, blank where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.blocks import archive as archives
from loopwright.blocks.archive import Archive
from loopwright.core.errors import InputError
from loopwright.improve.plots.canvas import EMPTY, Form, render


def archive_figure(
    archive: Archive, names: Sequence[str], *, low: float | None = None, high: float | None = None, title: str = "",
    label: str = "objective", form: Form = "svg",
) -> bytes:  # fmt: skip
    """The figure as the bytes of an SVG or PNG file. names: of the measures. low, high: ends of the colours; those of the elites.

    Raises InputError for an archive of more than two measures, or for other names than it has measures.
    """
    measures = len(archive.shape)
    if measures > 2 or len(names) != measures:
        raise InputError(f"a heat map shows one or two measures, each with a name; got {measures}, and the names {list(names)}")
    heat = archives.heat(archive).reshape(-1, 1) if measures == 1 else archives.heat(archive)
    across = [*zip(archive.low.tolist(), archive.high.tolist(), strict=True), (0.0, 1.0)]
    filled = heat[np.isfinite(heat)]
    floor = float(filled.min()) if low is None and len(filled) else low or 0.0
    ceiling = float(filled.max()) if high is None and len(filled) else high or 1.0

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_facecolor(EMPTY)
        # The grid's first axis runs to the right, the second upwards: an image's rows run downwards from its first.
        image = axes.imshow(
            heat.T, origin="lower", extent=(*across[0], *across[1]), aspect="auto", interpolation="nearest", cmap="viridis",
            vmin=floor, vmax=ceiling if ceiling > floor else floor + 1.0,
        )  # fmt: skip
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_xlabel(names[0])
        if measures == 2:
            axes.set_ylabel(names[1])
        else:
            axes.set_yticks([])
        count = f"{archive.filled:,} of {len(archive.place):,} cells filled"
        axes.set_title(f"{title}: {count}" if title else count)
        figure.colorbar(image, ax=axes, label=label)

    return render("archive", (5.8, 4.6) if measures == 2 else (6.4, 1.9), draw, form)
