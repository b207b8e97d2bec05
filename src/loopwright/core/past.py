"""What a run has done: every request's identity, and the answers that an earlier process left.

An effect is known by its scope, its kind, its content and how often this scope has asked the same before: never by its
place in time. On resume the recipe's own code runs again and its effects are answered from here; what the record holds and
the code no longer asks for stops the run as diverged.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pydantic import JsonValue

from loopwright.core.again import Again
from loopwright.core.compact import Counts
from loopwright.core.errors import BudgetExhausted, Diverged, MethodEnded, StoreCorrupt
from loopwright.core.feedback import FREE, Cost
from loopwright.core.identity import ENDED, LASTING, PROBE, Asked, recorded, revive, tuple_hash
from loopwright.core.store import EffectRow, EventRow, RunRow, Store
from loopwright.core.types import digest

_RECORDED, _UNCLAIMED = 1, 2
_LEFT = 1  # column of a scope's records
_AHEAD, _HELD = 200, 1 << 21  # records read at once at the most, and bytes of their results


class Past:
    """The record of one run.

    asks: requests so far. replayed: those answered from the record. presumed: calls, over all resumes, that a killed process
    may have paid and that were made again. spent: what all that is recorded took, or may have taken. anew: recorded failures that
    were asked again in this process.

    Args:
        store: that holds it.
        run: whose record it is.
        again: ask again what failed and nothing was built on (``core.again``).
    """

    def __init__(self, store: Store, run: RunRow, *, again: bool = False) -> None:
        self.asks = 0
        self.replayed = 0
        events = store.events(run.id)
        self.presumed = sum(event.type == "presumed-spent" for event in events)
        self._again = Again([event.key.removeprefix("round/") for event in events if event.type == "round"]) if again else None
        self.anew = 0
        self._run = run.id
        # A run that its budget ended as a whole: nothing was done after that, so with a larger one its calls are made after all.
        cut = run.status == "failed" and issubclass(recorded(run.reason), BudgetExhausted)
        self._lasting = tuple(error for error in LASTING if not (cut and error is BudgetExhausted))
        self._ended: dict[str, str] = {}  # by the scope of a method that ended by an error: what it said
        self._store = store
        self._occurrences = Counts()  # by scope, kind and content
        self._scopes = Counts(2)  # how many effects a scope has asked for, and how many records of it nobody has asked for yet
        self._keys = Counts()  # of what is recorded: _RECORDED, and _UNCLAIMED while nobody has asked for its result
        self.resumed = False  # whether anything was recorded before
        self._near: dict[str, EffectRow] = {}  # records that were read ahead
        self._ahead = 1  # how many are read at once
        self._left = 0  # records of results that nobody has asked for yet
        self._read()

    def _read(self) -> None:
        """Only what tells that there is a record is held: a run may have a million, so each is fetched when it is asked for."""
        calls = prompt_tokens = completion_tokens = 0
        seconds = money = 0.0
        for row in self._store.outline(self._run):
            self.resumed = True
            done = row.status == "done" and row.kind != PROBE
            self._keys.add(row.key, _RECORDED + _UNCLAIMED * done)
            # An open row is a call that was in flight when the process died: it may have been paid.
            calls += row.calls
            prompt_tokens += row.prompt_tokens
            completion_tokens += row.completion_tokens
            seconds += row.seconds
            money += row.money
            if self._again is not None:
                record = self._store.effect(self._run, row.key) if row.status == "failed" else None
                self._again.see(row.key, row.scope, row.kind, record.error if record is not None else "")
            if done:
                self._left += 1
                self._scopes.add(row.scope, 1, _LEFT)
                if row.kind == ENDED:
                    self._ended[row.scope] = self._fetch(row.key).result.decode()
        self.spent = Cost(
            calls=calls, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, seconds=seconds, money=money
        )

    def asked(self, scope: str) -> int:
        """How many effects this scope has asked for."""
        return self._scopes.get(scope)

    def unclaimed(self, scope: str) -> int:
        """How many recorded effects of this scope nobody has asked for yet."""
        return self._scopes.get(scope, _LEFT)

    def ask(self, scope: str, kind: str, content: JsonValue, summary: str) -> Asked:
        """Give a request its identity. Synchronous, so that the order of calls in a scope is the order of identities."""
        hashed = tuple_hash(content) if isinstance(content, str) else digest(content)
        occurrence = self._occurrences.add((scope, kind, hashed))
        key = tuple_hash(scope, kind, hashed, occurrence)
        asked = Asked(scope, kind, hashed, key, self._scopes.add(scope), occurrence, summary, self._record(scope, key))
        self.asks += 1
        return asked

    def _record(self, scope: str, key: str) -> EffectRow | None:
        known = self._keys.get(key)
        if not known:
            return None
        if known & _UNCLAIMED:
            self._left -= 1
            self._keys.add(key, -_UNCLAIMED)
            self._scopes.add(scope, -1, _LEFT)
        return self._fetch(key)

    def _fetch(self, key: str) -> EffectRow:
        """The record of this key. What was recorded after it is likely to be asked for next, so it is read with it."""
        record = self._near.pop(key, None)
        if record is not None:
            return record
        found = self._store.effects_from(self._run, key, self._ahead)
        if not found or found[0].key != key:
            raise StoreCorrupt(f"a recorded effect of run {self._run} is not found by its key, {key}: the store is damaged")
        size = sum(len(row.result) for row in found)
        self._ahead = max(1, min(2 * self._ahead, _AHEAD, _HELD * len(found) // max(size, 1)))
        if len(self._near) > 4 * _AHEAD:  # those that were passed over
            self._near.clear()
        self._near.update((row.key, row) for row in found[1:])
        return found[0]

    def divergence(self, scope: str, asked: str) -> Diverged:
        first = min(self._unclaimed(scope), key=lambda row: row.ordinal)
        return Diverged(
            f"diverged in {scope.replace('/', ', ')}: recorded {first.kind} {first.summary!r}, asked {asked!r}. "
            "The recipe, its options or the data changed since the run began; start a new run, or put them back"
        )

    def _unclaimed(self, scope: str | None = None) -> Iterator[EffectRow]:
        for row in self._store.effects(self._run, results=False):
            if self._keys.get(row.key) & _UNCLAIMED and scope in (None, row.scope):
                yield row

    def finish(self) -> None:
        """Raises Diverged if the record holds an effect that nobody asked for."""
        if self._left and (first := next(self._unclaimed(), None)) is not None:
            raise self.divergence(first.scope, "nothing more")

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
            if self._again is None or record.key not in self._again.keys:
                raise revive(record.error)
            self.anew += 1
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
