"""Model collapse: models trained, one after another, on what the last one made; it is bounded if data accumulate.

Gerstgrasser et al., "Is model collapse inevitable?", arXiv:2404.01413. The first generation learns from real data (the
targets of the train examples), each later one, anew from the same start, from samples of the one before.
``keep="replace"`` throws the older data away: errors pile up (see the row ``data-replacement``). ``"accumulate"``
trains on the real data and the samples of all generations: for linear regression the test error then stays below pi^2 /
6 of the first generation's, where it grows in proportion to their number when data are replaced. ``"subsample"`` draws
from all of these as many as there were real ones, so that no generation costs more (see the row
``accumulate-subsample``).

Use it to see what a loop that feeds a model its own output will do to it, before you run one for long, and which data
it should keep. ``every`` offers each generation's model instead of the last. With one generation there is nothing to
replace.

How this differs: the paper pretrains language models of millions of parameters, diffusion models of molecules and
autoencoders of images; here models are as large as the world's. Accumulating takes more steps of training a generation.
"""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from pydantic import Field

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Rollout


@improver(paper="arXiv:2404.01413", improves="weights", needs=("model", "fit"), learns_from=("demonstration",))
async def model_collapse(
    base: Candidate,
    ctx: Context,
    *,
    generations: Annotated[int, Field(ge=1)] = 5,
    keep: Literal["accumulate", "subsample", "replace"] = "accumulate",
    temperature: Annotated[float, Field(gt=0)] = 1.0,
    every: bool = False,
    fit: FitOptions = FitOptions(epochs=10),
) -> AsyncGenerator[Candidate, bool]:
    real = ctx.world.examples("train")
    if not real:
        raise InputError("model-collapse begins with real data; this world has no train examples, give it some with targets")
    policy = base
    data: list[Rollout] = []
    async for examples in ctx.batches(len(real), rounds=generations):
        if not data:
            new = ctx.demonstrations(examples)
        else:
            made = await ctx.rollout(policy, examples, judge=False, temperature=temperature)
            new = [r for r in made if r.status == "ok"]
        data = new if keep == "replace" else [*data, *new]
        if not data:
            break
        shown = ctx.rng.sample(data, min(len(real), len(data))) if keep == "subsample" else data
        policy = await ctx.fit(base, shown, fit)
        if every:
            yield policy
    if policy is not base and not every:
        yield policy
