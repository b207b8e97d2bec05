"""The same numbers as TRL's, from TRL's own loss methods on the same log-probabilities.

The methods are called on a stand-in for the trainer that has the options they read and hands out log-probabilities, so
that nothing but the loss is compared. Where TRL averages over a batch, so does the test.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl", reason="TRL is in the dev extra")

from batches import make  # noqa: E402

from loopwright import losses  # noqa: E402

COUNT, WIDTH = 3, 6
exactly = {"rtol": 1e-5, "atol": 1e-6}


def accelerator():
    same = lambda x, *_, **__: x  # noqa: E731
    return SimpleNamespace(
        device=torch.device("cpu"), gather=same, gather_for_metrics=same, reduce=same, num_processes=1
    )


def trainer(**options):
    return SimpleNamespace(
        accelerator=accelerator(),
        model=SimpleNamespace(training=True),
        aux_loss_enabled=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
        **options,
    )


def batch_of(row, seed=0):
    """Right-padded, as TRL pads; float32, as both compute."""
    batch = make(row, seed, count=COUNT, width=WIDTH, left=False)
    short = lambda x: None if x is None else x.float()  # noqa: E731
    return losses.Batch(
        short(batch.logprobs),
        batch.mask,
        torch.ones(COUNT),
        short(batch.sampler),
        {n: x.float() for n, x in batch.references.items()},
        {n: x.float() for n, x in batch.values.items()},
        short(batch.scores),
        short(batch.entropy),
    )


def inputs_of(batch, reference):
    """What a TRL trainer's collator makes: one prompt token, then the completion."""
    rows = len(batch.mask)
    mask = torch.cat([torch.zeros(rows, 1), batch.mask.float()], dim=1)
    ids = torch.zeros(rows, WIDTH + 1, dtype=torch.long)
    totals = batch.total(batch.references[reference])
    return {"input_ids": ids, "attention_mask": torch.ones_like(mask), "completion_mask": mask}, totals


def forward(logprobs):
    return lambda **_: SimpleNamespace(
        log_probs=logprobs,
        entropy=torch.zeros_like(logprobs),
        mean_logits=torch.zeros_like(logprobs),
        is_top1=torch.zeros_like(logprobs, dtype=torch.bool),
    )


DPO = [
    ("dpo", "sigmoid", {}),
    ("dpo", "sigmoid_norm", {"normalise": True}),
    ("ipo", "ipo", {}),
    ("hinge", "hinge", {}),
    ("robust-dpo", "robust", {"label_smoothing": 0.2}),
    ("apo-zero", "apo_zero", {}),
    ("apo-down", "apo_down", {}),
    ("nca", "nca_pair", {}),
    ("bco", "bco_pair", {}),
    ("sppo-hard", "sppo_hard", {}),
]


@pytest.mark.parametrize("beta", [0.1, 0.5])
@pytest.mark.parametrize(("name", "kind", "options"), DPO, ids=[kind for _, kind, _ in DPO])
def test_dpo_and_its_kin(name, kind, options, beta):
    from trl import DPOTrainer

    row = losses.loss(name)
    batch = batch_of(row)
    inputs, reference = inputs_of(batch, row.references[0])
    chosen, rejected = reference.chunk(2)
    self = trainer(
        precompute_ref_logps=True,
        ld_alpha=None,
        f_divergence_type="reverse_kl",
        loss_types=[kind],
        loss_weights=[1.0],
        beta=beta,
        label_smoothing=options.get("label_smoothing", 0.0),
        use_weighting=False,
    )
    theirs = DPOTrainer._compute_loss(
        self,
        forward(batch.logprobs),
        {**inputs, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected},
        False,
    )
    ours, stats = row(batch, beta=beta, **options)
    torch.testing.assert_close(ours.mean(), theirs, **exactly)
    if not options.get("normalise") and name != "ipo":
        assert self._metrics["train"]["rewards/margins"] == [pytest.approx(stats["margin"].mean().item(), abs=1e-5)]


CPO = [
    ("simpo", "simpo", 0.0),
    ("simpo", "simpo", 0.1),
    ("cpo", "sigmoid", 0.0),
    ("cpo", "sigmoid", 0.1),
    ("cpo", "hinge", 0.0),
    ("cpo", "ipo", 0.0),
]


@pytest.mark.parametrize(("name", "kind", "smoothing"), CPO)
def test_cpo_and_simpo(name, kind, smoothing):
    from trl.experimental.cpo import CPOTrainer

    row = losses.loss(name)
    batch = batch_of(row)
    summed = batch.mean if kind in ("simpo", "ipo") else batch.total
    options = {"beta": 2.0, "label_smoothing": smoothing, "nll": 0.0}
    if kind == "simpo":
        options["gamma"] = 0.7
    else:
        options |= {"link": kind, "normalise": kind == "ipo"}
    self = trainer(alpha=0.0, loss_type=kind, beta=2.0, simpo_gamma=0.7, label_smoothing=smoothing)
    theirs, _, _ = CPOTrainer.cpo_loss(self, *summed(batch.logprobs).chunk(2))
    torch.testing.assert_close(row(batch, **options)[0], theirs, **exactly)


def test_orpo():
    from trl.experimental.orpo import ORPOTrainer

    row = losses.loss("orpo")
    batch = batch_of(row)
    chosen, rejected = batch.mean(batch.logprobs).chunk(2)
    contrast, _, _, _, odds = ORPOTrainer.odds_ratio_loss(trainer(beta=0.3), chosen, rejected)
    ours, stats = row(batch, lam=0.3)
    torch.testing.assert_close(ours, -chosen - contrast, **exactly)
    torch.testing.assert_close(stats["log_odds"].mean(), odds, **exactly)


@pytest.mark.parametrize(("name", "kind"), [("kto", "kto"), ("apo-zero-unpaired", "apo_zero_unpaired")])
@pytest.mark.parametrize("seed", [0, 3, 4])
def test_kto(name, kind, seed):
    from trl import KTOTrainer

    row = losses.loss(name)
    batch = batch_of(row, seed)
    inputs, reference = inputs_of(batch, "reference")
    drift = batch.values["drift"].mean() if "drift" in batch.values else torch.tensor(0.0)
    batch = batch._replace(values={**batch.values, "drift": drift.expand(COUNT)})
    self = trainer(
        precompute_ref_logps=True,
        calculate_KL=kind == "kto",
        loss_type=kind,
        beta=0.2,
        desirable_weight=1.5,
        undesirable_weight=0.5,
        _compute_kl_logps=lambda *_: drift.expand(COUNT),
    )
    theirs = KTOTrainer._compute_loss(
        self,
        forward(batch.logprobs),
        {**inputs, "label": batch.values["label"].bool(), "ref_logps": reference, "ref_KL_logps": torch.zeros(COUNT)},
        False,
    )
    ours, _ = row(batch, beta=0.2, desirable=1.5, undesirable=0.5)
    torch.testing.assert_close(ours.mean(), theirs, **exactly)


def aggregated(loss, batch, how):
    return {
        "sequence": lambda: batch.mean(loss).mean(),
        "token": lambda: loss.sum() / batch.mask.sum(),
        "constant": lambda: loss.sum() / (COUNT * 256),
    }[how]()


GRPO = [
    ("ppo", "grpo", "sequence", {}),
    ("ppo", "bnpo", "token", {}),
    ("dapo", "dapo", "token", {"epsilon_high": 0.28}),
    ("ppo", "dr_grpo", "constant", {}),
    ("grpo", "grpo", "sequence", {"beta": 0.04}),
    ("grpo-weighted-kl", "grpo", "sequence", {"beta": 0.04, "use_bias_correction_kl": True}),
    ("gspo", "grpo", "sequence", {"importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4}),
    ("cispo", "cispo", "token", {"epsilon_high": 5.0}),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "kind", "how", "options"), GRPO, ids=[f"{n}-{k}" for n, k, _, _ in GRPO])
def test_grpo_and_its_kin(name, kind, how, options, seed):
    from trl import GRPOTrainer

    row = losses.loss(name)
    batch = batch_of(row, seed)
    policy = {whose: batch.logprobs.clone().requires_grad_() for whose in ("ours", "theirs")}
    weighted = options.get("use_bias_correction_kl", False)
    options = {n: v for n, v in options.items() if n != "use_bias_correction_kl"}
    self = trainer(
        _get_per_token_logps_and_entropies=lambda *_, **__: (policy["theirs"], torch.zeros(COUNT, WIDTH), None),
        args=SimpleNamespace(delta=None, use_bias_correction_kl=weighted, steps_per_generation=1),
        loss_type=kind,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        current_gradient_accumulation_steps=1,
        max_completion_length=256,
        _entropy_bonus_enabled=False,
        **{
            "beta": 0.0,
            "epsilon_low": 0.2,
            "epsilon_high": 0.2,
            "importance_sampling_level": "token",
            **options,
        },
    )
    theirs = GRPOTrainer._compute_loss(
        self,
        None,
        {
            "prompt_ids": torch.zeros(COUNT, 1),
            "prompt_mask": torch.ones(COUNT, 1),
            "completion_ids": torch.zeros(COUNT, WIDTH),
            "completion_mask": batch.mask.float(),
            "advantages": batch.values["advantage"],
            "old_per_token_logps": batch.sampler,
            "ref_per_token_logps": batch.references.get("reference"),
            "num_items_in_batch": batch.mask.sum(),
        },
    )
    ours = aggregated(row(batch._replace(logprobs=policy["ours"]))[0], batch, how)
    torch.testing.assert_close(ours, theirs, **exactly)
    ours.backward()
    theirs.backward()
    if name != "gspo" or batch.values["advantage"].ndim == 1:  # of one advantage a sequence; else TRL's is another loss
        torch.testing.assert_close(policy["ours"].grad, policy["theirs"].grad, **exactly)


@pytest.mark.parametrize("margin", [False, True])
@pytest.mark.parametrize("centre", [None, 0.1])
def test_reward_model(margin, centre):
    from trl import RewardTrainer

    row = losses.loss("bradley-terry").given({"margin": float(margin)})
    batch = batch_of(row)
    inputs = {"attention_mask": batch.mask}
    if margin:
        inputs["margin"] = batch.values["margin"]
    self = trainer(args=SimpleNamespace(center_rewards_coefficient=centre))
    logits = batch.last(batch.scores)[:, None]
    theirs = RewardTrainer.compute_loss(self, lambda **_: SimpleNamespace(logits=logits), inputs)
    ours, stats = row(batch, centre=centre or 0.0)
    torch.testing.assert_close(ours.mean(), theirs, **exactly)
    if not margin:
        assert self._metrics["train"]["accuracy"] == [pytest.approx(stats["accuracy"].mean().item())]
