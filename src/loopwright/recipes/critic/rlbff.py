"""RLBFF: comments become principles of yes or no, a model learns whether an answer keeps a principle, and that is the reward.

Wang et al., "RLBFF: Binary Flexible Feedback to bridge between Human Feedback & Verifiable Rewards", arXiv:2509.21319. Each
comment on an answer is turned into principles that it keeps or does not ("inline comments": no), each with the words it rests
on; of several raters only what all speak of counts. A reward model is trained to say, of question, answer and principle,
log p(yes) - log p(no), and the policy climbs it by GRPO under the principles that were chosen.

When to use it: people comment on answers, or go through checklists, and you want to say yourself what counts: ``principles``
names what is rewarded, without new labels. Without it an example's own (its meta.checklist) are, else the ``most`` that were
commented on most often. One comment an answer is asked of the critics, and a call to read it where it is not a checklist or
lines of "principle: yes". As with any reward model the policy may learn to please it: watch the objective.

``reward`` "bradley-terry" is the paper's baseline: the same answers and labels, the one of two that keeps more of its principles
being the better one.

How this differs: a scalar head gives the log-odds, where the paper reads the probabilities of two words, or has a generative
judge think first; likeness of principles is of letters and not of embeddings; a critic that has no objection is a rater, too:
``overall`` says what its silence means (the paper leaves such a general principle out); adapters (LoRA) by default.
"""

from collections import Counter
from collections.abc import AsyncGenerator
from typing import Literal

from loopwright.blocks.advantage import advantages
from loopwright.blocks.principles import (
    Labelled,
    Principle,
    consensus,
    entailed,
    fit_entailment,
    read_principles,
    supported,
)
from loopwright.blocks.reward_model import answered, fit_reward, rewards
from loopwright.core.context import Context
from loopwright.core.feedback import Checklist, Feedback
from loopwright.core.fences import without_thinking
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, Rollout

READ = (
    "Question:\n{question}\n\nAnswer:\n{answer}\n\nA comment on the answer:\n{comment}\n\nWhich principles does the comment say "
    "that the answer keeps or breaks? Write a JSON list with an object for each: {\"evidence\": the words of the comment, "
    '\"principle\": a few words, \"answer\": \"yes\", \"no\" or \"partially\"}'
)
STATEMENT = "What counts is this: {principle}"
OVERALL = "nothing is left to object to"


@improver(
    paper="arXiv:2509.21319", improves="weights", needs=("model", "critic", "fit"), learns_from=("checklist", "critique")
)
async def rlbff(
    base: Candidate,
    ctx: Context,
    *,
    principles: tuple[str, ...] = (),
    most: int = 1,
    label_prompts: int = 256,
    label_samples: int = 2,
    reward: Literal["entailment", "bradley-terry"] = "entailment",
    read: str = READ,
    statement: str = STATEMENT,
    overall: str = OVERALL,
    alike: float = 0.8,
    rounds: int = 20,
    prompts: int = 16,
    samples: int = 8,
    estimator: str = "grpo",
    kl: float = 0.01,
    temperature: float = 1.0,
    reward_epochs: int = 1,
    reward_learning_rate: float = 2e-3,
    fit: FitOptions = FitOptions.online(learning_rate=1e-3, batch=0),
) -> AsyncGenerator[Candidate, bool]:
    """``label_samples`` answers to each of ``label_prompts`` are commented on, once, before the rounds."""

    async def labels(answer: Rollout, ctx: Context) -> list[Labelled]:
        said = await ctx.judge(answer)
        if said.missing:
            return []
        raters = [await principles_of(answer, feedback, ctx) for feedback in said.feedback]
        return [Labelled(answer, p.text, p.met) for p in consensus(raters, alike)]

    async def principles_of(answer: Rollout, feedback: Feedback, ctx: Context) -> list[Principle]:
        if isinstance(feedback, Checklist):
            return [Principle(item.question, item.answer) for item in feedback.items if item.answer is not None]
        comment = feedback.text
        found = read_principles(comment)
        if comment and not found and read:
            places = {"question": answer.example.question, "answer": without_thinking(answer.output), "comment": comment}
            reply = await ctx.ask(filled(read, places), temperature=0.0)
            found = [p for p in read_principles(reply) if supported(p, comment)]
        return [*found, Principle(overall, feedback.satisfied)] if overall else found

    train = list(ctx.world.examples("train"))
    drawn = ctx.rng.sample(train, min(label_prompts, len(train)))
    answers = answered(await ctx.rollout(base, drawn, n=label_samples, judge=False, temperature=temperature))
    known = [label for group in await ctx.map(labels, answers) for label in group]
    if not known:
        return
    frequent = [text for text, _ in Counter(label.principle for label in known).most_common(most)]
    if reward == "entailment":
        model = await fit_entailment(
            ctx, base, known, statement, fit, epochs=reward_epochs, learning_rate=reward_learning_rate, batch=32,
            schedule="linear", keep_state=False,
        )  # fmt: skip
    else:
        kept: dict[str, list[bool]] = {}
        for label in known:
            kept.setdefault(label.rollout.id, []).append(label.met)
        worth = {id: sum(met) / len(met) for id, met in kept.items()}
        rated = [r for r in answers if r.id in worth]
        pairs = [
            (a, b) if worth[a.id] > worth[b.id] else (b, a)
            for i, a in enumerate(rated)
            for b in rated[i + 1 :]
            if a.example.id == b.example.id and worth[a.id] != worth[b.id]
        ]
        if not pairs:
            return
        model = await fit_reward(
            ctx, base, pairs, fit, epochs=reward_epochs, learning_rate=reward_learning_rate, batch=32, schedule="linear",
            keep_state=False,
        )  # fmt: skip

    def counts(answer: Rollout) -> list[str]:
        own = answer.example.meta.get("checklist")
        return list(principles) or ([str(text) for text in own] if isinstance(own, list) and own else frequent)

    async def rewarded(made: list[Rollout]) -> list[float]:
        if reward == "bradley-terry":
            return await rewards(ctx, model, made)
        asked = [(answer, principle) for answer in made for principle in counts(answer)]
        odds = iter(await entailed(ctx, base, model, asked, statement))
        return [sum(next(odds) for _ in counts(answer)) / len(counts(answer)) for answer in made]

    policy = base
    async for examples in ctx.batches(prompts, rounds=rounds):
        made = answered(await ctx.rollout(policy, examples, n=samples, judge=False, temperature=temperature))
        advantage = advantages(await rewarded(made), [r.example.id for r in made], estimator)
        if not any(advantage):
            continue
        policy = await ctx.fit(
            policy, made, fit, loss="ppo", loss_options={"kl": kl} if kl else {}, values={"advantage": advantage},
            references={"reference": base} if kl else {}, aggregation="sequence", temperature=temperature,
        )  # fmt: skip
    if policy is not base:
        yield policy
