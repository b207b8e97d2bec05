"""A small conditional diffusion model: a perceptron that predicts noise, and the DDIM chain with its densities.

An answer's tokens are the whole chain, [T + 1] states from pure noise to the picture, and its log-probabilities those
of the steps, so that losses of tokens (``ppo``, ``reinforce``) are losses of denoising steps: denoising is a Markov
decision process, arXiv:2305.13301. Losses that imitate (``sft``) take the picture alone, noised anew, and
the error of the predicted noise in place of its log-likelihood, of which that is a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from loopwright import losses
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.model import FitJob, Reading
from loopwright.losses.denoising import ddim, gaussian_kl, gaussian_logprob, noise_error, noised
from loopwright.losses.registry import Batch, Loss
from loopwright.training.data import Count
from loopwright.training.steps import share
from loopwright.worlds.generators import torch_parts as parts
from loopwright.worlds.generators.arrays import Array
from loopwright.worlds.generators.model import ANY, Drawn, Learned, Lesson, batches, cannot_read

_WAVES = 8  # pairs of sine and cosine by which the network is told the level
LEAST, MOST = 1e-3, 0.995  # levels of pure noise and of the finished picture; at 1 the last step would have no density
WATCHED = 256  # chains over which the divergence from the start is measured


class Diffusion:
    """A Network. questions: the prompts it knows, in order; one alone is no condition.

    steps of the chain: ``chain``. weights: what it begins with, called on first use. bounds: between which numbers of a
    finished picture are taken to lie when it is imitated; a chain may end beyond them, and a model that imitates its own
    samples would else drift away.
    """

    def __init__(
        self, size: int, questions: Sequence[str], weights: Callable[[], Array], *,
        chain: int = 10, hidden: Sequence[int] = (256, 256), eta: float = 1.0,
        bounds: tuple[float, float] = ANY,
    ) -> None:  # fmt: skip
        self.size = size
        self.questions = tuple(questions)
        self.conditions = 1
        self.chain = chain
        self.steps = chain + 1
        self.eta = eta
        self.bounds = bounds
        widths = (size + 2 * _WAVES + len(questions), *hidden, size)
        self.layers = tuple(pairwise(widths))
        self._weights = weights
        self._start: Array | None = None
        # Evenly spaced angles (Nichol and Dhariwal, arXiv:2102.09672), from the finished picture to pure noise.
        ends = np.arccos(np.sqrt([MOST, LEAST]))
        self.levels = torch.tensor(np.cos(np.linspace(ends[0], ends[1], chain + 1)) ** 2, dtype=torch.float32)
        angle = torch.arange(chain + 1)[:, None] / chain * math.pi * 2.0 ** torch.arange(_WAVES)[None, :] / 8
        self._told = torch.cat([angle.sin(), angle.cos()], dim=1)  # [T + 1, 2 waves]

    def start(self) -> Array:
        if self._start is None:
            self._start = self._weights()
            if len(self._start) != parts.size(self.layers):
                raise InputError(f"expected {parts.size(self.layers)} weights to begin with, got {len(self._start)}")
        return self._start.copy()

    def condition(self, question: str) -> Array:
        if len(self.questions) > 1 and question not in self.questions:
            raise UnknownName("question to this generator", question, self.questions)
        return np.array([self.questions.index(question) if len(self.questions) > 1 else 0], dtype=np.float32)

    # ---- the chain ----------------------------------------------------------------------------------------------------

    def noise(self, flat: Tensor, x: Tensor, at: Tensor, condition: Tensor) -> Tensor:
        """The noise [n, D] predicted in x [n, D] at steps ``at`` [n] of the chain, for conditions [n]."""
        chosen = torch.nn.functional.one_hot(condition, len(self.questions)).to(x.dtype)
        told = self._told[at].to(x.dtype)
        return parts.through(torch.cat([x, told, chosen], dim=1), parts.cut(flat, self.layers))

    def _steps(self, flat: Tensor, states: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Of chains [n, T + 1, D]: means [n, T, D] and deviations [T, 1] of the steps between their states."""
        n, _, d = states.shape
        at = torch.arange(self.chain, 0, -1)
        before = states[:, :-1]
        predicted = self.noise(flat, before.reshape(-1, d), at.repeat(n), condition.repeat_interleave(self.chain))
        levels = self.levels.to(states.dtype)
        return ddim(before, predicted.view(before.shape), levels[at][:, None], levels[at - 1][:, None], self.eta)

    def logprobs(self, flat: Tensor, states: Tensor, condition: Tensor) -> Tensor:
        """[n, T + 1] Log-densities of the states of chains, each divided by D; that of the first, pure noise, is fixed."""
        mean, deviation = self._steps(flat, states, condition)
        first = gaussian_logprob(states[:, 0], torch.zeros_like(states[:, 0]), torch.ones(1, dtype=states.dtype))
        return torch.cat([first[:, None], gaussian_logprob(states[:, 1:], mean, deviation)], dim=1)

    @torch.no_grad()
    def draw(self, weights: Array, conditions: Array, noise: Sequence[np.random.Generator]) -> Drawn:
        flat, condition = torch.tensor(weights), _whole(conditions)
        luck = np.stack([rng.standard_normal((self.steps, self.size), dtype=np.float32) for rng in noise])
        lucky = torch.from_numpy(luck)
        states = [lucky[:, 0]]
        for number, k in enumerate(range(self.chain, 0, -1), start=1):
            predicted = self.noise(flat, states[-1], torch.full((len(condition),), k), condition)
            mean, deviation = ddim(states[-1], predicted, self.levels[k], self.levels[k - 1], self.eta)
            states.append(mean + deviation * lucky[:, number])
        path = torch.stack(states, dim=1)
        return Drawn(path.numpy(), self.logprobs(flat, path, condition).numpy())

    # ---- learning -----------------------------------------------------------------------------------------------------

    def fit(self, weights: Array, lesson: Lesson, job: FitJob, references: dict[str, Array], state: bytes | None) -> Learned:
        loss = losses.loss(job.loss).given(job.loss_options)
        if loss.unit == "pair" or "scores" in loss.needs or "state_values" in loss.needs:
            raise InputError(
                f"the loss {job.loss!r} is not one of samples with a value; of a diffusion model take ppo, reinforce or sft"
            )
        chosen = self._imitation if not loss.values and "sampler" not in loss.needs else self._policy
        known = {name: torch.tensor(references.get(name, weights)) for name in loss.references}
        of, data = chosen(lesson, job, loss, known)
        steps = batches(len(lesson.samples), job.batch, job.epochs, job.seed)
        learned, kept, history = parts.descend(weights, job, steps, of, state)
        stats = {"loss": float(np.mean(history[-max(1, len(history) // job.epochs) :])), "first_loss": history[0]}
        if data is not None:
            stats["kl_start"] = self.divergence(learned, self.start(), data, _whole(lesson.conditions))
        return Learned(learned, {**stats, "steps": float(len(history))}, kept)

    def divergence(self, weights: Array, start: Array, states: Tensor, condition: Tensor) -> float:
        """KL in nats of whole chains from other weights, estimated along these chains; exact for every step."""
        few, asked = states[:WATCHED], condition[:WATCHED]
        with torch.no_grad():
            mean, deviation = self._steps(torch.tensor(weights), few, asked)
            other, _ = self._steps(torch.tensor(start), few, asked)
            return float(gaussian_kl(mean, other, deviation).sum(dim=1).mean())

    def _policy(
        self, lesson: Lesson, job: FitJob, loss: Loss, references: Mapping[str, Tensor]
    ) -> tuple[Callable[[Tensor, Array, int], Tensor], Tensor | None]:
        """A loss of the steps that were drawn."""
        if any(len(states) != self.steps for states in lesson.states):
            raise InputError(
                f"the loss {job.loss!r} needs whole chains, of {self.steps} states, as they were drawn; demonstrations have none"
            )
        states, condition = torch.from_numpy(np.stack(lesson.states)), _whole(lesson.conditions)
        weight = torch.tensor([sample.weight for sample in lesson.samples])
        sampler = torch.tensor([sample.logprobs for sample in lesson.samples])
        values = {name: torch.tensor([s.values[name] for s in lesson.samples]) for name in loss.values}
        with torch.no_grad():
            known = {name: self.logprobs(flat, states, condition) for name, flat in references.items()}

        def of(flat: Tensor, units: Array, step: int) -> Tensor:
            at = torch.from_numpy(units)
            mask = torch.ones(len(at), self.steps, dtype=torch.bool)
            batch = Batch(
                self.logprobs(flat, states[at], condition[at]), mask, weight[at], sampler=sampler[at],
                references={n: r[at] for n, r in known.items()}, values={n: v[at] for n, v in values.items()},
            )  # fmt: skip
            return share(loss(batch)[0], batch, job, Count(int(mask.sum()), len(at), len(at)))

        return of, states

    def _imitation(
        self, lesson: Lesson, job: FitJob, loss: Loss, references: Mapping[str, Tensor]
    ) -> tuple[Callable[[Tensor, Array, int], Tensor], Tensor | None]:
        """A loss of the pictures, with noise drawn anew in every step."""
        clean = torch.from_numpy(np.clip(np.stack([states[-1] for states in lesson.states]), *self.bounds))
        condition = _whole(lesson.conditions)
        weight = torch.tensor([sample.weight for sample in lesson.samples])

        def of(flat: Tensor, units: Array, step: int) -> Tensor:
            rng = np.random.default_rng([job.seed % 2**64, step, 1])
            noise = torch.from_numpy(rng.standard_normal((len(units), self.size), dtype=np.float32))
            k = torch.from_numpy(rng.integers(1, self.chain + 1, len(units)))
            at = torch.from_numpy(units)
            seen = noised(clean[at], noise, self.levels[k][:, None])
            evidence = -noise_error(self.noise(flat, seen, k, condition[at]), noise)
            batch = Batch(evidence[:, None], torch.ones(len(at), 1, dtype=torch.bool), weight[at])
            return share(loss(batch)[0], batch, job, Count(len(at), len(at), len(at)))

        whole = all(len(states) == self.steps for states in lesson.states)
        return of, torch.from_numpy(np.stack(lesson.states)) if whole else None

    def read(self, weights: Array, lesson: Lesson, what: Reading) -> Sequence[Sequence[float]]:
        if what == "features":
            return [states[-1].tolist() for states in lesson.states]
        if what != "logprobs" or any(len(states) != self.steps for states in lesson.states):
            raise cannot_read(what, "log-probabilities (logprobs) of the chains that it drew, and features")
        with torch.no_grad():
            states = torch.from_numpy(np.stack(lesson.states))
            found = self.logprobs(torch.tensor(weights), states, _whole(lesson.conditions))
        return [[float(x) for x in row] for row in found]


def _whole(conditions: Array) -> Tensor:
    return torch.from_numpy(conditions[:, 0].astype(np.int64))


def trained(network: Diffusion, pictures: Array, labels: Array, *, steps: int, seed: int, rate: float = 2e-3) -> Array:
    """Weights that draw such pictures [n, D]: Adam on the error of predicted noise, batches of 256, rate falling to 0."""
    flat = torch.tensor(parts.fresh(network.layers, seed), requires_grad=True)
    adam = torch.optim.Adam([flat], lr=rate)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    clean, condition = torch.tensor(pictures, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        at = torch.from_numpy(rng.integers(0, len(clean), 256))
        noise = torch.from_numpy(rng.standard_normal((256, network.size), dtype=np.float32))
        k = torch.from_numpy(rng.integers(1, network.chain + 1, 256))
        seen = noised(clean[at], noise, network.levels[k][:, None])
        loss = noise_error(network.noise(flat, seen, k, condition[at]), noise).mean()
        (flat.grad,) = torch.autograd.grad(loss, flat)
        adam.step()
        fall.step()
    return flat.detach().numpy().copy()
