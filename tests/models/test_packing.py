"""Layouts of a pass: whatever is shared, every sequence is read as if it were alone."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import save

from loopwright.models import loading
from loopwright.models.packing import pack


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def network(request, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    save(folder, request.param)
    return loading.load(folder, torch.float32, torch.device("cpu"), None).network


@st.composite
def batches(draw):
    """Sequences of a few prompts, some of one token, and how much of each is its own."""
    prompts = draw(st.lists(st.lists(st.integers(3, 200), min_size=1, max_size=14), min_size=1, max_size=4))
    rows, own = [], []
    for _ in range(draw(st.integers(1, 7))):
        written = draw(st.lists(st.integers(3, 200), min_size=1, max_size=6))
        rows.append([*draw(st.sampled_from(prompts)), *written])
        own.append(len(written) + draw(st.integers(0, 1)))
    return rows, own


@settings(max_examples=30, deadline=None, derandomize=True)
@given(batches())
def test_states_are_those_of_each_sequence_alone(network, batch):
    rows, own = batch
    for grouped in (False, True):
        packed = pack(rows, own=own, grouped=grouped)
        states = network.hidden(packed)
        for row, keep, found in zip(rows, own, states, strict=True):
            expected = network.hidden(pack([row]))[0, -keep:]
            torch.testing.assert_close(found[-keep:], expected, atol=2e-4, rtol=1e-4)


def test_groups_are_used_where_they_save_something():
    first, second = list(range(30, 50)), list(range(60, 70))
    rows = [[*first, 1, 2], [*second, 1], [*first, 5], [*second, 5, 6]]
    own = [2, 1, 1, 2]
    packed = pack(rows, own=own, grouped=True)
    assert packed.groups is not None
    assert packed.groups.starts.shape == (2, 20) and packed.groups.pad.tolist() == [0, 10]
    assert packed.groups.owner.tolist() == [0, 1, 0, 1]
    assert packed.ids.tolist() == [[1, 2], [0, 1], [0, 5], [5, 6]] and packed.pad.tolist() == [0, 1, 1, 0]
    assert pack(rows, own=own).groups is None
    assert pack([[1, 2, 3], [4, 5, 6]], own=[1, 1], grouped=True).groups is None


def test_gradients_reach_an_adapter_through_shared_starts(network):
    first, second = list(range(30, 50)), list(range(60, 70))
    rows = [[*first, 11, 12], [*second, 11], [*first, 15], [*second, 15, 16]]
    own = [2, 1, 1, 2]
    found = []
    for grouped in (False, True):
        a, b = torch.full((2, 32), 0.01, requires_grad=True), torch.full((32, 2), 0.01, requires_grad=True)
        bound = network.bind({"model.layers.0.self_attn.q_proj": (a, b)})
        states = network.hidden(pack(rows, own=own, grouped=grouped), bound)
        sum(states[i, -n:].square().sum() for i, n in enumerate(own)).backward()
        found.append((a.grad, b.grad))
    assert found[0][0].abs().max() > 0
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=1e-3)
