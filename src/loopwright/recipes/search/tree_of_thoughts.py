"""Tree of Thoughts: grow several next thoughts from each kept state, let the model value the states, keep the best and go on.

Yao et al., arXiv:2305.10601, and the authors' code. ``search`` "beam" keeps the ``keep`` best states of each depth (their
breadth-first search: 5 in the game of 24, 1 in writing); "deep" is their depth-first search, which goes on from the best child,
gives up states valued below ``threshold`` and turns back. ``evaluate`` "value" asks about each state by itself, as often as
``votes``, and adds up what its last words are worth (impossible 0.001, likely 1, sure 20); "vote" shows all states of a
depth and counts which is chosen. A state that says the same as a sibling is not valued and not kept.

Use it where an answer comes in steps that a model can judge before the end. It costs, a depth, at most ``keep`` calls of
``thoughts`` samples and keep * thoughts calls of ``votes`` (or one of ``votes``), and every judgement is the model's own.

How this differs: a state is a conversation and a thought its next answer, so every thought is made after the whole of what was
thought before; the prompts ask for one step after the other and are the same for all tasks, where theirs are of each task;
several thoughts come from several samples, not from one list. A judgement without one of the words counts nothing; a state
whose every judgement has none is worth 0.
"""

from collections.abc import Sequence
from typing import Literal

from loopwright.blocks.orders import beam, deepening
from loopwright.blocks.text.choices import choice_in
from loopwright.blocks.tree import Grown, Node, Tree, own_value
from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, NoReply
from loopwright.core.policy import prompt_of
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout, Turn

FIRST = "Work on this in {depth} steps. Write step 1 only, and stop before step 2."
THEN = "Good. Write step {step} of {depth} only."
LAST = "Good. Now write the final answer, in the form asked for, and nothing else."
VALUE = (
    "Here is a question and the work on it so far.\n\nQuestion: {question}\n\nWork so far:\n{state}\n\nCan this still lead to a "
    "right answer? Think about it briefly; end with one word: sure, likely or impossible."
)
VOTE = (
    "Here is a question and several tries at it.\n\nQuestion: {question}\n\n{states}\n\nWhich is the most promising? Compare "
    "them briefly; end with its number alone."
)
WORTH = (("impossible", 0.001), ("likely", 1.0), ("sure", 20.0))


@solver(paper="arXiv:2305.10601", needs=("model",), baseline=True)
async def tree_of_thoughts(
    example: Example,
    ctx: Context,
    *,
    depth: int = 3,
    thoughts: int = 5,
    keep: int = 5,
    search: Literal["beam", "deep"] = "beam",
    evaluate: Literal["value", "vote"] = "value",
    votes: int = 3,
    states: int = 100,
    threshold: float = 1.0,
    temperature: float = 0.7,
    first: str = FIRST,
    then: str = THEN,
    last: str = LAST,
    value: str = VALUE,
    choose: str = VOTE,
    worth: tuple[tuple[str, float], ...] = WORTH,
) -> Rollout:
    """states: no more than so many are grown from. An empty ``first`` asks the question alone. ``value`` may also name {answer},
    the last thought by itself."""
    order = beam(keep) if search == "beam" else deepening(depth)
    tree: Tree[Rollout | None] = Tree(None, width=thoughts, each=thoughts, depth=depth, order=order, value=own_value)

    given = len(prompt_of(ctx.policy).render(example))  # worked examples are no thoughts

    def shown(state: Rollout) -> str:
        """What the model wrote so far."""
        return "\n".join(t.text for t in state.turns[given:] if t.role == "assistant")

    async def think(node: Node[Rollout | None], ctx: Context) -> list[Rollout]:
        step = node.depth + 1
        message = last if step == depth and depth > 1 else then if step > 1 else first
        message = filled(message, {"step": str(step), "depth": str(depth)})
        made = await ctx.samples(example, thoughts, message or None, after=node.state, temperature=temperature)
        different: dict[str, Rollout] = {}
        for state in made:
            if state.status == "ok":
                different.setdefault(" ".join(state.output.split()), state)
        return list(different.values())

    async def judgements(asked: str, ctx: Context) -> list[Turn]:
        try:
            return await ctx.generate(asked, role="judge", n=votes, temperature=temperature)
        except (BadOutput, NoReply):
            return []

    async def valued(state: Rollout, ctx: Context) -> float:
        asked = filled(value, {"question": example.question, "state": shown(state), "answer": state.output})
        replies = await judgements(asked, ctx)
        return sum(weight for reply in replies for word, weight in worth if word == last_of(reply, [w for w, _ in worth]))

    async def voted(candidates: Sequence[Rollout], ctx: Context) -> list[float]:
        listed = "\n\n".join(f"Try {i}:\n{shown(state)}" for i, state in enumerate(candidates, 1))
        asked = filled(choose, {"question": example.question, "states": listed})
        replies = await judgements(asked, ctx)
        numbers = [str(i) for i in range(1, len(candidates) + 1)]
        choices = [last_of(reply, numbers) for reply in replies]
        return [float(choices.count(number)) for number in numbers]

    grown = 0
    while grown < states and (wave := tree.ask_many(min(keep, states - grown) if search == "beam" else 1)):
        grown += len(wave)
        made = await ctx.map(think, wave)
        flat = [state for group in made for state in group]
        values = await voted(flat, ctx) if evaluate == "vote" and flat else await ctx.map(valued, flat)
        for node, group in zip(wave, made, strict=True):
            worths, values = values[: len(group)], values[len(group) :]
            children = [Grown[Rollout | None](state, worth) for state, worth in zip(group, worths, strict=True)]
            for child in tree.tell(node, *children, full=True):
                if search == "deep" and (child.own or 0.0) < threshold:
                    tree.prune(child)
        if search == "deep" and any(n.terminal and (n.own or 0.0) >= threshold for n in tree.nodes):
            break
    best = tree.best(terminal=True) or tree.best()
    if best is None or best.state is None:  # the model said nothing usable
        return await ctx.answer(example, temperature=temperature)
    return best.state


def last_of(reply: Turn, words: Sequence[str]) -> str:
    """Which of the words a reply decides for; nothing where it decides for none, or was cut off before it did."""
    return choice_in(reply.text, words, cut=reply.finish == "length", ties=False).value or ""
