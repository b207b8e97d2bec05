"""The same store in memory, for tests and for runs that need not be resumed. Nothing survives the process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from loopwright.core.errors import InputError, RunBusy, StoreError
from loopwright.core.model import Blobs
from loopwright.core.secrets import mask
from loopwright.core.store import (
    CacheRow,
    CandidateRow,
    EffectRow,
    EventRow,
    FeedbackRow,
    Lease,
    Recorded,
    RolloutRow,
    Row,
    RunRow,
    RunStatus,
)
from loopwright.store.blobs import MemoryBlobs
from loopwright.store.codec import dump, finite
from loopwright.store.learners import MemoryLearners
from loopwright.store.redaction import redact, refuse_key
from loopwright.store.sqlite import find_run, new_run


def _plain(value: dict[str, Any], what: str) -> dict[str, Any]:
    """As it would come back from JSON: a copy, which later changes by the caller do not reach."""
    plain: dict[str, Any] = json.loads(dump(value, what))
    return plain


def _replaces(new: EffectRow, old: EffectRow) -> bool:
    if old.status == "failed":
        return bool(new.status == "done" or new.attempt > old.attempt)
    return bool(old.status == "open")


class _MemoryLease:
    def __init__(self, held: set[str], run: str) -> None:
        self._held = held
        self._run = run

    def release(self) -> None:
        self._held.discard(self._run)


class MemoryStore:
    """Implements core.store.Store with the same rules as SqliteStore, redaction included."""

    def __init__(self) -> None:
        self.blobs: Blobs = MemoryBlobs()
        self.learners = MemoryLearners()
        self._lock = threading.Lock()
        self._closed = False
        self._held: set[str] = set()
        self._runs: dict[str, RunRow] = {}
        self._cache: dict[str, CacheRow] = {}
        self._effects: dict[str, dict[str, EffectRow]] = {}
        self._candidates: dict[str, dict[str, CandidateRow]] = {}
        self._rollouts: dict[str, dict[str, RolloutRow]] = {}
        self._feedback: dict[str, dict[str, FeedbackRow]] = {}
        self._events: dict[str, list[EventRow]] = {}

    async def write(self, rows: Sequence[Row]) -> None:
        """All the rows or, raising InputError or StoreError, none."""
        clean = [self._clean(row) for row in rows]
        for row in clean:
            if not isinstance(row, CacheRow) and row.run not in self._runs:
                raise InputError(f"expected rows of a run of this store, got one of {row.run!r}: create_run makes a run")
        with self._lock:
            if self._closed:
                raise StoreError("the memory store is closed")
            for row in clean:
                self._insert(row)

    @staticmethod
    def _clean(row: Row) -> Row:
        if isinstance(row, EffectRow):
            return replace(row, summary=redact(row.summary), error=redact(row.error))
        if isinstance(row, CandidateRow):
            refuse_key(dump(row.data, "a candidate's data"), "a candidate")
            return replace(row, data=_plain(row.data, "a candidate's data"))
        if isinstance(row, EventRow):
            payload = _plain(redact(row.payload), "an event's payload")
            return replace(row, payload=payload, time=finite(row.time, "an event's time") or time.time())
        if isinstance(row, RolloutRow):
            finite(row.score, "a rollout's score")
            return replace(row, data=mask(row.data))
        if isinstance(row, FeedbackRow):
            return replace(row, data=mask(row.data))
        if isinstance(row, CacheRow):
            finite(row.time, "a reply's time")
        else:
            raise InputError(f"a store writes the rows of core.store, got {type(row).__name__}")
        return row

    def _insert(self, row: Row) -> None:
        if isinstance(row, CacheRow):
            if row.key not in self._cache or self._cache[row.key].run != row.run:
                self._cache[row.key] = row
        elif isinstance(row, EffectRow):
            effects = self._effects.setdefault(row.run, {})
            if row.key not in effects or _replaces(row, effects[row.key]):
                effects[row.key] = row
        elif isinstance(row, CandidateRow):
            self._candidates.setdefault(row.run, {}).setdefault(row.hash, row)
        elif isinstance(row, RolloutRow):
            rollouts = self._rollouts.setdefault(row.run, {})
            if row.id not in rollouts or (rollouts[row.id].score is None and row.score is not None):
                rollouts[row.id] = row
        elif isinstance(row, FeedbackRow):
            self._feedback.setdefault(row.run, {}).setdefault(row.idempotency, row)
        else:
            events = self._events.setdefault(row.run, [])
            if not row.key or all(event.key != row.key for event in events):
                events.append(replace(row, seq=len(events) + 1))

    def cached(self, keys: Sequence[str]) -> dict[str, CacheRow]:
        """The replies that are known among ``keys``."""
        return {key: self._cache[key] for key in keys if key in self._cache}

    def create_run(self, spec: dict[str, Any], *, seed: int, budget: dict[str, Any], code_version: str) -> RunRow:
        """Raises InputError."""
        row = new_run(spec, seed=seed, budget=budget, code_version=code_version)
        row = replace(row, spec=_plain(spec, "a run's spec"), budget=_plain(budget, "a run's budget"))
        with self._lock:
            self._runs[row.id] = row
        return row

    def run(self, id: str) -> RunRow:
        """By id or by an unambiguous beginning of it; ``last`` is the newest. Raises UnknownName."""
        return self._runs[find_run(id, list(self._runs))]

    def runs(self, limit: int | None = None, offset: int = 0) -> list[RunRow]:
        """Runs, oldest first; only ``limit`` of the newest, without the ``offset`` newest."""
        end = max(0, len(self._runs) - offset)
        return list(self._runs.values())[0 if limit is None else max(0, end - limit) : end]

    def set_run(self, id: str, *, status: RunStatus, reason: str = "", seconds: float | None = None) -> None:
        """Raises UnknownName or InputError."""
        finite(seconds, "a run's seconds")
        with self._lock:
            row = self.run(id)
            took = row.seconds if seconds is None else seconds
            self._runs[row.id] = replace(row, status=status, reason=redact(reason), updated=time.time(), seconds=took)

    def acquire(self, id: str) -> Lease:
        """The right to drive this run. Raises RunBusy or UnknownName."""
        run = self.run(id).id
        with self._lock:
            if run in self._held:
                raise RunBusy(f"run {run} is already being driven in this process")
            self._held.add(run)
        return _MemoryLease(self._held, run)

    def driven(self) -> set[str]:
        """Ids of the runs that are being driven."""
        return set(self._held)

    def effects(self, run: str, *, results: bool = True) -> Iterator[EffectRow]:
        """In the order in which they were first written; without results these are empty."""
        rows = list(self._effects.get(run, {}).values())
        return iter(rows if results else [replace(row, result=b"") for row in rows])

    def outline(self, run: str) -> Iterator[Recorded]:
        """In the order in which they were first written, in short."""
        for row in list(self._effects.get(run, {}).values()):
            cost = row.cost
            yield Recorded(
                row.key, row.scope, row.kind, row.status, cost.calls, cost.prompt_tokens, cost.completion_tokens,
                cost.seconds, cost.money,
            )  # fmt: skip

    def effect(self, run: str, key: str) -> EffectRow | None:
        """The one of this key; None where there is none."""
        return next(iter(self.effects_from(run, key)), None)

    def effects_from(self, run: str, key: str, count: int = 1) -> list[EffectRow]:
        """The one of this key; none where there is none. More would save nothing here."""
        found = self._effects.get(run, {}).get(key)
        return [] if found is None else [found]

    def candidates(self, run: str) -> list[CandidateRow]:
        """In the order in which they were written."""
        return list(self._candidates.get(run, {}).values())

    def rollouts(self, run: str, split: str | None = None) -> Iterator[RolloutRow]:
        """In the order in which they were written; only those of ``split`` where it is given."""
        rows = list(self._rollouts.get(run, {}).values())
        return iter([row for row in rows if split is None or row.split == split])

    def recorded_rollouts(self, run: str, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that were written."""
        return set(ids) & self._rollouts.get(run, {}).keys()

    def feedback(self, run: str) -> Iterator[FeedbackRow]:
        """In the order in which it was written."""
        return iter(list(self._feedback.get(run, {}).values()))

    def events(self, run: str) -> list[EventRow]:
        """By ``seq``."""
        return list(self._events.get(run, []))

    def close(self) -> None:
        self._closed = True
