"""However a step is cut into passes, its loss and gradient are the same: every unit, every aggregation, random splits."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import network, pairs, samples, warm

from loopwright.core.model import FitJob
from loopwright.losses.registry import Loss
from loopwright.training.blob import Weights, new_head
from loopwright.training.data import Data
from loopwright.training.parameters import Parameters
from loopwright.training.steps import Sums, accumulate


def of_tokens(batch):
    ratio = (batch.logprobs - batch.sampler).exp()
    loss = -ratio * batch.per_token("advantage") * batch.weights[:, None] + 0.1 * batch.scores**2 - 0.1 * batch.entropy
    return loss, {"ratio": ratio.detach()}


def of_sequences(batch):
    gap = batch.total(batch.logprobs - batch.references["reference"])
    loss = -torch.sigmoid(0.5 * gap) * batch.values["label"] * batch.weights + batch.mean(batch.scores)
    return loss, {"gap": gap.detach()}


def of_pairs(batch):
    gap = batch.total(batch.logprobs - batch.references["reference"])
    chosen, rejected = gap.chunk(2)
    loss = -torch.nn.functional.logsigmoid(0.3 * (chosen - rejected) - batch.values["margin"]) * batch.weights
    return loss + (batch.mean(batch.scores) ** 2).view(2, -1).sum(0), {"accuracy": (chosen > rejected).float()}


LOSSES = {
    "token": Loss("t", of_tokens, "token", (), ("advantage",), frozenset({"sampler", "scores", "entropy"})),
    "sequence": Loss("s", of_sequences, "sequence", ("reference",), ("label",), frozenset({"scores"})),
    "pair": Loss("p", of_pairs, "pair", ("reference",), ("margin",), frozenset({"scores"})),
}
COUNT = 7


@st.composite
def splits(draw):
    """A partition of the units, in any order."""
    order = draw(st.permutations(range(COUNT)))
    marks = draw(st.lists(st.booleans(), min_size=COUNT - 1, max_size=COUNT - 1))
    out = [[order[0]]]
    for unit, new in zip(order[1:], marks, strict=True):
        out.append([unit]) if new else out[-1].append(unit)
    return out


def gradient(unit, aggregation, passes, kind):
    net = network()
    data = pairs(COUNT) if unit == "pair" else samples(COUNT)
    job = FitJob(data=data, aggregation=aggregation, constant=5, temperature=0.8)
    held = Data(job, LOSSES[unit], net)
    generator = torch.Generator().manual_seed(3)
    reference = [-torch.rand(n, generator=generator) for n in held.lengths]
    head = (torch.randn(1, 32, generator=generator) * 0.1, torch.ones(1))
    start = replace(warm(net, kind), head=head)
    parameters = Parameters(net, start, head=True)
    said = Sums()
    known = {"reference": reference} if LOSSES[unit].references else {}
    loss = accumulate(parameters, held, passes, job, known, said=said)
    return loss, parameters.grad.clone(), said.means()


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
@pytest.mark.parametrize("unit", ["token", "sequence", "pair"])
def test_the_cut_changes_nothing(unit, aggregation, kind):
    whole, expected, told = gradient(unit, aggregation, [list(range(COUNT))], kind)
    assert expected.norm() > 1e-3

    @settings(max_examples=6, deadline=None, derandomize=True)
    @given(splits())
    def same(passes):
        loss, found, said = gradient(unit, aggregation, passes, kind)
        assert loss == pytest.approx(whole, rel=1e-5)
        torch.testing.assert_close(found, expected, atol=2e-5 * float(expected.abs().max()), rtol=1e-4)
        assert said == pytest.approx(told, rel=1e-4)

    same()


def test_what_each_aggregation_means():
    """Against sums written out: over tokens, over sequences of their means, and over sequences times a constant."""
    net = network()
    data = samples(COUNT)
    row = Loss("t", lambda batch: (-batch.logprobs, {}))
    job = FitJob(data=data, aggregation="token", constant=5)
    held = Data(job, row, net)
    parameters = Parameters(net, Weights(**{**warm(net, "lora").__dict__, "head": new_head(32)}), head=False)
    alone = [
        accumulate(parameters, held, [[u]], job.model_copy(update={"aggregation": "constant", "constant": 1}), {})
        for u in range(COUNT)
    ]
    lengths = held.lengths
    expected = {
        "token": sum(alone) / sum(lengths),
        "sequence": sum(a / n for a, n in zip(alone, lengths, strict=True)) / COUNT,
        "constant": sum(alone) / (COUNT * 5),
    }
    for aggregation, value in expected.items():
        other = job.model_copy(update={"aggregation": aggregation})
        assert accumulate(parameters, held, [[0, 1, 2], [3, 4, 5, 6]], other, {}) == pytest.approx(value, rel=1e-5)
