"""One learner for several processes: its state and its open trials lie in a store, and every change is a compare and swap."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loopwright.core.errors import InputError, StoreBusy
from loopwright.core.feedback import Feedback
from loopwright.core.learner import Learner
from loopwright.core.offers import checked_name
from loopwright.core.store import Learners, Store, TrialRow
from loopwright.core.types import Trial
from loopwright.service.session import Session
from loopwright.store import open_store

TRIES = 100  # of a change that others came before each time


class SharedSession:
    """A ``Session`` that any number of processes on one machine work with at once.

    Each process makes one, with the same store and name. An ask reads the newest state and writes its trial; a tell, by whichever
    process, takes the trial out and puts the new state in, in one transaction. Where another process was quicker, it is done
    again on what that one left, so no feedback is lost or counted twice. A process that is killed leaves everything as it was
    before its last call, or as it was after it. Threads may share one; a process that was forked makes its own.

    A tell writes the whole state: where much comes at once, tell it together, or let each process learn for a while by a
    ``Session`` of its own and ``merge`` that.

    Args:
        store: an open store, or the name of one as ``open_store`` takes it.
        name: of the learner in the store.
        learner: what a recipe makes; the same recipe and options in every process.
        spec: what the learner must know at the start; looked at by the first process alone, and the same in all.
        convert: as for ``Session``.
        seed: of this process's draws; None draws one, so that processes do not all draw alike.
        clock: UTC seconds, the same for all processes.

    Raises:
        InputError: for a specification that the learner cannot use, or where the store has a learner of that name that was
            made by another recipe, with other options or another specification.
        StoreError: for a store that cannot be used.
    """

    def __init__(
        self,
        store: Store | str | Path,
        name: str,
        learner: Learner,
        spec: Mapping[str, Any],
        *,
        convert: Callable[[Feedback], Feedback] | None = None,
        seed: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = checked_name(name, "the name of a shared learner")
        self.clock = clock
        self._own: Store | None = open_store(store) if isinstance(store, str | Path) else None
        self._learners: Learners = (self._own or store).learners  # type: ignore[union-attr]
        drawn = secrets.randbits(62) if seed is None else seed
        self._session = Session(learner, spec, convert=convert, seed=drawn, clock=None)
        self._spec: Any = None  # as the learner was begun
        self._version = 0
        self._lock = threading.Lock()
        if self._learners.version(name) == 0:
            self._learners.swap(name, expected=0, data=self._data())  # where another was quicker, it is read below
        self._refresh()
        if self._spec != self._session.spec:
            raise InputError(
                f"the learner {name!r} of this store was begun with the specification {self._spec}, got {self._session.spec}; "
                "arms come and go by add_arm and remove_arm, and another learner gets another name"
            )

    def ask(self, context: Any = None, *, arms: Iterable[str | int] | None = None, id: str | None = None) -> Trial:
        """What to try now; as ``Session.ask``. The trial is durable before it is returned."""
        offered = None if arms is None or isinstance(arms, str) else list(arms)
        for turn in range(TRIES):
            with self._lock:
                self._refresh()
                trial = self._session.ask(context, arms=arms if offered is None else offered, id=id)
                self._session.open.clear()
                # At this version, since an arm that another process removes meanwhile must not be proposed.
                if self._learners.swap(self.name, expected=self._version, opened=[self._row(trial)]):
                    return trial
            if self._learners.trials(self.name, ids=[trial.id]):
                raise InputError(f"a trial {trial.id!r} is open already; tell it, forget it, or ask with another id")
            _pause(turn)
        raise self._busy()

    def tell(self, *feedback: Feedback) -> None:
        """Teach how trials went, that any process may have asked; all of what is given, or, raising an error, nothing of it.

        Raises:
            InputError: as ``Session.tell``; the trials then stay open.
            StoreError: where nothing could be written; it may be tried again.
        """
        ids = [getattr(f, "about", "") for f in feedback]

        def taught() -> list[str]:
            self._load(ids)
            for one in feedback:
                self._session.tell(one)
            return ids

        self._change(taught)

    def forget(self, id: str) -> None:
        """Close an open trial without feedback. Raises InputError for one that is not open."""
        if not self._learners.swap(self.name, closed=[id]):
            self._session.forget(id)  # which says that there is none

    def expire(self, seconds: float, feedback: Feedback | None = None) -> list[Trial]:
        """Close the trials that were asked more than so many seconds ago; as ``Session.expire``."""
        if not isinstance(seconds, int | float) or not seconds >= 0:
            raise InputError(f"expected how many seconds ago a trial was asked that is too old, 0 or more, got {seconds!r}")
        before = self.clock() - seconds
        gone: list[Trial] = []

        def expired() -> list[str]:
            gone[:] = [_trial(row) for row in self._learners.trials(self.name, before=before)]
            for trial in gone if feedback is not None else ():
                self._session.open[trial.id] = trial
                self._session.tell(feedback.model_copy(update={"about": trial.id}))  # type: ignore[union-attr]
            return [trial.id for trial in gone]

        self._change(expired)
        return gone

    def add_arm(self, name: str, *, like: str | None = None) -> None:
        """From now on there is one more arm, for all processes; as ``Session.add_arm``."""
        self._change(lambda: self._session.add_arm(name, like=like))

    def remove_arm(self, name: str) -> list[Trial]:
        """Drop an arm and what is known of it, for all processes; as ``Session.remove_arm``."""
        gone: list[Trial] = []

        def removed() -> list[str]:
            self._session.open = {row.id: _trial(row) for row in self._learners.trials(self.name)}
            gone[:] = self._session.remove_arm(name)
            return [trial.id for trial in gone]

        self._change(removed)
        return gone

    def teach(self, context: Any, arm: Any, feedback: Feedback, *, propensity: float | None = None) -> None:
        """Teach a decision that was made elsewhere; as ``Session.teach``."""
        self._change(lambda: self._session.teach(context, arm, feedback, propensity=propensity))

    def merge(self, other: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> None:
        """Add what a session has learned apart from the others since ``base``; as ``Session.merge``."""
        self._change(lambda: self._session.merge(other, base))

    @property
    def arms(self) -> tuple[str, ...] | None:
        """The names of the arms, as they are now."""
        with self._lock:
            self._refresh()
            return self._session.arms

    @property
    def open(self) -> dict[str, Trial]:
        """The open trials of all processes, oldest first."""
        return {row.id: _trial(row) for row in self._learners.trials(self.name)}

    def snapshot(self) -> dict[str, Any]:
        """State and open trials as JSON data; ``Session.restore`` goes on from it, and ``merge`` takes it as a base."""
        with self._lock:
            self._refresh()
            told = self._session.snapshot()
        rows = self._learners.trials(self.name)
        told["open"] = [json.loads(row.data) for row in rows]
        return {**told, "since": {row.id: row.time for row in rows}} if rows else told

    def close(self) -> None:
        """Close the store, where this session opened it."""
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> SharedSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _change(self, act: Callable[[], list[str] | None]) -> None:
        """Do this to the newest state, which gives the trials that it closes, until no other process comes before it."""
        for turn in range(TRIES):
            with self._lock:
                if self._changed(act):
                    return
            _pause(turn)
        raise self._busy()

    def _changed(self, act: Callable[[], list[str] | None]) -> bool:
        self._refresh()
        before, done = (self._session.state, self._session.arms), False
        try:
            closed = act() or ()
            done = self._learners.swap(self.name, expected=self._version, data=self._data(), closed=closed)
        finally:
            self._session.open.clear()
            if not done:
                self._session.state, self._session.arms = before
        self._version += done
        return done

    def _busy(self) -> StoreBusy:
        return StoreBusy(f"the learner {self.name!r} was changed by others each of {TRIES} times; tell more at once")

    def _refresh(self) -> None:
        """Read the state where another process has changed it."""
        if self._version and self._learners.version(self.name) == self._version:
            return
        row = self._learners.get(self.name)
        if row is None:
            raise InputError(f"the learner {self.name!r} is not in this store any more")
        told = json.loads(row.data)
        read = Session.restore(self._session.learner, told, clock=None)
        self._session.state, self._session.arms = read.state, read.arms
        self._spec, self._version = told["spec"], row.version

    def _load(self, ids: Sequence[str]) -> None:
        self._session.open = {row.id: _trial(row) for row in self._learners.trials(self.name, ids=ids)}

    def _data(self) -> bytes:
        told = {**self._session.snapshot(), "asked": 0, "seed": 0}  # draws are each process's own
        return json.dumps(told, separators=(",", ":")).encode()

    def _row(self, trial: Trial) -> TrialRow:
        return TrialRow(self.name, trial.id, self.clock(), json.dumps(trial.model_dump(mode="json")).encode())


def _pause(turn: int) -> None:
    """So that those who met do not meet again."""
    if turn:
        time.sleep(secrets.randbelow(5 + 5 * turn) / 1000)


def _trial(row: TrialRow) -> Trial:
    return Trial.model_validate(json.loads(row.data))
