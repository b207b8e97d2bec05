"""GEPA: reflect on a few attempts, rewrite one text, keep every version that is best at some example, merge what differs.

Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", arXiv:2507.19457.

Each round draws a version from the Pareto front over ``front`` train examples (one lot for each example it is best at), tries it
on a minibatch, shows a model the attempts and what was said of them, and has one of its texts rewritten, in turn. What does
better there is tried on the whole front. After a round that found one, two versions with a common ancestor may be merged: of each
text the one that was changed. Texts are those of the prompt (instruction, system message, documentation of tools), or of a
program (``loopwright.trainable``), its code too; those in ``frozen`` stay. ``objectives`` "cost" makes tokens an objective beside
the score. ``select`` "best" always builds on the best version: the paper's ablation.

How this differs: a rewrite that gives away answers of train examples is refused and asked for once more (``blocks.copies``); one
that was cut off at ``max_tokens`` is refused. A version goes before the gate when its mean on the front is the best so far.
Minibatches are drawn at random from all train examples. Merging is on by default (``merges`` 0 turns it off), in the paper an
option. ``front`` is a default of ours.

The paper makes one proposal after the other, so most of a server waits. With ``together`` above 1 a round makes so many at once;
those that did better are joined into one text on top of the best version and tried in their place (else the best of them).
``ahead`` rounds are under way at once, and what one has learned is joined to what those before it have. For W workers
together = W / 3 and ahead = 3 keep them busy.
Cost: one call and two minibatches a proposal, ``front`` attempts for each that passes, and a model that can say what was wrong.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial

from loopwright.blocks import versions
from loopwright.blocks.copies import Answers
from loopwright.blocks.front import telling
from loopwright.blocks.graph import attempts_text
from loopwright.blocks.parameters import with_values
from loopwright.blocks.versions import Slot, Version, gained, scores_of
from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, InputError, NoReply
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Example

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
    select: versions.Select = "front",
    frozen: tuple[str, ...] = (),
    objectives: tuple[versions.Objective, ...] = ("score",),
    reflect: str = REFLECT,
    join: str = JOIN,
    temperature: float = 1.0,
    max_tokens: int = 1024,
) -> AsyncGenerator[Candidate, bool]:
    pool = list(ctx.world.examples("train"))
    watched = ctx.rng.sample(pool, min(front, len(pool)))
    write = partial(versions.written, answers=Answers(pool), temperature=temperature, max_tokens=max_tokens)
    family, refused, whole = versions.Family(base, frozen), Counter[str](), ctx

    async def start() -> tuple[list[Version], list[str]]:
        return [await tried(whole, family.best)], []

    async def propose(ctx: Context, examples: list[Example]) -> tuple[list[Version], list[str]]:
        """What of one round was tried on the front, and why rewrites were refused."""
        # Other rounds are under way: all that is shared with them is read and written before anything is waited for.
        crossing = family.crossing(merges, ctx.rng)
        if crossing is not None:
            return [await tried(ctx, child) for child in await merge(ctx, *crossing)], []
        found = await ctx.map(rewrite, family.slots(examples, minibatch, ctx.rng, select))
        made, why = [child for child, _ in found if child is not None], [reason for _, reasons in found for reason in reasons]
        if len(made) > 1:
            await ctx.earlier()  # what other rounds have learned meanwhile is kept
            joint, more = await joined(ctx, family.best, made)
            why += more
            if joint is not None and (version := await tried(ctx, joint)).mean > family.best.mean:
                return [version], why
        return [await tried(ctx, max(made, key=lambda child: child.gain))] if made else [], why

    async def merge(ctx: Context, a: int, b: int, texts: dict[str, str]) -> list[Version]:
        both = family.versions[a], family.versions[b]
        child = with_values(both[0].candidate, texts, by="gepa", note=f"merged from versions {a} and {b}")
        chosen = telling(both[0].by_example, both[1].by_example, merge_examples, ctx.rng)
        scores = scores_of(await ctx.evaluate(child, [e for e in watched if e.id in chosen]))
        if any(gained(scores, version.scores) < 0 for version in both):
            return []
        return [family.born(child, [a, b], by="merge", turn=both[0].turn, round=ctx.round)]

    async def rewrite(slot: Slot, ctx: Context) -> tuple[Version | None, list[str]]:
        parent, why = family.versions[slot.place], list[str]()
        attempts = await ctx.evaluate(parent.candidate, slot.examples)
        before = scores_of(attempts)
        name = versions.in_turn(parent, attempts, slot.turn)
        if before and min(before.values()) >= 1.0:
            return None, why
        try:
            text, why = await write(ctx, reflect, COPIED, parent, name, {"attempts": attempts_text(attempts, name)})
            child = with_values(parent.candidate, {name: text}, by="gepa", note=f"{name} rewritten") if text else base
        except (BadOutput, NoReply, InputError) as error:  # nothing was written, or no value of its kind
            await ctx.unused(str(error))
            return None, why
        if not text or child.hash in slot.known:
            return None, why
        gain = gained(scores_of(await ctx.evaluate(child, slot.examples)), before)
        new = partial(family.born, by="reflection", turn=slot.turn + 1, round=ctx.round, gain=gain)
        return (new(child, [slot.place], examples=[e.id for e in slot.examples]) if gain > 0 else None), why

    async def joined(ctx: Context, top: Version, made: Sequence[Version]) -> tuple[Version | None, list[str]]:
        """What several children have learned, in one that goes on from the best version."""
        texts, why = dict[str, str](), list[str]()
        for name, new in versions.changes(top, made).items():
            if len(new) == 1:
                texts[name] = new[0]
                continue
            parts = "\n\n".join(f"Version {i}:\n<version>\n{text}\n</version>" for i, text in enumerate(new, 1))
            try:
                text, more = await write(ctx, join, COPIED, top, name, {"versions": parts})
            except (BadOutput, NoReply) as error:
                await ctx.unused(str(error))
                continue
            why += more
            texts |= {name: text} if text else {}
        try:
            child = with_values(top.candidate, texts, by="gepa", note=f"{len(made)} rewrites of {', '.join(texts)} joined")
        except InputError:
            return None, why
        return family.united(child, top, made), why

    async def tried(ctx: Context, version: Version) -> Version:
        return replace(version, scores=scores_of(await ctx.evaluate(version.candidate, watched), objectives))

    async for found, why in ctx.overlapping(propose, minibatch * together, rounds=rounds, ahead=ahead, first=start):
        refused.update(why)
        for version in found:
            better = family.add(version)
            await ctx.note("version", version.candidate.hash, **family.told(version))
            if better:
                reasons = ", ".join(f"{count} because {reason}" for reason, count in refused.items())
                note = f"; rewrites refused so far: {reasons}" if refused else ""
                yield version.candidate.model_copy(update={"note": version.candidate.note + note})
