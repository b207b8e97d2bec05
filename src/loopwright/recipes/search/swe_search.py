"""SWE-Search: a tree over the states of an agent that repairs a repository, valued in numbers and in words by a critic.

Antoniades et al., arXiv:2410.20285, and the authors' code (moatless-tree-search). A state is a repository with the agent's
conversation; an action views a file, edits one (the repository's tests run at once) or finishes. After every action a value
agent says how promising the state is, from -100 to 100, why, and what an alternative should do; the number is backed up the
tree, the words are shown to the agent when the same state is grown again. Selection is over all open states: the state's own
value, plus UCT's bonus for states visited less, minus ``penalty`` * sqrt(depth). Of the finished states the best ``finalists``
are debated by ``agents`` over ``debate`` rounds, and a last call decides.

With ``search`` off, the same agent makes one attempt after another from the start and the critic's values alone choose: the
paper's baseline, at as many actions. Use it where an agent can try things out and undo them. It costs two calls an iteration,
agents * debate + 1 for the debate, and a sandbox that runs the tests. An example without ``meta["files"]`` has nothing to act
on: its answers are the finished states.

How this differs: the paper's equation has a depth bonus, alpha * exp(-beta * (depth - 1)); the released code gives alpha the
value 0 and adds the bonus to the root alone, so it is left out here. The code's selection adds a dozen bonuses for habits of
their agent and weighs exploration at 1 on a scale of 200, which is nearly greedy; here it is UCT with its own constant on
values in [0, 1]. The root, which nobody values, counts as the middle of the scale; in the code as the top of it. A state whose
value could not be read has none and is grown before others; at an end it is left out, also of the mean along the way, where
the code counts it as the middle. Finished states with the same edits are one finalist, and ``finalists`` of them are compared,
where the code compares the first of each parent, however many. An action that repeats a sibling's is run and valued like any
other; the code does neither. The words shown when a state is grown again are those on all its children; the code asks another
agent for advice, or shows the last child's. The code's last choice is one call (its debate is never switched on), or the
largest mean along the way; here debaters read all that was said in the round before, their own words too, where the code's
keep their own conversation and read the others' words. 20 actions and a depth of 10, where the code's example has 100 and 25,
and never applies the depth.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loopwright.blocks.orders import best_first, uct
from loopwright.blocks.replies import read_number
from loopwright.blocks.repository import RUN_TESTS, read_action
from loopwright.blocks.tree import Grown, Node, Tree, mean_value
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout, Turn

START = (
    "Work on this step by step. Each of your messages does exactly one thing:\n"
    "VIEW path\n  shows a file.\n"
    "an edit in the form above\n  changes a file and runs the tests.\n"
    "FINISH\n  hands in the repository as it is.\n"
    "Say in a sentence why, then write the one action."
)
SIBLINGS = "Other attempts from this very state, with what a reviewer said of them:\n{attempts}\nDo something better than these."
VALUE = (
    "Somebody works on this task:\n{task}\n\nThey did so far:\n{history}\n\nThe last action and what came of it:\n{action}\n\n"
    "{observation}\n\nHow likely is it that the work ends well from here? Reply with three lines:\nExplanation: why\n"
    "Feedback: what another attempt from before this action should try instead, in a sentence\n"
    "Value: a whole number from -100 (harmful, or a dead end) to 100 (surely solved)"
)
DEBATE = (
    "Somebody worked on this task:\n{task}\n\nSeveral solutions were handed in:\n{solutions}\n\n{others}Which one is right? Give "
    "your reasons in a few sentences, then a last line:\nID: its number"
)
OTHERS = "Other reviewers said:\n{said}\n\nTake their arguments into account. "
NEUTRAL = 0.5  # the critic's 0, on its scale from -100 to 100
SEEN = 6000  # characters of what an action showed that the agent is shown


@dataclass(frozen=True)
class State:
    """The conversation that led here, the repository, the edits made, what was done and seen, and the critic's words."""

    rollout: Rollout | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    edits: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    seen: str = ""
    finished: bool = False
    words: str = ""

    @property
    def answer(self) -> str:
        """What is handed in: the edits, or the answer itself where there is no repository."""
        if self.files or self.rollout is None:
            return "\n\n".join(self.edits) or "(no edits)"
        return self.rollout.output


@solver(paper="arXiv:2410.20285", needs=("model", "sandbox"))
async def swe_search(
    example: Example,
    ctx: Context,
    *,
    iterations: int = 20,
    width: int = 3,
    depth: int = 10,
    search: bool = True,
    explore: float = math.sqrt(2),
    penalty: float = 0.004,
    at_once: int = 1,
    finalists: int = 5,
    agents: int = 5,
    debate: int = 3,
    temperature: float = 0.7,
    start: str = START,
    siblings: str = SIBLINGS,
    value: str = VALUE,
    discuss: str = DEBATE,
) -> Rollout:
    """iterations: actions tried. width: of them from one state. depth: at which a state is final. at_once: under way together."""
    files = example.meta.get("files")
    first = State(files={path: str(text) for path, text in files.items()} if isinstance(files, dict) else {})

    def score(tree: Tree[Any], node: Node[Any]) -> float:
        return uct(explore)(tree, node) - penalty * math.sqrt(node.depth) if search else node.id

    order = best_first(score)
    tree: Tree[State] = Tree(first, width=width if search else iterations, depth=depth, order=order, value=own_reward)

    async def act(node: Node[State], ctx: Context) -> State | None:
        """The state after one more action; None where the model said nothing usable."""
        before = node.state
        tried = [child.state for child in tree.below(node) if search and child.state.words]
        message = before.seen or (start if before.files else "")
        if tried:
            attempts = "\n".join(f"- {state.history[-1]}\n  {state.words}" for state in tried)
            message = f"{message}\n\n{filled(siblings, {'attempts': attempts})}".strip()
        made = await ctx.answer(example, message or None, after=before.rollout, temperature=temperature)
        if made.status != "ok":
            return None
        new = replace(before, rollout=made, history=(*before.history, made.output.strip()[:400]), words="", seen="")
        if not before.files:
            return replace(new, finished=True)
        action = read_action(before.files, made.output)
        seen = action.seen
        if action.kind == "edit":
            outcome = await ctx.run(RUN_TESTS, files=dict(action.files))
            result = str(outcome["stdout"]).strip() or f"The tests ended with {outcome['status']}."
            seen = f"{seen}\n{result}".strip()
        finished = action.kind == "finish"
        return replace(new, files=action.files, edits=before.edits + action.edits, seen=seen[-SEEN:], finished=finished)

    async def tried(node: Node[State], ctx: Context) -> tuple[State | None, float | None]:
        """A new state, or the same where it is final, and what the critic makes of it."""
        state = node.state if node.terminal else await act(node, ctx)
        if state is None or state.rollout is None:
            return None, None
        asked = filled(value, {
            "task": example.question, "history": "\n".join(state.history[:-1]) or "(nothing)", "action": state.rollout.output,
            "observation": state.seen or "It was handed in.",
        })  # fmt: skip
        said = await ctx.ask(asked, temperature=temperature)
        number = read_number(said, "value")
        words = [line.strip() for line in said.splitlines() if line.strip() and "value:" not in line.lower()]
        worth = None if number is None else (min(max(number, -100.0), 100.0) + 100) / 200
        return replace(state, words=" ".join(words)), worth

    spent, together = 0, at_once if search else 1
    while spent < iterations and (wave := tree.ask_many(min(together, iterations - spent))):
        spent += len(wave)
        for node, (state, worth) in zip(wave, await ctx.map(tried, wave), strict=True):
            if node.terminal:
                tree.tell(node, value=worth, full=True)
            elif state is None:
                tree.tell(node)
            else:  # without search there is one way on from every state but the first
                tree.tell(node, Grown(state, worth, terminal=state.finished), full=not search and node.depth > 0)
    best = finals(tree)[: max(finalists, 1)]
    if not best:
        return await ctx.answer(example, temperature=temperature)
    chosen = 0
    if len(best) > 1 and agents and search:
        solutions = "\n\n".join(f"Solution {i}:\n{state.answer}\n{state.words}" for i, state in enumerate(best, 1))
        places = {"task": example.question, "solutions": solutions, "others": ""}

        async def argue(_: int, ctx: Context) -> str:
            return await ctx.ask(filled(discuss, places), temperature=temperature)

        for _ in range(debate):
            said = await ctx.map(argue, range(agents))
            places["others"] = filled(OTHERS, {"said": "\n\n".join(filter(None, said))})
        number = read_number(await ctx.ask(filled(discuss, places), temperature=0.0), "id")
        chosen = int(number) - 1 if number is not None and 1 <= number <= len(best) else 0
    state = best[chosen]
    assert state.rollout is not None
    if not state.files:
        return state.rollout
    return state.rollout.model_copy(update={"turns": (*state.rollout.turns, Turn(role="assistant", text=state.answer))})


def own_reward(tree: Tree[Any], node: Node[Any]) -> float:
    """What the critic said of the state itself, whatever it said of the states below; the middle where it said nothing."""
    return NEUTRAL if node.own is None else node.own


def finals(tree: Tree[State]) -> list[State]:
    """Different final states, by the mean of what the states on the way are worth, as in the authors' code.

    Where none is final, those with edits, else all.
    """

    def merit(node: Node[State]) -> float:
        way = [mean_value(tree, n) for n in tree.path(node) if n.visits]
        return sum(way) / len(way) if way else 0.0

    grown = tree.nodes[1:]
    ends = [n for n in grown if n.terminal and n.visits] or [n for n in grown if n.state.edits] or grown
    ranked = sorted(ends, key=lambda n: (-merit(n), n.id))
    different: dict[str, State] = {}
    for node in ranked:
        different.setdefault(node.state.answer, node.state)
    return list(different.values())
