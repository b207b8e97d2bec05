"""A memory of labelled examples from a stream: which to keep when there is room for a few, and a draw from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


Size = Annotated[int, Field(ge=0)]  # examples that there is room for


class Memory(NamedTuple):
    """What is kept; all arrays have a row for each example."""

    x: np.ndarray  # [n, d]
    labels: np.ndarray  # [n] whole numbers
    outputs: np.ndarray  # [n, classes] of the network when the example was kept
    offered: int  # how many examples came by


Keep = Callable[[Memory, Memory, "np.random.Generator"], Memory]  # (memory, what is new, luck) -> memory


def random(size: int) -> Keep:
    """``keep_random`` at this size."""
    return lambda memory, new, rng: keep_random(memory, new, size, rng)


def balanced(size: int) -> Keep:
    """``keep_balanced`` at this size."""
    return lambda memory, new, rng: keep_balanced(memory, new, size, rng)


def everything(memory: Memory, new: Memory, rng: np.random.Generator) -> Memory:
    """A Keep without a bound."""
    return _joined(memory, new, memory.offered + len(new.labels))


def empty(dimensions: int, classes: int) -> Memory:
    return Memory(np.zeros((0, dimensions)), np.zeros(0, dtype=np.int64), np.zeros((0, classes)), 0)


def keep_random(memory: Memory, new: Memory, size: int, rng: np.random.Generator) -> Memory:
    """Reservoir sampling (Vitter 1985): every example that came by is kept with the same chance, size / offered."""
    offered = memory.offered + len(new.labels)
    room = min(max(size - len(memory.labels), 0), len(new.labels))
    first, late = _rows(new, slice(None, room)), _rows(new, slice(room, None))
    full = _joined(memory, first, offered)
    if not size or not len(late.labels):
        return full
    places = rng.integers(0, memory.offered + room + 1 + np.arange(len(late.labels)))
    chosen = np.flatnonzero(places < size)
    if not len(chosen):
        return full
    made = Memory(full.x.copy(), full.labels.copy(), full.outputs.copy(), offered)
    # Where two take one place the later stays, as when they come one by one.
    for mine, theirs in zip(made[:3], late[:3], strict=True):
        mine[places[chosen]] = theirs[chosen]
    return made


def keep_balanced(memory: Memory, new: Memory, size: int, rng: np.random.Generator) -> Memory:
    """As many of each class as there is room for: a new example puts out one, drawn at random, of the largest class.

    The greedy sampler of GDumb (Prabhu, Torr and Dokania, ECCV 2020): an example of a class that has its share already is
    not kept.
    """
    offered = memory.offered + len(new.labels)
    whole = _joined(memory, new, offered)
    kept = list(range(len(memory.labels)))
    labels = whole.labels
    counts = np.bincount(labels, minlength=1) * 0
    np.add.at(counts, labels[kept], 1)
    for i in range(len(memory.labels), len(labels)) if size else ():
        if len(kept) >= size:
            largest = int(counts.argmax())
            if counts[labels[i]] >= counts[largest]:
                continue
            of_it = [place for place, row in enumerate(kept) if labels[row] == largest]
            del kept[of_it[int(rng.integers(len(of_it)))]]
            counts[largest] -= 1
        kept.append(i)
        counts[labels[i]] += 1
    return _rows(whole, np.array(kept, dtype=np.int64))


def draw(memory: Memory, number: int, rng: np.random.Generator) -> Memory:
    """So many examples, each at most once; all of them where there are no more."""
    n = len(memory.labels)
    return memory if n <= number else _rows(memory, rng.permutation(n)[:number])


def _rows(memory: Memory, rows: np.ndarray | slice) -> Memory:
    return Memory(memory.x[rows], memory.labels[rows], memory.outputs[rows], memory.offered)


def _joined(memory: Memory, new: Memory, offered: int) -> Memory:
    if not len(new.labels):
        return memory._replace(offered=offered)
    x, labels, outputs = (np.concatenate(pair) for pair in zip(memory[:3], new[:3], strict=True))
    return Memory(x, labels, outputs, offered)
