"""The world ``coding``: a program that writes programs solves coding tasks, in the sandbox, judged by hidden tests.

A task names a function of a list of whole numbers, tells in words what it does, and shows five examples. The answer is a
program; eight hidden tests decide, of which an empty list is one. No two tasks, in whatever splits, ask for the same function.
Who answers is an agent (``trainable.agent``) whose source is the candidate's one parameter: to begin with ``seed.py``, which
searches over chains of a few blocks and can edit its own file. It asks no model, so the world comes with one that says nothing.
"""

from __future__ import annotations

from pathlib import Path

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Rater, Verdict
from loopwright.core.model import Blobs, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Rollout, digest
from loopwright.core.world import Split
from loopwright.critics.programs import unit_tests
from loopwright.models.scripted import ScriptedModel
from loopwright.trainable.agent import ADDRESS
from loopwright.worlds.coding.tasks import problems
from loopwright.worlds.small import Small

SEED = Path(__file__).with_name("seed.py").read_text(encoding="utf-8")
PROMPT = Prompt(instruction="Reply with the program in one ```python block.")
_BY = Rater(kind="code", name="tests")
_tests = unit_tests(seconds=20.0)  # by the clock, with dozens at once


async def check(rollout: Rollout, ctx: Context) -> Feedback | tuple[Feedback, ...]:
    """All hidden tests or nothing. Of no program none is run, which saves a sandbox."""
    if not rollout.output.strip():
        return Verdict(passed=False, message=rollout.error or "there is no program", by=_BY)
    return await _tests(rollout, ctx)


def coding(*, count: int = 240, seed: int = 0, agent: str = SEED, seconds: float = 2.0) -> Small:
    """count: of tasks, half of them for training, a quarter each for gate and test. seed: of the tasks. agent: the source to
    begin with, "" for a model's own answers. seconds: of processor time that the agent has for a task.

    Raises InputError for a count below 8 or above 2000.
    """
    if not 8 <= count <= 2000:
        raise InputError(f"coding: expected a count from 8 to 2000, got {count}")
    items = problems(count, seed)
    order = {e.question: i for i, e in enumerate(sorted(items, key=lambda e: digest([seed, e.id])))}

    def part(question: str) -> Split:
        share = order[question] / len(order)
        return "train" if share < 0.5 else "gate" if share < 0.75 else "test"

    solver = {"recipe": ADDRESS, "options": {"source": agent, "seconds": seconds}} if agent else None
    return Small("coding", items, check, PROMPT, Sampling(temperature=0.7, max_tokens=512), part=part, solver=solver)


def nobody(blobs: Blobs | None = None) -> ScriptedModel:
    """A model that says nothing to the purpose."""
    return ScriptedModel("-", name="nobody", fingerprint=digest("nobody"))
