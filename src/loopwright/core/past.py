"""What a run has done: every request's identity, and the answers that an earlier process left.

An effect is known by its scope, its kind, its content and how often this scope has asked the same before: never by its
place in time. On resume the recipe's own code runs again and its effects are answered from here; what the record holds and
the code no longer asks for stops the run as diverged.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from pydantic import JsonValue

from loopwright.core.errors import BudgetExhausted, Diverged, MethodEnded
from loopwright.core.feedback import FREE, Cost
from loopwright.core.identity import ENDED, LASTING, PROBE, Asked, Scope, recorded, revive, tuple_hash
from loopwright.core.store import EffectRow, EventRow, RunRow, Store
from loopwright.core.types import digest


class Past:
    """The record of one run.

    asks: requests so far. replayed: those answered from the record. presumed: calls, over all resumes, that a killed process
    may have paid and that were made again. spent: what all that is recorded took, or may have taken.
    """

    def __init__(self, store: Store, run: RunRow) -> None:
        self.asks = 0
        self.replayed = 0
        self.presumed = sum(event.type == "presumed-spent" for event in store.events(run.id))
        self.spent = FREE
        self._run = run.id
        # A run that its budget ended as a whole: nothing was done after that, so with a larger one its calls are made after all.
        cut = run.status == "failed" and issubclass(recorded(run.reason), BudgetExhausted)
        self._lasting = tuple(error for error in LASTING if not (cut and error is BudgetExhausted))
        self._ended: dict[str, str] = {}  # by the scope of a method that ended by an error: what it said
        self._scopes: dict[str, Scope] = defaultdict(Scope)
        self._records: dict[str, EffectRow] = {}
        for row in store.effects(run.id):
            self._records[row.key] = row
            # An open row is a call that was in flight when the process died: it may have been paid.
            self.spent += row.cost
            if row.status == "done" and row.kind != PROBE:
                self._scopes[row.scope].unclaimed[row.key] = row
                if row.kind == ENDED and row.result is not None:
                    self._ended[row.scope] = row.result.decode()

    def asked(self, scope: str) -> int:
        """How many effects this scope has asked for."""
        return self._scopes[scope].asked

    def unclaimed(self, scope: str) -> int:
        """How many recorded effects of this scope nobody has asked for yet."""
        return len(self._scopes[scope].unclaimed)

    def ask(self, scope: str, kind: str, content: JsonValue, summary: str) -> Asked:
        """Give a request its identity. Synchronous, so that the order of calls in a scope is the order of identities."""
        state = self._scopes[scope]
        hashed = tuple_hash(content) if isinstance(content, str) else digest(content)
        occurrence = state.occurrences.get((kind, hashed), 0)
        state.occurrences[(kind, hashed)] = occurrence + 1
        key = tuple_hash(scope, kind, hashed, occurrence)
        record = self._records.get(key)
        state.unclaimed.pop(key, None)
        asked = Asked(scope, kind, hashed, key, state.asked, occurrence, summary, record)
        state.asked += 1
        self.asks += 1
        return asked

    def divergence(self, scope: str, asked: str) -> Diverged:
        first = min(self._scopes[scope].unclaimed.values(), key=lambda row: row.ordinal)
        return Diverged(
            f"diverged in {scope.replace('/', ', ')}: recorded {first.kind} {first.summary!r}, asked {asked!r}. "
            "The recipe, its options or the data changed since the run began; start a new run, or put them back"
        )

    def finish(self) -> None:
        """Raises Diverged if the record holds an effect that nobody asked for."""
        for scope, state in self._scopes.items():
            if state.unclaimed:
                raise self.divergence(scope, "nothing more")

    def replay(self, asked: Asked) -> bytes | None:
        """The recorded answer; None where there is none.

        Raises the recorded failure where it belongs to the question, and MethodEnded where it belongs to a method that ended
        by an error before it came to this question: what came after was done without it.
        """
        record = asked.record
        if record is not None and record.status == "done":
            self.replayed += 1
            return record.result
        if record is not None and record.status == "failed" and issubclass(recorded(record.error), self._lasting):
            raise revive(record.error)
        for scope, why in self._ended.items():
            if f"{asked.scope}/".startswith(scope) and asked.kind != ENDED:
                raise MethodEnded(why)
        return None

    def ended(self, scope: str) -> str:
        """By which error the method of this scope ended in an earlier process, or ""."""
        return self._ended.get(f"{scope}/", "")

    def presumed_spent(self, asked: Asked) -> EventRow | None:
        """What the report must tell of a call that an earlier process may have paid and that is made again."""
        record = asked.record
        if record is None or record.status != "open":
            return None
        self.presumed += 1
        payload: dict[str, Any] = {"summary": record.summary, "scope": record.scope}
        key = f"presumed-spent/{record.key}/{record.attempt}"
        return EventRow(run=self._run, type="presumed-spent", key=key, payload=payload, time=time.time())

    def row(self, asked: Asked, status: Any, *, cost: Cost = FREE, **more: Any) -> EffectRow:
        """What is written of an attempt; the row replaces that of the one before."""
        attempt = 1
        if asked.record is not None:
            attempt = asked.record.attempt + 1
            # What that one took, or may have taken, stays spent at every resume.
            cost = cost + asked.record.cost
        return EffectRow(
            run=self._run, key=asked.key, scope=asked.scope, kind=asked.kind, content=asked.content,
            ordinal=asked.ordinal, status=status, summary=asked.summary, attempt=attempt, cost=cost, **more,
        )  # fmt: skip
