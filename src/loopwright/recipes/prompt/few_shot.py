"""Few-shot selection: try instructions and sets of worked examples on train questions, offer the best of each size.

The reference every prompt optimiser is measured against (few-shot with random search, as in DSPy).
Shots come from train examples whose target is an answer that the checker accepts in full, else from the model's own answers that
it accepted: a pattern or a test is never shown as one. With ``bootstrap`` they come from its own answers alone, so that they show
the way to an answer where it writes one (the row ``bootstrap-few-shot``). Each of ``instructions`` is said after the task's own.

How this differs: every size is offered to the gate by itself, so a run shows what worked examples do to this model,
for better or worse, instead of one mixed winner.
"""

from collections.abc import AsyncGenerator, Sequence

from loopwright.blocks.shots import Targets, from_rollouts
from loopwright.core.context import Context
from loopwright.core.policy import Prompt, prompt_of
from loopwright.core.registry import improver
from loopwright.core.types import Candidate

INSTRUCTIONS = (
    "Reply with the answer only.",
    "Answer with just the result, no words and no punctuation.",
    "Give only the final answer, in exactly the form asked for, and nothing else.",
)


@improver(improves="prompt", needs=("model", "critic"), learns_from=("verdict", "score"), baseline=True)
async def few_shot(
    base: Candidate,
    ctx: Context,
    *,
    instructions: tuple[str, ...] = INSTRUCTIONS,
    sizes: tuple[int, ...] = (0, 3),
    sets: int = 2,
    examples: int = 32,
    bootstrap: bool = False,
) -> AsyncGenerator[Candidate, bool]:
    pool = list(ctx.world.examples("train"))
    trial = ctx.rng.sample(pool, min(examples, len(pool)))
    prompt = prompt_of(base)

    async def offer(prompts: Sequence[Prompt], note: str) -> Candidate:
        plain = [p.model_dump(mode="json", exclude_defaults=True) for p in prompts]
        versions = [base.child(by="few-shot", note=note, prompt=p) for p in plain]
        scores = [await mean_score(version) for version in versions]
        return versions[max(range(len(versions)), key=scores.__getitem__)]

    async def mean_score(version: Candidate) -> float:
        known = [r.score for r in await ctx.rollout(version, trial, temperature=0.0) if r.score is not None]
        return sum(known) / len(known) if known else 0.0

    if 0 in sizes and instructions:
        told = [f"{prompt.instruction}\n{text}".strip() for text in instructions]
        best = await offer([prompt.model_copy(update={"instruction": text}) for text in told], "an instruction")
        if (yield best):
            prompt = prompt_of(best)
    tried = {e.id for e in trial}
    rest = [e for e in pool if e.id not in tried] or pool
    targets, own = Targets(ctx, () if bootstrap else rest, patience=examples), None
    for size in sorted(set(sizes) - {0}):
        drawn = list(filter(None, [await targets.draw(size) for _ in range(sets)]))
        if not drawn:
            own = from_rollouts(await ctx.rollout(base, rest)) if own is None else own
            drawn = [tuple(ctx.rng.sample(own, size)) for _ in range(sets) if len(own) >= size]
        if drawn:
            yield await offer([prompt.model_copy(update={"shots": s}) for s in drawn], f"{size} worked examples")
