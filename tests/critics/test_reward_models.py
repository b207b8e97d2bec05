"""A reward model as critic: transformers' own numbers, and what is no reward model is said before anything runs."""

import asyncio
import json
import math
import shutil

import pytest
import torch
from critics_kit import Recorded
from transformers import AutoModelForSequenceClassification, AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

from loopwright.core.errors import ModelError, TaskError
from loopwright.core.feedback import Missing, Score
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics import build_critic
from loopwright.models.loading import LAB_FOLDER
from loopwright.models.reward import RewardModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small classifier with the laboratory's tokenizer and weights drawn at random."""
    tokenizer = AutoTokenizer.from_pretrained(LAB_FOLDER)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, num_labels=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("rewards") / "small-reward"
    LlamaForSequenceClassification(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def judged(critic, answer, ctx=None):
    rollout = Rollout(
        id="r", example=Example(id="e", input="Sort 3 1 2.", target="secret"), turns=(Turn(role="assistant", text=answer),)
    )
    return asyncio.run(critic(rollout, ctx or Recorded()))


def test_the_score_is_transformers_own_reward_through_a_sigmoid(folder):
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    critic = build_critic("reward-model", {"folder": folder.name, "center": 0.5, "scale": 2.0}, folder.parent, role="critic")
    seen = set()
    for answer in ("1 2 3", "3 2 1"):
        turns = [{"role": "user", "content": "Sort 3 1 2."}, {"role": "assistant", "content": answer}]
        if tokenizer.chat_template:
            read = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), return_tensors="pt", add_special_tokens=False)
        else:
            read = tokenizer("Sort 3 1 2.", answer, return_tensors="pt")
        with torch.inference_mode():
            reward = float(network(**read).logits)
        said = judged(critic, answer)
        assert isinstance(said, Score)
        assert said.value == pytest.approx(1 / (1 + math.exp(-(reward - 0.5) / 2)), rel=1e-5)
        assert said.message == f"reward {reward:.3f}" and said.by.kind == "model" and said.by.version
        seen.add(said.value)
    assert len(seen) == 2


def test_it_is_recorded_once_and_replayed(folder):
    ctx, critic = Recorded(), build_critic("reward-model", {"folder": str(folder)}, folder.parent)
    first = judged(critic, "1 2 3", ctx)
    again = judged(build_critic("reward-model", {"folder": str(folder)}, folder.parent), "1 2 3", ctx)
    assert first == again and len(ctx.record) == 1


def test_what_does_not_fit_is_missing_and_says_by_how_much(folder):
    said = judged(build_critic("reward-model", {"folder": str(folder)}, folder.parent), "1 2 3 " * 60)
    assert isinstance(said, Missing) and "more than the reward model reads" in said.message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "missing; expected text"),
        ({"folder": "nowhere"}, "expected a folder with config.json"),
        ({"folder": str(LAB_FOLDER)}, "a reward model is a sequence classifier with one"),
        ({"folder": "small-reward", "scale": 0}, "expected a number above 0"),
        ({"folder": "small-reward", "centre": 0}, "did you mean center"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(folder, options, reason):
    with pytest.raises(TaskError, match=reason):
        build_critic("reward-model", options, folder.parent)


def test_an_untrained_head_is_refused_and_not_drawn_at_random(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    path = shutil.copytree(folder, tmp_path / "headless")
    weights = load_file(path / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "score.weight"}, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks the weights score.weight"):
        asyncio.run(RewardModel(path).reward("a", "b"))


def test_several_classes_are_no_reward(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "classes")
    config = json.loads((path / "config.json").read_text())
    config.pop("num_labels", None)
    config["id2label"] = {"0": "bad", "1": "good", "2": "best"}
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="with 3 outputs"):
        RewardModel(path)
