"""RISE: the model attempts a question over several turns; every turn is trained on, weighted by how well it did.

Qu et al., "Recursive Introspection", arXiv:2407.18219, Algorithm 1, self-distillation. On-policy: the first attempt is
sampled, and where it is wrong the model is told so and tries again; of ``samples`` tries in a turn the best one goes on.
Fine-tuning is on each turn under the conversation before it, with weight exp(reward / tau): wrong attempts count too, a right
one e^(1/tau) times as much. In the next round the new policy attempts.

What is offered is weights together with a way to answer: ``turns`` attempts at each question, with nobody saying whether one
was right, and a vote over them (the recipe try-again). Told "wrong" while it learns and not told while it answers, the model
must itself keep what was right.

When to use it: there is a checker while learning and none when answering, and there is time for several attempts. It costs
1 + ``samples`` answers an example and turn; answering costs ``turns`` times as much as before.

How this differs: adapters (LoRA) by default instead of full weights, and so three passes over a round's data, where the
released script makes 0.3 of one at a rate of 1e-5, which falls as a cosine; the loss is a mean over the tokens of a step,
where theirs is first one over each attempt's own, so that here long attempts count for more; of equally good tries the first
goes on, as in the code; attempts in one conversation that are the same text count once, as in the authors' code, which also
takes them out of the conversation after them; each round trains on its own conversations, from the weights of the round before
(``from_base`` from the start, on those of all rounds); weights are divided by their greatest, which Adam does not see, but the
clipping of gradients does. They are equation 3.6 and the released code; section 3.2 of the paper first subtracts the mean of
the prompt. Rewards are scores from 0 to 1; on GSM8K theirs is -1 where no answer can be read, and tries that repeat a word
more than 150 times are thrown away. Their conversations begin with a worked example. The authors' evaluation says "incorrect"
after every turn, as in training, and shows the last two turns alone; here the words are ``again``, and the whole conversation
is seen.
"""

import math
from collections.abc import AsyncGenerator
from typing import Literal

from pydantic import JsonValue

from loopwright.blocks.select import top_per_example
from loopwright.core.context import Context
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Rollout

WRONG = "That is wrong. Think about what could be the matter with it and answer again, in the same form."
AGAIN = "That may be wrong. Think about what could be the matter with it and answer again, in the same form."


@improver(
    paper="arXiv:2407.18219", improves="weights", needs=("model", "critic", "fit"), learns_from=("verdict", "score")
)
async def rise(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 2,
    prompts: int = 128,
    attempts: int = 2,
    samples: int = 16,
    train_on: Literal["all", "better", "right"] = "all",
    tau: float = 0.4,
    wrong: str = WRONG,
    turns: int = 5,
    again: str = AGAIN,
    extract: str = "",
    from_base: bool = False,
    temperature: float = 1.0,
    fit: FitOptions = FitOptions(epochs=3, batch=16),
) -> AsyncGenerator[Candidate, bool]:
    """``attempts``: turns of a conversation while learning; ``turns`` while answering, 1 offers the weights alone.
    ``train_on``: of later turns, all of them, those better than the turn before, or those that are right."""

    def wanted(attempt: Rollout, before: float) -> bool:
        """Whether a later turn is trained on: not what was said before already, and as ``train_on`` has it."""
        score = attempt.score or 0.0
        said = [t.text.strip() for t in attempt.turns if t.role == "assistant"]
        return said[-1] not in said[:-1] and {"all": True, "better": score > before, "right": score == 1.0}[train_on]

    policy = base
    learned: list[Rollout] = []
    async for examples in ctx.batches(prompts, rounds=rounds):
        latest = [r for r in await ctx.rollout(policy, examples, temperature=temperature) if r.score is not None]
        kept = [r for r in latest if train_on != "right" or r.score == 1.0]
        for _ in range(attempts - 1):
            open_ = {r.example.id: r for r in latest if r.score != 1.0}
            messages = [wrong] * len(open_)
            tried = await ctx.follow(policy, list(open_.values()), messages, n=samples, temperature=temperature)
            latest = top_per_example([r for r in tried if r.score is not None], 1)
            kept = kept + [r for r in latest if wanted(r, open_[r.example.id].score or 0.0)]
        learned = [*learned, *kept] if from_base else kept
        if not learned:
            continue
        policy = await ctx.fit(
            base if from_base else policy,
            learned,
            fit,
            loss="sft",
            weights=[math.exp(((r.score or 0.0) - 1.0) / tau) for r in learned],
            last_turn=True,
        )
    if policy is not base:
        how: dict[str, JsonValue] = {"rounds": turns - 1, "revise": again, "extract": extract, "temperature": temperature}
        answering: JsonValue = {"recipe": "try-again", "options": how}
        yield policy.child(by=policy.by, solver=answering) if turns > 1 else policy
