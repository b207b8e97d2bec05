"""Losses as rows: name -> pure tensor function. Adding one is a file (or a row) and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from loopwright.losses.registry import Batch, Loss, Stats, find, table
from loopwright.losses.sft import sft

__all__ = ["LOSSES", "Batch", "Loss", "Stats", "loss", "sft"]

LOSSES: Mapping[str, Loss] = table(
    Loss("sft", sft),
)


def loss(name: str) -> Loss:
    """The loss of this name. Raises UnknownName with the nearest ones."""
    return find(LOSSES, name)
