"""A library of experience as it grows: insights filed, merged and told apart by what they did to which problems.

The bookkeeping of AlphaOPT (Kong et al., arXiv:2510.18428); what an insight is, and who it is told, is ``blocks.library``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from loopwright.blocks.library import Insight, recondition
from loopwright.core.types import Example, Rollout

if TYPE_CHECKING:
    from loopwright.core.context import Context

Kind = Literal["positive", "negative", "unretrieved"]
Solves = Callable[[Example, Sequence[Insight], "Context"], Awaitable[bool]]  # whether a problem is answered rightly, told these
Merge = Callable[[Insight, Insight, "Context"], Awaitable[list[Insight]]]
Told = Callable[[list[Example], Sequence[Insight], "Context"], Awaitable[list[list[Insight]]]]


@dataclass
class Seen:
    """One problem, with the insights that were told."""

    example: Example
    told: list[Insight]
    rollout: Rollout

    @property
    def right(self) -> bool:
        return self.rollout.score == 1.0


    @property
    def said(self) -> str:
        return said_of(self.rollout)


@dataclass
class Record:
    """Problems for which an insight was told and right, misled, or was missed."""

    positive: dict[str, Example] = field(default_factory=dict)
    negative: dict[str, Example] = field(default_factory=dict)
    unretrieved: dict[str, Example] = field(default_factory=dict)


class Experience:
    """The library, and what is on record of each insight. problems: by id, all that an insight may have been learned from."""

    def __init__(self, problems: Mapping[str, Example]) -> None:
        self.problems = problems
        self.library: list[Insight] = []
        self.records: dict[str, Record] = {}

    async def file(self, new: Insight, merge: Merge, solves: Solves, ctx: Context) -> None:
        """Merged with one of its heading where that still serves all their problems, else added.

        merge: one insight in place of two, if they teach the same; its sources are theirs.
        """
        for i, old in enumerate(self.library):
            sources = tuple(dict.fromkeys([*old.sources, *new.sources]))
            if old.id == new.id:
                self.library[i] = old.model_copy(update={"sources": sources})
                return
            if old.taxonomy != new.taxonomy:
                continue
            for merged in (await merge(old, new, ctx))[:1]:
                made = merged.model_copy(update={"sources": sources})
                served = [await solves(self.problems[s], [made], ctx) for s in sources]
                if all(served):
                    self.library[i] = made.model_copy(update={"taxonomy": new.taxonomy})
                    self.records[self.library[i].id] = self.records.pop(old.id, Record())
                    return
        self.library.append(new)

    async def effects(self, seen: Seen, probes: int, solves: Solves, ctx: Context) -> list[tuple[str, Kind]]:
        """(insight, what it was to this problem): told and right; misleading, as without it the problem is answered rightly;
        or missed, as with it it is. ``probes`` of either are tried."""
        if seen.right:
            return [(i.id, "positive") for i in seen.told]
        said: list[tuple[str, Kind]] = []
        for insight in seen.told[:probes]:
            if await solves(seen.example, [i for i in seen.told if i != insight], ctx):
                said.append((insight.id, "negative"))
        known = {i.id for i in seen.told}
        for insight in [i for i in self.library if i.id not in known and seen.example.id not in i.sources][:probes]:
            if await solves(seen.example, [*seen.told, insight], ctx):
                said.append((insight.id, "unretrieved"))
        return said

    def note(self, example: Example, effects: Sequence[tuple[str, Kind]]) -> None:
        for id, kind in effects:
            getattr(self.records.setdefault(id, Record()), kind)[example.id] = example

    def unsettled(self) -> list[Insight]:
        """Those that misled or were missed."""
        return [i for i in self.library if (r := self.records.get(i.id)) and (r.negative or r.unretrieved)]

    async def fittest(self, insight: Insight, conditions: Sequence[str], told: Told, ctx: Context) -> str:
        """Of the conditions the one that holds for most problems that it should hold for and least for those it misled;
        the old one where none is better. told: what each of these problems is told of a library."""
        record = self.records[insight.id]
        wanted, unwanted = [*record.positive.values(), *record.unretrieved.values()], list(record.negative.values())
        best, most = insight.condition, len(record.positive)
        for condition in conditions:
            changed = recondition(self.library, insight.id, condition)
            hits = sum(any(i.id == insight.id for i in found) for found in await told(wanted, changed, ctx))
            hits += sum(all(i.id != insight.id for i in found) for found in await told(unwanted, changed, ctx))
            if hits > most:
                best, most = condition, hits
        return best

    def settle(self, insight: Insight, condition: str) -> None:
        """Another condition; what the old one did wrong is forgotten."""
        self.library = recondition(self.library, insight.id, condition)
        self.records[insight.id] = Record(positive=self.records[insight.id].positive)


def listed(problems: Mapping[str, Example]) -> str:
    return "\n".join(f"- {e.question}" for e in problems.values()) or "(none)"


def said_of(rollout: Rollout) -> str:
    return "\n".join(f.text for f in rollout.feedback if f.text) or "It is wrong."
