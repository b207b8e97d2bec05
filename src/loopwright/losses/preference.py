"""Losses of which of two is better, and of single sequences against what they should have been worth.

A sequence's implicit reward is beta times its log-ratio, log policy - log reference, summed over the written tokens. Most
methods are then one function of the two rewards of a pair, the *link*; they are rows that differ by data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.losses.likelihood import log1mexp
from loopwright.losses.policy_gradient import k3
from loopwright.losses.registry import Batch, Stats

REFERENCE: Mapping[str, float] = MappingProxyType({"reference": 1.0})
PREVIOUS: Mapping[str, float] = MappingProxyType({"previous": 1.0})
FREE: Mapping[str, float] = MappingProxyType({})  # no reference: the policy's own log-probability


# ---- links ------------------------------------------------------------------------------------------------------------
# of the margin [P], with beta and the probability [P] that the chosen one is the better: minimise


def _sigmoid(margin: Tensor, beta: float, chosen: Tensor) -> Tensor:
    return -chosen * F.logsigmoid(margin) - (1 - chosen) * F.logsigmoid(-margin)


def _ipo(margin: Tensor, beta: float, chosen: Tensor) -> Tensor:
    return ((margin - (chosen - 0.5)) / beta) ** 2


def _hinge(margin: Tensor, beta: float, chosen: Tensor) -> Tensor:
    return chosen * F.relu(1 - margin) + (1 - chosen) * F.relu(1 + margin)


def _robust(margin: Tensor, beta: float, chosen: Tensor) -> Tensor:
    """Unbiased for labels that are flipped with probability 1 - chosen; it can be negative."""
    return (-chosen * F.logsigmoid(margin) + (1 - chosen) * F.logsigmoid(-margin)) / (2 * chosen - 1)


MARGIN_LINKS: Mapping[str, Callable[[Tensor, float, Tensor], Tensor]] = MappingProxyType(
    {"sigmoid": _sigmoid, "ipo": _ipo, "hinge": _hinge, "robust": _robust}
)

# of the two rewards [P] apart, with beta: these also fix where each lies, not only how far they are from each other


def _apo_zero(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    return torch.sigmoid(-chosen) + torch.sigmoid(rejected)


def _apo_down(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    return torch.sigmoid(chosen) + torch.sigmoid(rejected - chosen)


def _nca(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    return -F.logsigmoid(chosen) - 0.5 * F.logsigmoid(-chosen) - 0.5 * F.logsigmoid(-rejected)


def _bco(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    return -F.logsigmoid(chosen) - F.logsigmoid(-rejected)


def _sppo(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    return ((chosen - 0.5) / beta) ** 2 + ((rejected + 0.5) / beta) ** 2


REWARD_LINKS: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = MappingProxyType(
    {"apo-zero": _apo_zero, "apo-down": _apo_down, "nca": _nca, "bco": _bco, "sppo": _sppo}
)


# ---- pairs ------------------------------------------------------------------------------------------------------------


def log_ratio(batch: Batch, anchors: Mapping[str, float]) -> Tensor:
    """Per token: log policy minus the weighted sum of the references' log-probabilities, [B, T].

    Raises InputError where a reference is missing.
    """
    ratio = batch.logprobs
    for name, weight in anchors.items():
        if name not in batch.references:
            raise InputError(f"expected log-probabilities of the reference {name!r}, got {sorted(batch.references)}")
        ratio = ratio - weight * batch.references[name]
    return ratio


def _compared(chosen: Tensor, rejected: Tensor) -> Stats:
    """Figures of a pair [P]: the two rewards, their margin, and whether the chosen one is ahead."""
    chosen, rejected = chosen.detach(), rejected.detach()
    return {
        "chosen_reward": chosen,
        "rejected_reward": rejected,
        "margin": chosen - rejected,
        "accuracy": (chosen > rejected).float(),
    }


def preference(
    batch: Batch,
    *,
    link: str = "sigmoid",
    beta: float = 0.1,
    anchors: Mapping[str, float] = REFERENCE,
    normalise: bool = False,
    gamma: float = 0.0,
    offset: float = 0.0,
    label_smoothing: float = 0.0,
    soft: bool = False,
    nll: float = 0.0,
) -> tuple[Tensor, Stats]:
    """A link over the implicit rewards of a pair: DPO, IPO, hinge, cDPO, robust DPO, APO, NCA, BCO, CPO, SimPO, DNO, ...

    reward = beta * (log policy - sum of anchors[name] * log reference[name]), summed over the written tokens, or with
    ``normalise`` their mean. margin = reward(chosen) - reward(rejected) - gamma - offset * value ``margin``.
    loss[p] = weights[p] * (link(margin) + nll * mean negative log-likelihood of the chosen one); minimise.

    label_smoothing: probability that a label is flipped. soft: the value ``win_rate`` [P] is the probability that the
    chosen one is better, instead of 1 - label_smoothing.

    Sources: sigmoid DPO (arXiv:2305.18290, equation 7), with label smoothing cDPO (Mitchell 2023, equation 3); ipo
    (arXiv:2310.12036, equation 17; with a soft label the target is (win_rate - 1/2) / beta); hinge (arXiv:2309.06657,
    the normalised hinge); robust (arXiv:2403.00409); apo-zero and apo-down (arXiv:2408.06266, equations 7
    and 8); nca (arXiv:2402.05369); bco (arXiv:2404.04656, without its shift); sppo (arXiv:2405.00675, equation 4.7 with
    win rates 1 and 0); dno-prct (arXiv:2404.03715, equation 13) and dno (its equation 12), of which beta is the eta.

    For the row ``dno``, win_rate is sigmoid(r(chosen) - r(rejected)), where r is the rate at which an answer beats those of
    the previous policy. The probability that the one beats the other is another label, with another solution.

    Returns the loss [P]; ``chosen_reward``, ``rejected_reward``, ``margin`` (before gamma and offset), ``accuracy`` [P].
    Raises InputError for an unknown link, a missing reference, a margin or soft label that the link does not have, or
    one that was not given for the pair.
    """
    reward = beta * (batch.mean if normalise else batch.total)(log_ratio(batch, anchors))
    chosen, rejected = reward.chunk(2)
    if link in MARGIN_LINKS:
        margin = chosen - rejected - gamma
        if offset:
            margin = margin - offset * batch.value("margin", of="pair")
        if link == "robust" and label_smoothing >= 0.5:
            raise InputError(f"label_smoothing of the robust link must be below 0.5, got {label_smoothing}")
        certain = batch.value("win_rate", of="pair") if soft else torch.full_like(margin, 1 - label_smoothing)
        loss = MARGIN_LINKS[link](margin, beta, certain)
    elif link in REWARD_LINKS:
        if gamma or offset or label_smoothing or soft:
            raise InputError(f"the link {link!r} has no gamma, offset, label_smoothing or soft: leave them out")
        loss = REWARD_LINKS[link](chosen, rejected, beta)
    else:
        raise InputError(f"link must be one of {', '.join([*MARGIN_LINKS, *REWARD_LINKS])}, got {link!r}")
    if nll:
        loss = loss - nll * batch.mean(batch.logprobs).chunk(2)[0]
    return loss * batch.weights, _compared(chosen, rejected)


def inpo(batch: Batch, *, eta: float = 0.005, tau: float = 0.005 / 3) -> tuple[Tensor, Stats]:
    """Iterative Nash policy optimisation. Zhang et al., arXiv:2407.00617, algorithm 1 and equation 8.

    references: ``reference`` (the game's regulariser, fixed), ``previous`` (the policy that wrote the pair).
    h = log policy(y)/policy(y') - tau/eta * log reference(y)/reference(y') - (1 - tau/eta) * log previous(y)/previous(y')
    with y chosen, y' rejected; loss[p] = weights[p] * (h - 1 / (2 eta))^2; minimise. So it is IPO with beta = eta against
    the geometric mixture of the two references. Log-probabilities are summed, as in the paper; eta and tau are by default
    those of its appendix B.

    Returns what ``preference`` does. Raises InputError unless 0 <= tau <= eta and eta > 0.
    """
    if not 0 <= tau <= eta or eta == 0:
        raise InputError(f"expected 0 <= tau <= eta and eta > 0, got tau {tau} and eta {eta}")
    anchors = {"reference": tau / eta, "previous": 1 - tau / eta}
    return preference(batch, link="ipo", beta=eta, anchors=anchors)


def orpo(batch: Batch, *, lam: float = 0.1) -> tuple[Tensor, Stats]:
    """Odds-ratio preference optimisation: imitation and contrast in one, without a reference.

    Hong et al., arXiv:2403.07691, equations 4 to 7. p = exp(mean log-probability of a token), odds = p / (1 - p).
    loss[p] = weights[p] * (-mean logprobs(chosen) - lam * log sigmoid(log odds(chosen) - log odds(rejected))); minimise.
    The authors' code also imitates the prompt; here the written tokens alone are trained on.

    Returns the loss [P]; ``chosen_reward``, ``rejected_reward`` (lam * mean log-probability), ``margin``, ``accuracy``,
    ``log_odds`` [P].
    """
    mean = batch.mean(batch.logprobs)
    # a text the policy is wholly sure of has infinite odds, and a gradient that is not a number
    log_odds = mean - log1mexp(mean.clamp(max=-1e-6))
    ratio = log_odds[: len(mean) // 2] - log_odds[len(mean) // 2 :]
    chosen, rejected = mean.chunk(2)
    loss = -chosen - lam * F.logsigmoid(ratio)
    return loss * batch.weights, {**_compared(lam * chosen, lam * rejected), "log_odds": ratio.detach()}


def regression(batch: Batch, *, eta: float = 1.0, anchors: Mapping[str, float] = PREVIOUS) -> tuple[Tensor, Stats]:
    """Regression of the log-ratio's difference on the reward's. Gao et al. (REBEL), arXiv:2404.16767, algorithm 1.

    values: ``gap`` [P], the reward of the chosen one less that of the rejected. loss[p] =
    weights[p] * ((log-ratio(chosen) - log-ratio(rejected)) / eta - gap)^2; minimise. Log-ratios are against ``previous``.
    The authors' code has eta^2 times this.

    As the row ``spo``, the gap is the difference of two win rates against the policy's own samples: self-play preference
    optimisation (Swamy et al., arXiv:2401.04056, algorithm 1) with its policy update done as a regression. The paper
    does it with a policy gradient, for which give the win rates as rewards to ``ppo``.

    Returns the loss [P]; ``chosen_reward``, ``rejected_reward`` (log-ratio / eta), ``margin``, ``accuracy`` [P].
    Raises InputError where the reference, or the gap of the pair, is missing.
    """
    chosen, rejected = (batch.total(log_ratio(batch, anchors)) / eta).chunk(2)
    loss = (chosen - rejected - batch.value("gap", of="pair")) ** 2
    return loss * batch.weights, _compared(chosen, rejected)


def srpo(batch: Batch, *, beta: float = 0.1, soft: bool = False) -> tuple[Tensor, Stats]:
    """Self-improving robust preference optimisation: one policy that answers and that improves an answer it is shown.

    Choi et al., arXiv:2406.01660. With l(.) = log policy - log reference and p the probability that w is better than its
    rival v, the paper's minimax problem has its solution where, for every w and v,

        p - 1/2 = beta * (l(w | x, v) - l(v | x, v))                                                     (improvement)
        p - 1/2 = beta / 2 * (l(w | x, v) + l(w | x) - l(v | x, w) - l(v | x))                           (robustness)

    and the loss is the squared residuals, (1 - alpha) of the second and alpha of the first. The equations are derived here
    from the paper's objective, min over policies, max over improvers of P(improved better) - beta KL(improver | reference)
    + beta KL(policy | reference). Each residual is a pair:

    * improvement: chosen w and rejected v, both after a prompt that shows v, and both after one that shows w;
      ``scale`` 1, ``sign`` 1 everywhere, weight alpha / 2 each;
    * robustness: chosen is the dialogue "x, v, improve it, w", rejected "x, w, improve it, v"; ``scale`` 1/2, ``sign`` -1
      on the first answer, 0 on what lies between, 1 on the second; weight 1 - alpha.

    values: ``scale`` [P] of the pair; ``sign`` [2P] or [2P, T] of its samples; with ``soft`` the pair's ``win_rate``.
    loss[p] = weights[p] * (win_rate - 1/2 - beta * scale * (sum of sign * l over chosen - over rejected))^2, the win rate
    being 1 unless ``soft``; minimise.

    TRL's proposal of a trainer (pull request 1772, not merged) has the same residuals, with the robustness one doubled
    and no half between the two of improvement: its weights are 4 * (1 - alpha) and alpha, with an alpha of 0.8.

    Returns what ``regression`` does, the rewards being beta * scale * sum of sign * l. Raises InputError where a value is
    missing, or is given for the pair instead of its two samples, or the other way round.
    """
    signed = batch.total(batch.per_token("sign") * log_ratio(batch, REFERENCE))
    chosen, rejected = (beta * batch.value("scale", of="pair").repeat(2) * signed).chunk(2)
    target = batch.value("win_rate", of="pair") - 0.5 if soft else 0.5
    return (target - chosen + rejected) ** 2 * batch.weights, _compared(chosen, rejected)


# ---- single sequences -------------------------------------------------------------------------------------------------


def sppo(batch: Batch, *, eta: float = 1000.0) -> tuple[Tensor, Stats]:
    """Self-play preference optimisation: regress the log-ratio on the win rate. Wu et al., arXiv:2405.00675, algorithm 1.

    values: ``win_rate`` [B], the probability of beating the previous policy's answers. reference: ``previous``.
    loss[b] = weights[b] * (log policy - log previous - eta * (win_rate - 1/2))^2, log-probabilities summed; minimise.
    With the paper's eta of 1000 the loss is of the order of 10^5: gradient clipping sets the step.

    Returns the loss [B] and ``log_ratio`` [B].
    """
    ratio = batch.total(log_ratio(batch, PREVIOUS))
    loss = (ratio - eta * (batch.value("win_rate", of="sample") - 0.5)) ** 2
    return loss * batch.weights, {"log_ratio": ratio.detach()}


def kto(
    batch: Batch, *, beta: float = 0.1, desirable: float = 1.0, undesirable: float = 1.0, drift: bool = True
) -> tuple[Tensor, Stats]:
    """Kahneman-Tversky optimisation: good and bad answers without pairs. Ethayarajh et al., arXiv:2402.01306, equation 7.

    values: ``label`` [B], 1 good, 0 bad; ``drift`` [B], the trainer's estimate z of KL(policy | reference), no gradient.
    r = log policy - log reference, summed. loss[b] = weights[b] * desirable * (1 - sigmoid(beta * (r - z))) for a good
    one, weights[b] * undesirable * (1 - sigmoid(beta * (z - r))) for a bad one; minimise. Without ``drift`` z is 0, which
    is APO-zero of single answers (arXiv:2408.06266).

    Returns the loss [B]; ``reward`` (beta * r) [B] and ``drift`` [B].
    """
    ratio = batch.total(log_ratio(batch, REFERENCE))
    z = batch.value("drift", of="sample").detach() if drift else torch.zeros_like(ratio)
    good = desirable * torch.sigmoid(beta * (z - ratio))
    bad = undesirable * torch.sigmoid(beta * (ratio - z))
    loss = torch.where(batch.value("label", of="sample") > 0.5, good, bad)
    return loss * batch.weights, {"reward": beta * ratio.detach(), "drift": z}


def pmpo(batch: Batch, *, alpha: float = 0.5, beta: float = 0.5) -> tuple[Tensor, Stats]:
    """Preference optimisation as probabilistic inference: good answers, bad answers, or both. arXiv:2410.04166, equation 10.

    values: ``label`` [B], 1 accepted, 0 rejected. reference: ``reference``, which must have written the answers.
    loss[b] = weights[b] * (-(alpha * label - (1 - alpha) * (1 - label)) * log policy + beta * KL(reference | policy)),
    log-probabilities summed; minimise. The divergence is over the whole vocabulary in the paper; here it is estimated on
    the written tokens, as the sum of ratio - 1 - log ratio with ratio = policy / reference: unbiased, never negative.

    Where u is the probability that an answer is accepted, the mean of this loss is least for the policy proportional to
    reference * (beta + alpha * u - (1 - alpha) * (1 - u)): as alpha and beta are by default, the reference given that its
    answer is accepted. With a beta below 1 - alpha, what is never accepted has no minimum and the policy collapses, as
    the paper has it too. The paper averages accepted ones, rejected ones and the divergence apart: where both are equally
    many, its beta is twice this one; where all are of one kind, it is this one.

    Returns the loss [B] and ``divergence`` [B], the estimate of the divergence in nats.
    """
    ratio = log_ratio(batch, REFERENCE)
    divergence = batch.total(k3(ratio))
    label = batch.value("label", of="sample")
    loss = ((1 - alpha) * (1 - label) - alpha * label) * batch.total(batch.logprobs) + beta * divergence
    return loss * batch.weights, {"divergence": divergence.detach()}
