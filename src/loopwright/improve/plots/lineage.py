"""The tree of an archive: every version by when it came and how it scored, with a line to what it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.store import EventRow
from loopwright.improve.plots.canvas import COLOURS, GRID, INK, LINE, Form, render

_ACCENT, _BAD = COLOURS[:2]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a run, in order of arrival.

    index: its place among those that were kept, None where it was not. parent: the index of what it was made from, None of the
    first. score: in [0, 1], over ``tried`` tasks. why: it was not kept.
    """

    index: int | None
    parent: int | None = None
    score: float = 0.0
    tried: int = 0
    why: str = ""


def versions_of(events: Iterable[EventRow], by: str = "") -> list[Version]:
    """What a run noted of its versions (``ctx.note("version", ...)``); of an index that comes again the later note counts.

    by: the recipe's slug, where a run had several.
    """
    found: dict[Any, Version] = {}
    for event in events:
        data = event.payload
        if event.type != "version" or (by and data.get("by") != by):
            continue
        index = data.get("index")
        key = (event.key,) if index is None else index
        found[key] = Version(index, data.get("parent"), data.get("score", 0.0), data.get("tried", 0), data.get("why", ""))
    return list(found.values())


def lineage_figure(versions: Sequence[Version], *, title: str = "", form: Form = "svg") -> bytes:
    """The figure as the bytes of an SVG or PNG file. The line of descent of the best version stands out.

    Raises InputError where no version was kept, or one was made from none that is there.
    """
    kept = {v.index: (at, v) for at, v in enumerate(versions) if v.index is not None}
    if not kept:
        raise InputError("there is no version to show: a run of dgm or hgm notes them, see versions_of")
    for v in versions:
        if v.parent is not None and v.parent not in kept:
            raise InputError(f"a version was made from {v.parent}, which is not among the {len(kept)} that were kept")
    best = _line(kept)
    children = {i: sum(v.parent == i for _, v in kept.values()) for i in kept}

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for i, (at, v) in kept.items():
            if v.parent is not None:
                before, parent = kept[v.parent]
                on = i in best
                axes.plot(
                    [before, at], [parent.score, v.score], color=_ACCENT if on else LINE, linewidth=2.2 if on else 1.0,
                    zorder=2 if on else 1,
                )  # fmt: skip
        shown = list(kept.items())
        axes.scatter(
            [at for _, (at, _) in shown], [v.score for _, (_, v) in shown], s=[28 + 16 * children[i] for i, _ in shown],
            c=[_ACCENT if i in best else "white" for i, _ in shown],
            edgecolors=[_ACCENT if i in best else INK for i, _ in shown], linewidths=1.1, zorder=3,
        )  # fmt: skip
        top = max(0.1, *(v.score for _, v in kept.values()))
        lost = [at for at, v in enumerate(versions) if v.index is None]
        floor = -0.05 * top
        axes.scatter(lost, [floor] * len(lost), marker="x", s=18, c=_BAD, linewidths=1.1, zorder=3)
        axes.set_ylim(2 * floor, 1.08 * top)
        axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 1.08 * top])
        axes.set_xlabel("version, in order of arrival")
        axes.set_ylabel("share of tasks solved")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y", **GRID)
        figure.legend(handles=_handles(len(kept), len(lost)), loc="outside upper left", ncols=3)
        if title:
            axes.set_title(title)

    return render("lineage", (8.4, 4.4), draw, form)


def _line(kept: dict[int, tuple[int, Version]]) -> set[int]:
    """The best version and all it descends from; the one tried on most, then with the highest score, the oldest of equals."""
    at: int | None = max(kept, key=lambda i: (kept[i][1].tried, kept[i][1].score, -i))
    found: set[int] = set()
    while at is not None and at not in found:
        found.add(at)
        at = kept[at][1].parent
    return found


def _handles(kept: int, lost: int) -> list[Any]:
    from matplotlib.lines import Line2D

    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 6}
    handles = [
        Line2D([], [], color=_ACCENT, marker="o", markersize=6, label="the best and what it descends from"),
        Line2D([], [], markerfacecolor="white", markeredgecolor=INK, label=f"{kept} kept; larger: more children", **dot),
    ]
    if lost:
        handles.append(Line2D([], [], color=_BAD, marker="x", linestyle="none", markersize=5, label=f"{lost} not kept"))
    return handles
