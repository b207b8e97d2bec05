"""Versions of a candidate's texts as an evolution keeps them: scores by example, parents, turns, where each sentence is from.

The bookkeeping of GEPA (Agrawal et al., arXiv:2507.19457); whom to build on is ``blocks.front``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from loopwright.blocks.copies import Answers
from loopwright.blocks.front import best_at, crossed, draw
from loopwright.blocks.graph import graph_of
from loopwright.blocks.lineage import Piece, as_data, begin, follow
from loopwright.blocks.parameters import parameters_of
from loopwright.blocks.replies import read_rewrite
from loopwright.core.errors import BadOutput, InputError, UnknownName
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, Example, Rollout

if TYPE_CHECKING:
    from loopwright.core.context import Context

Objective = Literal["score", "cost"]
Select = Literal["front", "best"]
Key = tuple[str, str]  # example and objective
Lineage = dict[str, list[Piece]]


@dataclass
class Version:
    """One version. ``parents`` are places in the family; ``scores`` are those on the front, empty before it was tried there.

    turn: how often it, and those it comes from, were rewritten. gain: what it was better by on its first examples.
    """

    candidate: Candidate
    texts: dict[str, str]
    lineage: Lineage
    parents: list[int] = field(default_factory=list)
    scores: dict[Key, float] = field(default_factory=dict)
    turn: int = 0
    round: int = 0
    gain: float = 0.0

    @property
    def by_example(self) -> dict[str, float]:
        return {example: value for (example, objective), value in self.scores.items() if objective == "score"}

    @property
    def mean(self) -> float:
        known = self.by_example.values()
        return sum(known) / len(known) if known else 0.0


class Slot(NamedTuple):
    """One proposal to make: of whom, in which turn, on which examples; ``known`` are the hashes of versions there are."""

    place: int
    turn: int
    examples: list[Example]
    known: set[str]


class Family:
    """All versions so far, the first being the start. ``frozen``: names of texts that stay.

    Raises UnknownName for a frozen text that is not there, InputError where none is left to rewrite.
    """

    def __init__(self, base: Candidate, frozen: tuple[str, ...] = ()) -> None:
        self.frozen = frozen
        texts = texts_of(base, frozen)
        self.best = Version(base, texts, {name: begin(text) for name, text in texts.items()})
        self.versions = [self.best]
        self.merged = set[tuple[int, int, int]]()
        self._due = False  # one was found since the last merge was looked for
        self._tried = False  # the start was tried on the front

    def _front(self) -> tuple[dict[Key, set[int]], list[float]]:
        return best_at([v.scores for v in self.versions]), [v.mean for v in self.versions]

    def crossing(self, most: int, rng: random.Random) -> tuple[int, int, dict[str, str]] | None:
        """Two versions to merge and the texts that come of it, where one is due and fewer than ``most`` were merged."""
        due, self._due = self._due and len(self.merged) < most, False
        if not due:
            return None
        texts, parents = [v.texts for v in self.versions], [v.parents for v in self.versions]
        return crossed(*self._front(), texts, parents, self.merged, rng)

    def slots(self, examples: Sequence[Example], size: int, rng: random.Random, select: Select = "front") -> list[Slot]:
        """A parent for every ``size`` examples: of the front by lots, or the best. Until the start was tried, the start; none
        where nobody has a score."""
        held, worth = self._front()
        known = {v.candidate.hash for v in self.versions}
        made = []
        for at in range(0, len(examples), size) if held or not self._tried else ():
            place = draw(held, worth, rng) if held and select == "front" else self.versions.index(self.best)
            made.append(Slot(place, self.versions[place].turn, list(examples[at : at + size]), known))
            self.versions[place].turn += 1
        return made

    def born(
        self, candidate: Candidate, parents: Sequence[int], *, by: str, turn: int, round: int,
        sources: Sequence[Version] = (), examples: Sequence[str] = (), gain: float = 0.0,
    ) -> Version:  # fmt: skip
        """A version, not yet one of the family. sources: whose sentences it may have kept; its parents' where left out."""
        texts, own = texts_of(candidate, self.frozen), candidate.hash[:12]
        before = [v.lineage for v in sources or [self.versions[i] for i in parents]]
        lineage = {
            n: follow(t, [b[n] for b in before], by=by, version=own, round=round, examples=examples) for n, t in texts.items()
        }
        hashes = tuple(self.versions[i].candidate.hash for i in parents)
        candidate = candidate.model_copy(update={"origins": as_data(lineage), "parents": hashes})
        return Version(candidate, texts, lineage, list(parents), turn=turn, round=round, gain=gain)

    def united(self, candidate: Candidate, top: Version, made: Sequence[Version]) -> Version:
        """A version that goes on from ``top`` and holds what several, made of versions of the family, have changed."""
        parents = list(dict.fromkeys([self.versions.index(top), *(i for v in made for i in v.parents)]))
        turn, sources = max(v.turn for v in made), [top, *made]
        return self.born(candidate, parents, by="joining", turn=turn, round=made[0].round, sources=sources)

    def add(self, version: Version) -> bool:
        """Whether it is the best so far; one that is there already is not taken in. Of the start its scores are."""
        if not self._tried and version.candidate.hash == self.versions[0].candidate.hash:
            self.versions[0].scores, self._tried = version.scores, True
            return False
        if version.candidate.hash in {v.candidate.hash for v in self.versions}:
            return False
        self.versions.append(version)
        self._due = len(version.parents) == 1 and len(version.texts) > 1
        better = version.mean > self.best.mean
        self.best = version if better else self.best
        return better

    def told(self, version: Version) -> dict[str, Any]:
        """A version of the family, for the figure of its tree (improve.plots.lineage)."""
        hash = version.candidate.hash
        index = next(i for i, v in enumerate(self.versions) if v.candidate.hash == hash)
        parents = self.versions[index].parents
        figures = {"score": self.versions[index].mean, "tried": len(self.versions[index].by_example)}
        return {"candidate": hash, "index": index, "parent": next(iter(parents), None), "others": parents[1:], **figures}


def texts_of(candidate: Candidate, frozen: tuple[str, ...] = ()) -> dict[str, str]:
    """The texts and the code of a candidate that may be rewritten, by name."""
    found = {n: p for n, p in parameters_of(candidate).items() if p.kind in ("text", "code")}
    for name in frozen:
        if name not in found:
            raise UnknownName("text to freeze", name, found)
    open = {n: str(p.value) for n, p in found.items() if not p.fixed and n not in frozen}
    if not open:
        raise InputError(f"there is nothing to rewrite: every text is frozen or fixed ({', '.join(found) or 'there is none'})")
    return open


def scores_of(rollouts: Sequence[Rollout], objectives: Sequence[Objective] = ("score",)) -> dict[Key, float]:
    """By example and objective, higher being better. An attempt that was not judged is left out."""
    known: dict[Key, float] = {}
    for r in rollouts:
        if (score := r.score) is not None:
            known |= {(r.example.id, o): score if o == "score" else -float(r.cost.tokens) for o in objectives}
    return known


def gained(after: Mapping[Key, float], before: Mapping[Key, float]) -> float:
    """What was gained on the examples that were judged both times."""
    return sum(after[key] - before[key] for key in after if key in before)


def in_turn(version: Version, attempts: Sequence[Rollout], turn: int) -> str:
    """The texts take turns; those that no answer of a program depends on are passed over."""
    traces = [graph_of(r.trace) for r in attempts if r.trace is not None]
    reached = {n for graph in traces for n in graph.reached()}
    names = [n for n in version.texts if n in reached] or list(version.texts)
    return names[turn % len(names)]


def changes(top: Version, others: Sequence[Version]) -> dict[str, list[str]]:
    """Of each text what others made of it, without what ``top`` has; texts that nobody changed are left out."""
    found = {n: list(dict.fromkeys(v.texts[n] for v in others if v.texts[n] != old)) for n, old in top.texts.items()}
    return {name: new for name, new in found.items() if new}


async def written(
    ctx: Context, prompt: str, again: str, version: Version, name: str, fields: Mapping[str, str], *,
    answers: Answers, temperature: float, max_tokens: int,
) -> tuple[str, list[str]]:  # fmt: skip
    """A text anew, as the prompt asks for it, and why earlier ones were refused; "" where all were.

    One that gives ``answers`` away is asked for once more; a reply that was cut off, or in which the text cannot be told from the
    rest, is not. again: put after the prompt the second time. Fields of the prompt: kind, name, text, must, and ``fields``.
    """
    spec = parameters_of(version.candidate)[name]
    must = f"It must be {spec.constraint}. " if spec.constraint else ""
    asked = filled(prompt, {"kind": spec.about or spec.kind, "name": name, "text": version.texts[name], "must": must, **fields})
    known = "\n".join(version.texts.values())
    refused: list[str] = []
    while len(refused) < 2:
        (reply,) = await ctx.generate(asked + (again if refused else ""), temperature=temperature, max_tokens=max_tokens)
        try:
            text = read_rewrite(reply, spec.kind)
        except BadOutput as error:
            await ctx.unused(str(error))
            return "", [*refused, str(error)]
        if not answers.copied(text, known):
            return text, refused
        refused.append("it gave answers away")
        await ctx.unused(refused[-1])
    return "", refused
