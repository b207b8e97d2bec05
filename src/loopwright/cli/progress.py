"""What a running job shows on stderr: a bar with cost and time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loopwright.cli.shared import console
from loopwright.cli.streams import Guarded

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def points(value: float) -> str:
    """A difference of scores in points of a hundred."""
    return f"{100 * value:+.1f}"


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def on_screen(screening: Mapping[str, Any], counts: str) -> str:
    """What a comparison on the screen examples showed; what was not judged is told, as it counts as worse."""
    from loopwright.core.gate import how_many

    lacking = screening.get("missing", 0)
    counted = f" ({lacking} of these not judged, which counts as worse)" if lacking else ""
    return f"{screening['wins']} better and {screening['losses']} worse{counted} of {how_many(screening['n'], 'screen', counts)}"


def duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02d} min" if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02d} h"


def spent(payload: dict[str, Any]) -> str:
    """Calls, tokens and money, each with its cap where there is one."""
    caps = payload.get("caps", {})
    parts = []
    for name, form in (("calls", "{:,.0f} calls"), ("tokens", "{:,.0f} tokens"), ("money", "${:,.4f}")):
        value, cap = payload.get(name, 0), caps.get(name)
        if value or cap:
            most = "at most " if name == "tokens" and payload.get("bound") else ""
            parts.append(most + form.format(value) + (f" of {cap:,g}" if cap else ""))
    return ", ".join(parts) or "nothing spent yet"


def unusual(payload: dict[str, Any]) -> str:
    """What is to be said of answers that were cut off, not given or not scored; "" where there are none."""
    of = payload.get("attempts", 0)
    said = [
        f"{payload[name]} of {of} answers {words}"
        for name, words in (("cut", "were cut at max_tokens"), ("unanswered", "were not given"), ("unscored", "have no score"))
        if payload.get(name) and (name != "unscored" or payload.get("n", 1))
    ]
    return f": {', '.join(said)}" if said else ""


def _named(payload: dict[str, Any]) -> str:
    """Who offered it, and what it is."""
    by, note = payload.get("by", ""), payload.get("note", "")
    return f"{by} ({note})" if note else str(by)


class Watcher:
    """Takes a job's events. ``run`` is its id once it is known."""

    def __init__(self) -> None:
        self.run = ""
        self.out = console(stderr=True)
        self._bar: Progress | None = None
        self._row: TaskID | None = None
        self._what = "loading the model"
        self._counts = "examples"  # or groups: what every n is a number of
        self._unusual: set[tuple[Any, Any]] = set()  # of which split and method it was told that answers are missing or cut

    def start(self) -> None:
        if not self.out.is_terminal or self.out.is_dumb_terminal:
            return
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        columns = (
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
            TextColumn("{task.fields[cost]}", style="dim", markup=False),
            TextColumn("{task.fields[left]}", style="cyan", markup=False),
        )  # fmt: skip
        self.out.soft_wrap = False
        self._bar = Progress(*columns, console=self.out, transient=True)
        self._row = self._bar.add_task(self._what, total=None, cost="", left="")
        self._bar.start()
        sys.stderr = Guarded(sys.stderr)  # the bar's own stand-in for it reads escape codes

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()  # puts sys.stderr back
            self._bar = None

    def tell(self, type: str, payload: dict[str, Any]) -> None:
        """One event. Unknown ones are left out: a newer recipe may tell more."""
        handler = getattr(self, "_on_" + type.replace("-", "_"), None)
        if handler is not None:
            handler(payload)

    def _say(self, text: str, style: str = "") -> None:
        """A line; what more an error or a name brings along is indented, so that it does not look like a line of ours."""
        self.out.print(text.replace("\n", "\n    "), style=style, markup=False)

    def _on_warning(self, payload: dict[str, Any]) -> None:
        self._say(payload["message"], style="bold red" if payload.get("loud") else "yellow")

    def _now(self, what: str) -> None:
        self._what = what
        if self._bar is not None and self._row is not None:
            self._bar.update(self._row, description=what)

    def _on_run(self, payload: dict[str, Any]) -> None:
        self.run = str(payload.get("run") or payload.get("id") or "")
        self._counts = payload.get("counts", "examples")
        splits = ", ".join(f"{n} {name}" for name, n in payload.get("splits", {}).items())
        apart = " (those of one group count as one)" if self._counts == "groups" else ""
        self._say(f"{payload.get('task', '')}: model {payload.get('model', '')}, {splits} examples{apart}; run {self.run}")
        self._now("measuring the baseline")

    def _on_stream(self, payload: dict[str, Any]) -> None:
        self.run = str(payload["run"])
        self._say(f"{payload['task']}: {payload['steps']:,} steps; run {self.run}")
        self._now("asking and telling")

    def _on_baseline(self, payload: dict[str, Any]) -> None:
        from loopwright.core.gate import how_many

        if "score" in payload:
            lacking = f"; {payload['missing']} more have no score" if payload.get("missing") else ""
            self._say(f"baseline {percent(payload['score'])} ({percent(payload['low'])} to {percent(payload['high'])}, "
                      f"{how_many(payload['n'], payload.get('split', 'gate'), self._counts)}{lacking})")  # fmt: skip
        else:
            seen = how_many(payload["n"], "gate", self._counts)
            self._say(f"baseline measured on {seen}; their scores are shown after the run")

    def _on_answers(self, payload: dict[str, Any]) -> None:
        place = (payload.get("split"), payload.get("by"))
        if payload.get("split") == "train" and place in self._unusual:  # a method may evaluate a hundred times
            return
        self._unusual.add(place)
        why = f": {payload['why']}" if payload.get("why") else ""
        self._say(f"  {payload.get('split', '')}{unusual(payload)}{why}", "yellow")

    def _on_method(self, payload: dict[str, Any]) -> None:
        if self._bar is None:
            self._say(f"[{payload['number']}/{payload['of']}] {payload['slug']}")
        self._now(f"{payload['slug']} ({payload['number']} of {payload['of']})")

    def _on_round(self, payload: dict[str, Any]) -> None:
        if payload.get("n"):
            seen = f"{percent(payload['score'])} on train examples"
        else:
            seen = f"{payload.get('attempts', 0)} attempts on train examples, not scored"
        self._say(f"  {payload.get('by', '')} round {payload['round']}: {seen}{unusual(payload)}", "dim")

    def _on_stop(self, payload: dict[str, Any]) -> None:
        self._say(f"  {payload['by']} stopped after round {payload['round']}, by a stop rule: {payload['reason']}", "yellow")

    def _on_doubt(self, payload: dict[str, Any]) -> None:
        self._say(f"DOUBTFUL JUDGE: {payload['judge']} {payload['message']}", "bold red")

    def _on_server_notice(self, payload: dict[str, Any]) -> None:
        self._say(payload["message"], "yellow")

    def _on_server_changed(self, payload: dict[str, Any]) -> None:
        self._say(payload["message"], "bold yellow")

    def _on_fit(self, payload: dict[str, Any]) -> None:
        figures = ", ".join(f"{k.replace('_', ' ')} {payload[k]:.4g}" for k in ("first_loss", "loss", "steps") if k in payload)
        self._say(f"  trained: {figures}", "dim")

    def _on_look(self, payload: dict[str, Any]) -> None:
        word, style = ("accepted", "green") if payload["accepted"] else ("refused", "yellow")
        self._say(f"  look {payload['look']}: {word} {_named(payload)}", style)

    def _on_screen(self, payload: dict[str, Any]) -> None:
        better = on_screen(payload, self._counts)
        if payload["promising"]:
            self._say(f"  {_named(payload)}: {better}; the gate is asked", "dim")
        else:
            self._say(f"  refused {_named(payload)}: {better}, too little to ask the gate", "yellow")

    def _on_again(self, payload: dict[str, Any]) -> None:
        self._say(f"  {_named(payload)} was offered before; the decision stands and costs no look", "dim")

    def _on_notice(self, payload: dict[str, Any]) -> None:
        self._say(payload["message"], "yellow" if payload.get("loud") else "")

    def _on_failure(self, payload: dict[str, Any]) -> None:
        self._say(f"  {payload['slug']} ended by an error, the run goes on: {payload['error']}", "bold red")

    def _on_budget(self, payload: dict[str, Any]) -> None:
        self._say(f"  {payload.get('slug', '')} stopped: {payload.get('reason', '')}", "yellow")
        self._now("proving it on the test examples")

    def _on_presumed_spent(self, payload: dict[str, Any]) -> None:
        self._say(f"  made again, perhaps paid twice: {payload.get('summary', '')}", "yellow")

    def _on_spent(self, payload: dict[str, Any]) -> None:
        if self._bar is None or self._row is None:
            return
        caps, seconds = payload.get("caps", {}), float(payload.get("seconds", 0.0))
        used = [float(payload.get(name, 0)) / cap for name, cap in caps.items() if cap]
        left = f"at most {duration(caps['seconds'] - seconds)} left" if caps.get("seconds") else duration(seconds)
        self._bar.update(
            self._row, total=1.0 if used else None, completed=min(1.0, max(used, default=0.0)), cost=spent(payload), left=left
        )

    def _on_final(self, payload: dict[str, Any]) -> None:
        self._now("writing the report")
