"""GEPA: reflect on a few attempts, rewrite one text, keep every version that is best at some example, merge what differs.

Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", arXiv:2507.19457.

Each round draws a version from the Pareto front over ``front`` train examples (one lot for each example it is best at), tries it
on a minibatch, shows a model the attempts and what was said of them, and has one of its texts rewritten, in turn. The new
version must do better on that minibatch before it is tried on the whole front. After a round that found one, two versions with
a common ancestor may be merged: of each text the one that was changed. The texts are those of the candidate's prompt (its
instruction, system message, documentation of tools), or the texts and code of its program (``loopwright.trainable``), from which
it starts; those in ``frozen`` stay. ``objectives`` "cost" makes tokens an objective beside the score: the front then also keeps
what is cheapest at some example.

How this differs: a rewrite that gives away answers of train examples is refused and asked for once more (``blocks.copies``).
Every sentence keeps the version and the examples that it came from (``origins`` of the candidate). A version goes before the
gate, which decides, when its mean on the front is the best so far. Minibatches are drawn at random from all train examples,
the front's too; the authors go through theirs in shuffled order. Merging is on by default (``merges`` 0 turns it off); in their
code it is off, in the paper an option (GEPA+Merge). ``front`` is a default of ours, their validation set being the user's.

The paper makes one proposal after the other, so most of a server waits. With ``together`` above 1 a round makes so many at once,
each of a version and a minibatch of its own; those that did better are joined by the model into one text, on top of the best
version, which is tried on the front in their place (and the best of them where that gains nothing). ``ahead`` rounds are under
way at once: each draws from the versions that the round so many before it could add to. For W workers together = W / 4 and
ahead = 2 keep them busy; it also takes fewer tries of the front for each rewrite that is kept.

Cost: one call to reflect and two minibatches for each proposal, and ``front`` attempts for each version that passes. It wants a
model that can say why an answer was wrong; one that cannot only draws texts by chance. No claim is made for it yet, for want of
a model here that can: with one of 135 million parameters in both roles, eight rounds on ``sums``, tried on one seed, found
nothing that passed its minibatch. ``benchmarks/prompt_search.py`` runs it beside the authors' own on a scripted task.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from loopwright.blocks.copies import copied
from loopwright.blocks.front import best_at, crossed, draw, telling
from loopwright.blocks.graph import attempts_text, graph_of
from loopwright.blocks.lineage import Piece, as_data, begin, follow
from loopwright.blocks.parameters import parameters_of, with_values
from loopwright.blocks.replies import read_text
from loopwright.blocks.templates import filled
from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, InputError, UnknownName
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Example, Rollout

REFLECT = (
    "A model was given this {kind}, called {name}:\n<text>\n{text}\n</text>\n\nThese are some of its attempts, each with what "
    "was said of it:\n\n{attempts}\n\nWork out what the attempts that were found wanting have in common and what the task really "
    "asks for: its rules, its form, facts that the model lacked, a way of going about it that would have helped. Then write a "
    "new version of the instruction, text or code, whole, for questions that it has not seen yet. {must}Put it between ``` marks."
)
COPIED = "\n\nYour last version held answers of these examples. Write one with rules for others, and nobody's answer."
JOIN = (
    "A model was given this {kind}, called {name}:\n<text>\n{text}\n</text>\n\nIt was rewritten several times, after a look at "
    "different attempts, and on those each of these versions did better:\n\n{versions}\n\nWrite one version that holds all that "
    "these have learned, once each, and nothing that only fits some examples. Where they contradict each other, say what most "
    "of them say. {must}Put it between ``` marks."
)

Objective = Literal["score", "cost"]
Key = tuple[str, str]  # example and objective


@dataclass
class Child:
    """A new version that has passed its first examples. ``gain`` is what it was better by on them."""

    candidate: Candidate
    parents: list[int]
    lineage: dict[str, list[Piece]]
    turn: int
    round: int
    gain: float


@dataclass
class Version:
    candidate: Candidate
    texts: dict[str, str]
    scores: dict[Key, float]
    parents: list[int]
    lineage: dict[str, list[Piece]]
    turn: int = 0  # how often it, and those it comes from, were rewritten

    @property
    def mean(self) -> float:
        known = [value for (_, objective), value in self.scores.items() if objective == "score"]
        return sum(known) / len(known) if known else 0.0


@improver(paper="arXiv:2507.19457", improves="prompt", needs=("model", "critic"), learns_from=("verdict", "score"), baseline=True)
async def gepa(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 20,
    minibatch: int = 3,
    front: int = 24,
    merges: int = 5,
    merge_examples: int = 5,
    together: int = 1,
    ahead: int = 1,
    frozen: tuple[str, ...] = (),
    objectives: tuple[Objective, ...] = ("score",),
    reflect: str = REFLECT,
    join: str = JOIN,
    temperature: float = 1.0,
    max_tokens: int = 1024,
) -> AsyncGenerator[Candidate, bool]:
    pool = list(ctx.world.examples("train"))
    watched = ctx.rng.sample(pool, min(front, len(pool)))
    texts = _texts(base, frozen)
    first = Version(base, texts, await _measured(ctx, base, watched, objectives), [], {n: begin(t) for n, t in texts.items()})
    versions, best, refused = [first], first, 0
    due, done = False, set[tuple[int, int, int]]()
    write = partial(_written, pool=pool, temperature=temperature, max_tokens=max_tokens)

    async def propose(ctx: Context, examples: list[Example]) -> tuple[list[Version], int]:
        """What of one round was tried on the front, and how many rewrites gave answers away."""
        nonlocal due
        # Other rounds are under way: all that is shared with them is read and written before anything is waited for.
        worth, held, top = [v.mean for v in versions], best_at([v.scores for v in versions]), best
        family = ([v.texts for v in versions], [v.parents for v in versions])
        crossing = crossed(held, worth, *family, done, ctx.rng) if due and len(done) < merges else None
        due = False
        if crossing is not None:
            return [await tried(ctx, child) for child in await merge(ctx, *crossing)], 0
        slots = []
        for at in range(0, len(examples), minibatch) if held else ():  # nothing held: nothing could be judged
            a = draw(held, worth, ctx.rng)
            slots.append((a, versions[a].turn, examples[at : at + minibatch], {v.candidate.hash for v in versions}))
            versions[a].turn += 1
        found = await ctx.map(rewrite, slots)
        made, copies = [child for child, _ in found if child is not None], sum(count for _, count in found)
        if len(made) > 1:
            joint, more = await joined(ctx, top, made)
            copies += more
            if joint is not None and (version := await tried(ctx, joint)).mean > top.mean:
                return [version], copies
        return [await tried(ctx, max(made, key=lambda child: child.gain))] if made else [], copies

    async def merge(ctx: Context, a: int, b: int, found: dict[str, str]) -> list[Child]:
        child = with_values(versions[a].candidate, found, by="gepa", note=f"merged from versions {a} and {b}")
        chosen = telling(_by_example(versions[a]), _by_example(versions[b]), merge_examples, ctx.rng)
        scores = await _measured(ctx, child, [e for e in watched if e.id in chosen], ("score",))
        if any(_total(scores, versions[i].scores) < 0 for i in (a, b)):
            return []
        return [_child(child, [a, b], [versions[i].lineage for i in (a, b)], versions[a].turn, frozen, ctx.round, "merge")]

    async def rewrite(slot: tuple[int, int, list[Example], set[str]], ctx: Context) -> tuple[Child | None, int]:
        a, turn, examples, known = slot
        parent = versions[a]
        attempts = await ctx.evaluate(parent.candidate, examples)
        before = _scores(attempts, ("score",))
        if before and min(before.values()) >= 1.0:
            return None, 0
        name = _next(parent, attempts, turn)
        copies = 0
        try:
            fields = {"attempts": attempts_text(attempts, name)}
            text, copies = await write(ctx, reflect, parent, name, fields)
            child = with_values(parent.candidate, {name: text}, by="gepa", note=f"{name} rewritten") if text else base
        except (BadOutput, InputError):  # nothing was written, or no value of its kind
            return None, copies
        if not text or child.hash in known:
            return None, copies
        gain = _total(await _measured(ctx, child, examples, ("score",)), before)
        why = [e.id for e in examples]
        made = _child(child, [a], [parent.lineage], turn + 1, frozen, ctx.round, "reflection", why, gain)
        return (made if gain > 0 else None), copies

    async def joined(ctx: Context, top: Version, made: Sequence[Child]) -> tuple[Child | None, int]:
        """What several children have learned, in one that goes on from the best version."""
        found: dict[str, str] = {}
        copies = 0
        for name, old in top.texts.items():
            new = list(dict.fromkeys(text for c in made if (text := _texts(c.candidate, frozen)[name]) != old))
            if len(new) < 2:
                found |= {name: new[0]} if new else {}
                continue
            parts = "\n\n".join(f"Version {i}:\n<version>\n{text}\n</version>" for i, text in enumerate(new, 1))
            try:
                text, more = await write(ctx, join, top, name, {"versions": parts})
                copies += more
                found |= {name: text} if text else {}
            except BadOutput:
                continue
        try:
            child = with_values(top.candidate, found, by="gepa", note=f"{len(made)} rewrites of {', '.join(found)} joined")
        except InputError:
            return None, copies
        parents = list(dict.fromkeys([versions.index(top), *(i for c in made for i in c.parents)]))
        sources = [top.lineage, *(c.lineage for c in made)]
        return _child(child, parents, sources, max(c.turn for c in made), frozen, made[0].round, "joining"), copies

    async def tried(ctx: Context, child: Child) -> Version:
        scores = await _measured(ctx, child.candidate, watched, objectives)
        parents = tuple(versions[i].candidate.hash for i in child.parents)
        candidate = child.candidate.model_copy(update={"origins": as_data(child.lineage), "parents": parents})
        return Version(candidate, _texts(candidate, frozen), scores, child.parents, child.lineage, child.turn)

    async for found, copies in ctx.overlapping(propose, minibatch * together, rounds=rounds, ahead=ahead):
        refused += copies
        for version in found:
            if version.candidate.hash in {v.candidate.hash for v in versions}:
                continue
            versions.append(version)
            due = len(version.parents) == 1 and len(version.texts) > 1
            if version.mean > best.mean:
                best = version
                yield version.candidate.model_copy(update={"note": version.candidate.note + _given_away(refused)})


def _child(
    candidate: Candidate, parents: list[int], sources: Sequence[Mapping[str, list[Piece]]], turn: int, frozen: tuple[str, ...],
    round: int, by: str, examples: Sequence[str] = (), gain: float = 0.0,
) -> Child:  # fmt: skip
    version = candidate.hash[:12]
    lineage = {
        n: follow(t, [s[n] for s in sources], by=by, version=version, round=round, examples=examples)
        for n, t in _texts(candidate, frozen).items()
    }
    return Child(candidate, parents, lineage, turn, round, gain)


def _texts(candidate: Candidate, frozen: tuple[str, ...]) -> dict[str, str]:
    found = {n: p for n, p in parameters_of(candidate).items() if p.kind in ("text", "code")}
    for name in frozen:
        if name not in found:
            raise UnknownName("text to freeze", name, found)
    open = {n: str(p.value) for n, p in found.items() if not p.fixed and n not in frozen}
    if not open:
        raise InputError(f"gepa has nothing to rewrite: every text is frozen or fixed ({', '.join(found) or 'there is none'})")
    return open


def _scores(rollouts: Sequence[Rollout], objectives: Sequence[Objective]) -> dict[Key, float]:
    """By example and objective, higher being better. A failed attempt is worth nothing, one that was not judged is left out."""
    known: dict[Key, float] = {}
    for r in rollouts:
        score = 0.0 if r.status == "failed" else r.score
        if score is not None:
            known |= {(r.example.id, o): score if o == "score" else -float(r.cost.tokens) for o in objectives}
    return known


def _by_example(version: Version) -> dict[str, float]:
    return {example: value for (example, objective), value in version.scores.items() if objective == "score"}


async def _measured(
    ctx: Context, candidate: Candidate, examples: Sequence[Example], objectives: Sequence[Objective]
) -> dict[Key, float]:
    return _scores(await ctx.evaluate(candidate, examples), objectives)


def _total(after: dict[Key, float], before: dict[Key, float]) -> float:
    """What was gained on the examples that were judged both times."""
    return sum(after[key] - before[key] for key in after if key in before)


def _next(version: Version, attempts: Sequence[Rollout], turn: int) -> str:
    """The texts take turns; those that no answer of a program depends on are passed over."""
    traces = [graph_of(r.trace) for r in attempts if r.trace is not None]
    reached = {n for graph in traces for n in graph.reached()}
    names = [n for n in version.texts if n in reached] or list(version.texts)
    return names[turn % len(names)]


async def _written(
    ctx: Context, prompt: str, version: Version, name: str, fields: Mapping[str, str], *, pool: Sequence[Example],
    temperature: float, max_tokens: int,
) -> tuple[str, int]:  # fmt: skip
    """A text anew, as the prompt asks for it ("" where it still gave answers away), and how often it did."""
    spec = parameters_of(version.candidate)[name]
    must = f"It must be {spec.constraint}. " if spec.constraint else ""
    asked = filled(prompt, {"kind": spec.about or spec.kind, "name": name, "text": version.texts[name], "must": must, **fields})
    known = "\n".join(version.texts.values())
    for tries in range(2):
        (reply,) = await ctx.generate(asked + (COPIED if tries else ""), temperature=temperature, max_tokens=max_tokens)
        text = read_text(reply.text)
        if not copied(text, pool, known):
            return text, tries
    return "", 2


def _given_away(refused: int) -> str:
    return f"; {refused} rewrites refused so far: they gave answers away" if refused else ""
