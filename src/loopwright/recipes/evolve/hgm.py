"""Huxley-Gödel Machine: agents that edit themselves, where whole lines of descent are judged and not single versions.

Wang et al., "Huxley-Gödel Machine", arXiv:2510.21614, and the authors' code (metauto-ai/HGM). A version's own score tells
little of what it will lead to; what all that descends from it (its clade) has solved tells more. At each step the tree is
widened if N^alpha >= versions - 1, N being the tasks tried so far: the parent is the largest of draws from Beta(1 + solved,
1 + failed) over clades. Else one more task is tried, by the version with the largest draw over its own results. So trying is
spent a task at a time, where it tells most, and poor versions cost next to nothing; ``dgm`` tries each on whole stages.

Agents and their edits are those of ``dgm``. ``at_once`` steps are under way together, and those that widen count as versions.
``evaluations`` is the budget of tasks. What is believed to be best goes before the gate when that changes and
every ``offers`` tasks: the one whose mean, less ``doubt`` standard deviations of its Beta, is highest.

How this differs: the clades of the authors' code add descendants' results to the version's own list at every look, so that they
count again and again; here they are summed anew. An edit that came to nothing counts as a version, lest edits go on for ever
and nothing is tried. Their first version comes with results on all tasks, which are not counted; ours begins with ``first``
tasks that are, of as many as the train split has. ``doubt`` is ours: which percentile the authors take was not found. Their
option to cool the draws down is off by default, and is left out.

Cost: one task a step, or an edit (up to two calls of a model, or two to four runs of the sandbox).
"""

import math
from collections.abc import AsyncGenerator

from loopwright.blocks.descent import Member, clades, thompson
from loopwright.core.context import Context
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Rollout
from loopwright.trainable.selfedit import EditOptions, edited, editing_lost, open_parameters


@improver(paper="arXiv:2510.21614", improves="program", needs=("model", "sandbox", "critic"), learns_from=("verdict", "score"))
async def hgm(
    base: Candidate,
    ctx: Context,
    *,
    evaluations: int = 800,
    alpha: float = 0.6,
    first: int = 10,
    widen_first: int = 5,
    at_once: int = 4,
    offers: int = 50,
    doubt: float = 1.645,
    edit: EditOptions = EditOptions(),
) -> AsyncGenerator[Candidate, bool]:
    open_parameters(base)
    pool = list(ctx.world.examples("train"))
    versions, members = [base], [Member()]
    attempts: list[list[Rollout]] = [[]]

    def heard(at: int, rollouts: list[Rollout]) -> None:
        attempts[at] += rollouts
        known = [r.score for r in attempts[at] if r.score is not None]
        members[at] = Member(members[at].parent, sum(known), len(known))

    widened = 0

    def planned(open_edits: int, busy: set[tuple[int, str]], wide: bool) -> tuple[str, int, int]:
        """("edit", parent, -1) or ("try", version, task)."""
        able = [i for i, m in enumerate(members) if m.wins > 0] or [0]
        if wide or spent() ** alpha >= widened + open_edits:
            lines = clades(members)
            return "edit", able[thompson([lines[i] for i in able], ctx.rng)], -1
        left = {
            i: [n for n, e in enumerate(pool) if (i, e.id) not in busy and all(r.example.id != e.id for r in tried)]
            for i, tried in enumerate(attempts)
        }
        some = [i for i, tasks in left.items() if tasks]
        if not some:
            return "none", 0, -1
        at = some[thompson([members[i] for i in some], ctx.rng)]
        return "try", at, ctx.rng.choice(left[at])

    def spent() -> int:
        return sum(map(len, attempts))

    async def act(plan: tuple[str, int, int], ctx: Context) -> tuple[Candidate | None, list[Rollout], str]:
        what, at, task = plan
        if what == "try":
            return None, await ctx.evaluate(versions[at], [pool[task]]), ""
        failed = [r for r in attempts[at] if (r.score or 0.0) < 1.0] or attempts[at]
        lesson = ctx.rng.choice(failed)
        child, why = await edited(ctx, versions[at], [lesson, *(r for r in attempts[at] if r is not lesson)], edit, by="hgm")
        if child is not None:
            why = await editing_lost(ctx, versions[at], child, edit)
        return child, [], why

    heard(0, await ctx.evaluate(base, ctx.rng.sample(pool, min(first, len(pool)))))
    offered, due = base.hash, spent() + offers
    async for _ in ctx.batches(0, rounds=20 * evaluations):
        plans: list[tuple[str, int, int]] = []
        for _ in range(at_once):
            edits, tries = (sum(what == kind for what, _, _ in plans) for kind in ("edit", "try"))
            if spent() + tries < evaluations:
                busy = {(at, pool[task].id) for what, at, task in plans if what == "try"}
                plans.append(planned(edits, busy, widened + edits < widen_first))
        plans = [plan for plan in plans if plan[0] != "none"]
        if not plans:
            break
        for number, ((what, at, _), (child, rollouts, why)) in enumerate(zip(plans, await ctx.map(act, plans), strict=True)):
            if what == "try":
                heard(at, rollouts)
                continue
            widened += 1
            if child is not None and not why and child.hash not in {v.hash for v in versions}:
                versions.append(child)
                members.append(Member(at))
                attempts.append([])
            else:
                await ctx.note("version", f"{number}", index=None, parent=at, why=why or "it is there already")
        best = max(range(len(members)), key=lambda i: (belief(members[i], doubt), -i))
        if versions[best].hash != offered and (spent() >= due or spent() >= evaluations):
            offered, due = versions[best].hash, spent() + offers
            yield versions[best]
    for i, (version, m) in enumerate(zip(versions, members, strict=True)):  # for improve.plots.lineage
        await ctx.note("version", f"{i}", candidate=version.hash, index=i, parent=m.parent, score=m.score, tried=m.tried)


def belief(member: Member, doubt: float) -> float:
    """The mean of Beta(1 + solved, 1 + failed) less so many of its standard deviations."""
    a, b = 1 + member.wins, 1 + max(member.tried - member.wins, 0.0)
    return a / (a + b) - doubt * math.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
