"""The report's figures as inline SVG. Colours are the page's CSS variables, so that they follow its light and dark."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from loopwright.blocks.monitors import MONITORS
from loopwright.improve.plots.canvas import readable
from loopwright.improve.report_data import Report

# matplotlib knows no CSS variables: each stands as a colour that nothing else uses and is replaced in the SVG.
_COLOURS = {
    "#010101": "var(--ink)", "#020202": "var(--soft)", "#030303": "var(--line)", "#040404": "var(--good)",
    "#050505": "var(--bad)", "#060606": "var(--accent)", "#070707": "var(--accent2)",
}  # fmt: skip
_INK, _SOFT, _LINE, _GOOD, _BAD, _ACCENT, _ACCENT2 = _COLOURS
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "text.color": _INK, "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT, "xtick.color": _SOFT, "ytick.color": _SOFT, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": _LINE, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "figure.facecolor": "none", "axes.facecolor": "none", "legend.frameon": False, "text.parse_math": False,
}  # fmt: skip


def _svg(name: str, size: tuple[float, float], draw: Callable[[Any], None], label: str) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    # The salt keeps the ids of two figures on one page apart, and the same in every run.
    with matplotlib.rc_context(rc={**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        readable(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, variable)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def looks_figure(report: Report) -> str:
    """Scores on the gate split: the incumbent as a line, every candidate as a point with the interval of its effect."""
    looks = report.looks
    if not looks:
        return ""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        start = report.gate_baseline.score if report.gate_baseline else looks[0].incumbent_score
        steps = [start]
        for look in looks:
            steps.append(look.candidate_score if look.accepted else steps[-1])
        axes.axhline(start, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)), label="baseline")
        axes.step(range(len(steps)), steps, where="post", color=_ACCENT, linewidth=2, label="incumbent")
        for accepted, colour, marker, name in ((True, _GOOD, "o", "accepted"), (False, _BAD, "X", "rejected")):
            chosen = [look for look in looks if look.accepted is accepted]
            if chosen:
                middle = [look.candidate_score for look in chosen]
                below = [max(0.0, look.effect - look.low) for look in chosen]
                above = [max(0.0, look.high - look.effect) for look in chosen]
                axes.errorbar(
                    [look.look for look in chosen], middle, yerr=[below, above], fmt=marker, color=colour, ecolor=colour,
                    elinewidth=1.2, capsize=3, markersize=7, label=name, zorder=3,
                )  # fmt: skip
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlim(-0.25, len(looks) + 0.4)
        every = -(-len(looks) // 16)
        axes.set_xticks([0, *(look.look for look in looks if look.look % every == 0)])
        axes.set_xlabel("look of the gate (0 is the start)")
        axes.set_ylabel("score on the gate examples")
        figure.legend(loc="outside upper left", ncols=4, fontsize=9)

    return _svg("looks", (8.4, 3.6), draw, "score of every candidate at every look of the gate")


def rounds_figure(report: Report) -> str:
    """Scores of each method's own attempts on train examples, round by round."""
    scored = [r for r in report.rounds if r.score is not None]
    if len(scored) < 2:
        return ""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        nan = float("nan")  # a gap, where a round was not scored
        for number, by in enumerate(dict.fromkeys(r.by for r in scored)):
            mine = [r for r in report.rounds if r.by == by]
            colour = (_ACCENT, _ACCENT2, _GOOD, _SOFT)[number % 4]
            xs, ys = range(1, len(mine) + 1), [nan if r.score is None else r.score for r in mine]
            low, high = [[nan if v is None else v for v in side] for side in ([r.low for r in mine], [r.high for r in mine])]
            axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(xs, ys, marker="o", color=colour, markersize=4, label=by or "method")
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("batch of attempts")
        axes.set_ylabel("score on train examples")
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside upper left", ncols=4, fontsize=9)

    return _svg("rounds", (8.4, 2.8), draw, "score of the attempts of every round")


def monitors_figure(report: Report) -> str:
    """One small panel a monitor, over the batches of attempts; a figure that could not be had is a gap."""
    watched = [r for r in report.rounds if r.monitors]
    names = [name for name in MONITORS if name != "score" and any(name in r.monitors for r in watched)]
    if len(watched) < 2 or not names:
        return ""
    across = 3
    rows = -(-len(names) // across)

    def draw(figure: Any) -> None:
        panels = figure.subplots(rows, across, squeeze=False)
        for at, axes in enumerate(panels.flat):
            if at >= len(names):
                axes.set_axis_off()
                continue
            for number, by in enumerate(dict.fromkeys(r.by for r in watched)):
                ys = [r.monitors.get(names[at], float("nan")) for r in watched if r.by == by]
                colour = (_ACCENT, _ACCENT2, _GOOD, _SOFT)[number % 4]
                axes.plot(range(1, len(ys) + 1), ys, marker="o", color=colour, markersize=2.5, linewidth=1.2)
            axes.set_title(names[at], loc="left", fontsize=9)
            axes.tick_params(labelsize=8)
            axes.xaxis.get_major_locator().set_params(integer=True)

    return _svg("monitors", (8.4, 0.4 + 1.35 * rows), draw, "monitors of every round")


def costs_figure(report: Report) -> str:
    """What each part of the run took, in its own order."""
    parts = report.spending
    if not parts:
        return ""
    shown = [("seconds", "seconds of work"), ("tokens", "tokens")] + ([("money", "US dollars")] if report.spent.money else [])

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(shown), sharey=True)
        names = [p.part for p in parts]
        for axes, (field, title) in zip(panels, shown, strict=True):
            values = [float(getattr(p, field)) for p in parts]
            bars = axes.barh(range(len(parts)), values, color=_ACCENT, height=0.6)
            axes.bar_label(bars, labels=[_short(v) for v in values], padding=4, color=_SOFT, fontsize=9)
            axes.set_yticks(range(len(parts)), names, color=_INK)
            axes.set_ylim(len(parts) - 0.4, -0.6)
            axes.set_xlim(0, max([*values, 1e-9]) * 1.22)
            axes.set_title(title, loc="left", fontsize=10)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="x", labelbottom=False, length=0)
            axes.tick_params(axis="y", length=0)
            axes.spines["bottom"].set_visible(False)
            axes.grid(visible=False)

    return _svg("costs", (8.4, 0.7 + 0.42 * len(parts)), draw, "what each part of the run took")


def training_figure(report: Report) -> str:
    """Loss of every fine-tuning: its first step and its last epoch."""
    fits = [t for t in report.trainings if "loss" in t.stats]
    if not fits:
        return ""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        xs = [t.number for t in fits]
        first = [t.stats.get("first_loss", t.stats["loss"]) for t in fits]
        last = [t.stats["loss"] for t in fits]
        axes.vlines(xs, last, first, color=_LINE, linewidth=3)
        axes.plot(xs, first, "o", color=_SOFT, markersize=5, label="first step")
        axes.plot(xs, last, "o-", color=_ACCENT, markersize=5, label="last epoch")
        axes.set_xticks(xs[:: -(-len(xs) // 16)])
        axes.set_xlim(xs[0] - 0.5, xs[-1] + 0.5)
        axes.set_xlabel("fine-tuning")
        axes.set_ylabel("loss per token")
        figure.legend(loc="outside upper left", ncols=2, fontsize=9)

    return _svg("training", (8.4, 2.8), draw, "loss of every fine-tuning")


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.1 else f"{value:.1g}"
