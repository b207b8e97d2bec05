"""The caps of a run that is gone on with."""

from __future__ import annotations

from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.past import Past
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Budget

EVENT = "caps"  # type of the event that records new caps


def in_force(store: Store, row: RunRow) -> tuple[dict[str, Any], int]:
    """The caps of a run, with those it was given at earlier resumes, and how often it was given any."""
    caps, times = dict(row.budget), 0
    for event in store.events(row.id):
        if event.type == EVENT:
            caps, times = caps | event.payload["caps"], times + 1
    return caps, times


def new_caps(store: Store, row: RunRow, given: Budget | None, *, fork: bool = False) -> Budget:
    """The caps that a run goes on under: those in force, and the new ones in place of those of the same name.

    Args:
        store: of the run.
        row: the run.
        given: new caps; one that is not given stays as it was.
        fork: whether they are of a new run, which has spent nothing.

    Raises:
        InputError: a new cap is less than what the run has spent, so that nothing could be done under it.
    """
    caps, _ = in_force(store, row)
    if given is None:
        return Budget.model_validate(caps)
    new = given.model_dump(exclude_none=True)
    spent = Past(store, row).spent
    taken = {"calls": spent.calls, "tokens": spent.tokens, "money": spent.money, "seconds": row.seconds}
    for name, cap in new.items():
        if cap < taken[name] and not fork:
            raise InputError(
                f"--budget {name}={cap:g} is less than the {taken[name]:,.6g} that run {row.id} has spent; caps are of the whole "
                f"run, so give more than that, or leave {name} out to keep its cap"
            )
    return Budget.model_validate(caps | new)


def told_of_an_end(row: RunRow, given: Budget) -> str:
    """What is said where a run that has ended is given other caps: they open nothing that it has closed.

    Args:
        row: the run, which is done.
        given: the new caps.
    """
    caps = ",".join(f"{name}={cap:.15g}" for name, cap in given.model_dump(exclude_none=True).items())
    return (
        f"run {row.id[:13]} has ended, and what a cap cut short in it stays so: its final figures were made without it. For "
        f"more, begin a new run: loopwright improve TASK --budget {caps}"
    )
