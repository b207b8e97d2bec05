"""Losses as rows: name -> pure tensor function. Adding one is a file (or a row) and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.losses.likelihood import unlikelihood
from loopwright.losses.policy_gradient import guided, nft, policy_gradient, value
from loopwright.losses.preference import FREE, PREVIOUS, inpo, kto, orpo, pmpo, preference, regression, sppo, srpo
from loopwright.losses.registry import Asks, Batch, Loss, LossFunction, Stats, Unit, find, table
from loopwright.losses.reward import (
    bradley_terry,
    general_preference,
    outcome_reward,
    process_reward,
    reward_regression,
)
from loopwright.losses.sft import sft

__all__ = ["LOSSES", "Batch", "Loss", "Stats", "loss", "sft"]

_SAMPLER, _SCORES, _STATES = frozenset({"sampler"}), frozenset({"scores"}), frozenset({"state_values"})
_SOFT: Asks = {"soft": ("values", "win_rate")}
_PAIR: Asks = {**_SOFT, "offset": ("values", "margin")}
_POLICY: Asks = {
    "kl": ("references", "reference"), "weigh_kl": ("needs", "sampler"), "entropy": ("needs", "entropy"),
}  # fmt: skip


def _pair(name: str, paper: str, *, anchors: Mapping[str, float] | None = None, **options: object) -> Loss:
    """A row of ``preference``: anchored to ``reference`` unless it says to what."""
    references = ("reference",) if anchors is None else tuple(anchors)
    if anchors is not None:
        options["anchors"] = anchors
    values = tuple(name for option, (_, name) in _PAIR.items() if options.get(option))
    return Loss(name, preference, "pair", references, values, options=options, asks=_PAIR, paper=paper)


def _policy(name: str, paper: str, *, needs: frozenset[str] = _SAMPLER, **options: object) -> Loss:
    """A row of ``policy_gradient``."""
    references = ("reference",) if options.get("kl") else ()
    return Loss(
        name, policy_gradient, "token", references, ("advantage",), needs, options=options, asks=_POLICY, paper=paper
    )


def _scored(
    name: str, function: LossFunction, paper: str, unit: Unit = "pair", values: tuple[str, ...] = (), *,
    needs: frozenset[str] = _SCORES, **more: Any,
) -> Loss:  # fmt: skip
    """A row of a loss that reads the head alone, not what the policy says of the tokens."""
    return Loss(name, function, unit, (), values, needs, logprobs=False, paper=paper, **more)


LOSSES: Mapping[str, Loss] = table(
    Loss("sft", sft),
    Loss("unlikelihood", unlikelihood, values=("label",), paper="arXiv:1908.04319"),
    # pairs
    _pair("dpo", "arXiv:2305.18290"),
    _pair("cdpo", "https://ericmitchell.ai/cdpo.pdf", label_smoothing=0.1),
    _pair("robust-dpo", "arXiv:2403.00409", link="robust", label_smoothing=0.1),
    _pair("odpo", "arXiv:2402.10571", offset=1.0),
    _pair("rpo", "arXiv:2404.19733", nll=1.0),
    # the equation sums log-probabilities; the authors' experiments, and TRL, use the mean
    _pair("ipo", "arXiv:2310.12036", link="ipo", normalise=True),
    _pair("hinge", "arXiv:2309.06657", link="hinge"),
    _pair("slic", "arXiv:2305.10425", link="hinge", anchors=FREE, beta=1.0, nll=1.0),
    _pair("apo-zero", "arXiv:2408.06266", link="apo-zero"),
    _pair("apo-down", "arXiv:2408.06266", link="apo-down"),
    _pair("nca", "arXiv:2402.05369", link="nca", beta=0.01),
    _pair("bco", "arXiv:2404.04656", link="bco"),
    _pair("sppo-hard", "arXiv:2405.00675", link="sppo", anchors=PREVIOUS, beta=0.001),
    _pair("dno", "arXiv:2404.03715", anchors=PREVIOUS, soft=True),
    _pair("dno-prct", "arXiv:2404.03715", anchors=PREVIOUS),
    _pair("simpo", "arXiv:2405.14734", anchors=FREE, normalise=True, beta=2.0, gamma=1.0),
    _pair("cpo", "arXiv:2401.08417", anchors=FREE, nll=1.0),
    Loss("orpo", orpo, "pair", paper="arXiv:2403.07691"),
    Loss("inpo", inpo, "pair", ("reference", "previous"), paper="arXiv:2407.00617"),
    Loss("rebel", regression, "pair", ("previous",), ("gap",), paper="arXiv:2404.16767"),
    Loss("spo", regression, "pair", ("previous",), ("gap",), paper="arXiv:2401.04056"),
    Loss("srpo", srpo, "pair", ("reference",), ("sign", "scale"), asks=_SOFT, paper="arXiv:2406.01660"),
    # single sequences
    Loss("sppo", sppo, "sequence", ("previous",), ("win_rate",), paper="arXiv:2405.00675"),
    Loss("kto", kto, "sequence", ("reference",), ("label", "drift"), paper="arXiv:2402.01306"),
    Loss(
        "apo-zero-unpaired",
        kto,
        "sequence",
        ("reference",),
        ("label",),
        options={"drift": False},
        paper="arXiv:2408.06266",
    ),  # fmt: skip
    Loss("pmpo", pmpo, "sequence", ("reference",), ("label",), paper="arXiv:2410.04166"),
    # tokens with an advantage
    _policy("reinforce", "arXiv:2402.14740", needs=frozenset(), surrogate="reinforce"),
    _policy("ppo", "arXiv:1707.06347"),
    _policy("dual-clip", "arXiv:1912.09729", dual=3.0),
    _policy("grpo", "arXiv:2402.03300", kl=0.04),
    # 0.04 is GRPO's, not this paper's
    _policy("grpo-weighted-kl", "arXiv:2512.02556", kl=0.04, weigh_kl=True),
    _policy("dapo", "arXiv:2503.14476", clip_high=0.28),
    _policy("gspo", "arXiv:2507.18071", level="sequence", clip_low=3e-4, clip_high=4e-4),
    _policy("cispo", "arXiv:2506.13585", surrogate="cispo", clip_high=4.0),
    Loss("guided", guided, "token", (), ("advantage", "refined"), _SAMPLER, paper="arXiv:2506.03106"),
    Loss("nft", nft, "token", (), ("reward", "rate"), _SAMPLER, paper="arXiv:2505.18116"),
    _scored("value", value, "arXiv:1506.02438", "token", ("returns",), needs=_STATES, options={"clip": 0.0}),
    _scored("value-clipped", value, "arXiv:1707.06347", "token", ("returns", "old_values"), needs=_STATES),
    # models that score
    _scored("bradley-terry", bradley_terry, "arXiv:2203.02155", asks={**_SOFT, "margin": ("values", "margin")}),
    _scored("general-preference", general_preference, "arXiv:2410.02197", asks=_SOFT),
    _scored("reward-regression", reward_regression, "arXiv:2406.08673", "sequence", ("reward",)),
    _scored("outcome-reward", outcome_reward, "arXiv:2110.14168", "sequence", ("label",)),
    _scored("process-reward", process_reward, "arXiv:2305.20050", "sequence", ("label",)),
)


def loss(name: str) -> Loss:
    """The loss of this name. Raises UnknownName with the nearest ones."""
    return find(LOSSES, name)
