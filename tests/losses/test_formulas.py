"""Each formula against numbers by hand, or against what the theory says its solution is."""

from __future__ import annotations

import math

import mpmath
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from batches import flat, make, trained  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from loopwright import losses  # noqa: E402
from loopwright.blocks.advantage import group_relative  # noqa: E402
from loopwright.core.errors import InputError  # noqa: E402
from loopwright.losses.likelihood import log1mexp  # noqa: E402
from loopwright.losses.policy_gradient import KL  # noqa: E402

seeds = st.integers(0, 10**6)


def doubles(*rows):
    return torch.tensor(rows, dtype=torch.float64)


# ---- likelihood -------------------------------------------------------------------------------------------------------


@given(st.floats(-700, -1e-12))
def test_log1mexp_keeps_its_digits(x):
    with mpmath.workdps(400):
        exact = float(mpmath.log(1 - mpmath.exp(x)))
    assert log1mexp(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(exact, rel=1e-12, abs=1e-300)


def test_unlikelihood_by_hand():
    p = doubles([0.9, 0.1], [0.9, 0.1])
    row = losses.loss("unlikelihood")
    found, _ = row(flat(p.log(), values={"label": doubles(1.0, 0.0)}), alpha=2.0)
    torch.testing.assert_close(found, torch.stack([-p[0].log(), -2 * (1 - p[1]).log()]))
    spans, _ = row(flat(p.log(), values={"label": doubles([1.0, 0.0], [0.0, 0.5])}))
    assert spans[0, 1].item() == pytest.approx(-math.log(0.9))
    assert spans[1, 1].item() == pytest.approx(-0.5 * math.log(0.1) - 0.5 * math.log(0.9))


def test_unlikelihood_of_a_sure_token_is_finite():
    logprobs = torch.zeros(1, 1, requires_grad=True)
    found, _ = losses.loss("unlikelihood")(flat(logprobs, values={"label": torch.zeros(1)}))
    found.sum().backward()
    assert found.item() == pytest.approx(-math.log(1e-5), rel=1e-3) and logprobs.grad.item() == 0.0


# ---- pairs ------------------------------------------------------------------------------------------------------------


def pair(chosen, rejected, **fields):
    return flat(doubles([chosen], [rejected]), weights=torch.ones(1, dtype=torch.float64), **fields)


def under(**references):
    return {name: doubles(*[[x] for x in both]) for name, both in references.items()}


def test_soft_labels_are_the_mixture_of_both_orders():
    for name in ("dpo", "hinge", "cdpo"):
        row = losses.loss(name)
        there = pair(-1.0, -2.0, references=under(reference=(-1.5, -1.0)), values={"win_rate": doubles(0.7)})
        back = pair(-2.0, -1.0, references=under(reference=(-1.0, -1.5)))
        mixed = 0.7 * row(there, label_smoothing=0.0)[0] + 0.3 * row(back, label_smoothing=0.0)[0]
        torch.testing.assert_close(row(there, soft=True)[0], mixed)
        torch.testing.assert_close(row(there, label_smoothing=0.3)[0], mixed)


def test_the_robust_link_is_unbiased():
    """Over labels flipped with the probability it is told, its mean is the loss on the true ones: arXiv:2403.00409."""
    there = pair(-1.0, -2.0, references=under(reference=(-1.5, -1.0)))
    back = pair(-2.0, -1.0, references=under(reference=(-1.0, -1.5)))
    robust = losses.loss("robust-dpo").given({"label_smoothing": 0.2})
    torch.testing.assert_close(0.8 * robust(there)[0] + 0.2 * robust(back)[0], losses.loss("dpo")(there)[0])


def test_ipo_with_a_soft_label_is_solved_by_the_regularised_optimum():
    """Azar et al., equation 7 with psi the identity: policy proportional to reference * exp(win rate / tau)."""
    tau, reference = 0.3, F.log_softmax(doubles(0.3, -1.0, 0.5), dim=0)
    beats = doubles([0.5, 0.9, 0.3], [0.1, 0.5, 0.6], [0.7, 0.4, 0.5])
    worth = beats.mean(dim=1)
    policy = F.log_softmax(reference + worth / tau, dim=0)
    for y in range(3):
        for z in range(3):
            batch = pair(
                policy[y].item(),
                policy[z].item(),
                references=under(reference=(reference[y], reference[z])),
                values={"win_rate": (worth[y] - worth[z] + 0.5)[None]},
            )
            found = losses.loss("ipo")(batch, beta=tau, soft=True)[0]
            assert found.item() == pytest.approx(0.0, abs=1e-12)


def test_simpo_by_hand():
    logprobs = doubles([-1.0, -2.0], [-4.0, -3.0])
    found = losses.loss("simpo")(flat(logprobs, weights=torch.ones(1)), beta=2.0, gamma=1.6)[0]
    assert found.item() == pytest.approx(math.log1p(math.exp(-(2.0 * (-1.5 + 3.5) - 1.6))))


def test_a_margin_is_asked_for_and_reached():
    found = losses.loss("odpo")(
        pair(-1.0, -3.0, references=under(reference=(-1.0, -1.0)), values={"margin": doubles(0.5)}), beta=1.0
    )[0]
    assert found.item() == pytest.approx(math.log1p(math.exp(-(2.0 - 0.5))))


def test_slic_by_hand():
    found = losses.loss("slic")(pair(-1.0, -1.4), nll=0.5)[0]
    assert found.item() == pytest.approx((1 - 0.4) + 0.5 * 1.0)


def test_orpo_by_hand():
    p, q = 0.6, 0.2
    found = losses.loss("orpo")(pair(math.log(p), math.log(q)), lam=0.25)[0]
    odds = math.log(p / (1 - p)) - math.log(q / (1 - q))
    assert found.item() == pytest.approx(-math.log(p) + 0.25 * math.log1p(math.exp(-odds)))


def test_orpo_of_a_sure_text_is_finite():
    logprobs = doubles([0.0], [-1.0]).requires_grad_()
    losses.loss("orpo")(flat(logprobs, weights=torch.ones(1)))[0].sum().backward()
    assert logprobs.grad.isfinite().all()


def test_inpo_by_hand():
    batch = pair(-1.0, -2.5, references=under(reference=(-2.0, -2.2), previous=(-1.5, -1.9)))
    tau, eta = 0.2, 0.5
    h = (-1.0 + 2.5) - tau / eta * (-2.0 + 2.2) - (eta - tau) / eta * (-1.5 + 1.9)
    found = losses.loss("inpo")(batch, tau=tau, eta=eta)[0]
    assert found.item() == pytest.approx((h - 1 / (2 * eta)) ** 2)
    ends = {"reference": eta, "previous": 0.0}  # without the previous policy, and without the reference, it is IPO
    for name, tau in ends.items():
        alone = losses.loss("ipo")(batch, anchors={name: 1.0}, beta=eta, normalise=False)[0]
        torch.testing.assert_close(losses.loss("inpo")(batch, tau=tau, eta=eta)[0], alone)
    with pytest.raises(InputError, match="tau <= eta"):
        losses.loss("inpo")(batch, tau=1.0, eta=0.5)


@pytest.mark.parametrize("tau", [0.0, 0.5, 2.0])
def test_inpo_in_the_mean_is_solved_by_a_step_of_mirror_descent(tau):
    """policy proportional to exp(win rate / eta) * reference^(tau/eta) * previous^(1 - tau/eta), pairs from previous."""
    eta = 2.0
    reference = F.log_softmax(doubles(0.3, -1.0, 0.5), dim=0)
    previous = F.log_softmax(doubles(-0.2, 0.4, 0.1), dim=0)
    beats = doubles([0.5, 0.9, 0.3], [0.1, 0.5, 0.6], [0.7, 0.4, 0.5])
    worth = beats @ previous.exp()
    step = F.log_softmax(worth / eta + tau / eta * reference + (1 - tau / eta) * previous, dim=0)
    logits = step.clone().requires_grad_()
    policy = F.log_softmax(logits, dim=0)
    total = torch.zeros((), dtype=torch.float64)
    for y in range(3):
        for z in range(3):
            batch = losses.Batch(
                torch.stack([policy[y], policy[z]])[:, None],
                torch.ones(2, 1, dtype=torch.bool),
                (previous[y] + previous[z]).exp()[None] * beats[y, z],
                references=under(reference=(reference[y], reference[z]), previous=(previous[y], previous[z])),
            )
            total = total + losses.loss("inpo")(batch, tau=tau, eta=eta)[0].sum()
    total.backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-12, rtol=0)


def test_rebel_and_spo_by_hand():
    batch = pair(-1.0, -2.5, references=under(previous=(-1.5, -1.9)), values={"gap": doubles(0.3)})
    for name in ("rebel", "spo"):
        found = losses.loss(name)(batch, eta=0.5)[0]
        assert found.item() == pytest.approx(((0.5 - -0.6) / 0.5 - 0.3) ** 2)


BEATS = ([0.5, 0.9, 0.3], [0.1, 0.5, 0.6], [0.7, 0.4, 0.5])  # the row's answer the column's; in a circle


def at_a_step_of_mirror_descent(name, step, label, **options):
    """Losses and their total gradient over all pairs, at previous * exp(step * win rate against previous)."""
    previous = F.log_softmax(doubles(-0.2, 0.4, 0.1), dim=0)
    worth = doubles(*BEATS) @ previous.exp()
    logits = (previous + step * worth).requires_grad_()
    policy = F.log_softmax(logits, dim=0)
    found = []
    for y in range(3):
        for z in range(3):
            batch = losses.Batch(
                torch.stack([policy[y], policy[z]])[:, None],
                torch.ones(2, 1, dtype=torch.bool),
                (previous[y] + previous[z]).exp()[None],
                references=under(previous=(previous[y], previous[z])),
                values=label(y, z, worth[y] - worth[z]),
            )
            found.append(losses.loss(name)(batch, **options)[0])
    torch.cat(found).sum().backward()
    return torch.cat(found), logits.grad


def test_spo_is_solved_by_a_step_of_mirror_descent():
    found, _ = at_a_step_of_mirror_descent("spo", 0.7, lambda y, z, gap: {"gap": gap[None]}, eta=0.7)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-12, rtol=0)


def test_dno_is_solved_by_a_step_of_mirror_descent():
    """Rosset et al., equations 9 and 12: not by who beats whom, but by who more often beats the previous policy."""
    told = {"beta": 0.4, "step": 1 / 0.4}
    _, gradient = at_a_step_of_mirror_descent(
        "dno", label=lambda y, z, gap: {"win_rate": torch.sigmoid(gap)[None]}, **told
    )
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)
    _, gradient = at_a_step_of_mirror_descent("dno", label=lambda y, z, gap: {"win_rate": doubles(BEATS[y][z])}, **told)
    assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "options", "good"),
    [
        ("srpo", {"soft": True}, {"sign": 4, "scale": 2, "win_rate": 2}),
        ("dpo", {"soft": True, "offset": 1.0}, {"win_rate": 2, "margin": 2}),
        ("rebel", {}, {"gap": 2}),
        ("sppo", {}, {"win_rate": 4}),
        ("kto", {}, {"label": 4, "drift": 4}),
        ("pmpo", {}, {"label": 4}),
    ],
)
def test_a_value_of_the_wrong_thing_is_told(name, options, good):
    row = losses.loss(name)
    weights = torch.ones(2 if row.unit == "pair" else 4)
    references = {row.references[0]: torch.zeros(4, 3)}
    values = {n: torch.ones(count) for n, count in good.items()}
    batch = flat(torch.zeros(4, 3), weights=weights, references=references, values=values)
    assert row(batch, **options)[0].shape == weights.shape
    for missing, count in good.items():
        wanted = rf"expected the value '{missing}', one number per {'pair' if count == 2 else 'sample'}, \[{count}\]"
        fewer = {n: v for n, v in values.items() if n != missing}
        with pytest.raises(InputError, match=rf"{wanted}.*, got none: give it among the values of"):
            row(batch._replace(values=fewer), **options)
        with pytest.raises(InputError, match=rf"{wanted}.*, got \[{6 - count}\]: give it among the values of"):
            row(batch._replace(values={**values, missing: torch.ones(6 - count)}), **options)


def test_srpo_is_solved_by_the_equilibrium_of_its_game():
    """Improver: reference * exp(P(improved better) / beta), normalised for each shown answer. Policy: reference times
    exp of minus the improver's best value / beta. Both equations then hold for every two answers."""
    beta, n = 0.4, 3
    draw = torch.Generator().manual_seed(5)
    first = F.log_softmax(torch.randn(n, generator=draw, dtype=torch.float64), dim=0)  # reference of answers
    shown = F.log_softmax(torch.randn(n, n, generator=draw, dtype=torch.float64), dim=1)  # [shown, improved]
    wins = torch.rand(n, n, generator=draw, dtype=torch.float64)
    wins = torch.where(torch.ones(n, n).triu(1).bool(), wins, 1 - wins.T).fill_diagonal_(0.5)  # wins[y, z]: y beats z
    unnormalised = shown + wins.T / beta
    improver = F.log_softmax(unnormalised, dim=1)
    best = beta * torch.logsumexp(unnormalised, dim=1)
    policy = F.log_softmax(first - best / beta, dim=0)

    def both(logprobs, reference, sign, scale, p):
        values = {"sign": doubles(sign, sign), "scale": doubles(scale), "win_rate": doubles(p)}
        batch = flat(
            torch.stack([torch.stack(x) for x in logprobs]),
            weights=torch.ones(1, dtype=torch.float64),
            references={"reference": torch.stack([torch.stack(x) for x in reference])},
            values=values,
        )
        return losses.loss("srpo")(batch, beta=beta, soft=True)[0].item()

    for w in range(n):
        for v in range(n):
            p = wins[w, v].item()
            assert both(
                [[improver[v, w]], [improver[v, v]]], [[shown[v, w]], [shown[v, v]]], [1.0], 1.0, p
            ) == pytest.approx(0.0, abs=1e-12)
            assert both(
                [[policy[v], improver[v, w]], [policy[w], improver[w, v]]],
                [[first[v], shown[v, w]], [first[w], shown[w, v]]],
                [-1.0, 1.0],
                0.5,
                p,
            ) == pytest.approx(0.0, abs=1e-12)


def test_srpo_takes_the_winner_as_sure():
    batch = pair(-1.0, -3.0, references=under(reference=(-1.5, -1.5)))
    batch = batch._replace(values={"sign": doubles([1.0], [1.0]), "scale": doubles(0.5)})
    assert losses.loss("srpo")(batch, beta=0.1)[0].item() == pytest.approx((0.5 - 0.1 * 0.5 * 2.0) ** 2)


def test_an_unknown_link_is_named():
    batch = pair(-1.0, -2.0, references=under(reference=(-1.0, -1.0)))
    with pytest.raises(InputError, match="link must be one of sigmoid"):
        losses.loss("dpo")(batch, link="sigmod")
    with pytest.raises(InputError, match="has no gamma"):
        losses.loss("nca")(batch, gamma=1.0)
    with pytest.raises(InputError, match=r"below 0\.5"):
        losses.loss("robust-dpo")(batch, label_smoothing=0.5)


# ---- single sequences -------------------------------------------------------------------------------------------------


def test_sppo_by_hand_and_as_pairs():
    batch = flat(
        doubles([-1.0], [-2.0]), references=under(previous=(-1.5, -1.0)), values={"win_rate": doubles(1.0, 0.0)}
    )
    found = losses.loss("sppo")(batch, eta=4.0)[0]
    torch.testing.assert_close(found, doubles((0.5 - 2.0) ** 2, (-1.0 + 2.0) ** 2))
    hard = losses.loss("sppo-hard")(batch._replace(weights=doubles(1.0)), beta=1 / 4.0)[0]
    torch.testing.assert_close(hard, found.sum()[None])


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_pmpo_estimates_the_divergence(seed):
    draw = torch.Generator().manual_seed(seed)
    policy, reference = F.log_softmax(torch.randn(2, 6, generator=draw, dtype=torch.float64), dim=1)
    batch = flat(policy[:, None], references={"reference": reference[:, None]}, values={"label": doubles(*[1.0] * 6)})
    _, stats = losses.loss("pmpo")(batch)
    exact = (reference.exp() * (reference - policy)).sum()
    torch.testing.assert_close((reference.exp() * stats["divergence"]).sum(), exact)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.8), (1.0, 0.2), (0.0, 1.0)])
def test_pmpo_is_solved_by_the_reference_reweighed(alpha, beta):
    """Equation 10 on the reference's own answers, each accepted with its probability: the optimum has a closed form."""
    reference, accepted = F.log_softmax(doubles(0.3, -1.0, 0.5, 0.1), dim=0), doubles(0.9, 0.2, 0.6, 0.4)
    best = reference + (beta + alpha * accepted - (1 - alpha) * (1 - accepted)).log()
    if alpha == beta == 0.5:  # Bayes: the reference given that it is accepted
        torch.testing.assert_close(best.exp(), reference.exp() * accepted)
    logits = best.clone().requires_grad_()
    batch = flat(
        F.log_softmax(logits, dim=0).repeat(2)[:, None],
        weights=torch.cat([reference.exp() * accepted, reference.exp() * (1 - accepted)]),
        references={"reference": reference.repeat(2)[:, None]},
        values={"label": doubles(*[1.0] * 4, *[0.0] * 4)},
    )
    losses.loss("pmpo")(batch, alpha=alpha, beta=beta)[0].sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-12, rtol=0)


def test_pmpo_by_hand():
    batch = flat(doubles([-1.0], [-2.0]), references=under(reference=(-1.0, -2.0)), values={"label": doubles(1.0, 0.0)})
    found = losses.loss("pmpo")(batch, alpha=0.7, beta=2.0)[0]
    torch.testing.assert_close(found, doubles(0.7 * 1.0, 0.3 * -2.0))


# ---- tokens with an advantage -----------------------------------------------------------------------------------------


def step(ratio, advantage, **options):
    """Loss and gradient by log-probability of one token."""
    logprobs = doubles([math.log(ratio) - 1.0]).requires_grad_()
    batch = flat(logprobs, sampler=doubles([-1.0]), values={"advantage": doubles(advantage)})
    found, stats = losses.loss(options.pop("name", "ppo"))(batch, **options)
    found.sum().backward()
    return found.item(), logprobs.grad.item(), stats["clipped"].item()


def test_where_ppo_clips():
    assert step(1.1, 2.0) == pytest.approx((-2.2, -2.2, 0))
    assert step(1.5, 2.0) == pytest.approx((-2.4, 0.0, 1))
    assert step(1.25, 2.0, name="dapo") == pytest.approx((-2.5, -2.5, 0))
    assert step(0.5, -2.0) == pytest.approx((1.6, 0.0, 1))
    assert step(0.5, 2.0) == pytest.approx((-1.0, -1.0, 0))  # the bound never takes away what would put it right
    assert step(5.0, -2.0) == pytest.approx((10.0, 10.0, 0))
    assert step(5.0, -2.0, name="dual-clip") == pytest.approx((6.0, 0.0, 1))
    assert step(2.0, -2.0, name="dual-clip") == pytest.approx((4.0, 4.0, 0))
    assert step(5.0, 2.0, name="dual-clip") == pytest.approx((-2.4, 0.0, 1))


def test_cispo_keeps_every_gradient():
    assert step(9.0, 2.0, name="cispo")[1:] == pytest.approx((-10.0, 1))
    assert step(0.5, 2.0, name="cispo")[1:] == pytest.approx((-1.0, 0))


def test_a_huge_ratio_does_not_break_the_gradient():
    found, gradient, _ = step(1e300, 1.0)
    assert (found, gradient) == pytest.approx((-1.2, 0.0))


def test_reinforce_is_the_score_function():
    logprobs = doubles([-1.0, -2.0]).requires_grad_()
    found, _ = losses.loss("reinforce")(flat(logprobs, values={"advantage": doubles(3.0)}))
    torch.testing.assert_close(found, doubles([3.0, 6.0]))
    found.sum().backward()
    torch.testing.assert_close(logprobs.grad, doubles([-3.0, -3.0]))


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_gspo_is_the_loss_of_whole_sequences(seed):
    """Zheng et al., arXiv:2507.18071, equations 5 and 7, written for sequences; one advantage each."""
    row = losses.loss("gspo")
    batch, (logprobs,) = trained(make(row, seed * 2, count=3))
    options = {"clip_low": 0.1, "clip_high": 0.15}
    ours = batch.mean(row(batch, **options)[0]).mean()
    whole = batch.mean(logprobs - batch.sampler).exp()
    advantage, weights = batch.values["advantage"], batch.weights
    theirs = -(weights * torch.minimum(whole * advantage, whole.clamp(0.9, 1.15) * advantage)).mean()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(x, logprobs)[0] for x in (ours, theirs)))


@pytest.mark.parametrize("name", KL)
def test_estimators_of_the_divergence_agree_in_the_mean(name):
    draw = torch.Generator().manual_seed(0)
    policy, reference = F.log_softmax(0.1 * torch.randn(2, 50, generator=draw, dtype=torch.float64), dim=1)
    exact = (policy.exp() * (policy - reference)).sum().item()
    found = (policy.exp() * KL[name](reference - policy)).sum().item()
    assert found == pytest.approx(exact, rel=0.1 if name == "k2" else 1e-9)


@settings(max_examples=200)
@given(st.floats(-200, 200), st.sampled_from([torch.float32, torch.float64]))
def test_k3_pulls_towards_the_reference_however_far_it_is(gap, dtype):
    r = torch.tensor(gap, dtype=dtype, requires_grad=True)
    value = KL["k3"](r)
    (slope,) = torch.autograd.grad(value, r)
    assert value.isfinite() and slope.isfinite() and value >= 0
    assert slope.sign() == r.detach().sign() or abs(gap) < 1e-6
    if gap <= 20:  # the plain formula, to the last digit
        plain = r.detach().clone().requires_grad_()
        found = torch.expm1(plain) - plain
        assert torch.equal(found, value) and torch.equal(torch.autograd.grad(found, plain)[0], slope)
    else:  # the line that touches it at 20
        torch.testing.assert_close(slope, torch.expm1(torch.tensor(20.0, dtype=dtype)))
        assert value >= KL["k3"](torch.tensor(20.0, dtype=dtype))


def test_k3_is_convex_and_without_a_step_where_it_turns_into_a_line():
    r = torch.linspace(19.9, 20.1, 2001, dtype=torch.float64, requires_grad=True)
    value = KL["k3"](r)
    (slope,) = torch.autograd.grad(value.sum(), r)
    assert (value.diff() > 0).all() and (slope.diff() >= 0).all()
    torch.testing.assert_close(value.diff() / 1e-4, slope.detach()[:-1], rtol=1e-3, atol=0.0)


@given(st.floats(-100, -1e-3), st.floats(-100, -1e-3), st.floats(-100, -1e-3))
def test_every_divergence_pulls_towards_the_reference(policy, sampler, reference):
    for options in ({}, {"weigh_kl": True}):
        logprobs = torch.tensor([[policy]], dtype=torch.float32, requires_grad=True)
        batch = flat(
            logprobs, sampler=torch.tensor([[sampler]]), references={"reference": torch.tensor([[reference]])},
            values={"advantage": torch.zeros(1)},
        )  # fmt: skip
        loss, stats = losses.loss("grpo")(batch, **options)
        (slope,) = torch.autograd.grad(loss.sum(), logprobs)
        assert loss.isfinite().all() and slope.isfinite().all() and (stats["kl"] >= 0).all()
        assert slope.item() * (policy - reference) >= 0
        if abs(policy - reference) > 0.1 and policy - sampler > -20:
            assert slope.item() != 0


@pytest.mark.parametrize("weigh", [False, True])
def test_the_mean_of_the_weighed_divergence_is_exact_off_policy_in_value_and_gradient(weigh):
    draw = torch.Generator().manual_seed(0)
    logits, sampler, reference = torch.randn(3, 50, generator=draw, dtype=torch.float64)
    logits.requires_grad_()
    sampler, reference = (F.log_softmax(x, dim=0) for x in (sampler, reference))
    policy = F.log_softmax(logits, dim=0)
    exact = (policy.exp() * (policy - reference)).sum()
    # every token once, weighed by how often the sampler draws it: its mean
    batch = flat(
        policy[:, None], sampler=sampler[:, None], references={"reference": reference[:, None]},
        values={"advantage": torch.zeros(50, dtype=torch.float64)}, weights=sampler.exp(),
    )  # fmt: skip
    found = losses.loss("grpo")(batch, kl=1.0, weigh_kl=weigh)[0].sum()
    gradients = [torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (found, exact)]
    assert torch.allclose(found, exact, atol=1e-6) is weigh
    assert torch.allclose(*gradients, atol=1e-6) is weigh


def test_penalty_and_bonus_are_added_before_the_weight():
    batch = flat(
        doubles([-1.0]),
        weights=doubles(2.0),
        references={"reference": doubles([-1.5])},
        values={"advantage": doubles(0.0)},
        entropy=doubles([0.7]),
    )
    found, stats = losses.loss("reinforce")(batch, kl=0.1, kl_estimator="k1", entropy=0.01)
    assert found.item() == pytest.approx(2 * (0.1 * 0.5 - 0.01 * 0.7))
    assert stats["kl"].item() == pytest.approx(0.5) and stats["entropy"].item() == pytest.approx(0.7)


def test_what_is_not_there_is_named():
    batch = flat(doubles([-1.0]), values={"advantage": doubles(1.0)})
    for options, match in [
        ({"surrogate": "trpo"}, "surrogate must be"),
        ({}, "needs 'sampler'"),
        ({"surrogate": "reinforce", "kl": 0.1}, "needs 'reference'"),
        ({"surrogate": "reinforce", "kl": 0.1, "kl_estimator": "k4"}, "kl_estimator must be"),
        ({"surrogate": "reinforce", "kl": 0.1, "weigh_kl": True}, "needs 'reference'"),
        ({"surrogate": "reinforce", "entropy": 0.1}, "needs 'entropy'"),
    ]:
        with pytest.raises(InputError, match=match):
            losses.loss("ppo")(batch, **options)
    both = batch._replace(references={"reference": doubles([-1.0])})
    for options, match in [({}, "needs 'sampler'"), ({"kl_estimator": "k2"}, "goes with kl_estimator k3")]:
        with pytest.raises(InputError, match=match):
            losses.loss("reinforce")(both, kl=0.1, weigh_kl=True, **options)
    assert "sampler" in losses.loss("reinforce").given({"kl": 0.1, "weigh_kl": True}).needs
    with pytest.raises(InputError, match="level must be"):
        losses.loss("ppo")(batch._replace(sampler=doubles([-1.0])), level="word")


# ---- negative-aware fine-tuning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weighting", "scale"), [("grpo", "group"), ("dr_grpo", "none")])
@pytest.mark.parametrize("rewards", [[1, 0, 0, 0], [1, 1, 0, 1, 0], [0, 1]])
def test_on_policy_nft_is_grpo(weighting, scale, rewards):
    """Chen et al., arXiv:2505.18116, proposition on equivalence: one gradient for both, whatever the rewards."""
    n = len(rewards)
    draw = torch.Generator().manual_seed(n)
    sampled = -torch.rand(n, 4, generator=draw, dtype=torch.float64)
    mask = torch.arange(4) >= torch.randint(0, 4, (n, 1), generator=draw)
    advantage = group_relative(rewards, ["q"] * n, scale=scale, ddof=0, epsilon=0.0)
    values = {
        "reward": doubles(*map(float, rewards)),
        "rate": doubles(*[sum(rewards) / n] * n),
        "advantage": doubles(*advantage),
    }
    gradients = []
    for name, options in [("nft", {"weighting": weighting}), ("ppo", {})]:
        logprobs = sampled.clone().requires_grad_()
        batch = losses.Batch(logprobs, mask, torch.ones(n), sampled, values=values)
        losses.loss(name)(batch, **options)[0].sum().backward()
        gradients.append(logprobs.grad)
    torch.testing.assert_close(*gradients)


def test_guided_by_hand():
    p, sampler = doubles([0.5, 0.02], [0.5, 0.02]), doubles([0.4, 0.02], [0.9, 0.9])
    values = {"advantage": doubles(0.75, 0.5), "refined": doubles(0.0, 1.0)}
    logprobs = p.log().requires_grad_()
    found, stats = losses.loss("guided")(flat(logprobs, sampler=sampler.log(), values=values))
    torch.testing.assert_close(found, doubles([-1.25 * 0.75, -0.75], [-0.5 * 0.5 / 0.6, -0.5 * 0.02 / 0.12]))
    found.sum().backward()
    pulled = [0.1 * q / (q + 0.1) ** 2 for q in (0.5, 0.02)]
    torch.testing.assert_close(logprobs.grad[1], -0.5 * doubles(*pulled))
    torch.testing.assert_close(stats["shaped"], doubles([0.0, 0.0], [0.5 / 0.6, 0.02 / 0.12]))
    torch.testing.assert_close(stats["ratio"], doubles([1.25, 1.0], [0.0, 0.0]))


@given(seeds)
def test_guided_without_refinements_is_the_policy_gradient(seed):
    batch = make(losses.loss("guided"), seed)
    batch = batch._replace(values={**batch.values, "refined": torch.zeros(2, dtype=torch.float64)})
    clips = {"clip_low": 0.2, "clip_high": 0.3}
    torch.testing.assert_close(losses.loss("guided")(batch, **clips)[0], losses.loss("ppo")(batch, **clips)[0])


def nft(ratio, reward, rate, **options):
    logprobs = doubles([math.log(ratio) - 1.0]).requires_grad_()
    values = {"reward": doubles(reward), "rate": doubles(rate)}
    found, stats = losses.loss("nft")(flat(logprobs, sampler=doubles([-1.0]), values=values), **options)
    found.sum().backward()
    return found.item(), logprobs.grad.item(), stats["floored"].item()


def test_nft_by_hand():
    assert nft(1.3, 1.0, 0.25) == pytest.approx((-0.75 * math.log(1.3), -0.75, 0))
    other = (1 - 0.25 * 0.8) / 0.75  # above the floor of 1: the logarithm and its gradient
    slope = 0.25 * 0.8 / (1 - 0.25 * 0.8)
    assert nft(0.8, 0.0, 0.25) == pytest.approx((-0.75 * math.log(other), 0.75 * slope, 0))
    # below it: log 1 = 0, and the gradient of the ratio itself, which keeps pushing down
    assert nft(1.5, 0.0, 0.25) == pytest.approx((0.0, 0.75 * 0.25 * 1.5 / 0.75, 1))
    assert nft(1.5, 0.0, 0.25, negative=0.0)[1] == 0.0
    assert nft(1.0, 1.0, 1.0, weighting="none") == pytest.approx((0.0, -1.0, 0))
    assert nft(1.0, 1.0, 1.0)[1] == pytest.approx(-0.02)  # the rate is kept from 1
    with pytest.raises(InputError, match="weighting must be"):
        nft(1.0, 1.0, 0.5, weighting="rloo")


# ---- values and rewards -----------------------------------------------------------------------------------------------


def test_value_clipping_by_hand():
    now = doubles([0.0, 1.0, 2.0]).requires_grad_()
    values = {"returns": doubles([0.5, 0.5, 3.0]), "old_values": doubles([0.0, 0.0, 0.0])}
    batch = flat(doubles([-1.0, -1.0, -1.0]), state_values=now, values=values)
    found, stats = losses.loss("value-clipped")(batch, clip=0.2)
    torch.testing.assert_close(found, doubles([0.125, 0.125, 0.5 * 2.8**2]))
    assert stats["clipped"].tolist() == [[0, 0, 1]]
    found.sum().backward()
    torch.testing.assert_close(now.grad, doubles([-0.5, 0.5, 0.0]))
    torch.testing.assert_close(losses.loss("value")(batch)[0], doubles([0.125, 0.125, 0.5]))


def test_a_soft_reward_model_is_solved_by_the_log_odds():
    scores = doubles([math.log(0.7 / 0.3)], [0.0]).requires_grad_()
    batch = flat(doubles([-1.0], [-1.0]), weights=doubles(1.0), scores=scores, values={"win_rate": doubles(0.7)})
    losses.loss("bradley-terry")(batch, soft=True)[0].sum().backward()
    torch.testing.assert_close(scores.grad, torch.zeros_like(scores), atol=1e-12, rtol=0)


def test_a_general_preference_can_go_in_circles():
    """Paper, scissors and stone on a circle: each beats the next with the same odds, which no scalar can say."""
    angle = doubles(0.0, 2 * math.pi / 3, 4 * math.pi / 3)
    v = 3.0 * torch.stack([angle.cos(), angle.sin()], dim=1)
    margins = []
    for a, b in [(0, 1), (1, 2), (2, 0), (1, 0), (1, 1)]:
        batch = flat(doubles([-1.0], [-1.0]), weights=doubles(1.0), scores=v[[a, b]][:, None])
        loss, stats = losses.loss("general-preference")(batch, tau=1.0)
        margins.append(stats["margin"].item())
        assert loss.item() == pytest.approx(math.log1p(math.exp(-margins[-1])))
    assert margins == pytest.approx([math.sin(2 * math.pi / 3)] * 3 + [-math.sin(2 * math.pi / 3), 0.0], abs=1e-12)


def test_a_general_preference_asks_for_a_wide_head():
    row = losses.loss("general-preference")
    with pytest.raises(InputError, match=r"scores \[B, T, K\]"):
        row(flat(doubles([-1.0], [-1.0]), scores=doubles([0.0], [0.0])))
    with pytest.raises(InputError, match="even width, got 3"):
        row(flat(doubles([-1.0], [-1.0]), scores=torch.zeros(2, 1, 3)))


def test_process_reward_reads_the_labelled_tokens_alone():
    scores = doubles([2.0, 9.0, -1.0], [1.0, 1.0, 1.0])
    nan = math.nan
    label = doubles([1.0, nan, 0.25], [nan, nan, nan])
    found, stats = losses.loss("process-reward")(flat(torch.zeros_like(scores), scores=scores, values={"label": label}))
    log = lambda x: math.log1p(math.exp(-x))  # noqa: E731
    first = (log(2.0) + 0.25 * log(-1.0) + 0.75 * log(1.0)) / 2
    torch.testing.assert_close(found, doubles(first, 0.0))
    assert stats["accuracy"].tolist() == [1.0, 0.0]


def test_outcome_reward_by_hand():
    scores, label = doubles([9.0, 2.0], [9.0, -1.0]), doubles(1.0, 1.0)
    found, stats = losses.loss("outcome-reward")(flat(torch.zeros_like(scores), scores=scores, values={"label": label}))
    torch.testing.assert_close(found, doubles(math.log1p(math.exp(-2.0)), math.log1p(math.exp(1.0))))
    assert stats["accuracy"].tolist() == [1.0, 0.0]


def test_reward_regression_by_hand():
    batch = flat(doubles([-1.0, -1.0]), scores=doubles([7.0, 0.5]), values={"reward": doubles(2.0)})
    assert losses.loss("reward-regression")(batch)[0].item() == pytest.approx(2.25)
