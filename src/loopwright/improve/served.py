"""Who answered the test examples of two runs, and whether that may be what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping

from loopwright.core.origins import Origins, day
from loopwright.core.store import RunRow, Store
from loopwright.models.names import shown_model, split_name, table_of


def served_differently(store: Store, first: RunRow, second: RunRow) -> str:
    """A caution for a comparison of what two runs ended with.

    Args:
        store: that has both.
        first: a run.
        second: another.

    Returns:
        "" where the same weights answered in both, or other models were meant to; else what each side's server said that it is,
        with the dates.
    """
    models = [run.spec.get("model", "") for run in (first, second)]
    if first.id == second.id or models[0] != models[1] or not _server(models[0]):
        return ""
    said = [_said(store, run) for run in (first, second)]
    if said[0] == said[1] and "fingerprint not given" not in said[0]:
        return ""
    sides = [f"{what}, {day(run.created)}" for what, run in zip(said, (first, second), strict=True)]
    return (
        f"both were answered by {shown_model(models[0])}, whose weights are not known to be the same: A by {sides[0]}; "
        f"B by {sides[1]}. What differs may be the server"
    )


def _server(model: object) -> bool:
    backend, _ = table_of(model) if isinstance(model, Mapping) else split_name(str(model))
    return backend == "openai"


def _said(store: Store, run: RunRow) -> str:
    """What servers said that they are, with the answers to the test examples."""
    origins = Origins(run.id)
    for effect in store.effects(run.id):
        if effect.kind == "generate" and effect.status == "done" and "/test." in effect.scope:
            origins.read(effect.result)
    return " and ".join(sorted(map(str, origins.seen))) or "a server that says nothing of itself (fingerprint not given)"
