"""Critique-GRPO: answers are criticised and refined, and the policy learns from both, the refinement as if it had had no help.

Zhang et al., "Critique-GRPO", arXiv:2506.03106. Each answer is refined once under its critique; of the refinements of a
question the best one joins the group. Advantages are over the union, reward less mean (their runs do not divide by the
standard deviation). The policy's own answers have the importance ratio; the refinement, which was sampled under another
prompt than it is trained under, has f(p) = p / (p + gamma) in its place, the loss ``guided``.

When to use it: some questions are never answered right, and somebody can say what is wrong with an answer. It costs up to
twice the answers of GRPO; where no critique helps, half of that is lost.

How this differs: the refinement goes on from the answer as a conversation, where the paper puts question, answer and critique
into one new prompt; ``only_wrong`` leaves out answers with which the critics are satisfied, which the released code refines
too (the latest text of the paper refines only where no answer is right, and averages refinements apart from answers, so that
one weighs as much as seven); adapters (LoRA) by default instead of full weights, so the learning rate is a thousand times
theirs; no entropy bonus (theirs is 0.001 in the released script); 20 rounds of 8 questions, where theirs are hundreds of 128;
a round in which all groups agree trains nothing.
"""

from collections.abc import AsyncGenerator
from typing import Literal

from loopwright.blocks.advantage import advantages
from loopwright.blocks.select import top_per_example
from loopwright.core.context import Context
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.templates import filled
from loopwright.core.types import Candidate

REFINE = "This is what was said of your answer:\n{critique}\nAnswer the question again from the beginning, with that put right."


@improver(
    paper="arXiv:2506.03106", improves="weights", needs=("model", "critic", "fit"),
    learns_from=("critique", "verdict", "score"),
)  # fmt: skip
async def critique_grpo(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 20,
    prompts: int = 8,
    samples: int = 7,
    refinements: int = 1,
    only_wrong: bool = False,
    refine: str = REFINE,
    gamma: float = 0.1,
    estimator: str = "dr-grpo",
    aggregation: Literal["token", "sequence", "constant"] = "constant",
    constant: int = 256,
    temperature: float = 1.0,
    fit: FitOptions = FitOptions.online(learning_rate=1e-3, batch=0),
) -> AsyncGenerator[Candidate, bool]:
    """``refinements``: how many of a question's refinements join its group. ``constant``: what an answer's sum over tokens
    is divided by, with that aggregation. ``refine``: the message that asks for a refinement; {critique} is what the critics
    said."""
    policy = base
    async for examples in ctx.batches(prompts, rounds=rounds):
        answers = [r for r in await ctx.rollout(policy, examples, n=samples, temperature=temperature) if r.judged]
        said = await ctx.map(lambda answer, ctx: ctx.judge(answer), answers)
        criticised = [
            (answer, judgement)
            for answer, judgement in zip(answers, said, strict=True)
            if not judgement.missing and not (only_wrong and judgement.satisfied)
        ]
        refined = await ctx.follow(
            policy,
            [answer for answer, _ in criticised],
            [filled(refine, {"critique": judgement.text}) for _, judgement in criticised],
            temperature=temperature,
        )
        best = top_per_example([r for r in refined if r.judged], refinements)
        union = [*answers, *best]
        advantage = advantages([r.score or 0.0 for r in union], [r.example.id for r in union], estimator)
        if not any(advantage):
            continue
        policy = await ctx.fit(
            policy,
            union,
            fit,
            loss="guided",
            loss_options={"gamma": gamma},
            values={"advantage": advantage, "refined": [0.0] * len(answers) + [1.0] * len(best)},
            own_prompt=True,
            aggregation=aggregation,
            constant=constant,
            temperature=temperature,
        )
    if policy is not base:
        yield policy
