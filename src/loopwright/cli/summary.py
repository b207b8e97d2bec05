"""The last screen of a job: what was measured, what was decided, what it cost, and what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from loopwright.cli.progress import duration, on_screen, percent, points
from loopwright.cli.shared import console

KNOWN = ("ACC", "WC-ACC", "stability gap", "forgetting")  # of a stream of tasks; the report has all figures


def print_summary(result: dict[str, Any]) -> None:
    """On stdout."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from loopwright.cli.consoles import cell
    from loopwright.core.origins import an_earlier_run, tokens_told
    from loopwright.improve.uses import told as told_of_uses

    out = console()
    scores = Table(box=SIMPLE_HEAD, pad_edge=False)
    counts = result.get("counts", "examples")
    for name in ("", "score", "95% interval", f"test {counts}"):
        scores.add_column(name, justify="left" if not name else "right")
    for name in ("baseline", "final"):
        i = result[name]
        n = f"{i['n']}" + (f" ({i['missing']} not judged)" if i.get("missing") else "")
        scores.add_row(name, percent(i["score"]), f"{percent(i['low'])} to {percent(i['high'])}", n)
    out.print()
    console(wraps=True).print_table(scores)
    if any(result[name].get("missing") for name in ("baseline", "final")):
        before = "right in the baseline and wrong in the final figure" if result["accepted"] else "wrong"
        out.print(f"test answers that were not judged count as {before}", style="dim")
    looks = sorted([*result["accepted"], *result["rejected"]], key=lambda k: k["look"])
    if looks:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, title="Looks of the gate", title_justify="left", title_style="bold")
        for name in ("look", "candidate", "before", "after", "gain (95%)", "evidence", "decision"):
            table.add_column(name, justify="left" if name in ("candidate", "decision") else "right")
        for k in looks:
            style = "green" if k["accepted"] else "yellow"
            table.add_row(
                str(k["look"]), f"{k['by']}: {k['note']}" if k.get("note") else k["by"], percent(k["incumbent_score"]),
                percent(k["candidate_score"]), f"{points(k['effect'])} ({points(k['low'])} to {points(k['high'])})",
                _evidence(k),
                cell(("accepted: " if k["accepted"] else "rejected: ") + k["reason"], style),
            )  # fmt: skip
        console(wraps=True).print_table(table)
    for s in result.get("screened", ()):
        named = f"{s['by']} ({s['note']})" if s.get("note") else s["by"]
        out.print(f"not put to the gate: {named}, {on_screen(s, counts)}", style="yellow", markup=False)
    _verdict(out, result)
    if result.get("unproven"):
        out.print(f"unproven  {result['unproven']['message']}; it is in {_near(result['unproven']['folder'])}", markup=False)
    told = result.get("replies", {})
    tokens = tokens_told(result["tokens"], told.get("bound", 0), told.get("fresh", 0))
    cost = [duration(result["seconds"]), f"{result['calls']:,} calls", tokens]
    if result.get("money"):
        cost.append(f"${result['money']:,.4f}")
    out.print("cost      " + ", ".join(cost))
    if result.get("presumed_spent"):
        out.print(f"          of these, {result['presumed_spent']} calls may have been paid twice (a process died in them)")
    for r in told.get("reused", ()):
        out.print(f"          {r['replies']:,} replies were taken from {an_earlier_run(r['run'], r['date'])}", markup=False)
    if used := told_of_uses(result.get("test_used_before", 0)):
        out.print(f"note      {used}", markup=False)
    if parent := result.get("parent"):
        out.print(f"          fork of run {parent['run']}: {parent['taken']:,} of its results were taken over", markup=False)
    for name in ("report", "artifact"):
        if result.get(name):
            out.print(f"{name:<9} {_near(result[name])}", markup=False)
    if result.get("taken"):
        out.print(f"          with these files of the task: {', '.join(result['taken'])}", markup=False)
    for line in result.get("left_out", ()):
        out.print(f"          without {line}", style="yellow", markup=False)
    out.print(f"run       {result['run']}", markup=False)
    out.print("\nnext", style="bold")
    if result.get("artifact"):
        out.print(f'  loopwright answer --artifact {shlex.quote(_near(result["artifact"]))} "your question"', markup=False)
    out.print(f"  loopwright report {result['run'][:13]} --open", markup=False)


def print_stream(result: dict[str, Any]) -> None:
    """What a Learner came to on a stream, on stdout."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    out = console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("per step", "mean", "first tenth", "last tenth", "in all", "steps"):
        table.add_column(name, justify="left" if name == "per step" else "right")
    from loopwright.improve.stream import SHOWN

    for name, m in result["measures"].items():
        parts = ["" if m[k] is None else f"{m[k]:.4g}" for k in ("mean", "first_tenth", "last_tenth", "total")]
        table.add_row(SHOWN.get(name, name), *parts, f"{m['steps']:,}")
    out.print()
    console(wraps=True).print_table(table)
    lost = [f"{result[k]:,} {k}" for k in ("missing", "censored") if result[k]]
    out.print(f"feedback  {result['answered']:,} of {result['steps']:,} steps answered" + "".join(f", {x}" for x in lost))
    if "knowledge" in result:
        told = [f"{n} {f['value']:.3f}" for n, f in result["knowledge"]["figures"].items() if n in KNOWN]
        out.print(f"tasks     {', '.join(told)}")
    out.print(f"cost      {duration(result['seconds'])}")
    for path in result["figures"]:
        if path.endswith(".png"):
            out.print(f"figure    {_near(path)}", markup=False)
    out.print(f"report    {_near(result['report'])}", markup=False)
    out.print(f"state     {_near(result['state'])}", markup=False)
    out.print(f"run       {result['run']}", markup=False)


def _evidence(look: dict[str, Any]) -> str:
    """What the test of a look found and what it needed, in one cell."""
    from loopwright.core.gate import Decision

    found, needed = Decision.model_validate({f: look[f] for f in Decision.model_fields if f in look}).evidence
    return f"{found}, needs {needed}" if needed else found


def _verdict(out: Any, result: dict[str, Any]) -> None:
    gain = result.get("gain") or {}
    if result["accepted"] and gain:
        margin = result["accepted"][-1].get("margin")
        sure = gain["low"] > -(margin or 0.0)
        claim = "better by" if gain["low"] > 0 else f"not worse by {100 * margin:g} points or more:" if sure else ""
        out.print(
            f"{claim or 'accepted; on the test examples'} {points(gain['effect'])} points "
            f"(95% interval {points(gain['low'])} to {points(gain['high'])})"
            + ("" if sure else ", which alone do not settle it"),
            style="bold green" if sure else "bold yellow",
        )
    elif not result["accepted"]:
        out.print("LEARNED NOTHING: the artifact is what the run started from", style="bold yellow")
    out.print(result.get("reason", ""), style="dim", markup=False)
    for failure in result.get("failures", ()):
        out.print(f"{failure['method']} ended by an error: {failure['error']}", style="bold red", markup=False)
    for doubt in result.get("doubts", ()):
        out.print(f"DOUBTFUL JUDGE: {doubt['judge']} {doubt['message']}", style="bold red", markup=False)


def _near(path: str) -> str:
    """Relative to the current folder where it lies in it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
