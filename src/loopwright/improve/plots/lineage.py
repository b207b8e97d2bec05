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
    first. score: in [0, 1], over ``tried`` tasks. why: it was not kept, or, where it has a place, that the gate turned it down.
    others: further parents of one that was merged.
    """

    index: int | None
    parent: int | None = None
    score: float = 0.0
    tried: int = 0
    why: str = ""
    others: tuple[int, ...] = ()

    @property
    def parents(self) -> tuple[int, ...]:
        return (() if self.parent is None else (self.parent,)) + self.others


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
        numbers = (data.get("score", 0.0), data.get("tried", 0))
        found[key] = Version(index, data.get("parent"), *numbers, data.get("why", ""), tuple(data.get("others", ())))
    return list(found.values())


def lineage_figure(
    versions: Sequence[Version], *, best: int | None = None, label: str = "share of tasks solved", title: str = "",
    form: Form = "svg",
) -> bytes:  # fmt: skip
    """The figure as the bytes of an SVG or PNG file. The line of descent of the best version stands out.

    best: its index; without it, that of the one tried on most, then with the highest score. label: what a score is.
    Raises InputError where no version was kept, or one was made from none that is there.
    """
    kept = {v.index: (at, v) for at, v in enumerate(versions) if v.index is not None}
    if not kept:
        raise InputError("there is no version to show: a run of dgm or hgm notes them, see versions_of")
    for v in versions:
        for parent in v.parents:
            if parent not in kept:
                raise InputError(f"a version was made from {parent}, which is not among the {len(kept)} that were kept")
    if best is not None and best not in kept:
        raise InputError(f"the best version is said to be {best}, which is not among the {len(kept)} that were kept")
    line = _line(kept, best)
    children = {i: sum(i in v.parents for _, v in kept.values()) for i in kept}

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for i, (at, v) in kept.items():
            for number, (before, parent) in enumerate(kept[p] for p in v.parents):
                on = i in line and number == 0
                axes.plot(
                    [before, at], [parent.score, v.score], color=_ACCENT if on else LINE, linewidth=2.2 if on else 1.0,
                    linestyle=":" if number else "-", zorder=2 if on else 1,
                )  # fmt: skip
        shown = list(kept.items())
        axes.scatter(
            [at for _, (at, _) in shown], [v.score for _, (_, v) in shown], s=[28 + 16 * children[i] for i, _ in shown],
            c=[_ACCENT if i in line else "white" for i, _ in shown],
            edgecolors=[_ACCENT if i in line else _BAD if v.why else INK for i, (_, v) in shown], linewidths=1.1, zorder=3,
        )  # fmt: skip
        top = max(0.1, *(v.score for _, v in kept.values()))
        lost = [at for at, v in enumerate(versions) if v.index is None]
        floor = -0.05 * top
        axes.scatter(lost, [floor] * len(lost), marker="x", s=18, c=_BAD, linewidths=1.1, zorder=3)
        axes.set_ylim(2 * floor, 1.08 * top)
        axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 1.08 * top])
        axes.set_xlabel("version, in order of arrival")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y", **GRID)
        refused = sum(bool(v.why) for _, v in kept.values())
        figure.legend(handles=_handles(len(kept) - refused, refused, len(lost)), loc="outside upper left", ncols=4)
        if title:
            axes.set_title(title)

    return render("lineage", (8.4, 4.4), draw, form)


def _line(kept: dict[int, tuple[int, Version]], best: int | None) -> set[int]:
    """The best version and all it descends from; the one tried on most, then with the highest score, the oldest of equals."""
    at: int | None = best if best is not None else max(kept, key=lambda i: (kept[i][1].tried, kept[i][1].score, -i))
    found: set[int] = set()
    while at is not None and at not in found:
        found.add(at)
        at = kept[at][1].parent
    return found


def _handles(kept: int, refused: int, lost: int) -> list[Any]:
    from matplotlib.lines import Line2D

    dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 6}
    handles = [
        Line2D([], [], color=_ACCENT, marker="o", markersize=6, label="the best and what it descends from"),
        Line2D([], [], markerfacecolor="white", markeredgecolor=INK, label=f"{kept} kept; larger: more children", **dot),
    ]
    if refused:
        handles.append(Line2D([], [], markerfacecolor="white", markeredgecolor=_BAD, label=f"{refused} turned down", **dot))
    if lost:
        handles.append(Line2D([], [], color=_BAD, marker="x", linestyle="none", markersize=5, label=f"{lost} not kept"))
    return handles
