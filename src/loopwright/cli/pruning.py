"""Commands that take runs out of a store, and give the room back to the disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from loopwright.cli.shared import JsonOption, StoreOption, console, emit, say, split_words, store_path
from loopwright.core.errors import InputError, RunBusy, UnknownName

if TYPE_CHECKING:
    from loopwright.core.store import RunRow
    from loopwright.store.sqlite import SqliteStore

_STATUSES = ("done", "failed", "paused", "killed", "pruned")
_ENDED = "done,failed"
_DAY = 86400.0


def prune(
    ctx: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids, or beginnings of them.")] = None,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", metavar="DAYS", min=0.0, help="Runs that nothing was added to for so many days."),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", help=f"Of these: {', '.join(_STATUSES)}.", show_default=f"{_ENDED}, unless runs are named"),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Remove their names and looks at the gate too; later runs then count them no more.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Remove what runs recorded: calls, attempts, feedback, and replies in the cache. Shows it first, with its size, and asks.

    The runs' names, looks at the gate and candidates stay, unless --forget is given: what a later run on the same examples may
    claim depends on them. A run that a live process drives is never removed. Files outside the store are left.
    """
    if not runs and older_than is None and status is None:
        raise InputError("prune: expected ids of runs, --older-than DAYS or --status; to see the runs: loopwright runs")
    wanted = split_words(status if status is not None else "" if runs else _ENDED)
    for word in wanted:
        if word not in _STATUSES:
            raise UnknownName("status", word, _STATUSES)
    from loopwright.store.pruning import prune as remove

    with _writable(ctx, store) as opened:
        chosen, live = _choose(opened, runs or [], older_than, wanted, forget)
        if not chosen:
            _told(json, [], 0, 0, done=False, words=f"nothing to remove{f'; {live} are being driven' if live else ''}")
            return
        ids = [row.id for row in chosen]
        would = remove(opened, ids, forget=forget, dry=True)
        if not json:
            _show(opened, chosen, forget)
        size = _size(would.size)
        if dry_run:
            words = f"would free {size} in {would.rows:,} rows; nothing was removed"
            _told(json, ids, would.size, would.rows, done=False, words=words)
            return
        if not yes and not _agreed(f"Remove {'all of' if forget else 'what was recorded by'} {len(ids)} runs, {size}?"):
            _told(json, ids, would.size, would.rows, done=False, words="nothing was removed")
            return
        freed = remove(opened, ids, forget=forget)
        later = "" if freed.swept else " (long texts go when no run is being driven)"
        words = f"removed: {_size(freed.size)} are free for new runs{later}. To give them back to the disk: loopwright vacuum"
        _told(json, ids, freed.size, freed.rows, done=True, words=words)


def vacuum(ctx: typer.Context, json: JsonOption = False, store: StoreOption = None) -> None:
    """Give free room of a store back to the disk, and remove weights and texts that nothing in it names any more.

    No run may be driven meanwhile. For a while it takes as much again as the store does, twice.
    """
    from loopwright.store.pruning import vacuum as give_back

    with _writable(ctx, store) as opened:
        before, after = give_back(opened)
    if json:
        emit({"before": before, "after": after})
    else:
        say(f"{_size(before)} before, {_size(after)} now")


def _writable(ctx: typer.Context, given: str | None) -> SqliteStore:
    from loopwright.store.sqlite import SqliteStore

    path = store_path(ctx, given)
    if not path.is_file():
        raise InputError(f"no runs here: {path} does not exist; say where they are with --store")
    return SqliteStore(path)


def _choose(
    store: SqliteStore, names: Sequence[str], older_than: float | None, wanted: Collection[str], forget: bool
) -> tuple[list[RunRow], int]:
    """The runs to remove; and how many more are left only because they are live."""
    from loopwright.core.store import shown_status

    driven = store.driven()
    rows = [store.run(name) for name in dict.fromkeys(names)] if names else store.runs()
    chosen, live = [], 0
    for row in rows:
        if older_than is not None and time.time() - row.updated < older_than * _DAY:
            continue
        if row.id in driven:
            if names:
                raise RunBusy(f"run {row.id} is being driven; a live run is not removed. Stop it first")
            live += 1
        elif (not wanted or shown_status(row, driven)[0] in wanted) and (forget or row.status != "pruned"):
            chosen.append(row)
    return chosen, live


def _show(store: SqliteStore, rows: Sequence[RunRow], forget: bool) -> None:
    from datetime import datetime

    from loopwright.core.store import shown_status

    driven = store.driven()
    for row in rows:
        began = datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
        task = row.spec.get("task")
        name = task.get("name", "") if isinstance(task, dict) else task or ""
        console().print(f"{row.id[:13]}  {began}  {shown_status(row, driven)[0]:7} {name}")
    if any(row.status in ("paused", "running", "failed") for row in rows):
        say("some of them could still be resumed; after this they cannot", style="yellow")
    if forget:
        say("their looks at the gate are forgotten: later runs on the same examples correct for them no more", style="yellow")


def _agreed(question: str) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("prune: nobody can be asked here, so nothing was removed; add --yes, or look first with --dry-run")
    return typer.confirm(question, err=True)


def _told(json: bool, runs: Sequence[str], size: int, rows: int, *, done: bool, words: str) -> None:
    if json:
        emit({"removed": done, "runs": list(runs), "bytes": size, "rows": rows})
    else:
        say(words)


def _size(size: int) -> str:
    from loopwright.store.checkup import told_bytes

    return told_bytes(size)
