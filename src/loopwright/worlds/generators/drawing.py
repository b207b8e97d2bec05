"""Worlds in which a generator draws and a reward looks at what it drew."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from loopwright.core.context import Context
from loopwright.core.errors import CheckerError, InputError, UnknownName
from loopwright.core.feedback import CODE, Feedback, Score
from loopwright.core.model import Blobs, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout, digest
from loopwright.core.world import Critic, Picture, Split, Tool
from loopwright.worlds.generators import digits as d
from loopwright.worlds.generators.arrays import Array, from_text
from loopwright.worlds.generators.model import Generator, named

if TYPE_CHECKING:
    from loopwright.worlds.generators.diffusion import Diffusion

Reward = Callable[[Array, str], float]  # (what was drawn, the question) -> 0 to 1

# ---- rewards ----------------------------------------------------------------------------------------------------------


def ink(picture: Array, question: str) -> float:
    """Share of the picture that is ink."""
    return float(np.clip((picture + 1) / 2, 0.0, 1.0).mean())


def paper(picture: Array, question: str) -> float:
    """Share that is left blank."""
    return 1.0 - ink(picture, question)


def asked(picture: Array, question: str) -> float:
    """The probability that it is the digit that was asked for, as a logistic regression reads it."""
    return float(d.reader()((picture[None] + 1) / 2)[0, d.QUESTIONS.index(question)])


def mirror(picture: Array, question: str) -> float:
    """How much the picture is like its mirror image: 1 less the mean difference."""
    grid = np.clip((picture + 1) / 2, 0.0, 1.0).reshape(d.SIDE, d.SIDE)
    return float(1.0 - np.abs(grid - grid[:, ::-1]).mean())


DIGIT_REWARDS: Mapping[str, Reward] = {"ink": ink, "paper": paper, "asked": asked, "mirror": mirror}

MODES = 6  # of the points, on a ring of radius 1
POINTS = "Draw a point."


def ring(count: int, rng: np.random.Generator) -> Array:
    """[count, 2] points around the six places of a ring."""
    angle = 2 * np.pi * rng.integers(0, MODES, count) / MODES
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.standard_normal((count, 2))


def near(point: Array, question: str) -> float:
    """exp(-distance^2 / 2 0.3^2) from the place at (1, 0), a sixth of what is drawn at the start."""
    return float(np.exp(-((point - np.array([1.0, 0.0])) ** 2).sum() / 0.18))


def right(point: Array, question: str) -> float:
    """How far to the right: the logistic function of four times the first coordinate."""
    return float(1 / (1 + np.exp(-4 * np.clip(point[0], -100.0, 100.0))))


POINT_REWARDS: Mapping[str, Reward] = {"near": near, "right": right}


# ---- the world --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawing:
    """A World of a few prompts that are drawn again and again; see ``drawn_digits`` and ``drawn_points``.

    plays: how often a prompt is among the examples of a split. bounds: between which a reward is handed what was drawn.
    picture: see World; None where what is drawn is no picture.
    """

    name: str
    questions: Sequence[str]
    size: int
    reward: Reward
    plays: Mapping[Split, int]
    bounds: tuple[float, float]
    picture: Picture | None = None
    prompt: Prompt = Prompt()
    sampling: Sampling = Sampling(max_tokens=64)
    critics: Sequence[Critic] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return digest([self.name, list(self.questions), _called(self.reward), dict(self.plays)])

    def examples(self, split: Split) -> Sequence[Example]:
        return [
            Example(id=f"{split}-{number}-{i}", input=question)
            for i in range(self.plays[split])
            for number, question in enumerate(self.questions)
        ]

    async def checker(self, rollout: Rollout, ctx: Context) -> Feedback:
        drawn = np.clip(from_text(rollout.output, self.size), *self.bounds)
        return Score(value=worth(self.reward, drawn, rollout.example.question), by=CODE)


def worth(reward: Reward, drawn: Array, question: str) -> float:
    """What a reward says, checked. Raises CheckerError where it fails or says anything but a number from 0 to 1."""
    try:
        value: Any = reward(drawn, question)
    except Exception as error:  # somebody's code, which may fail in any way
        raise CheckerError(f"the reward {_called(reward)} failed on {question!r}: {error!r}") from error
    if isinstance(value, np.generic | np.ndarray) and value.ndim == 0:
        value = value.item()
    good = isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1
    if not good:
        hint = ", and a reward returns what it finds" if value is None else ""
        raise CheckerError(
            f"the reward {_called(reward)} returned {value!r:.60} for {question!r}; expected a number from 0 to 1{hint}"
        )
    return float(value)


def _called(reward: Reward) -> str:
    return str(getattr(reward, "__qualname__", reward))


def _chosen(reward: str | Reward, known: Mapping[str, Reward]) -> Reward:
    if callable(reward):
        return reward
    if reward not in known:
        raise UnknownName("reward", str(reward), known)
    return known[reward]


def _plays(train: int, gate: int, test: int) -> Mapping[Split, int]:
    if min(train, gate, test) < 1:
        raise InputError(f"every split needs each prompt at least once, got train={train}, gate={gate}, test={test}")
    return {"train": train, "gate": gate, "test": test}


def _grey(output: str) -> Array:
    return (d.picture(output) + 1) / 2


def drawn_digits(reward: str | Reward = "ink", *, train: int = 8, gate: int = 8, test: int = 20) -> Drawing:
    """A model that draws the digits, rewarded for ``ink``, ``paper``, the digit ``asked`` for, a ``mirror`` image, or by yours.

    A reward of your own is given the picture [64] in [-1, 1], 1 being ink, row by row, and the question; it returns a
    number from 0 to 1. train, gate, test: how often each of the ten prompts is in a split. Raises UnknownName for
    another reward.
    """
    return Drawing(
        "drawn-digits", d.QUESTIONS, d.SIDE**2, _chosen(reward, DIGIT_REWARDS), _plays(train, gate, test), (-1.0, 1.0),
        picture=_grey,
    )  # fmt: skip


def drawn_points(reward: str | Reward = "near", *, train: int = 64, gate: int = 64, test: int = 256) -> Drawing:
    """A model that draws points near six places on a ring, rewarded for being ``near`` one of them, for being to the
    ``right``, or by a function of yours of (point [2], question). Raises UnknownName for another reward.
    """
    return Drawing("drawn-points", (POINTS,), 2, _chosen(reward, POINT_REWARDS), _plays(train, gate, test), (-4.0, 4.0))


def points_network(weights: Callable[[], Array] | None = None) -> Diffusion:
    """As ``digits.digits_network``."""
    from loopwright.worlds.generators.diffusion import Diffusion

    return Diffusion(2, (POINTS,), weights or (lambda: d.committed("points-diffusion")), chain=16, hidden=(96, 96))


def points_diffusion(blobs: Blobs) -> Generator:
    """A diffusion model of the points on the ring, as ``scripts/generator_weights.py`` trained it."""
    return Generator(
        blobs, points_network, name="points-diffusion", fingerprint=named(["points-diffusion", d.committed("points-diffusion")])
    )
