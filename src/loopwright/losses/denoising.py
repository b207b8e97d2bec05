"""Diffusion models: where a step of denoising leads, how dense it is there, and the error of predicted noise.

A level is the share of the signal, the cumulative product of the alphas: x = sqrt(level) clean + sqrt(1 - level) noise.
"""

from __future__ import annotations

import math

from torch import Tensor


def noised(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """clean [..., D] at these levels [..., 1]. Ho et al., arXiv:2006.11239, equation 4."""
    return level.sqrt() * clean + (1 - level).sqrt() * noise


def ddim(x: Tensor, noise: Tensor, now: Tensor, then: Tensor, eta: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean [..., D] and standard deviation [..., 1] of the next state. Song et al., arXiv:2010.02502, equations 12 and 16.

    x [..., D] at level ``now``, noise [..., D] as predicted there; ``then`` > ``now`` [..., 1] is the level that the
    step leads to. eta: 1 is the ancestral sampler of DDPM, 0 has no noise. The deviation is 0, and has no density,
    where ``then`` is 1.
    """
    clean = (x - (1 - now).sqrt() * noise) / now.sqrt()
    deviation = eta * ((1 - then) / (1 - now)).sqrt() * (1 - now / then).sqrt()
    return then.sqrt() * clean + (1 - then - deviation**2).clamp(min=0.0).sqrt() * noise, deviation


def gaussian_logprob(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Log-density of x [..., D], in nats, *divided by D*: [...].

    Black et al., arXiv:2305.13301, take the mean over coordinates in their programs, so that a ratio of densities, and
    the range it is clipped to, mean the same for pictures of any size.
    """
    z = (x - mean) / deviation
    return (-0.5 * z**2 - deviation.log() - 0.5 * math.log(2 * math.pi)).mean(dim=-1)


def gaussian_kl(mean: Tensor, other: Tensor, deviation: Tensor) -> Tensor:
    """KL in nats, not divided, of Gaussians [..., D] with the same deviation [..., 1]: [...]."""
    return (((mean - other) / deviation) ** 2).sum(dim=-1) / 2


def noise_error(predicted: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error over coordinates, [..., D] to [...]: the simple loss, arXiv:2006.11239, equation 14.

    Less this is what stands for the log-likelihood of a clean picture, of which it is a bound but for weights by level.
    """
    return ((predicted - noise) ** 2).mean(dim=-1)
