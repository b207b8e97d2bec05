"""B-STaR: each round first finds the temperature and the reward threshold that balance exploring against exploiting.

Zeng et al., "B-STaR", arXiv:2412.17256, Algorithm 1. On a few questions every temperature is sampled and every threshold
tried; the balance score says of each pair of them whether enough different right answers are kept (exploration) and how few
wrong ones among them (exploitation). With the best pair the rest is sampled and kept, and the training goes on from the
weights and the optimiser of the round before, as online rejection-sampling fine-tuning does.

The reward is the score plus ``weight`` times what the critics score, as in the authors' code (weight 0.2 of a process reward
model there). With a score of right and wrong alone and no critics (weight 0) only the temperature is left to choose.

When to use it: online rejection sampling stagnates, its answers all alike or its reward passing wrong ones. It costs
``probe`` questions at every temperature more in each round; with a well chosen fixed temperature it has little to gain.

How this differs: the questions that are probed are the first of the round's own, where theirs are a thousand kept aside, and
what was sampled at the chosen temperature is trained on; both settings are chosen on them, where the released code chooses the
temperature alone and looks for the threshold anew on all that the round sampled; a prompt of which nothing is kept scores 0,
where the authors' code leaves it out; of equally good settings the first is taken, as there; the answers kept of a question
are those of largest reward, the earlier of equals, where theirs are in random order; the same text is kept once, where theirs
may fill several places and is then counted once; a process reward there is that of an answer's worst step, here what the
critics say of the whole; 16 samples of which 4 right ones are enough, where theirs are 64 and 8; 6 temperatures and 5
thresholds, where the paper has 8 and 21 and the released code 15 and 200; rewards at the threshold are kept, where theirs must
be above it; at most ``keep`` answers a question, where theirs are as many as fill the round, with the reference solution
(reward 1), which counts in the balance too; adapters (LoRA) at a constant rate instead of full weights at one that falls over
all rounds.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence

from loopwright.blocks.monitors import balance
from loopwright.blocks.select import top_per_example
from loopwright.core.context import Context
from loopwright.core.model import FitOptions
from loopwright.core.registry import improver
from loopwright.core.types import Candidate, Example, Rollout

Marked = tuple[Rollout, float]


@improver(
    paper="arXiv:2412.17256", improves="weights", needs=("model", "critic", "fit"), learns_from=("verdict", "score")
)
async def b_star(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 9,
    prompts: int = 128,
    probe: int = 8,
    samples: int = 16,
    temperatures: tuple[float, ...] = (0.5, 0.7, 0.9, 1.0, 1.1, 1.2),
    thresholds: tuple[float, ...] = (1.0, 0.8, 0.6, 0.4, 0.2),
    weight: float = 0.0,
    wanted: int = 4,
    keep: int = 8,
    right: float = 1.0,
    fit: FitOptions = FitOptions.online(batch=16),
) -> AsyncGenerator[Candidate, bool]:
    """``wanted``: so many right answers to a question are enough. ``keep``: the most that are kept of one."""

    async def sample(examples: Sequence[Example], temperature: float) -> list[Marked]:
        """Answers with their rewards; those that nobody could judge are left out."""
        answers = [r for r in await ctx.rollout(policy, examples, n=samples, temperature=temperature) if r.score is not None]
        if not weight:
            return [(r, r.score or 0.0) for r in answers]
        said = await ctx.map(lambda answer, ctx: ctx.judge(answer), answers)
        told = [(r, judgement.score) for r, judgement in zip(answers, said, strict=True)]
        return [(r, (r.score or 0.0) + weight * score) for r, score in told if score is not None]

    def kept(marked: Sequence[Marked], threshold: float) -> list[Rollout]:
        passed = [m for m in marked if m[1] >= threshold]
        return top_per_example([r for r, _ in passed], keep, [reward for _, reward in passed])

    def score(marked: Sequence[Marked], threshold: float, examples: Sequence[Example]) -> float:
        chosen = kept(marked, threshold)
        count = Counter(r.example.id for r in chosen)
        good = Counter(r.example.id for r in chosen if (r.score or 0.0) >= right)
        return balance([good[e.id] for e in examples], [count[e.id] for e in examples], wanted=wanted)

    policy = base
    async for examples in ctx.batches(prompts, rounds=rounds):
        probed = examples[:probe]
        tried = {t: await sample(probed, t) for t in temperatures}
        settings = [(t, threshold) for t in temperatures for threshold in thresholds]
        temperature, threshold = max(settings, key=lambda s: score(tried[s[0]], s[1], probed))
        chosen = kept([*tried[temperature], *await sample(examples[probe:], temperature)], threshold)
        if not chosen:
            continue
        policy = await ctx.fit(
            policy,
            chosen,
            fit,
            loss="sft",
        )
    if policy is not base:
        yield policy
