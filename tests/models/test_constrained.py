"""Answers of the embedded backend that have to fit a JSON schema."""

from __future__ import annotations

import asyncio
import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import jsonschema
import torch
from tiny_llama import Memory, save

from loopwright.core.errors import InputError
from loopwright.core.model import Request, Sampling
from loopwright.core.types import Turn
from loopwright.models.decode import draw, draw_allowed
from loopwright.models.embedded import Embedded

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Paris", "Rome"]},
        "sure": {"type": "boolean"},
        "year": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
    },
    "required": ["city", "sure", "year", "tags"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    save(folder)
    return Embedded(Memory(), folder, dtype="float32", device="cpu")


def asked(text, *, n=1, seed=0, **sampling):
    return Request(turns=(Turn(role="user", text=text),), sampling=Sampling(**sampling), n=n, seed=seed)


def said(model, *requests):
    return [reply.choices for reply in asyncio.run(model.generate(list(requests)))]


@pytest.mark.parametrize("how", [{"temperature": 1.0}, {"temperature": 0.0}, {"temperature": 1.3, "top_p": 0.7}])
def test_a_random_model_writes_what_fits(model, how):
    (choices,) = said(model, asked("where", n=12, max_tokens=120, schema=SCHEMA, **how))
    for choice in choices:
        assert choice.finish == "stop"
        jsonschema.validate(json.loads(choice.text), SCHEMA)
    assert how["temperature"] == 0 or len({choice.text for choice in choices}) > 3


def test_neighbours_without_a_schema_are_left_alone(model):
    free = asked("free", n=3, seed=5, max_tokens=20)
    alone = said(model, free)[0]
    bound, also = asked("bound", n=3, max_tokens=60, schema=SCHEMA), asked("also", max_tokens=9, schema={"type": "null"})
    together = said(model, bound, free, also)
    assert [c.token_ids for c in together[1]] == [c.token_ids for c in alone]
    assert together[2][0].text == "null"


def test_a_limit_still_cuts(model):
    ((choice,),) = said(model, asked("where", max_tokens=5, schema=SCHEMA))
    assert choice.finish == "length" and choice.text.startswith('{"cit')


@pytest.mark.parametrize("schema", [{"type": "town"}, {"type": "string", "pattern": "("}, {"multipleOf": 10**400}])
def test_what_is_no_schema_is_said(model, schema):
    with pytest.raises(InputError, match="expected a JSON schema that answers can be held to"):
        said(model, asked("where", max_tokens=9, schema=schema))


def test_what_is_reported_is_the_whole_distribution():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0], [0.0, 0.0, 0.0, 9.0]])
    may = torch.tensor([[False, True, True, False], [True, True, False, False]])
    temperature, top_p = torch.tensor([0.5, 0.0]), torch.ones(2, dtype=torch.float64)
    counts = torch.zeros(4)
    for u in torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64):
        tokens, logprobs = draw_allowed(logits, temperature, top_p, torch.stack([u, u]), may)
        expected = torch.log_softmax(logits / torch.tensor([[0.5], [1.0]]), dim=-1).gather(1, tokens[:, None])[:, 0]
        torch.testing.assert_close(logprobs, expected)
        counts[tokens[0]] += 1
        assert tokens[1] in (0, 1)
    share = torch.softmax(logits[0, 1:3] / 0.5, dim=-1)
    torch.testing.assert_close(counts / 1000, torch.tensor([0.0, float(share[0]), float(share[1]), 0.0]), atol=2e-3, rtol=0)
    everything = torch.ones_like(may)
    uniforms = torch.tensor([0.3, 0.6], dtype=torch.float64)
    for mine, plain in zip(
        draw_allowed(logits, temperature, top_p, uniforms, everything), draw(logits, temperature, top_p, uniforms), strict=True
    ):
        torch.testing.assert_close(mine, plain)
