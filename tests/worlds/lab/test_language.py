"""The small language: its chances, what of it is told, and that a model's own words come back as the tokens it wrote."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from loopwright.blocks.convert import convert
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import InputError
from loopwright.core.types import Budget
from loopwright.core.world import start
from loopwright.store.memory import MemoryStore
from loopwright.worlds.lab.language import WORDS, lab_language, speaker


def test_sentences_are_drawn_as_their_chances_say() -> None:
    world = lab_language(rows=4000)
    told = [example.target.split() for example in world.examples("train")]
    first = np.bincount([WORDS.index(words[0]) for words in told], minlength=len(WORDS)) / len(told)
    assert np.abs(first - world.chances[-1]).max() < 0.03
    assert np.mean([len(words) for words in told]) == pytest.approx(1 / 0.15, rel=0.06)


def test_the_probability_of_a_sentence_by_hand() -> None:
    world = lab_language()
    a, b = 3, 7
    expected = math.log(world.chances[-1, a]) + math.log(0.85) + math.log(world.chances[a, b]) + math.log(0.15)
    assert world.logprob([WORDS[a], WORDS[b]]) == pytest.approx(expected)
    assert world.logprob([]) == world.logprob(["word"]) == world.logprob([WORDS[0]] * 25) == -math.inf


def test_no_rows_are_said() -> None:
    with pytest.raises(InputError, match="1 sentence or more"):
        lab_language(rows=0)


def test_what_is_shown_has_the_tokens_that_the_model_would_write() -> None:
    pytest.importorskip("torch")
    world, store = lab_language(rows=8), MemoryStore()
    model = speaker(store.blobs)
    row = store.create_run({}, seed=1, budget={}, code_version="0")
    engine = Engine(store=store, run=row, ledger=Ledger(Budget()), models={"policy": model}, convert=convert, cache=False)
    ctx = Context(engine, "t", world=world, policy=start(world))
    made = [r for r in asyncio.run(ctx.rollout(ctx.policy, world.examples("train"))) if r.turns[-1].finish == "stop"]
    for rollout in made:
        said = rollout.turns[-1]
        if len(said.token_ids) == len(said.text.split()) + 1:  # else it wrote specials, which have no text
            assert model.answer_ids(said.text) == said.token_ids
    shown = ctx.demonstrations(world.examples("train"))
    for rollout, example in zip(shown, world.examples("train"), strict=True):
        assert rollout.output == example.target and rollout.feedback[0].kind == "demonstration"
        assert len(rollout.turns[-1].token_ids) == len(example.target.split()) + 1
        assert rollout.turns[-1].prompt_ids == made[0].turns[-1].prompt_ids if made else True
    asyncio.run(model.close())
