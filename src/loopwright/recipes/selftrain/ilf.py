"""ILF: an answer is refined several times under feedback in words; the model learns the refinement that took up most of it.

Scheurer et al., "Training Language Models with Language Feedback at Scale", arXiv:2303.16755, Algorithm 1: sample, ask for
feedback, refine, choose, fine-tune on the chosen refinement as the answer to the plain question; then again from there.

``choose`` says who chooses: "model" asks the judge whether a refinement does what the feedback asked for, in each wording
of ``asks`` and as often as ``votes`` says, and takes the one with most yeses, as the paper's InstructRM does; "critics"
takes the one the critics score highest; "objective" the one that scores best, which is best-of-n with feedback; "first" takes
any, the paper's control. ``best_of`` above 1 offers the weights together with best-of-n at answering: the paper's
combination with a reward, made here of the critics that the task has.

When to use it: feedback comes as words and there is no score, or one that is too dear to ask often. It costs 1 + ``samples``
answers an example. It is no better than its feedback: a model that does not act on it learns its own answers.

How this differs: the model that answers also refines (the paper had a larger instruction model do it); the judge's yeses are
counted, over two wordings, where the paper reads their probabilities over five; 4 epochs, the most the authors tried; an
answer in which the critics find nothing to put right is kept as it is; refinements of all rounds are trained on together,
from the start; adapters (LoRA) instead of full weights.
"""

from collections.abc import AsyncGenerator
from typing import Literal

from pydantic import JsonValue

from loopwright.blocks.replies import read_yes
from loopwright.core.context import Context
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, Rollout

REFINE = "Feedback on your answer:\n{feedback}\nWrite the answer again, taking up all of the feedback. Give only the answer."
ASKS = (
    "Question:\n{question}\n\nAn answer:\n{answer}\n\nFeedback on it:\n{feedback}\n\nA new answer:\n{refinement}\n\n"
    "Does the new answer do what the feedback asks for? Answer yes or no.",
    "Feedback on an earlier answer:\n{feedback}\n\nThe answer to the question \"{question}\" is now:\n{refinement}\n\n"
    "Is the feedback taken up in it? Answer yes or no.",
)  # fmt: skip


@improver(
    paper="arXiv:2303.16755", improves="weights", needs=("model", "critic", "fit"),
    learns_from=("critique", "verdict", "score"),
)  # fmt: skip
async def ilf(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 3,
    prompts: int = 128,
    samples: int = 5,
    choose: Literal["model", "critics", "objective", "first"] = "model",
    refine: str = REFINE,
    asks: tuple[str, ...] = ASKS,
    votes: int = 1,
    yes: str = "yes",
    least: float = 0.0,
    from_base: bool = True,
    best_of: int = 0,
    temperature: float = 1.0,
    fit: FitOptions = FitOptions(epochs=4, batch=16),
) -> AsyncGenerator[Candidate, bool]:
    """``yes``: the word in a reply that means it, in any case. ``least``: no refinement is learned that is worth less, of 1."""

    async def worth(item: tuple[Rollout, Rollout, str], ctx: Context) -> float:
        """How much of the feedback a refinement takes up, as ``choose`` has it judged."""
        refined, answer, feedback = item
        if choose == "objective":
            return -1.0 if refined.score is None else refined.score
        if choose == "critics":
            score = (await ctx.judge(refined)).score
            return -1.0 if score is None else score
        if choose == "first":
            return 0.0
        fill = {"question": answer.example.question, "answer": answer.output, "feedback": feedback, "refinement": refined.output}
        said = []
        for ask in asks:
            asked = filled(ask, fill)
            said += await ctx.generate(asked, role="judge", n=votes, temperature=0.0 if votes == 1 else temperature)
        return sum(read_yes(turn.text, yes) is True for turn in said) / len(said)

    policy = base
    learned: list[Rollout] = []
    async for examples in ctx.batches(prompts, rounds=rounds):
        answers = [r for r in await ctx.rollout(policy, examples, judge=False, temperature=temperature) if r.status == "ok"]
        said = await ctx.map(lambda answer, ctx: ctx.judge(answer), answers)
        heard = [(answer, judgement) for answer, judgement in zip(answers, said, strict=True) if not judgement.missing]
        chosen = [answer for answer, judgement in heard if judgement.satisfied]
        wrong = [(answer, judgement.text) for answer, judgement in heard if not judgement.satisfied]
        refined = await ctx.follow(
            policy,
            [answer for answer, _ in wrong],
            [filled(refine, {"feedback": text}) for _, text in wrong],
            n=samples,
            judge=choose == "objective",
            temperature=temperature,
        )
        items = [(r, *wrong[i // samples]) for i, r in enumerate(refined) if r.status == "ok"]
        best: dict[str, tuple[float, Rollout]] = {}
        for (r, answer, _), value in zip(items, await ctx.map(worth, items), strict=True):
            if answer.id not in best or value > best[answer.id][0]:
                best[answer.id] = (value, r)
        chosen += [r for value, r in best.values() if value >= least]
        learned = [*learned, *chosen] if from_base else chosen
        if not chosen:
            continue
        policy = await ctx.fit(
            base if from_base else policy,
            learned,
            fit,
            loss="sft",
            own_prompt=True,
        )
    if policy is not base:
        answering: JsonValue = {"recipe": "best-of-n", "options": {"n": best_of}}
        yield policy.child(by=policy.by, solver=answering) if best_of > 1 else policy
