"""The diffusion chain: densities by hand, gradients by finite differences, and what rewards and tokens must keep."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from generator_kit import Bench  # noqa: E402

from loopwright import losses  # noqa: E402
from loopwright.core.errors import CheckerError, InputError, StoreCorrupt, UnknownName  # noqa: E402
from loopwright.core.model import FitJob, Pair, Request, Sample  # noqa: E402
from loopwright.core.types import Turn  # noqa: E402
from loopwright.losses.denoising import ddim, gaussian_kl, gaussian_logprob, noise_error, noised  # noqa: E402
from loopwright.worlds.generators import torch_parts as parts  # noqa: E402
from loopwright.worlds.generators.arrays import from_text, from_token, to_text, to_token  # noqa: E402
from loopwright.worlds.generators.diffusion import Diffusion, trained  # noqa: E402
from loopwright.worlds.generators.digits import digits_network  # noqa: E402
from loopwright.worlds.generators.drawing import DIGIT_REWARDS, drawn_digits, drawn_points, points_diffusion, worth  # noqa: E402
from loopwright.worlds.generators.model import Generator, Lesson  # noqa: E402


def test_a_step_with_the_true_noise_has_the_posterior_of_the_forward_process():
    """At eta 1 DDIM's step is q(x_then | x_now, clean), Ho et al., equation 7."""
    torch.manual_seed(0)
    clean, noise = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    now, then = torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    x = noised(clean, noise, now)
    mean, deviation = ddim(x, noise, now, then)
    alpha, beta = now / then, 1 - now / then
    posterior = then.sqrt() * beta / (1 - now) * clean + alpha.sqrt() * (1 - then) / (1 - now) * x
    torch.testing.assert_close(mean, posterior)
    torch.testing.assert_close(deviation**2, (1 - then) / (1 - now) * beta)


def test_without_noise_the_step_is_a_point():
    x, noise = torch.ones(1, 2), torch.zeros(1, 2)
    mean, deviation = ddim(x, noise, torch.tensor([0.25]), torch.tensor([0.81]), eta=0.0)
    assert deviation.item() == 0.0
    torch.testing.assert_close(mean, torch.full((1, 2), 0.9 / 0.5))


def test_densities_and_divergence_by_hand():
    x, mean, deviation = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0]])
    one = [-(v**2) / 8 - math.log(2) - 0.5 * math.log(2 * math.pi) for v in (1.0, 2.0)]
    assert gaussian_logprob(x, mean, deviation).item() == pytest.approx(sum(one) / 2)
    assert gaussian_kl(x, mean, deviation).item() == pytest.approx((1 + 4) / 8)
    assert noise_error(x, mean).item() == pytest.approx(2.5)


def network(size=2, chain=4):
    made = Diffusion(size, ("a", "b"), lambda: parts.fresh(made.layers, 3), chain=chain, hidden=(8,))
    return made


def lesson(made, n=6):
    conditions = np.array([[i % 2] for i in range(n)], dtype=np.float32)
    drawn = made.draw(made.start(), conditions, [np.random.default_rng([7, i]) for i in range(n)])
    samples = tuple(
        Sample(
            prompt_ids=(to_token(conditions[i]),), token_ids=tuple(to_token(s) for s in drawn.states[i]),
            logprobs=tuple(float(x) for x in drawn.logprobs[i]), values={"advantage": (-1.0) ** i * (i + 1)},
        )
        for i in range(n)
    )  # fmt: skip
    return Lesson(conditions, tuple(drawn.states), samples)


def test_the_sampler_and_the_trainer_agree_on_densities():
    made = network()
    data = lesson(made)
    found = made.read(made.start(), data, "logprobs")
    np.testing.assert_allclose(found, [s.logprobs for s in data.samples], atol=1e-5)


@pytest.mark.parametrize(("loss", "options"), [("reinforce", {}), ("ppo", {"clip_low": 0.5, "clip_high": 0.5}), ("sft", {})])
def test_the_gradient_is_that_of_finite_differences(loss, options):
    made = network()
    data = lesson(made)
    job = FitJob(data=data.samples, loss=loss, loss_options=options)
    row = losses.loss(loss).given(options)
    of, _ = (made._imitation if loss == "sft" else made._policy)(data, job, row, {})
    units = np.arange(6)
    base = torch.tensor(made.start())
    flat = base.clone().requires_grad_()
    of(flat, units, 0).backward()
    rng = np.random.default_rng(0)
    for _ in range(5):
        direction = torch.tensor(rng.standard_normal(len(base)), dtype=torch.float32)
        direction /= direction.norm()
        with torch.no_grad():
            up, down = of(base + 3e-3 * direction, units, 0), of(base - 3e-3 * direction, units, 0)
        assert (up - down).item() / 6e-3 == pytest.approx((flat.grad @ direction).item(), rel=0.05, abs=5e-3)


def test_on_policy_the_ratio_is_one_and_both_losses_have_one_gradient():
    made = network()
    data = lesson(made)
    grads = []
    for loss in ("ppo", "reinforce"):
        of, _ = made._policy(data, FitJob(data=data.samples, loss=loss), losses.loss(loss), {})
        flat = torch.tensor(made.start(), requires_grad=True)
        of(flat, np.arange(6), 0).backward()
        grads.append(flat.grad)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-3, atol=1e-4)


def test_the_pure_noise_that_a_chain_begins_with_teaches_nothing():
    made = network()
    data = lesson(made)
    flat = torch.tensor(made.start(), requires_grad=True)
    found = made.logprobs(flat, torch.from_numpy(np.stack(data.states)), torch.zeros(6, dtype=torch.int64))
    (gradient,) = torch.autograd.grad(found[:, 0].sum(), flat, allow_unused=True, materialize_grads=True)
    assert not gradient.any()


def test_divergence_is_nothing_from_oneself_and_grows_with_a_step():
    made = network()
    data = lesson(made)
    learned = made.fit(
        made.start(), data, FitJob(data=data.samples, loss="reinforce", batch=0, learning_rate=1e-2), {}, None
    )
    assert learned.stats["kl_start"] > 0
    states, condition = torch.from_numpy(np.stack(data.states)), torch.zeros(6, dtype=torch.int64)
    assert made.divergence(made.start(), made.start(), states, condition) == 0.0


def test_demonstrations_have_no_chain_to_reinforce():
    made = network()
    alone = Sample(prompt_ids=(0,), token_ids=(to_token(np.ones(2)),), values={"advantage": 1.0})
    short = Lesson(np.zeros((1, 1), dtype=np.float32), (np.ones((1, 2), dtype=np.float32),), (alone,))
    with pytest.raises(InputError, match="needs whole chains"):
        made.fit(made.start(), short, FitJob(data=(alone,), loss="reinforce"), {}, None)
    made.fit(made.start(), short, FitJob(data=(alone,), loss="sft"), {}, None)


def test_training_finds_two_points():
    made = Diffusion(2, ("left", "right"), lambda: parts.fresh(made.layers, 0), chain=8, hidden=(32,))
    points = np.array([[-1.0, 0.0], [1.0, 0.0]] * 20)
    weights = trained(made, points, np.array([0, 1] * 20), steps=300, seed=0, rate=1e-2)
    conditions = np.array([[0.0], [1.0]] * 50, dtype=np.float32)
    drawn = made.draw(weights, conditions, [np.random.default_rng([1, i]) for i in range(100)]).states[:, -1]
    assert drawn[::2, 0].mean() == pytest.approx(-1, abs=0.2) and drawn[1::2, 0].mean() == pytest.approx(1, abs=0.2)


def test_arrays_survive_as_tokens_and_texts():
    x = np.array([0.1, -3e30, 0.0, 5.0], dtype=np.float32)
    assert (from_token(to_token(x), 4) == x).all()
    assert from_text(to_text(np.array([0.12347, -1.0]))).tolist() == [0.1235, -1.0]
    with pytest.raises(InputError, match="written by another model"):
        from_token(1 << 200, 2)
    for text in ("", "one", "[]", '{"a": 1}', "[1, null]", "[NaN, 1]", "[1]"):
        with pytest.raises(InputError, match="JSON list of 2 numbers"):
            from_text(text, 2)


def test_replies_are_the_same_whatever_is_asked_beside():
    bench = Bench(drawn_points(train=4, gate=1, test=1), points_diffusion)
    one = Request(turns=(Turn(role="user", text="Draw a point."),), n=2, seed=5)
    other = one.model_copy(update={"seed": 6, "n": 3})
    alone = bench.model._generate([one])[0]
    beside = bench.model._generate([other, one])[1]
    assert [json.loads(c.text) for c in alone.choices] == [pytest.approx(json.loads(c.text), abs=1e-3) for c in beside.choices]


def test_a_blob_of_another_model_is_refused():
    bench = Bench(drawn_points(), points_diffusion)
    with pytest.raises(StoreCorrupt, match="bytes"):
        bench.model.weights(bench.store.blobs.put(b"short"))


def test_an_unknown_question_is_named():
    made = digits_network(lambda: np.zeros(0))
    with pytest.raises(UnknownName, match="Draw a 3"):
        made.condition("Draw a 33.")


# ---- rewards ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [None, math.nan, math.inf, "0.5", 1.5, -0.1, [0.5], np.array([0.1, 0.2])])
def test_a_reward_that_is_no_number_from_0_to_1_is_said(said):
    def mine(point, question):
        return said

    with pytest.raises(CheckerError, match=r"mine returned .*expected a number from 0 to 1"):
        Bench(drawn_points(mine, train=4), points_diffusion).run("ddpo", rounds=1, prompts=2, samples=2)


def test_a_reward_that_fails_is_said():
    with pytest.raises(CheckerError, match=r"failed on 'q': ZeroDivisionError"):
        worth(lambda x, q: 1 / 0, np.zeros(2), "q")


@pytest.mark.parametrize("said", [1, True, 0.25, np.float32(0.5), np.array(0.75)])
def test_numbers_of_any_kind_are_taken(said):
    assert worth(lambda x, q: said, np.zeros(2), "q") == pytest.approx(float(said))


def test_rewards_of_digits_by_hand():
    black, half = np.ones(64), np.concatenate([np.ones(4), -np.ones(4)] * 8)
    assert DIGIT_REWARDS["ink"](black, "") == 1.0 and DIGIT_REWARDS["paper"](black, "") == 0.0
    assert DIGIT_REWARDS["mirror"](black, "") == 1.0 and DIGIT_REWARDS["mirror"](half.reshape(8, 8).ravel(), "") == 0.0
    with pytest.raises(UnknownName, match="ink"):
        drawn_digits("inc")


def test_ddpo_raises_the_reward_and_moves_away_from_the_start():
    bench = Bench(drawn_points("right", train=64, test=128), points_diffusion, seed=3)
    before = bench.score(bench.ctx.policy)
    final = bench.run("ddpo", rounds=6, prompts=32, samples=4, learning_rate=2e-3, batch=0, clip=0.2)[-1]
    assert bench.score(final) > before + 0.1


def test_a_reward_that_is_always_the_same_teaches_nothing():
    assert Bench(drawn_points(lambda x, q: 0.5, train=4), points_diffusion).run("ddpo", rounds=2, prompts=4, samples=2) == []


def test_generators_take_no_pairs():
    bench = Bench(drawn_points(), points_diffusion)
    side = Sample(prompt_ids=(0,), token_ids=(0,))
    with pytest.raises(InputError, match="not on pairs"):
        bench.model._fit(FitJob(data=(Pair(chosen=side, rejected=side),), loss="dpo"))
    assert isinstance(bench.model, Generator)
