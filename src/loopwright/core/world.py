"""What gives examples and the objective."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import JsonValue

from loopwright.core.feedback import Feedback, Missing, Preference
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Candidate, Example, Rollout, Trial, input_text

if TYPE_CHECKING:
    import numpy as np

    from loopwright.core.context import Context

Split = Literal["train", "screen", "gate", "test"]
Critic = Callable[[Rollout, "Context"], Awaitable[Feedback | tuple[Feedback, ...]]]
Comparator = Callable[[Rollout, Rollout, "Context"], Awaitable[Preference | Missing]]
Figure = Callable[[Candidate, "Context"], Awaitable[float]]
Tool = Callable[[str, "Context"], Awaitable[str]]
Picture = Callable[[str], "np.ndarray"]


class World(Protocol):
    """A task with examples.

    checker: the objective; it may look at ``example.target``. Used for training, gating and the final test.
    critics: feedback that is there when the product is used; they never see a target. May be empty.
    examples: of a split. ``screen`` is the part of train that a job keeps from its methods, so that what they offer can be
    compared before the gate is asked; a world that knows nothing of it has no examples there.
    tools: what a Solver may call by name; each takes and returns text.

    A world may also have ``compare``, a Comparator or None: who says which of two rollouts is better where no score can,
    because preferences go in circles or depend on what was shown first. ``ctx.compare`` asks it instead of the critics;
    like them it never sees a target.

    It may have ``solver``, {recipe, options} or None: the Solver that answers to begin with, such as a program of the user's
    own (``loopwright.trainable``). Without it the model answers by itself.

    It may have ``text_tokens``, how many tokens a text of a method's own may take (a critique, a plan, a test) where the method
    sets no limit; without it as many as an answer.

    It may have ``demonstrate``, a function of an example that gives an answer to imitate, or None, where that is not its target.

    It may have ``picture``, a Picture or None: a rollout's output as [height, width] grey values from 0, paper, to 1, ink, all
    of one size; it raises InputError for an output that is no picture. Reports show what was made in each round by it.

    And it may have ``figure``, a Figure: what a candidate is worth where no mean over examples tells, such as how far it can
    be exploited. Claims measure by it what they name other than a score; no recipe sees it.
    """

    # Read-only, so that frozen worlds fit.
    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def prompt(self) -> Prompt: ...
    @property
    def sampling(self) -> Sampling: ...
    @property
    def checker(self) -> Critic: ...
    @property
    def critics(self) -> Sequence[Critic]: ...
    @property
    def tools(self) -> Mapping[str, Tool]: ...

    def examples(self, split: Split) -> Sequence[Example]: ...


class Probe(NamedTuple):
    """Held-out questions of one task of a stream, asked of a Learner at any time without teaching it anything.

    worth: what a proposal is worth on each of them, [n] numbers in [0, 1].
    """

    task: int
    context: Any
    worth: Callable[[JsonValue], Sequence[float]]


class Stream(Protocol):
    """A world that drives: at step t it shows a context, is told what to do, and answers with feedback.

    Both must be functions of (seed, t) and their arguments alone, so that a stopped stream can go on from its step.
    ``spec`` tells a Learner what it must know at the start, such as the number of arms.

    A stream that plays an environment depends on what was done before, too. It says so by ``remembers = True``: when a run is
    resumed it is shown the recorded steps again, in order, and asked for an earlier step it goes back there.

    A stream whose truth is known may also have ``regret(seed, t, trial)``, what the proposal falls short of the best one by,
    and ``blind(seed, t)``, what one made without learning does on average; ``score(seed, t, trial)``, what the proposal is worth,
    or None at steps that are not measured; and where it takes all trials of a run together to tell, ``figures(seed, trials)`` by
    name. Claims and checks measure by them; no Learner sees them.

    A stream of several tasks may have ``probes(seed)``, a Probe for each task, and ``ends(seed)``, the steps after which each
    task is over for the first time: what is still known of every task can then be watched (``blocks.watching``).
    """

    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> Mapping[str, JsonValue]: ...

    def context(self, seed: int, t: int) -> Any: ...

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback: ...


def demonstration(world: World, example: Example) -> str | None:
    """An answer to imitate: what the world's ``demonstrate`` says where it has one, else the target, as JSON where it is no text.

    None where there is none: no target, or one that says how to check an answer (a pattern, tests) and is none itself.
    """
    own = getattr(world, "demonstrate", None)
    if own is not None:
        shown: str | None = own(example)
        return shown
    return None if example.target is None or example.target == "" else input_text(example.target)


def start(world: World, by: str = "") -> Candidate:
    """What a world begins with: its prompt, and its Solver where it has one."""
    parts: dict[str, JsonValue] = {"prompt": world.prompt.model_dump(mode="json", exclude_defaults=True)}
    solver: Mapping[str, JsonValue] | None = getattr(world, "solver", None)
    if solver:
        parts["solver"] = dict(solver)
    return Candidate(parts=parts, by=by)
