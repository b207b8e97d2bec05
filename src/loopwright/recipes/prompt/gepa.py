"""GEPA: reflect on a few attempts, rewrite one text, keep every version that is best at some example, merge what differs.

Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", arXiv:2507.19457.

Each round draws a version from the Pareto front over ``front`` train examples (one lot for each example it is best at), tries it
on a minibatch, shows a model the attempts and what was said of them, and has one of its texts rewritten, in turn. The new
version must do better on that minibatch before it is tried on the whole front. After a round that found one, two versions with
a common ancestor may be merged: of each text the one that was changed. The texts are those of the candidate's prompt (its
instruction, system message, documentation of tools), or the texts and code of its program (``loopwright.trainable``), from which
it starts; those in ``frozen`` stay. ``objectives`` "cost" makes tokens an objective beside the score: the front then also keeps
what is cheapest at some example. ``ahead`` rounds are under way at once, so that a server need not wait: each draws from the
versions that the round so many before it could add to.

How this differs: a rewrite that gives away answers of train examples is refused and asked for once more (``blocks.copies``).
Every sentence keeps the version and the examples that it came from (``origins`` of the candidate). A version goes before the
gate, which decides, when its mean on the front is the best so far. Minibatches are drawn at random from all train examples,
the front's too; the authors go through theirs in shuffled order. Merging is on by default (``merges`` 0 turns it off); in their
code it is off, in the paper an option (GEPA+Merge). ``front`` is a default of ours, their validation set being the user's.

Cost: one call to reflect and two minibatches a round, and ``front`` attempts for each version that passes. It wants a model that
can say why an answer was wrong; one that cannot only draws texts by chance. No claim is made for it yet, for want of a model here
that can: with one of 135 million parameters in both roles, eight rounds on ``sums``, tried on one
seed, found nothing that passed its minibatch.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal

from loopwright.blocks.copies import copied
from loopwright.blocks.front import best_at, crossed, draw, telling
from loopwright.blocks.graph import attempts_text, graph_of
from loopwright.blocks.lineage import Piece, as_data, begin, follow
from loopwright.blocks.parameters import parameters_of, with_values
from loopwright.blocks.replies import read_text
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

Objective = Literal["score", "cost"]
Key = tuple[str, str]  # example and objective


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
    ahead: int = 1,
    frozen: tuple[str, ...] = (),
    objectives: tuple[Objective, ...] = ("score",),
    reflect: str = REFLECT,
    temperature: float = 1.0,
    max_tokens: int = 1024,
) -> AsyncGenerator[Candidate, bool]:
    pool = list(ctx.world.examples("train"))
    watched = ctx.rng.sample(pool, min(front, len(pool)))
    texts = _texts(base, frozen)
    first = Version(base, texts, await _measured(ctx, base, watched, objectives), [], {n: begin(t) for n, t in texts.items()})
    versions, best, refused = [first], first.mean, 0
    due, done = False, set[tuple[int, int, int]]()

    async def attempt(ctx: Context, examples: list[Example]) -> tuple[Version | None, int]:
        """What came of one round, and how often a rewrite gave answers away."""
        nonlocal due
        # Other rounds are under way: all that is shared with them is read and written before anything is waited for.
        worth, held, known = [v.mean for v in versions], best_at([v.scores for v in versions]), {v.candidate.hash for v in versions}
        family = ([v.texts for v in versions], [v.parents for v in versions])
        crossing = crossed(held, worth, *family, done, ctx.rng) if due and len(done) < merges else None
        due = False
        copies = 0
        if crossing is not None:
            a, b, found = crossing
            parents, turn, why = [a, b], versions[a].turn, tuple[str, ...]()
            child = with_values(versions[a].candidate, found, by="gepa", note=f"merged from versions {a} and {b}")
            chosen = telling(_by_example(versions[a]), _by_example(versions[b]), merge_examples, ctx.rng)
            scores = await _measured(ctx, child, [e for e in watched if e.id in chosen], ("score",))
            if any(_total(scores, versions[i].scores) < 0 for i in parents):
                return None, 0
        elif not held:  # nothing could be judged
            return None, 0
        else:
            a = draw(held, worth, ctx.rng)
            parents, turn, why = [a], versions[a].turn + 1, tuple(e.id for e in examples)
            versions[a].turn = turn
            attempts = await ctx.evaluate(versions[a].candidate, examples)
            before = _scores(attempts, ("score",))
            if before and min(before.values()) >= 1.0:
                return None, 0
            name = _next(versions[a], attempts, turn - 1)
            try:
                text, copies = await _rewritten(ctx, versions[a], name, attempts, pool, reflect, temperature, max_tokens)
                child = with_values(versions[a].candidate, {name: text}, by="gepa", note=f"{name} rewritten") if text else base
            except (BadOutput, InputError):  # nothing was written, or no value of its kind
                return None, copies
            if not text or child.hash in known or _total(await _measured(ctx, child, examples, ("score",)), before) <= 0:
                return None, copies
        new, sources = _texts(child, frozen), [versions[i] for i in parents]
        by = "merge" if len(parents) > 1 else "reflection"
        lineage = {
            n: follow(t, [s.lineage[n] for s in sources], by=by, version=child.hash[:12], round=ctx.round, examples=why)
            for n, t in new.items()
        }
        child = child.model_copy(update={"origins": as_data(lineage), "parents": tuple(s.candidate.hash for s in sources)})
        return Version(child, new, await _measured(ctx, child, watched, objectives), parents, lineage, turn), copies

    async for version, copies in ctx.overlapping(attempt, minibatch, rounds=rounds, ahead=ahead):
        refused += copies
        if version is None or version.candidate.hash in {v.candidate.hash for v in versions}:
            continue
        due = len(version.parents) == 1 and len(version.texts) > 1
        versions.append(version)
        if version.mean > best:
            best = version.mean
            yield version.candidate.model_copy(update={"note": version.candidate.note + _given_away(refused)})


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


async def _rewritten(
    ctx: Context, parent: Version, name: str, attempts: Sequence[Rollout], pool: Sequence[Example], reflect: str,
    temperature: float, max_tokens: int,
) -> tuple[str, int]:  # fmt: skip
    """The new text ("" where it still gave answers away), and how often it did."""
    spec = parameters_of(parent.candidate)[name]
    must = f"It must be {spec.constraint}. " if spec.constraint else ""
    filled = {"kind": spec.about or spec.kind, "name": name, "attempts": attempts_text(attempts, name), "must": must}
    asked = reflect
    for field, value in (filled | {"text": parent.texts[name]}).items():
        asked = asked.replace("{" + field + "}", value)
    known = "\n".join(parent.texts.values())
    for tries in range(2):
        (reply,) = await ctx.generate(asked + (COPIED if tries else ""), temperature=temperature, max_tokens=max_tokens)
        text = read_text(reply.text)
        if not copied(text, pool, known):
            return text, tries
    return "", 2


def _given_away(refused: int) -> str:
    return f"; {refused} rewrites refused so far: they gave answers away" if refused else ""
