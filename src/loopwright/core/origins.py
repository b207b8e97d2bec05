"""Where replies come from: this run or an earlier one, and which model the server says gave them.

A model of ours is known by its weights, so what it answered in an earlier run it would answer again. Behind a server's name
and address there may be other weights tomorrow. So of a server

* nothing that is measured or compared is taken from an earlier run, and
* elsewhere a reply of an earlier run is used only if the server says it still is what it was then.

A server that changes during a run is told of, and what is compared is measured again on both sides until both come from one.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from loopwright.core.feedback import FREE, Cost
from loopwright.core.model import Model, Reply
from loopwright.core.store import CacheRow

if TYPE_CHECKING:
    from loopwright.core.engine import Engine

T = TypeVar("T")
UNNAMED, UNDATED = "an earlier run", "unknown date"  # of replies in stores that kept neither
_IN_FLIGHT = 256  # replies after which nothing that was asked before a server was replaced is still on its way


class Origin(NamedTuple):
    """What a server says of itself with a reply; "" where it says nothing."""

    model: str
    system_fingerprint: str

    def __str__(self) -> str:
        return f"{self.model or 'a model without a name'} (fingerprint {self.system_fingerprint or 'not given'})"


def identified(model: Model) -> bool:
    """Whether the model's fingerprint covers what decides its answers; a server's does not."""
    return bool(getattr(model, "identified", True))


def day(seconds: float) -> str:
    """UTC date and minute; ``UNDATED`` for 0."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if seconds else UNDATED


def an_earlier_run(run: str, date: str) -> str:
    """A run that replies were taken from, in words, as ``Origins.told`` has it; what an old store did not keep is left out."""
    named = f"run {run}" if run != UNNAMED else run
    return f"{named} ({date})" if date != UNDATED else named


def tokens_told(tokens: int, bound: int, fresh: int) -> str:
    """How many tokens a run took, in words.

    Args:
        tokens: all of them.
        bound: replies whose server does not say how many they took, so that the most they can have been was counted.
        fresh: all replies that the run asked for.
    """
    if not bound:
        return f"{tokens:,} tokens"
    which = "" if bound >= fresh else f" of {bound:,} of {fresh:,} replies"
    return f"at most {tokens:,} tokens (the server does not say how many{which})"


class Origins:
    """The origins of the replies of one run.

    parents: runs that this one is a fork of: what they recorded is compared as if this run had asked for it. fresh: replies that
    this run asked for. reused: replies of earlier runs, by run and time of its newest. bound: of the fresh
    ones those whose server does not say how many tokens they took.
    """

    def __init__(self, run: str, parents: Container[str] = ()) -> None:
        self.run = run
        self._parents = parents
        self.fresh = 0
        self.bound = 0
        self.reused: Counter[str] = Counter()
        self._newest: dict[str, float] = {}
        self._last: dict[str, Origin] = {}  # by the model's own fingerprint
        self._seen: dict[str, Counter[Origin]] = defaultdict(Counter)
        self._places: dict[str, dict[str, set[Origin]]] = defaultdict(lambda: defaultdict(set))
        self._newest_origin: dict[str, tuple[Origin, int]] = {}  # with how many replies had come before its first
        self._pairs: dict[str, dict[str, set[Origin]]] = defaultdict(lambda: defaultdict(set))
        self._told: set[str] = set()
        self._several: set[str] = set()  # models whose servers answer under several fingerprints at once

    def note(self, model: Model, scope: str, reply: Reply) -> tuple[Origin, Origin] | None:
        """A reply that was used.

        Args:
            model: who was asked.
            scope: of the effect.
            reply: fresh, from this run's record, or from an earlier run.

        Returns:
            What the server was and what it is now, where it says for the first time in this run that it is another.
        """
        if reply.run:
            self._count(reply)
            if reply.run not in self._parents:
                return None
        else:
            self.fresh += 1
            self.bound += reply.bound
        if identified(model):
            return None
        origin = Origin(reply.model, reply.system_fingerprint)
        seen = self._seen[model.fingerprint]
        new = origin not in seen
        if new:
            self._newest_origin[model.fingerprint] = (origin, sum(seen.values()))
        elif origin != (newest := self._newest_origin[model.fingerprint])[0] and sum(seen.values()) - newest[1] > _IN_FLIGHT:
            self._several.add(model.fingerprint)  # the older one still answers, so neither took the other's place
        seen[origin] += 1
        self._places[_place(scope)][model.fingerprint].add(origin)
        if pair := _pair(scope):
            self._pairs[pair][model.fingerprint].add(origin)
        before, self._last[model.fingerprint] = self._last.get(model.fingerprint), origin
        return (before, origin) if new and before is not None else None

    def read(self, result: bytes) -> None:
        """Count a reply as it stands in the record."""
        # most have none of these: not read
        if b'"run":' in result or b'"model":' in result or b'"system_fingerprint":' in result or b'"bound":' in result:
            reply = Reply.model_validate_json(result)
            if reply.run:
                self._count(reply)
            else:
                self.bound += reply.bound
                self._seen[""][Origin(reply.model, reply.system_fingerprint)] += 1
                self.fresh += 1
        else:
            self.fresh += 1

    def _count(self, reply: Reply) -> None:
        self.reused[reply.run] += 1
        self._newest[reply.run] = max(reply.time, self._newest.get(reply.run, 0.0))

    def usable(self, model: Model, row: CacheRow, *, compared: bool) -> bool:
        """Whether a recorded reply may stand for a fresh one.

        Args:
            model: who would be asked.
            row: what is recorded.
            compared: whether the reply will be measured or compared.
        """
        if identified(model):
            return True
        if compared and row.run != self.run:
            return False
        return self._last.get(model.fingerprint) == Origin(row.model, row.system_fingerprint)

    def taken(self, row: CacheRow, reply: Reply) -> Reply:
        """The recorded reply, marked with the earlier run that it comes from."""
        if row.run == self.run:
            return reply
        return reply.model_copy(update={"run": row.run or UNNAMED, "time": row.time})

    def differ(self, first: str, second: str) -> dict[str, tuple[set[Origin], set[Origin]]]:
        """Models that both places asked and that were not the same in both, by their fingerprints. Places begin a scope."""
        a, b = self._places.get(_place(first), {}), self._places.get(_place(second), {})
        return {m: (a[m], b[m]) for m in a if m in b and a[m] != b[m]}

    def mixed(self, scope: str) -> list[str]:
        """Models that were not the same throughout the judging of one pair, in this scope. Asked once of each."""
        return [model for model, seen in self._pairs.pop(scope, {}).items() if len(seen) > 1]

    def replaced(self, models: Iterable[str]) -> bool:
        """Whether one of these servers may have been replaced, rather than answer under several fingerprints at once."""
        return any(model not in self._several for model in models)

    def accept(self, models: Iterable[str]) -> bool:
        """Take it that these servers answer under several fingerprints at once. Returns whether that is news to tell."""
        self._several.update(models)
        news = set(models) - self._told
        self._told |= news
        return bool(news)

    @property
    def seen(self) -> set[Origin]:
        """All that servers said of themselves."""
        return {origin for seen in self._seen.values() for origin in seen}

    def told(self) -> dict[str, Any]:
        """Plain data for the result: how many replies came from where, of how many the tokens are only bounded, and what the
        servers said they are.
        """
        return {
            "fresh": self.fresh,
            "bound": self.bound,
            "reused": [{"run": run, "replies": n, "date": day(self._newest[run])} for run, n in self.reused.items()],
            "servers": [
                {"model": o.model, "system_fingerprint": o.system_fingerprint, "replies": n}
                for seen in self._seen.values() for o, n in seen.items() if any(o)
            ],
        }  # fmt: skip


async def from_one_server(
    engine: Engine,
    scope: str,
    first: Callable[[bool], Awaitable[tuple[str, T]]],
    second: Callable[[bool], Awaitable[tuple[str, T]]],
) -> tuple[T, T]:
    """Measure two things so that they can be compared, although a server may change meanwhile.

    A server that kept changing, so that what is compared is of several origins, is told of.

    Args:
        engine: of the run.
        scope: where what is found is recorded, so that a resumed run measures again what this one did.
        first: gives the scope in which one of them was measured, and its result; told True, it measures anew.
        second: the other.

    Returns:
        Both results.
    """
    origins = engine.origins
    (here, a), (there, b) = await first(False), await second(False)
    if await _replaced(engine, scope, here, there):
        here, a = await first(True)
        if await _replaced(engine, scope, here, there):
            there, b = await second(True)
    if (mixed := origins.differ(here, there)) and origins.accept(mixed):
        sides = "; ".join(f"{_listed(x)} against {_listed(y)}" for x, y in mixed.values())
        message = f"a server answers under several names at once, so what is compared comes from several: {sides}"
        await engine.event("server-changed", f"{here}/{there}", message=message)
    return a, b


async def _replaced(engine: Engine, scope: str, here: str, there: str) -> bool:
    """Whether a server took another's place between two measurements. Which replies came first may differ at a resume, so what
    was found once is recorded.
    """
    mixed = engine.origins.differ(here, there)
    return bool(mixed) and await _recorded(engine, scope, [here, there], list(mixed))


async def replaced_within(engine: Engine, scope: str) -> bool:
    """Whether a judge was replaced by another while it was asked about one pair, in this scope of a ``compare``."""
    mixed = engine.origins.mixed(scope)
    return bool(mixed) and await _recorded(engine, scope, [scope], mixed)


async def _recorded(engine: Engine, scope: str, content: list[str], mixed: list[str]) -> bool:
    async def now() -> tuple[bytes, Cost]:
        return json.dumps(engine.origins.replaced(mixed)).encode(), FREE

    found = await engine.effect(f"{scope}/servers", "server", [*content], now, summary="was it one server?")
    return bool(json.loads(found))


def _listed(origins: set[Origin]) -> str:
    return " and ".join(sorted(map(str, origins)))


def _pair(scope: str) -> str:
    """The scope in which a pair is compared, "" elsewhere."""
    at = scope.rfind("/compare")
    end = scope.find("/", at + 1)
    return "" if at < 0 else scope if end < 0 else scope[:end]


def _place(scope: str) -> str:
    return "/".join(scope.split("/", 2)[:2])
