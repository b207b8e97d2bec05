"""ReFeed: answer first, look up documents with question and answer, answer again with them, keep what the model is surer of.

Yu et al., "Improving Language Models via Plug-and-Play Retrieval Feedback", arXiv:2305.14002. An answer from memory, even a wrong
one, names things that the question does not, so question and answer together find documents that the question alone misses.
Several sampled answers are looked up (the paper's diverse retrieval), the documents found are merged, and the model refines its
answer with them. Documents can also mislead: of the answers before and after, the one with the higher mean log-probability of
its tokens is kept (the paper's ensemble).

Use it where a model knows part of what is asked and documents hold the rest. It costs ``answers`` samples, as many searches, and
one more call with a long prompt. The world must have a ``search`` tool; ``[tools] search = "folder"`` in task.toml makes one of
your own files (BM25). A backend that gives no log-probabilities keeps the refined answer.

How this differs: written from the abstract and summaries of the paper; no code of the authors was found, so the prompt, the
number of answers and the sampling are ours. Each answer is scored by the log-probabilities of its own call, not read once more.
The documents of several answers are merged rank by rank. ``answers`` 0 looks up the question alone, which is the paper's
baseline, the row ``retrieve-then-read``.

``answers``: looked up, the greedy one included. ``documents``: shown, at most; how many one search gives is the tool's own.
"""

import math
from typing import Literal

from loopwright.blocks.passages import interleaved, passages_of
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

REFINE = (
    "These passages were found:\n\n{documents}\n\nAnswer the question again, in the same form. Use what the passages say of it; "
    "passages about other things do not matter."
)


@solver(paper="arXiv:2305.14002", needs=("model", "tools"))
async def refeed(
    example: Example,
    ctx: Context,
    *,
    answers: int = 5,
    documents: int = 10,
    keep: Literal["likelihood", "refined"] = "likelihood",
    temperature: float = 0.7,
    top_p: float = 0.95,
    tool: str = "search",
    refine: str = REFINE,
) -> Rollout:
    async def look_up(query: str, ctx: Context) -> list[str]:
        return passages_of(await ctx.tool(tool, query))

    first: Rollout | None = None
    tried: list[Rollout] = []
    if answers > 0:
        first = await ctx.answer(example, temperature=0.0, logprobs=True)
        more = await ctx.samples(example, answers - 1, temperature=temperature, top_p=top_p) if answers > 1 else []
        tried = [r for r in (first, *more) if r.status == "ok"]
    queries = dict.fromkeys(f"{example.question}\n{' '.join(r.output.split())}" for r in tried) or {example.question: None}
    found = interleaved(await ctx.map(look_up, list(queries)), documents)
    if first is not None and not found:
        return first
    message = filled(refine, {"documents": "\n\n".join(found)}) if found else None
    after = first if first is not None and first.status == "ok" else None
    refined = await ctx.answer(example, message, after=after, temperature=0.0, logprobs=True)
    if first is None or first.status != "ok":
        return refined
    if refined.status != "ok" or (keep == "likelihood" and certainty(first) > certainty(refined)):
        return first
    return refined


def certainty(rollout: Rollout) -> float:
    """Mean log-probability of the last answer's tokens; 0, which is certain, where the backend gives none."""
    values = rollout.turns[-1].logprobs
    return math.fsum(values) / len(values) if values else 0.0
