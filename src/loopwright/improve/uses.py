"""How often a test split was used: counted in the store by its questions, wherever the task lies, whatever becomes of the runs.

A figure on test examples is honest once. Whoever makes several runs and chooses by their final figures has chosen on the test
split, and the chosen figure is too good. So each use is counted before the first test answer is asked for.

The count is a record of the store beside its runs, so that it stays when a run goes. Two test splits count as one where they
share at least half of the questions of the smaller one; that is exact up to 1,000 questions, and beyond it estimated from the
1,000 smallest hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from loopwright.core.errors import StoreBusy
from loopwright.core.store import Store
from loopwright.core.types import Example
from loopwright.worlds.split import question_key

RECORD = "loopwright/uses of test splits"  # of the store, kept as those that processes share are
_KEPT = 1_000
_ALIKE = 0.5
_TRIES = 100


def sketch_of(examples: Iterable[Example]) -> list[str]:
    """What a test split is known by: the smallest hashes of its questions, in order."""
    hashes = {hashlib.sha256(question_key(e.input).encode("utf-8", "surrogatepass")).hexdigest()[:12] for e in examples}
    return sorted(hashes)[:_KEPT]


def alike(one: list[str], other: list[str]) -> bool:
    """Whether two splits share at least half of the questions of the smaller one, as far as their hashes tell."""
    if not one or not other:
        return False
    # Of a split with more questions than hashes, only those below the largest hash are known.
    most = min((s[-1] for s in (one, other) if len(s) == _KEPT), default="g")
    a, b = ({h for h in s if h <= most} for s in (one, other))
    return len(a & b) >= _ALIKE * max(1, min(len(a), len(b)))


def _read(store: Store) -> tuple[int, list[dict[str, Any]]]:
    row = store.learners.get(RECORD)
    return (0, []) if row is None else (row.version, json.loads(row.data))


def earlier_uses(store: Store, run: str, sketch: list[str]) -> list[str]:
    """The other runs that used these test questions, the oldest first.

    Args:
        store: of the runs.
        run: that asks.
        sketch: of its test split.
    """
    _, sets = _read(store)
    found = [used for one in sets if alike(one["sketch"], sketch) for used in one["runs"]]
    return [used for used in dict.fromkeys(found) if used != run]


def note_use(store: Store, run: str, sketch: list[str]) -> None:
    """Count that a run uses its test split; once, however often it is gone on with. Durable when it returns.

    Args:
        store: of the run.
        run: its id.
        sketch: of its test split.

    Raises:
        StoreBusy: other processes changed the record each time.
    """
    for _ in range(_TRIES):
        version, sets = _read(store)
        own = next((one for one in sets if one["sketch"] == sketch), None)
        if own is not None and run in own["runs"]:
            return
        if own is None:
            sets.append(own := {"sketch": sketch, "runs": []})
        own["runs"].append(run)
        if store.learners.swap(RECORD, expected=version, data=json.dumps(sets).encode()):
            return
    raise StoreBusy(f"other runs changed {RECORD!r} {_TRIES} times in a row; resume the run")


def told(earlier: int) -> str:
    """What is said of a test split that was used before; "" where it was not.

    Args:
        earlier: runs before this one that used it.
    """
    if not earlier:
        return ""
    runs = f"{earlier} earlier run{'s' if earlier > 1 else ''}"
    return (
        f"These test examples were used by {runs} of this store. A figure that is chosen among several runs by what they came to "
        "on them is too good; for one to trust, keep apart examples that no run has used."
    )
