"""SFT: supervised fine-tuning, the targets of the train examples imitated word by word.

The plain way to use worked answers, as in InstructGPT's first step (Ouyang et al., arXiv:2203.02155, section 3.1): cross-entropy
on the answer's tokens alone. It wants targets that are answers as they should be written: where a target is only what
the checker compares with, the model learns to write that and nothing else. Methods that learn from the model's own answers are
measured against it, or begin after it.

``share``: how much of the train examples to imitate, drawn at random.

How this differs: adapters (LoRA) by default instead of full weights, so the learning rate is larger than the paper's; the last
epoch's model is offered, not the one that a reward model likes best.
"""

from collections.abc import AsyncGenerator
from typing import Annotated

from pydantic import Field

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.types import Candidate


@improver(paper="arXiv:2203.02155", improves="weights", needs=("fit",), learns_from=("demonstration",), baseline=True)
async def sft(
    base: Candidate,
    ctx: Context,
    *,
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0,
    fit: FitOptions = FitOptions(epochs=3, schedule="cosine"),
) -> AsyncGenerator[Candidate, bool]:
    train = ctx.world.examples("train")
    if not train:
        raise InputError("sft imitates the targets of train examples; this world has no train examples, give it some")
    async for examples in ctx.batches(max(1, round(share * len(train))), rounds=1):
        yield await ctx.fit(base, ctx.demonstrations(examples), fit)
