"""Darwin Gödel Machine: an archive of agents that edit their own code; every one that still works stays and may have offspring.

Zhang et al., "Darwin Gödel Machine: Open-Ended Evolution of Self-Improving Agents", arXiv:2505.22954, and the authors' code
(jennyzzt/dgm). In each round ``children`` parents are drawn, with repetition, as sigmoid(10 (score - 0.5)) / (1 + children).
Each is given a task that it failed at and makes another version of itself. A version is kept, however it scores, if it is
valid, can still edit and has solved or at least answered something: a poor one may be what a good one descends from. It is
evaluated in stages: 10 tasks, 50 more for who solves ``threshold`` of them, and the rest for who is as good as the second
best of those that were tried on all. What is best so far goes before the gate.

An agent is a program with ``solve`` and ``improve`` (``loopwright.trainable.agent``); its edits are made by its own code, in
the sandbox, so that it may become better at editing too. A program without ``improve``, or a prompt, is edited by a model
(``editor`` "model" has that done always). ``parent`` "latest" and "best" are what it is compared with: no archive but the last
version, or the best. ``evaluations`` caps how many tasks are tried in all, the first version's included.

How this differs: a model that edits writes search-and-replace blocks in one call after the diagnosis, where the authors'
agent works with tools. They sometimes ask for a cure of empty answers, of chance or of long contexts instead of a task's; we
do not. That a version can still edit is tried: one of three edits of itself must be a program. Their code computes the bar of
the third stage and does not use it; their "best" takes the worst. A version that is in the archive already is not tried again.
What is offered was tried on most tasks, and of such has the highest score.

Cost: a round is up to two calls of a model a child, or two to four runs of the sandbox, and the stages' tasks.
"""

from collections.abc import AsyncGenerator, Sequence

from loopwright.blocks.descent import Member, Rule, drawn
from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Rollout
from loopwright.trainable.selfedit import EditOptions, edited, editing_lost, open_parameters


@improver(paper="arXiv:2505.22954", improves="program", needs=("model", "sandbox", "critic"), learns_from=("verdict", "score"))
async def dgm(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 80,
    children: int = 2,
    parent: Rule = "score-children",
    steepness: float = 10.0,
    middle: float = 0.5,
    stages: tuple[int, ...] = (10, 50, 140),
    threshold: float = 0.4,
    evaluations: int = 10_000,
    edit: EditOptions = EditOptions(),
) -> AsyncGenerator[Candidate, bool]:
    open_parameters(base)  # which says so where there is nothing to edit
    pool = list(ctx.world.examples("train"))
    if not pool or not stages or min(stages) < 1 or children < 1:
        raise InputError(f"dgm needs train examples, stages of at least 1 and children, got {len(pool)}, {stages}, {children}")
    tasks = ctx.rng.sample(pool, min(sum(stages), len(pool)))

    async def tried(candidate: Candidate, ctx: Context, room: int) -> list[Rollout]:
        """Its attempts: a stage is for those who were good enough in the ones before."""
        attempts: list[Rollout] = []
        for number, size in enumerate(stages):
            need = 0.0 if number == 0 else threshold if number == 1 else max(threshold, second_best(members, len(tasks)))
            todo = tasks[len(attempts) : min(len(attempts) + size, room)]
            if not todo or result(None, attempts).score < need:
                break
            attempts += await ctx.evaluate(candidate, todo)
        return attempts

    members: list[Member] = []
    archive: list[tuple[Candidate, list[Rollout]]] = [(base, await tried(base, ctx, evaluations))]
    members.append(result(None, archive[0][1]))
    best, spent = members[0], len(archive[0][1])
    await ctx.note("version", "first", **told(base, members[0], 0))
    async for _ in ctx.batches(0, rounds=rounds):
        if spent + children * stages[0] > evaluations:
            break
        room = (evaluations - spent) // children
        known = {candidate.hash for candidate, _ in archive}

        async def descend(
            at: int, ctx: Context, room: int = room, known: set[str] = known
        ) -> tuple[Candidate, list[Rollout], str]:
            """A child of a member, its attempts, and why it is not kept."""
            candidate, attempts = archive[at]
            failed = [r for r in attempts if (r.score or 0.0) < 1.0] or attempts
            lesson = ctx.rng.choice(failed)
            child, why = await edited(ctx, candidate, [lesson, *(r for r in attempts if r is not lesson)], edit, by="dgm")
            if child is None or child.hash in known:
                return candidate, [], why or "it is in the archive already"
            if why := await editing_lost(ctx, candidate, child, edit):
                return child, [], why
            own = await tried(child, ctx, room)
            return child, own, "" if any(r.output.strip() for r in own) else "it answers nothing"

        parents = drawn(members, children, ctx.rng, parent, steepness=steepness, middle=middle)
        for number, (at, (child, attempts, why)) in enumerate(zip(parents, await ctx.map(descend, parents), strict=True)):
            member = result(at, attempts)
            spent += len(attempts)
            if not why and child.hash in {candidate.hash for candidate, _ in archive}:
                why = "its sibling is the same"
            await ctx.note("version", f"{number}", why=why, **told(child, member, None if why else len(members)))
            if why:
                continue
            archive.append((child, attempts))
            members.append(member)
            if (member.tried, member.score) > (best.tried, best.score):
                best = member
                yield child


def result(parent: int | None, attempts: Sequence[Rollout]) -> Member:
    """What its attempts make of a version; one that was not judged is left out."""
    known = [r.score for r in attempts if r.score is not None]
    return Member(parent, sum(known), len(known))


def second_best(members: Sequence[Member], whole: int) -> float:
    """Of the first and all that were tried on nearly everything."""
    scores = sorted((m.score for i, m in enumerate(members) if i == 0 or m.tried >= 0.9 * whole), reverse=True)
    return scores[:2][-1] if scores else 0.0


def told(candidate: Candidate, member: Member, index: int | None) -> dict[str, object]:
    """For the figure of the archive (improve.plots.lineage)."""
    figures = {"score": member.score, "tried": member.tried}
    return {"candidate": candidate.hash, "index": index, "parent": member.parent, **figures}
