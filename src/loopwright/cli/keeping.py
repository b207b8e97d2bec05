"""Commands about what the store keeps: runs, report, export."""

from __future__ import annotations

import json as json_module
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwright.cli.shared import (
    ForceOption,
    JsonOption,
    StoreOption,
    console,
    emit,
    emit_line,
    emit_text,
    existing_store,
    say,
    store_path,
)
from loopwright.core.errors import InputError
from loopwright.core.outputs import check_file, write_file

if TYPE_CHECKING:
    from loopwright.core.store import RunRow

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of it, or 'last'.")]


_PAGE = 20  # runs that are shown at once


def runs(
    ctx: typer.Context,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Only so many.", show_default=f"{_PAGE}; all with --json")
    ] = None,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Leave out so many of the newest.")] = 0,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """List the runs, the newest first, a line each. "running" is one that a live process drives; "killed" one whose process has
    gone.
    """
    if all_ and limit is not None:
        raise InputError("expected --limit or --all, got both")
    if not store_path(ctx, store).is_file():
        if json:
            emit([])
        else:
            say(f"no runs yet in {store_path(ctx, store)}; begin one with: loopwright improve TASK")
        return
    from loopwright.core.store import shown_status
    from loopwright.models.names import shown_model

    most = None if all_ else limit or (None if json else _PAGE)
    with existing_store(ctx, store) as opened:
        driven = opened.driven()
        found = opened.runs(None if most is None else most + 1, offset)[::-1]  # one more tells that there are more
        told = [(r, *shown_status(r, driven)) for r in found[:most]]
        rows = [
            {
                "run": r.id, "job": r.spec.get("job", ""), "task": _name(r.spec.get("task")),
                "model": shown_model(r.spec.get("model")), "status": status, "reason": reason, "seed": r.seed,
                "created": r.created, "seconds": r.seconds,
            }
            for r, status, reason in told
        ]  # fmt: skip
    if json:
        emit(rows)
        return
    from datetime import datetime

    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from loopwright.cli.consoles import cell, fit
    from loopwright.cli.progress import duration

    screen = console(wraps=True)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    names = ("run", "began", "task", "model", "took", "status", "reason")
    for name in names:
        table.add_column(name, no_wrap=True)
    styles = {"done": "green", "failed": "red", "killed": "red", "paused": "yellow"}
    # A server's address is in --json, and so is all of a reason. A run is named by the beginning of its id, which is never cut.
    lines = [
        [
            cell(row["run"][:13]), cell(datetime.fromtimestamp(row["created"]).strftime("%Y-%m-%d %H:%M")), cell(row["task"]),
            cell(str(row["model"]).partition("@")[0]), cell(duration(row["seconds"])),
            cell(row["status"], styles.get(row["status"], "")), cell(_plain(row["reason"])),
        ]
        for row in rows
    ]  # fmt: skip
    whole = sum(len(text) for line in lines for text in line)
    fits = not screen.narrow and fit([[cell(name) for name in names], *lines], [2, 3, 6], screen.width - 3 * len(names))
    for line in lines:
        table.add_row(*line)
    screen.print_table(table, by_cells=not fits)
    if sum(len(text) for line in lines for text in line) < whole:
        say("what is cut here is whole in a wider window, and in: loopwright runs --json")
    if len(found) > len(rows):
        say(f"there are older ones: add --offset {offset + len(rows)}, or --all")
    elif not rows:
        say(f"there are no more than {offset} runs; without --offset the newest are shown")


def _plain(reason: str) -> str:
    """The first line of a reason, without the class of an error: what there is room for is to tell something."""
    return re.sub(r"^[A-Z]\w*[a-z][A-Z]\w*: ", "", reason.partition("\n")[0])


def _name(task: object) -> str:
    return str(task.get("name", "")) if isinstance(task, dict) else str(task or "")


def report(
    ctx: typer.Context,
    run: RunArgument = "last",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The page.", show_default="report-RUN.html")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    force: ForceOption = False,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Write a run's report, one HTML page, with pictures of versions and rounds beside it; --json prints its data instead."""
    from loopwright.improve.pictures import save_figures, world_of
    from loopwright.improve.report import build_report

    if out is not None:
        check_file(out, "--out", force=force, ours=_is_report)
    with existing_store(ctx, store) as opened:
        row = opened.run(run)
        if row.spec.get("job") == "stream":
            _of_stream(row, out, open_, json, force)
            return
        data = build_report(opened, run)
        if json:
            emit(data.model_dump(mode="json"))
            if out is None and not open_:
                return
        path = out or Path(f"report-{data.run[:13]}.html")
        if out is None:
            check_file(path, "--out", force=force, ours=_is_report)
        figures = save_figures(opened, data, world_of(row.spec), path.parent, f"{path.stem}-", force=force)
    from loopwright.improve.html import render_html, verdict

    write_file(path, [render_html(data, figures)])
    if not json:
        console().print(verdict(data)[1], markup=False)
        emit_text(path)
    if open_:
        _show(path)


def _show(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        say(f"no browser here; open it by hand: {path.resolve()}")


def _is_report(start: bytes) -> bool:
    """Whether a file that begins so is a report of ours, which may be written again."""
    return b": Loopwright report</title>" in start


def _of_stream(row: RunRow, out: Path | None, open_: bool, json: bool, force: bool) -> None:
    """What a Learner's run left: its page with the figures beside it, or with --json its result."""
    left = Path(str(row.spec["out"]))
    if not (left / "report.html").is_file():
        raise InputError(f"run {row.id} left no report in {left}; make it again with: loopwright resume {row.id[:13]}")
    path = out or left / "report.html"
    result = json_module.loads((left / "result.json").read_text(encoding="utf-8"))
    if out is not None:
        from loopwright.improve.plots.files import is_figure

        # Only those that lie there: the result is a file that anybody may have written.
        figures = [left / Path(str(name)).name for name in result["figures"]]
        beside = {out.with_name(f"{out.stem}-{figure.name}"): figure for figure in figures if figure.is_file()}
        for place in beside:
            check_file(place, "a figure", force=force, ours=is_figure)
        for place, figure in beside.items():
            write_file(place, [figure.read_bytes()])
        write_file(out, [(left / "report.html").read_bytes()])
    if json:
        emit(result)
    else:
        emit_text(path)
    if open_:
        _show(path)


def export(
    ctx: typer.Context,
    run: RunArgument = "last",
    format: Annotated[
        str, typer.Option("--format", "-f", help="sft, messages, dpo, kto, reward or grpo, as TRL reads them.")
    ] = "sft",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="A .jsonl file.", show_default="standard output")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, screen, gate or test.")] = "train",
    threshold: Annotated[
        float, typer.Option("--threshold", min=0.0, max=1.0, help="Least score of a good answer.")
    ] = 1.0,
    without_cut: Annotated[
        bool, typer.Option("--without-cut", help="Leave out answers that were cut off at max_tokens.")
    ] = False,
    eval_out: Annotated[
        Path | None,
        typer.Option("--eval-out", metavar="FILE", help="A second file for evaluation: no question or group is in both."),
    ] = None,
    eval_share: Annotated[float, typer.Option("--eval-share", help="Share of the questions in --eval-out.")] = 0.1,
    force: ForceOption = False,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Export a run's attempts with their feedback as training data, one JSON object a line."""
    if json and out is None:
        raise InputError("--json prints a summary on standard output, so the data needs a file: add --out FILE")
    if eval_out is not None and (out is None or out.absolute() == eval_out.absolute()):
        raise InputError("--eval-out splits the data into two files: add --out FILE for the other, of another name")
    from loopwright.improve.export import Counts, Part, export_lines

    for name, place in (("--out", out), ("--eval-out", eval_out)):
        if place is not None:
            check_file(place, name, force=force)
    files: list[tuple[Part, Path | None]] = [("all", out)] if eval_out is None else [("eval", eval_out), ("train", out)]
    counts, evaluation = Counts(), 0
    with existing_store(ctx, store) as opened:
        for part, file in files:
            one = Counts()
            lines = export_lines(
                opened, run, format, split=split, threshold=threshold, without_cut=without_cut, part=part,
                eval_share=eval_share, counts=one,
            )  # fmt: skip
            if file is not None:
                write_file(file, lines, new=not force and not file.exists())
            else:
                for line in lines:
                    emit_line(line)
            counts += one
            evaluation += one.written if part == "eval" else 0
    told = f"{counts.written} rows from {counts.read} attempts"
    if counts.missing:
        told += f"; {counts.missing} without a score were left out"
    if counts.unanswered:
        told += f"; {counts.unanswered} gave no answer and were left out"
    if counts.cut:
        done = "left out" if without_cut else "marked; --without-cut leaves them out"
        told += f"; {counts.cut} were cut off at max_tokens and are {done}"
    if split != "train":
        say(f"these are {split} examples: a model trained on them can no longer be measured on them", style="yellow")
    held = {} if eval_out is None else {"eval_out": str(eval_out), "eval_written": evaluation}
    if json:
        emit({"format": format, "split": split, "out": str(out), **asdict(counts), **held})
    else:
        say(f"{told}{f' -> {out}' if out else ''}")
        if eval_out is not None:
            say(f"{evaluation} of the rows are for evaluation -> {eval_out}")
    if not counts.written:
        say(f"nothing to export: {counts.why(format, split)}", style="yellow")
