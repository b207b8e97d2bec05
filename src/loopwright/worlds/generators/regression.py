"""Linear regression as a model and a world: data y = x W + noise, least squares, and a test error that is known exactly.

The theory of a chain of such models, each fitted to the outputs of the one before, is arXiv:2402.07712 (data replaced)
and arXiv:2404.01413 (data accumulated): see ``expected``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import CODE, Feedback, Score
from loopwright.core.model import Blobs, FitJob, Reading, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Candidate, Example, Rollout, digest
from loopwright.core.world import Critic, Split, Tool
from loopwright.worlds.generators.arrays import Array, from_text, to_text
from loopwright.worlds.generators.model import ANY, Drawn, Generator, Learned, Lesson, cannot_read, named


class LeastSquares:
    """A Network: weights are W [d, k], answers are y [k] = x W + ``noise`` times standard normal numbers."""

    steps = 1
    bounds = ANY

    def __init__(self, d: int, k: int, noise: float) -> None:
        self.size, self.conditions, self._noise = k, d, noise

    def start(self) -> Array:
        return np.zeros(self.conditions * self.size)

    def condition(self, question: str) -> Array:
        return from_text(question, self.conditions).astype(np.float32)

    def draw(self, weights: Array, conditions: Array, noise: Sequence[np.random.Generator]) -> Drawn:
        mean = conditions @ weights.reshape(self.conditions, self.size)
        luck = np.stack([rng.standard_normal(self.size) for rng in noise])
        return Drawn((mean + self._noise * luck)[:, None, :])

    def fit(self, weights: Array, lesson: Lesson, job: FitJob, references: dict[str, Array], state: bytes | None) -> Learned:
        """By least squares in one step, whatever the job says of steps; each sample counts by its weight."""
        if job.loss != "sft":
            raise InputError(f"a regression is fitted by least squares, loss 'sft', not by {job.loss!r}")
        root = np.sqrt([sample.weight for sample in lesson.samples])[:, None]
        x, y = lesson.conditions.astype(float), np.stack([states[-1] for states in lesson.states]).astype(float)
        solved = np.linalg.lstsq(root * x, root * y, rcond=None)[0]
        return Learned(solved.ravel(), {"loss": float(((y - x @ solved) ** 2).mean()), "rows": float(len(x))})

    def read(self, weights: Array, lesson: Lesson, what: Reading) -> Sequence[Sequence[float]]:
        """features: the mean answer [k]."""
        mean = lesson.conditions.astype(float) @ weights.reshape(self.conditions, self.size)
        if what == "features":
            return [[float(y) for y in row] for row in mean]
        if what != "logprobs" or not self._noise:
            raise cannot_read(what, "its mean answers (features) and, where there is noise, log-probabilities (logprobs)")
        z = (np.stack([states[-1] for states in lesson.states]) - mean) / self._noise
        return [[float((-0.5 * row**2 - math.log(self._noise) - 0.5 * math.log(2 * math.pi)).sum())] for row in z]


@dataclass(frozen=True)
class Regression:
    """A World of ``rows`` train examples in ``d`` dimensions, x standard normal; ``k`` outputs are k repetitions at once.

    figure: the test error of a candidate beyond the noise, mean over outputs: |w - w*|^2, as x is isotropic.
    """

    d: int = 10
    rows: int = 50
    k: int = 20
    noise: float = 1.0
    data: int = 0
    name: str = "regression"
    prompt: Prompt = Prompt()
    sampling: Sampling = Sampling(max_tokens=1)
    critics: Sequence[Critic] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.d < self.rows or self.k < 1 or self.noise < 0:
            raise InputError(
                "a regression needs more rows than dimensions, an output and noise of 0 or more, got "
                f"rows={self.rows}, d={self.d}, k={self.k}, noise={self.noise:g}"
            )

    @property
    def fingerprint(self) -> str:
        return digest([self.name, self.d, self.rows, self.k, self.noise, self.data])

    @cached_property
    def truth(self) -> Array:
        """W* [d, k]."""
        return np.random.default_rng([self.data, 0]).standard_normal((self.d, self.k))

    @cached_property
    def design(self) -> Array:
        """X [rows, d] of the train examples, rounded as they are written."""
        drawn = np.random.default_rng([self.data, 1]).standard_normal((self.rows, self.d))
        return np.stack([from_text(to_text(x)) for x in drawn]).astype(np.float32).astype(float)

    def examples(self, split: Split) -> Sequence[Example]:
        if split == "train":
            rows, place = self.design, 2
        else:
            rows = np.random.default_rng([self.data, 3 if split == "gate" else 4]).standard_normal((self.rows, self.d))
            place = 5 if split == "gate" else 6
        y = rows @ self.truth + self.noise * np.random.default_rng([self.data, place]).standard_normal((len(rows), self.k))
        both = enumerate(zip(rows, y, strict=True))
        return [Example(id=f"{split}-{i}", input=to_text(x), target=to_text(told)) for i, (x, told) in both]

    async def checker(self, rollout: Rollout, ctx: Context) -> Feedback:
        """exp of less the mean squared distance from the truth."""
        said, x = from_text(rollout.output, self.k), from_text(rollout.example.question, self.d)
        return Score(value=float(np.exp(-((said - x @ self.truth) ** 2).mean())), by=CODE)

    async def figure(self, candidate: Candidate, ctx: Context) -> float:
        """Exact: the mean answers to the d unit vectors are W."""
        axes = [Example(id=f"axis-{i}", input=to_text(x), target=[0.0] * self.k) for i, x in enumerate(np.eye(self.d))]
        found = np.array(await ctx.forward(candidate, ctx.demonstrations(axes), "features"))
        return float(((found - self.truth) ** 2).sum(axis=0).mean())


def expected(generations: int, *, d: int, rows: int, noise: float, accumulate: bool) -> float:
    """Test error beyond the noise after as many generations, in the mean over standard normal inputs.

    noise^2 d / (rows - d - 1) is that of the first. Replaced data multiply it by the number of generations n,
    arXiv:2402.07712; accumulated ones by the sum of 1 / i^2 up to n, which stays below pi^2 / 6, arXiv:2404.01413.
    """
    first = noise**2 * d / (rows - d - 1)
    return first * (sum(1 / i**2 for i in range(1, generations + 1)) if accumulate else generations)


def regression(d: int = 10, rows: int = 50, k: int = 20, noise: float = 1.0, data: int = 0) -> Regression:
    """Inputs x [d] as JSON, answers y [k]; ``noise`` is its standard deviation, ``data`` the seed. See ``Regression``."""
    return Regression(d, rows, k, noise, data)


def least_squares(blobs: Blobs, *, d: int = 10, k: int = 20, noise: float = 1.0) -> Generator:
    """The model of the world ``regression`` with the same numbers."""
    return Generator(
        blobs, lambda: LeastSquares(d, k, noise), name="least-squares", fingerprint=named(["least-squares", d, k, noise])
    )
