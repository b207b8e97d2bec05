"""What holds for every row of the table, whatever its formula."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from batches import PAIR_VALUES, flat, make, trained  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from loopwright import losses  # noqa: E402
from loopwright.core.errors import InputError  # noqa: E402

# Rows whose options make them read more: a penalty, a bonus, soft labels, margins.
ROWS = {
    **losses.LOSSES,
    "ppo+": losses.loss("ppo").given({"kl": 0.1, "kl_estimator": "k2", "entropy": 0.01}),
    "reinforce+": losses.loss("reinforce").given({"kl": 0.1, "kl_estimator": "k1"}),
    "dpo+": losses.loss("dpo").given({"soft": True, "offset": 0.5, "nll": 0.1, "gamma": 0.2}),
    "srpo+": losses.loss("srpo").given({"soft": True}),
    "bradley-terry+": losses.loss("bradley-terry").given({"margin": 1.0, "centre": 0.01, "soft": True}),
    "unclipped-nft": losses.loss("nft").given({"floor": 1e-3}),
}
# Their gradient is on purpose not that of their value; each has a test of its own.
OTHER_GRADIENT = {"cispo", "gspo", "nft", "unclipped-nft"}
every_row = pytest.mark.parametrize("name", ROWS)
few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@every_row
@few
@given(seed=st.integers(0, 10**6), count=st.integers(1, 3), width=st.integers(1, 6), left=st.booleans())
def test_one_number_a_unit_and_the_padding_has_no_say(name, seed, count, width, left):
    row = ROWS[name]
    shape = (count, width) if row.unit == "token" else (count,)
    seen = []
    for padding in (0.0, 1e9, math.nan, math.inf):
        batch, leaves = trained(make(row, seed, count=count, width=width, left=left, padding=padding))
        loss, stats = row(batch)
        assert loss.shape == shape and all(s.shape == shape and not s.requires_grad for s in stats.values())
        assert loss.isfinite().all() and all(s.isfinite().all() for s in stats.values())
        if row.unit == "token":
            assert (loss[~batch.mask] == 0).all()
        gradients = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True)
        for gradient in gradients:
            assert gradient.isfinite().all() and (gradient[~batch.mask] == 0).all()
        seen.append([loss, *stats.values(), *gradients])
    for other in seen[1:]:
        for a, b in zip(seen[0], other, strict=True):
            assert torch.equal(a, b)


@every_row
@few
@given(seed=st.integers(0, 10**6), left=st.booleans())
def test_a_unit_does_not_depend_on_what_else_is_in_the_pass(name, seed, left):
    row, count = ROWS[name], 3
    batch = make(row, seed, count=count, left=left)
    whole, _ = row(batch)
    for i in range(count):
        rows = [i, count + i] if row.unit == "pair" else [i]
        used = batch.mask[rows].any(dim=0)

        def cut(x, rows=rows, used=used):
            return None if x is None else x[rows][:, used]

        def take(name, x, i=i, rows=rows, used=used):
            if x.ndim == 2:
                return x[rows][:, used]
            return x[[i]] if row.unit != "pair" or name in PAIR_VALUES else x[rows]

        alone, _ = row(
            losses.Batch(
                cut(batch.logprobs),
                cut(batch.mask),
                batch.weights[[i]],
                cut(batch.sampler),
                {n: cut(x) for n, x in batch.references.items()},
                {n: take(n, x) for n, x in batch.values.items()},
                cut(batch.scores),
                cut(batch.entropy),
                cut(batch.state_values),
            )
        )
        torch.testing.assert_close(alone, whole[[i]][:, used] if row.unit == "token" else whole[[i]])


@every_row
@few
@given(seed=st.integers(0, 10**6))
def test_the_weight_multiplies(name, seed):
    row = ROWS[name]
    batch = make(row, seed)
    torch.testing.assert_close(row(batch._replace(weights=batch.weights * 3))[0], row(batch)[0] * 3)


@pytest.mark.parametrize("name", [n for n in ROWS if n not in OTHER_GRADIENT])
@few
@given(seed=st.integers(0, 10**6), left=st.booleans())
def test_the_gradient_is_that_of_the_loss(name, seed, left):
    row, h = ROWS[name], 1e-6
    batch, leaves = trained(make(row, seed, left=left))
    gradients = torch.autograd.grad(row(batch)[0].sum(), leaves, allow_unused=True, materialize_grads=True)
    names = [n for n in ("logprobs", "scores", "entropy", "state_values") if getattr(batch, n) is not None]
    draw = torch.Generator().manual_seed(seed)
    ways = [torch.randn(x.shape, generator=draw, dtype=x.dtype) for x in leaves]

    def moved(by):
        fields = {n: x.detach() + by * way for n, x, way in zip(names, leaves, ways, strict=True)}
        return row(batch._replace(**fields))[0].sum().item()

    found = (moved(h) - moved(-h)) / (2 * h)
    told = sum((g * way).sum().item() for g, way in zip(gradients, ways, strict=True))
    assert told == pytest.approx(found, rel=1e-4, abs=1e-5 * max(1.0, abs(moved(0.0))))


@every_row
def test_a_row_says_what_it_reads(name):
    row = ROWS[name]
    batch = make(row, 0)
    for missing in row.values:
        fewer = {n: v for n, v in batch.values.items() if n != missing}
        with pytest.raises((KeyError, InputError), match=missing):
            row(batch._replace(values=fewer))
    for missing in row.references:
        fewer = {n: v for n, v in batch.references.items() if n != missing}
        with pytest.raises(InputError, match=missing):
            row(batch._replace(references=fewer))
    for missing in row.needs:
        with pytest.raises(InputError, match=missing):
            row(batch._replace(**{missing: None}))


@every_row
def test_a_row_says_where_it_is_from(name):
    row = ROWS[name]
    assert row.paper or row.name == "sft"
    assert row.function.__doc__ and "weights[" in row.function.__doc__


def test_options_bring_what_they_read():
    row = losses.loss("ppo").given({"kl": 0.1, "entropy": 0.01})
    assert row.references == ("reference",) and row.needs == {"sampler", "entropy"} and row.options["kl"] == 0.1
    assert losses.loss("grpo").given({"kl": 0.2}).references == ("reference",)
    assert losses.loss("dpo").given({"soft": True, "offset": 1.0}).values == ("win_rate", "margin")
    assert losses.loss("ppo").given({"kl": 0.0}).references == ()


def test_an_option_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"no option 'gama'\. It has: link"):
        losses.loss("dpo").given({"gama": 1.0})
    with pytest.raises(InputError, match="It has: none"):
        losses.loss("sft").given({"beta": 1.0})


def test_the_last_token_is_found_on_either_side():
    batch = flat(torch.zeros(3, 3))._replace(
        mask=torch.tensor([[False, True, True], [True, False, False], [True, True, True]])
    )
    x = torch.arange(9.0).view(3, 3)
    assert batch.last(x).tolist() == [2.0, 3.0, 8.0]
    assert batch.last(torch.stack([x, -x], dim=-1)).tolist() == [[2.0, -2.0], [3.0, -3.0], [8.0, -8.0]]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, row in ROWS.items() for v in row.values])
def test_a_value_that_is_missing_is_named(name, value):
    batch = make(ROWS[name], 0)
    with pytest.raises(InputError, match=f"expected the value '{value}'.*got none: give it among the values of"):
        ROWS[name](batch._replace(values={n: v for n, v in batch.values.items() if n != value}))


@every_row
def test_what_says_that_it_does_not_read_log_probabilities_does_not(name):
    row = ROWS[name]
    batch = make(row, 0)
    same = torch.equal(row(batch)[0], row(batch._replace(logprobs=torch.zeros_like(batch.logprobs)))[0])
    assert same is not row.logprobs
