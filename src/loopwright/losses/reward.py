"""Losses of models that score: of a whole answer at its last written token, or of its steps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.losses.registry import Batch, Stats


def _scores(batch: Batch, width: str = "[B, T]") -> Tensor:
    ndim = width.count(",") + 1
    if batch.scores is None or batch.scores.ndim != ndim:
        got = "none" if batch.scores is None else f"{tuple(batch.scores.shape)}"
        raise InputError(f"expected scores {width} of the head, got {got}: fit with a head of that width")
    return batch.scores


def _decided(margin: Tensor, batch: Batch, soft: bool) -> tuple[Tensor, Stats]:
    """Cross-entropy of the log-odds [P] that the chosen one wins."""
    chosen = batch.value("win_rate", of="pair") if soft else torch.ones_like(margin)
    loss = -chosen * F.logsigmoid(margin) - (1 - chosen) * F.logsigmoid(-margin)
    return loss, {"margin": margin.detach(), "accuracy": (margin.detach() > 0).float()}


def bradley_terry(
    batch: Batch, *, margin: float = 0.0, centre: float = 0.0, soft: bool = False
) -> tuple[Tensor, Stats]:
    """The chosen one scores higher. Bradley and Terry 1952; Ouyang et al., arXiv:2203.02155, equation 1.

    s = score at the last written token. loss[p] = weights[p] * (-log sigmoid(s(chosen) - s(rejected) - margin * value
    ``margin``) + centre * (s(chosen) + s(rejected))^2); minimise. The margin is Llama 2's (arXiv:2307.09288, equation 2),
    ``centre`` keeps the scores' mean near 0 (arXiv:2312.09244). With ``soft`` the value ``win_rate`` [P] is the probability
    that the chosen one wins, and the loss its cross-entropy.

    Returns the loss [P]; ``margin`` (what is in the sigmoid) and ``accuracy`` [P]. Raises InputError without scores.
    """
    chosen, rejected = batch.last(_scores(batch)).chunk(2)
    ahead = chosen - rejected
    if margin:
        ahead = ahead - margin * batch.value("margin", of="pair")
    loss, stats = _decided(ahead, batch, soft)
    if centre:
        loss = loss + centre * (chosen + rejected) ** 2
    return loss * batch.weights, stats


def general_preference(batch: Batch, *, tau: float = 0.1, soft: bool = False) -> tuple[Tensor, Stats]:
    """Preferences that may go in circles. Zhang et al., arXiv:2410.02197.

    Needs a head of even width K: scores [B, T, K], of which the embedding v at the last written token is read and scaled to
    length 1. A skew-symmetric form gives the log-odds s = (sum over i of v_2i(chosen) v_2i+1(rejected) -
    v_2i+1(chosen) v_2i(rejected)) / tau, so that s(y, y') = -s(y', y). loss[p] = -weights[p] * log sigmoid(s); minimise.
    ``soft`` as in ``bradley_terry``. A scalar cannot be skew with itself: with K = 1 use ``bradley-terry``.

    The authors also learn, per prompt, a scale for each pair of dimensions; here all count alike.

    Returns the loss [P]; ``margin`` (s) and ``accuracy`` [P]. Raises InputError for scores of another shape.
    """
    scores = _scores(batch, "[B, T, K]")
    if scores.shape[-1] % 2:
        raise InputError(f"a general preference needs a head of even width, got {scores.shape[-1]}")
    chosen, rejected = F.normalize(batch.last(scores), dim=-1).chunk(2)
    turned = chosen[:, 0::2] * rejected[:, 1::2] - chosen[:, 1::2] * rejected[:, 0::2]
    loss, stats = _decided(turned.sum(dim=1) / tau, batch, soft)
    return loss * batch.weights, stats


def reward_regression(batch: Batch) -> tuple[Tensor, Stats]:
    """Squared error of the score at the last written token. values: ``reward`` [B]. Wang et al., arXiv:2406.08673.

    loss[b] = weights[b] * (score - reward)^2; minimise. Returns the loss [B] and ``score`` [B].
    Raises InputError without scores.
    """
    score = batch.last(_scores(batch))
    return (score - batch.value("reward", of="sample")) ** 2 * batch.weights, {"score": score.detach()}


def outcome_reward(batch: Batch) -> tuple[Tensor, Stats]:
    """Whether an answer is good, as a verifier says. Cobbe et al., arXiv:2110.14168; of a principle, arXiv:2509.21319.

    values: ``label`` [B], 1 good, 0 not, or how sure one is that it is. The score at the last written token is the log-odds:
    loss[b] = weights[b] * cross-entropy of sigmoid(score) and label; minimise.

    Returns the loss [B] and ``accuracy`` [B], whether the score is on the label's side of 0. Raises InputError without scores.
    """
    score, label = batch.last(_scores(batch)), batch.value("label", of="sample")
    loss = F.binary_cross_entropy_with_logits(score, label, reduction="none")
    return loss * batch.weights, {"accuracy": ((score.detach() > 0) == (label > 0.5)).float()}


def process_reward(batch: Batch) -> tuple[Tensor, Stats]:
    """Whether each step is right. Lightman et al., arXiv:2305.20050; Wang et al., arXiv:2312.08935.

    values: ``label`` [B, T]: 1 right, 0 wrong, between them the share that led to a right answer, NaN where nothing is
    said, which is everywhere but at the ends of steps. The score after a labelled token is the log-odds that the step is
    right. loss[b] = weights[b] * mean over the sequence's labelled tokens of the cross-entropy, 0 without any; minimise.

    Returns the loss [B] and ``accuracy`` [B], the share of labelled tokens on the right side of 1/2.
    Raises InputError without scores.
    """
    scores, label = _scores(batch), batch.per_token("label")
    said = batch.mask & ~label.isnan()
    label = torch.where(said, label, 0.0)
    count = said.sum(dim=1).clamp(min=1)
    loss = torch.where(said, F.binary_cross_entropy_with_logits(scores, label, reduction="none"), 0.0).sum(dim=1) / count
    right = (said & ((scores.detach() > 0) == (label > 0.5))).sum(dim=1) / count
    return loss * batch.weights, {"accuracy": right}
