"""Losses of tokens that carry an advantage, and of the values the advantages are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.losses.registry import Batch, Stats

LARGEST = 20.0  # of a log-ratio: beyond it exp() overflows, and the gradient of what was clipped away is not a number


def k3(r: Tensor) -> Tensor:
    """exp(r) - 1 - r: an unbiased estimate of KL(p | q), never negative, of log q - log p where p drew the sample.

    Beyond ``LARGEST``, where exp would overflow, it goes on as the straight line that touches it there. So its gradient,
    exp(r) - 1, keeps its sign and stays bounded; a clamp of exp alone would leave that of -r and push the wrong way.
    """
    steepest = math.expm1(LARGEST)
    near = torch.expm1(r.clamp(max=LARGEST)) - r
    return torch.where(r > LARGEST, steepest - LARGEST + steepest * (r - LARGEST), near)


# Estimators of the divergence KL(policy | reference) of a token drawn from the policy, given log reference - log policy.
# Schulman, "Approximating KL divergence", 2020. They agree in the mean, their gradients do not: that of k1 is 0 in the
# mean (use it in the reward, not here), that of k2 is right on policy, that of k3 is of KL(reference | policy), unless
# it is multiplied by the importance ratio (``weigh_kl``).
KL: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"k1": lambda r: -r, "k2": lambda r: r**2 / 2, "k3": k3}
)


def _field(value: Tensor | None, name: str, why: str) -> Tensor:
    if value is None:
        raise InputError(f"{why} needs {name!r}, which this batch does not have")
    return value


def _ratio(batch: Batch, level: str) -> Tensor:
    """Importance ratio policy / sampler [B, T], of each token or of the whole sequence, length-normalised."""
    log_ratio = batch.logprobs - _field(batch.sampler, "sampler", "an importance ratio")
    if level == "token":
        return log_ratio.clamp(-LARGEST, LARGEST).exp()
    if level == "sequence":
        whole = batch.mean(log_ratio).clamp(-LARGEST, LARGEST).exp().detach()[:, None]
        return whole * (batch.logprobs - batch.logprobs.detach()).exp()
    raise InputError(f"level must be token or sequence, got {level!r}")


def _weighed(ratio: Tensor, gap: Tensor, divergence: Tensor) -> Tensor:
    """ratio * divergence, where that is k3 of the gap, with its gradient written down: -ratio * gap.

    Derived factor by factor, it would be the difference of two numbers of the size of exp(gap).
    """
    slope = ratio.detach() * gap.detach()
    return ratio.detach() * divergence.detach() + slope * (gap - gap.detach())


def policy_gradient(
    batch: Batch,
    *,
    surrogate: str = "clip",
    level: str = "token",
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual: float = 0.0,
    kl: float = 0.0,
    kl_estimator: str = "k3",
    weigh_kl: bool = False,
    entropy: float = 0.0,
) -> tuple[Tensor, Stats]:
    """Policy gradient: REINFORCE, PPO, GRPO, DAPO, GSPO, CISPO.

    values: ``advantage`` [B] or [B, T]. w = policy / sampler. Per token, to be minimised:

    * surrogate ``reinforce``: -advantage * log policy. Williams 1992; arXiv:2402.14740.
    * ``clip``: -min(w * advantage, clip(w, 1 - clip_low, 1 + clip_high) * advantage). arXiv:1707.06347, equation 7;
      unequal bounds are DAPO's, arXiv:2503.14476, equation 10. With ``dual`` above 1 it is at most -dual * advantage for
      a negative advantage: arXiv:1912.09729.
    * ``cispo``: -(w capped at 1 + clip_high, without gradient) * advantage * log policy: no token loses its gradient.
      arXiv:2506.13585, with no lower bound, as there.

    level ``sequence``: w is exp of the sequence's mean log-ratio for all its tokens, the gradient that of each token
    alone, so that token advantages may differ: GSPO-token, arXiv:2507.18071, equations 13 and 14; with one advantage a
    sequence it has value and gradient of GSPO, equations 5 and 7. Aggregate by "sequence" as there.

    Added: kl * estimate of KL(policy | ``reference``) by ``kl_estimator`` k1, k2 or k3, minus entropy * entropy. With
    ``weigh_kl`` (k3 only) it is multiplied by w, through which the gradient passes as well: then the mean over what the
    sampler drew is KL(policy | reference) in value and gradient, also off policy: arXiv:2512.02556, equation 7 (no more of
    that paper: its masking of off-policy sequences is not here). All is multiplied by weights[b]. What is averaged over
    tokens or sequences is the job's ``aggregation``: "sequence" is GRPO's (arXiv:2402.03300), "token" DAPO's, "constant" Dr.
    GRPO's (arXiv:2503.20783).

    How this differs from TRL: log-ratios are cut at 20 and -20, and k3 goes on as a straight line from 20 on, where TRL's
    overflow. At level "sequence" each token's gradient is its own, also through w before a weighed KL, where TRL's passes to
    the whole sequence: the same for one advantage a sequence without that KL. Its bound of CISPO is the cap itself, here 1 +
    clip_high. Its KL weight, beta, is 0 unless it is given; the rows here have 0.04, that of arXiv:2402.03300.

    Returns the loss [B, T]; ``clipped`` (1 where the bound took the gradient away, of CISPO where it capped) and
    ``ratio`` [B, T] where there is a ratio, ``kl`` [B, T] where it is penalised, ``entropy`` [B, T] where it is rewarded.
    Raises InputError for an unknown surrogate, level or estimator, or where a field or reference is missing.
    """
    advantage = batch.per_token("advantage")
    stats: Stats = {}
    if surrogate == "reinforce":
        loss = -advantage * batch.logprobs
    elif surrogate == "cispo":
        ratio = _ratio(batch, level).detach()
        capped = ratio.clamp(max=1 + clip_high)
        loss = -capped * advantage * batch.logprobs
        stats = {"ratio": ratio, "clipped": (ratio > capped).float()}
    elif surrogate == "clip":
        ratio = _ratio(batch, level)
        plain = -ratio * advantage
        bounded = -ratio.clamp(1 - clip_low, 1 + clip_high) * advantage
        loss = torch.maximum(plain, bounded)
        clipped = bounded > plain
        if dual:
            worst = -dual * advantage
            clipped = clipped | ((advantage < 0) & (loss > worst))
            loss = torch.where(advantage < 0, torch.minimum(loss, worst), loss)
        stats = {"ratio": ratio.detach(), "clipped": clipped.float()}
    else:
        raise InputError(f"surrogate must be clip, reinforce or cispo, got {surrogate!r}")
    if kl:
        if kl_estimator not in KL:
            raise InputError(f"kl_estimator must be one of {', '.join(KL)}, got {kl_estimator!r}")
        gap = _field(batch.references.get("reference"), "reference", "kl") - batch.logprobs
        divergence = KL[kl_estimator](gap)
        if weigh_kl:
            if kl_estimator != "k3":
                raise InputError(f"weigh_kl goes with kl_estimator k3, got {kl_estimator!r}")
            divergence = _weighed(_ratio(batch, level), gap, divergence)
        loss = loss + kl * divergence
        stats["kl"] = divergence.detach()
    if entropy:
        spread = _field(batch.entropy, "entropy", "an entropy bonus")
        loss = loss - entropy * spread
        stats["entropy"] = spread.detach()
    return loss * batch.weights[:, None], stats


def guided(batch: Batch, *, gamma: float = 0.1, clip_low: float = 0.0, clip_high: float = 0.0) -> tuple[Tensor, Stats]:
    """Policy gradient on a policy's own answers and on refinements that it wrote with help it will not have.

    Zhang et al., arXiv:2506.03106, the objective of section 4; the shaping is that of LUFFY, arXiv:2504.14945.
    values: ``advantage`` [B] or [B, T]; ``refined`` [B] or [B, T], 1 on refinements, which are trained under the prompt
    without the help, 0 on the policy's own answers. p = the policy's probability of the token under that prompt, w = policy
    / sampler. Per token, to be minimised:

    * own answers: -w * advantage; with a clip above 0 as in ``policy_gradient``. The authors' run has none.
    * refinements: -p / (p + gamma) * advantage. There is no ratio: p under the plain prompt is what the sampler never had.
      Its gradient in log p is gamma p / (p + gamma)^2: greatest at p = gamma, so that unlikely tokens of a right refinement
      move most, and next to nothing where p is 0 or 1.

    All is multiplied by weights[b]. The authors sum over tokens and divide by a constant: aggregation "constant".

    Returns the loss [B, T]; ``ratio`` [B, T] of own answers, 0 elsewhere, ``shaped`` [B, T] p / (p + gamma) of refinements.
    Raises InputError where ``sampler`` is missing.
    """
    advantage, refined = batch.per_token("advantage"), batch.per_token("refined")
    # Of a refinement the sampler's log-probabilities belong to another prompt: no ratio is made of them.
    log_ratio = (batch.logprobs - _field(batch.sampler, "sampler", "guided")).clamp(-LARGEST, LARGEST)
    ratio = torch.where(refined > 0, 0.0, log_ratio).exp()
    own = -ratio * advantage
    if clip_low or clip_high:
        own = torch.maximum(own, -ratio.clamp(1 - clip_low, 1 + clip_high) * advantage)
    p = batch.logprobs.exp()
    shaped = p / (p + gamma)
    loss = torch.where(refined > 0, -shaped * advantage, own)
    stats = {"ratio": ratio.detach() * (1 - refined), "shaped": shaped.detach() * refined}
    return loss * batch.weights[:, None], stats


def _at_least(x: Tensor, least: float) -> Tensor:
    """x, but at least this, with the gradient of x all the same."""
    return x + (x.clamp(min=least) - x).detach()


PROMPT_WEIGHTS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "dr_grpo": lambda rate: 1 - rate,
        "grpo": lambda rate: ((1 - rate) / rate).sqrt(),
        "none": torch.ones_like,
    }
)


def nft(
    batch: Batch, *, weighting: str = "dr_grpo", negative: float = 1.0, floor: float = 1.0, margin: float = 0.02
) -> tuple[Tensor, Stats]:
    """Negative-aware fine-tuning: imitate right answers, and wrong ones through an implicit negative policy.

    Chen et al., arXiv:2505.18116, algorithm 1. values: ``reward`` [B], 1 right, 0 wrong; ``rate`` [B], the
    share r of right answers among those to the same prompt, kept ``margin`` away from 0 and 1. w = policy / sampler, per
    token. What is not right would come from the policy of ratio (1 - r w) / (1 - r), so per token, to be minimised,

        loss[b, t] = -weights[b] * weight(r) * (reward * log w + negative * (1 - reward) * log (1 - r w) / (1 - r))

    where the second ratio counts as at least ``floor`` but keeps its gradient. weight is 1 - r ("dr_grpo"), the default
    of the authors' code, sqrt((1 - r) / r) ("grpo") or 1 ("none"). negative 0 is rejection-sampling fine-tuning.

    Strictly on policy (w = 1) the gradient is that of ``policy_gradient`` with the group's advantages: of GRPO, divided
    by the standard deviation sqrt(r (1 - r)), for "grpo"; not divided for "dr_grpo". Groups that are all right or all
    wrong are left out by the paper; here the margin keeps them finite, not silent, so leave them out too. The authors sum
    over tokens and divide by a constant: aggregation "constant".

    Returns the loss [B, T]; ``ratio`` [B, T] and ``floored`` [B, T], 1 where the negative ratio was below the floor.
    Raises InputError for an unknown weighting, or where ``sampler`` is missing.
    """
    if weighting not in PROMPT_WEIGHTS:
        raise InputError(f"weighting must be one of {', '.join(PROMPT_WEIGHTS)}, got {weighting!r}")
    log_ratio = (batch.logprobs - _field(batch.sampler, "sampler", "nft")).clamp(max=LARGEST)
    reward = batch.per_token("reward")
    rate = batch.per_token("rate").clamp(margin, 1 - margin)
    other = (1 - rate * log_ratio.exp()) / (1 - rate)
    likelihood = reward * log_ratio + negative * (1 - reward) * _at_least(other, floor).log()
    loss = -PROMPT_WEIGHTS[weighting](rate) * likelihood * batch.weights[:, None]
    floored = (1 - reward) * (other.detach() < floor).float()
    return loss, {"ratio": log_ratio.detach().exp(), "floored": floored}


def value(batch: Batch, *, clip: float = 0.2) -> tuple[Tensor, Stats]:
    """Regression of the value head on returns, no further than ``clip`` from what it said before. arXiv:1707.06347, as in
    the authors' code; in their notation 1/2 max((V - R)^2, (V_clipped - R)^2).

    Needs ``state_values`` [B, T]: V before each token, of the state the token was chosen in. values: ``returns`` [B, T];
    ``old_values`` [B, T] where clip is not 0. loss[b, t] is that times weights[b]; minimise.

    Returns the loss [B, T]; ``error`` (squared, before clipping) and ``clipped`` [B, T].
    Raises InputError where the values are missing.
    """
    now = _field(batch.state_values, "state_values", "a value loss")
    target = batch.per_token("returns")
    error = (now - target) ** 2
    loss, clipped = error, torch.zeros_like(error)
    if clip:
        old = batch.per_token("old_values")
        bounded = (old + (now - old).clamp(-clip, clip) - target) ** 2
        loss, clipped = torch.maximum(error, bounded), (bounded > error).float()
    return 0.5 * loss * batch.weights[:, None], {"error": error.detach(), "clipped": clipped}
