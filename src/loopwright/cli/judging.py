"""The command that judges the judges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from loopwright.cli.shared import ForceOption, JsonOption, StoreOption, console, emit, new_store_path, parse_budget
from loopwright.cli.working import BudgetOption, ModelOption, SeedOption


def judge_report(
    ctx: typer.Context,
    task: Annotated[Path, typer.Argument(metavar="TASK", help="A task folder, with a task.toml.")],
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help='Labelled answers: lines of {"input": ..., "output": ..., "label": true}.'),
    ] = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="RUN", help="Instead the answers that a run left, labelled by the checker.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="How often each is judged, to see if it says the same.")] = 3,
    limit: Annotated[int, typer.Option("--limit", min=2, help="At most so many answers.")] = 100,
    calibrate: Annotated[
        Path | None, typer.Option("--calibrate", metavar="FILE", help="Write what scores mean, for a judge's calibration = FILE.")
    ] = None,
    force: ForceOption = False,
    model: ModelOption = None,
    seed: SeedOption = 0,
    budget: BudgetOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Ask a task's judges about answers whose worth is known, and tell how far each can be trusted."""
    from loopwright.cli.interrupts import run_job
    from loopwright.core.errors import InputError
    from loopwright.improve.judges import judge_report as report

    if items is not None and on is not None:
        raise InputError("say only one thing: --items FILE or --on RUN")
    result = run_job(
        report(
            task, items=items, run=on, model=model, repeats=repeats, limit=limit, calibrate=calibrate, force=force, seed=seed,
            budget=parse_budget(budget), store_path=new_store_path(ctx, store),
        )  # fmt: skip
    )
    if json:
        emit(result)
        return
    out = console()
    out.print(f"{result['answers']} answers, {result['good']} of them good; judged by {result['model']}", markup=False)
    for judge in result["judges"]:
        _show(judge)
    if result["calibration"]:
        out.print(f"\ncalibration written; use it with  calibration = \"{Path(result['calibration']).name}\"", markup=False)


def _show(judge: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from loopwright.cli.consoles import cell

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=judge["judge"], title_justify="left", title_style="bold")
    for name in ("", "value", "95% interval", "of", "meaning"):
        table.add_column(name, justify="right" if name in ("value", "of") else "left")
    for f in judge["figures"]:
        interval = f"{f['low']:.2f} to {f['high']:.2f}" if f["low"] is not None else ""
        value = f"{f['value']:.2f}" if f["value"] is not None else "none"
        table.add_row(f["name"], value, interval, str(f["n"]), cell(f["meaning"], "dim"))
    out = console(wraps=True)
    out.print()
    out.print_table(table)
    for words in judge["doubts"].values():
        out.print(f"DO NOT TRUST IT YET: it {words}", style="bold red", markup=False)
    if not judge["doubts"]:
        out.print("nothing was found that speaks against it", style="green")
    cost = judge["cost"]
    if cost["calls"]:
        out.print(f"cost {cost['calls']:,} calls, {cost['prompt_tokens'] + cost['completion_tokens']:,} tokens", style="dim")
