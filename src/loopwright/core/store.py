"""What the engine asks of a store. The SQLite one lives in ``loopwright.store``; ``MemoryStore`` there serves tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from loopwright.core.errors import InputError
from loopwright.core.feedback import FREE, Cost
from loopwright.core.model import Blobs

RunStatus = Literal["running", "paused", "done", "failed", "pruned"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. ``spec`` is all that decides what the run does; ``spec_hash`` its digest. Times are UTC seconds."""

    id: str
    spec: dict[str, Any]
    spec_hash: str
    code_version: str
    seed: int
    status: RunStatus
    budget: dict[str, Any]
    reason: str = ""  # why it is paused, failed or done
    created: float = 0.0
    updated: float = 0.0
    seconds: float = 0.0  # wall time driven so far, over all resumes


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One effect. An ``open`` row is written before a paid call is made and reserves ``cost``; ``done`` replaces it.

    An open row found at resume means that the call may have been paid: it is presumed spent.
    """

    run: str
    key: str  # digest of (scope, kind, content, occurrence)
    scope: str
    kind: str
    content: str  # digest of the request
    ordinal: int  # how many effects this scope had asked for before this one
    status: Literal["open", "done", "failed"]
    summary: str  # the request in a few words, for messages
    result: bytes = b""  # JSON, compressed by the store where that pays
    cost: Cost = FREE
    error: str = ""
    attempt: int = 1


class Recorded(NamedTuple):
    """What an effect is known by and what it took: an EffectRow without the rest, of which a run may have a million."""

    key: str
    scope: str
    kind: str
    status: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    money: float


@dataclass(frozen=True, slots=True)
class CacheRow:
    """A reply that a later run may use. ``key`` is the digest of model fingerprint, request and sample seed.

    run: who asked; "" in stores of before. model, system_fingerprint: what the server said of itself, "" where it said
    nothing. time: when it came, UTC seconds; 0 where that is not known.
    """

    key: str
    value: bytes
    run: str = ""
    model: str = ""
    system_fingerprint: str = ""
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class CandidateRow:
    run: str
    hash: str
    data: dict[str, Any]  # Candidate.model_dump()
    by: str
    round: int


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A judged rollout, for exports and reports. ``split`` is train, screen, gate or test."""

    run: str
    id: str
    candidate: str
    example: str
    split: str
    round: int
    replicate: int
    score: float | None
    data: bytes  # Rollout.model_dump_json()


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """Append-only. ``idempotency`` makes a retried write the same row."""

    run: str
    idempotency: str
    target: str
    kind: str
    rater: str
    rater_kind: str
    data: bytes  # the feedback's JSON


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something the report tells: a round, a look of the gate, a pause. ``seq`` is given by the store, per run.

    ``key`` makes an event the same one when a resumed run reports it again; an empty key always appends.
    """

    run: str
    type: str
    payload: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    seq: int = 0
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class LearnerRow:
    """A learner that several processes share. ``version`` counts its changes from 1; ``data`` is its snapshot as JSON."""

    name: str
    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial of a shared learner that is open. ``time`` is when it was asked, UTC seconds."""

    learner: str
    id: str
    time: float
    data: bytes  # the trial's JSON


Row = EffectRow | CacheRow | CandidateRow | RolloutRow | FeedbackRow | EventRow


class Lease(Protocol):
    """The right to drive one run; held by one process."""

    def release(self) -> None: ...


class Learners(Protocol):
    """Learners that several processes share, by name, and their open trials."""

    def version(self, name: str) -> int:
        """0 where there is none."""
        ...

    def get(self, name: str) -> LearnerRow | None: ...

    def trials(self, name: str, ids: Sequence[str] | None = None, before: float | None = None) -> list[TrialRow]:
        """The open ones, in the order in which they were asked; of these ids alone, or asked before that time."""
        ...

    def swap(
        self, name: str, *, expected: int | None = None, data: bytes | None = None, opened: Sequence[TrialRow] = (),
        closed: Sequence[str] = (),
    ) -> bool:  # fmt: skip
        """Compare and swap, in one transaction that is durable once it returns.

        expected: the version that the learner must stand at, 0 for one that is not there yet; None does not look. data: what
        it becomes, at the next version; None leaves it. opened, closed: trials that are added and removed.

        Returns False, with nothing changed, where the learner stands at another version, a trial of ``opened`` is open
        already, or one of ``closed`` is not.
        """
        ...


class Store(Protocol):
    """Durable memory of runs.

    ``write`` returns once all its rows are durable, in one transaction; concurrent writes share a commit. Writing a row
    again with the same identity (effect key, cache key, candidate hash, rollout id, feedback idempotency, event key)
    replaces an open effect or the cached reply of another run, and otherwise changes nothing.
    """

    blobs: Blobs

    @property
    def learners(self) -> Learners: ...

    async def write(self, rows: Sequence[Row]) -> None: ...

    def cached(self, keys: Sequence[str]) -> dict[str, CacheRow]: ...

    def create_run(self, spec: dict[str, Any], *, seed: int, budget: dict[str, Any], code_version: str) -> RunRow: ...

    def run(self, id: str) -> RunRow:
        """By id or by an unambiguous beginning of it; ``last`` is the newest. Raises UnknownName."""
        ...

    def runs(self, limit: int | None = None, offset: int = 0) -> list[RunRow]:
        """Oldest first; only ``limit`` of the newest, without the ``offset`` newest."""
        ...

    def set_run(self, id: str, *, status: RunStatus, reason: str = "", seconds: float | None = None) -> None: ...

    def acquire(self, id: str) -> Lease:
        """Raises RunBusy."""
        ...

    def driven(self) -> set[str]:
        """Ids of the runs that a live process drives. One that says "running" and is not among them was killed."""
        ...

    def effects(self, run: str, *, results: bool = True) -> Iterable[EffectRow]:
        """In the order in which they were first written; without results these are empty and cost no reading."""
        ...

    def outline(self, run: str) -> Iterable[Recorded]:
        """The same, in short."""
        ...

    def effect(self, run: str, key: str) -> EffectRow | None:
        """The one of this key; None where there is none."""
        ...

    def effects_from(self, run: str, key: str, count: int = 1) -> list[EffectRow]:
        """Up to ``count`` effects in the same order, from the one of this key on; none where it is not there."""
        ...

    def candidates(self, run: str) -> list[CandidateRow]: ...

    def rollouts(self, run: str, split: str | None = None) -> Iterable[RolloutRow]: ...

    def recorded_rollouts(self, run: str, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that were written."""
        ...

    def feedback(self, run: str) -> Iterable[FeedbackRow]: ...

    def events(self, run: str) -> list[EventRow]: ...

    def close(self) -> None: ...


KILLED = "its process ended without a word"


def shown_status(row: RunRow, driven: Collection[str]) -> tuple[str, str]:
    """A run's status and its reason, as people are told.

    Args:
        row: the run.
        driven: ids of the runs that a live process drives, as ``Store.driven`` gives them.

    Returns:
        Those of the row; "killed" and what to type for one that says "running" while no process drives it.
    """
    if row.status == "running" and row.id not in driven:
        return "killed", f"{KILLED}; go on with: loopwright resume {row.id[:13]}"
    return row.status, row.reason


def refuse_pruned(row: RunRow) -> None:
    """Raises InputError for a run of which only its name and its looks at the gate are kept."""
    if row.status == "pruned":
        raise InputError(f"run {row.id} was pruned: what it recorded was removed, so it can be neither resumed nor looked into")


HELD = ("gate", "test")  # splits whose attempts decide, so that nobody may choose by them while a run goes on


def told_rollouts(store: Store, run: str, split: str | None = None) -> Iterator[RolloutRow]:
    """The rollouts of a run that may be told now: those on gate and test examples once it is done.

    Args:
        store: that holds the run.
        run: its id.
        split: only those of this split.

    Returns:
        The rows, in the order in which they were recorded.
    """
    done = store.run(run).status == "done"
    return (row for row in store.rollouts(run, split) if done or row.split not in HELD)
