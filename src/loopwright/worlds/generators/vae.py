"""A small variational autoencoder of pictures, as a model.

Kingma and Welling, arXiv:1312.6114: x from z by a perceptron with Gaussian noise of a fixed deviation, z standard
normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.core.model import FitJob, Reading
from loopwright.worlds.generators import torch_parts as parts
from loopwright.worlds.generators.arrays import Array
from loopwright.worlds.generators.model import ANY, Drawn, Learned, Lesson, batches, cannot_read

DEVIATION = 0.15  # of a pixel given z, pixels lying between 0 and 1
DRAWS = 16  # of z for each picture, when a bound is measured


class Autoencoder:
    """A Network without conditions. hidden: width of the one hidden layer of either side; latent: numbers in z."""

    conditions = 1
    steps = 1
    bounds = ANY

    def __init__(self, size: int, hidden: int = 128, latent: int = 8, seed: int = 0) -> None:
        self.size, self._latent, self._seed = size, latent, seed
        self._encoder = ((size, hidden), (hidden, 2 * latent))
        self._decoder = ((latent, hidden), (hidden, size))
        self._cut = parts.size(self._encoder)

    def start(self) -> Array:
        return np.concatenate([parts.fresh(self._encoder, self._seed), parts.fresh(self._decoder, self._seed + 1)])

    def condition(self, question: str) -> Array:
        return np.zeros(1, dtype=np.float32)

    @torch.no_grad()
    def draw(self, weights: Array, conditions: Array, noise: Sequence[np.random.Generator]) -> Drawn:
        """Pictures with their pixels' noise: samples of the model that was fitted, not its means."""
        luck = torch.from_numpy(np.stack([rng.standard_normal(self._latent + self.size, dtype=np.float32) for rng in noise]))
        mean = self._decode(torch.tensor(weights), luck[:, : self._latent])
        return Drawn((mean + DEVIATION * luck[:, self._latent :]).numpy()[:, None, :])

    def _decode(self, flat: Tensor, z: Tensor) -> Tensor:
        return torch.sigmoid(parts.through(z, parts.cut(flat[self._cut :], self._decoder)))

    def bound(self, flat: Tensor, x: Tensor, luck: Tensor) -> Tensor:
        """The evidence lower bound [n] in nats of pictures [n, D], with one draw of standard normal numbers [n, latent]."""
        mean, spread = parts.through(x, parts.cut(flat[: self._cut], self._encoder)).chunk(2, dim=1)
        spread = spread.clamp(-8.0, 8.0)  # log-variance
        seen = self._decode(flat, mean + (spread / 2).exp() * luck)
        likely = (-0.5 * ((x - seen) / DEVIATION) ** 2 - math.log(DEVIATION) - 0.5 * math.log(2 * math.pi)).sum(dim=1)
        return likely - 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(dim=1)

    def _luck(self, count: int, rng: np.random.Generator) -> Tensor:
        return torch.from_numpy(rng.standard_normal((count, self._latent), dtype=np.float32))

    def fit(self, weights: Array, lesson: Lesson, job: FitJob, references: dict[str, Array], state: bytes | None) -> Learned:
        if job.loss != "sft":
            raise InputError(f"an autoencoder is fitted by its evidence bound, loss 'sft', not by {job.loss!r}")
        x = torch.from_numpy(np.stack([states[-1] for states in lesson.states]))
        weight = torch.tensor([sample.weight for sample in lesson.samples])

        def loss(flat: Tensor, units: Array, step: int) -> Tensor:
            at = torch.from_numpy(units)
            luck = self._luck(len(units), np.random.default_rng([job.seed % 2**64, step, 1]))
            return -(weight[at] * self.bound(flat, x[at], luck)).mean()

        steps = batches(len(x), job.batch, job.epochs, job.seed)
        learned, kept, history = parts.descend(weights, job, steps, loss, state)
        last = float(np.mean(history[-max(1, len(history) // job.epochs) :]))
        return Learned(learned, {"loss": last, "first_loss": history[0], "steps": float(len(history))}, kept)

    def read(self, weights: Array, lesson: Lesson, what: Reading) -> Sequence[Sequence[float]]:
        """logprobs: of the picture, the mean of DRAWS evidence bounds in its place; features: the mean of its z."""
        flat, x = torch.tensor(weights), torch.from_numpy(np.stack([states[-1] for states in lesson.states]))
        with torch.no_grad():
            if what == "features":
                mean = parts.through(x, parts.cut(flat[: self._cut], self._encoder)).chunk(2, dim=1)[0]
                return [[float(v) for v in row] for row in mean]
            if what != "logprobs":
                raise cannot_read(what, "bounds in place of log-probabilities (logprobs), and features")
            rng = np.random.default_rng(0)
            found = [self.bound(flat, x, self._luck(len(x), rng)) for _ in range(DRAWS)]
            return [[float(v)] for v in torch.stack(found).mean(dim=0)]
