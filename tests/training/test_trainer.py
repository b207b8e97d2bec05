"""The trainer: gradients that do not depend on the cut, determinism, learning, PEFT's view of the result."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tiny_llama import Memory, save

from loopwright import losses
from loopwright.core.errors import InputError, ModelError, StoreCorrupt, UnknownName
from loopwright.core.model import FitJob, Request, Sample, Sampling
from loopwright.core.types import Turn
from loopwright.models.embedded import Embedded
from loopwright.training import lora, trainer
from loopwright.training.blob import Weights
from loopwright.training.reading import View, read

START = tuple(range(20, 32))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    save(folder)
    return Embedded(Memory(), folder, dtype="float32", device="cpu")


def data(count=9):
    """Prompts with a common start and completions of several lengths."""
    return tuple(
        Sample(
            prompt_ids=(*START, *range(40, 41 + i % 3)),
            token_ids=tuple((60 + i + j) % 200 for j in range(1 + i % 4)),
            weight=1.0 - 0.05 * i,
        )
        for i in range(count)
    )


def start(network, seed=0, warm=True):
    adapter = lora.create(network.sizes, rank=4, alpha=8, targets=FitJob(data=data()).targets, seed=seed)
    if warm:  # B of zeros gives A no gradient, which would test little
        generator = torch.Generator().manual_seed(1)
        pairs = {n: (a, torch.randn(b.shape, generator=generator) * 0.1) for n, (a, b) in adapter.pairs.items()}
        adapter = replace(adapter, pairs=pairs)
    return adapter


def test_log_probabilities_by_hand(model):
    """One sequence at a time, no sharing, all positions: the plain way gives the same numbers."""
    network = model.load().network
    adapter = start(network)
    bound = network.bind(adapter.scaled())
    mask, logprobs, *_ = read(View(network, bound), data())
    for sample, row, known in zip(data(), logprobs, mask, strict=True):
        ids = sample.prompt_ids + sample.token_ids
        from loopwright.models.llama import pack

        full = network.head(network.hidden(pack([ids]), bound))[0].log_softmax(-1)
        at = len(sample.prompt_ids) - 1
        expected = torch.stack([full[at + i, t] for i, t in enumerate(sample.token_ids)])
        torch.testing.assert_close(row[known], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("limit", [1, 20, 10_000])
def test_the_cut_of_a_batch_cannot_change_the_gradient(model, limit):
    network = model.load().network
    job = FitJob(data=data(), batch=9, rank=4, alpha=8, learning_rate=0.01, warmup=0.0)
    whole = trainer.fit(network, Weights(start(network)), job, limit=5_000)
    cut = trainer.fit(network, Weights(start(network)), job, limit=limit)
    assert whole.stats["gradient_norm"] == pytest.approx(cut.stats["gradient_norm"], rel=1e-4)
    assert whole.stats["first_loss"] == pytest.approx(cut.stats["first_loss"], rel=1e-5)


def test_same_job_same_bytes_and_another_seed_others(model):
    job = FitJob(data=data(), batch=4, rank=4, epochs=2, dropout=0.1)
    first, again = (asyncio.run(model.fit(job)) for _ in range(2))
    other = asyncio.run(model.fit(job.model_copy(update={"seed": 1})))
    assert first.adapter == again.adapter != other.adapter
    assert first.stats == again.stats


def test_it_learns_what_it_is_shown_and_can_go_on(model):
    turns = (Turn(role="user", text="say"),)
    prompt = model.load().prompt_ids(turns)
    shown = Sample(prompt_ids=prompt, token_ids=(70, 71, 72, 0))
    job = FitJob(data=(shown,) * 8, batch=4, rank=8, epochs=10, learning_rate=0.02)
    first = asyncio.run(model.fit(job))
    on = asyncio.run(model.fit(job.model_copy(update={"adapter": first.adapter})))
    assert on.stats["first_loss"] < first.stats["first_loss"]
    request = Request(turns=turns, sampling=Sampling(max_tokens=6, temperature=0), adapter=on.adapter)
    turn = asyncio.run(model.generate([request]))[0].choices[0]
    assert turn.token_ids == (70, 71, 72, 0)
    assert turn.finish == "stop"
    with pytest.raises(InputError, match="rank 8"):
        asyncio.run(model.fit(job.model_copy(update={"adapter": first.adapter, "rank": 4})))


def test_peft_loads_what_we_export_and_agrees(model, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    from loopwright.models.llama import pack

    network = model.load().network
    adapter = start(network)
    folder = lora.export_adapter(lora.to_bytes(adapter), tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, folder)
    ids = list(range(30, 60))
    with torch.inference_mode():
        ours = network.head(network.hidden(pack([ids]), network.bind(adapter.scaled())))
        plain = network.head(network.hidden(pack([ids])))
        torch.testing.assert_close(ours, theirs(torch.tensor([ids])).logits, atol=5e-4, rtol=1e-4)
    assert (ours - plain).abs().max() > 0.01


def test_blobs_round_trip_and_damage_is_told(model):
    adapter = start(model.load().network)
    blob = lora.to_bytes(adapter)
    back = lora.from_bytes(blob)
    assert lora.to_bytes(back) == blob
    for bad in (b"", blob[:1000], b"x" * 50):
        with pytest.raises(StoreCorrupt):
            lora.from_bytes(bad)


def test_a_loss_that_is_not_a_number_stops_and_names_the_sample(model, monkeypatch):
    def root(batch):
        return batch.logprobs * batch.per_token("size").sqrt(), {}

    monkeypatch.setitem(losses.LOSSES, "root", losses.Loss("root", root, values=("size",)))
    sized = tuple(s.model_copy(update={"values": {"size": -1.0 if i == 3 else 1.0}}) for i, s in enumerate(data()))
    with pytest.raises(ModelError, match=r"step . of 5, at samples \[3\]"):
        asyncio.run(model.fit(FitJob(data=sized, loss="root", batch=2, rank=4)))


def test_options_are_checked(model):
    for change, error, match in [
        ({"loss": "stf"}, UnknownName, "sft"),
        ({"schedule": "step"}, ValueError, "linear"),
        ({"targets": ("query",)}, InputError, "q_proj"),
        ({"data": (Sample(prompt_ids=(), token_ids=(5,)),)}, InputError, "prompt_ids"),
        ({"data": (Sample(prompt_ids=(5,) * 300, token_ids=(5,)),)}, InputError, "context"),
    ]:
        with pytest.raises(error, match=match):
            asyncio.run(model.fit(FitJob(**{"data": data(), **change})))


def test_schedules():
    job = FitJob(data=data(), learning_rate=1.0, warmup=0.2)
    assert [trainer.rate(i, 10, job) for i in range(3)] == [0.5, 1.0, 1.0]
    assert trainer.rate(9, 10, job) == pytest.approx(1 / 8)
    cosine = job.model_copy(update={"schedule": "cosine"})
    assert trainer.rate(6, 10, cosine) == pytest.approx(0.5)


def test_embeddings_of_tokens_are_trained_with_an_adapter_and_merge_into_the_weights(model, tmp_path):
    """One way by the blob, one by a folder that is added to the weights, one by PEFT: all say the same."""
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    network = model.load().network
    tokens = (70, 71, 90)
    given = replace(start(network), tokens=tokens, rows=network.embed[list(tokens)].clone())
    blob = model._blobs.put(lora.to_bytes(given))
    job = FitJob(data=data(), adapter=blob, rank=given.rank, alpha=given.alpha, epochs=8, learning_rate=0.02)
    fitted = asyncio.run(model.fit(job))
    assert fitted.stats["loss"] < fitted.stats["first_loss"]
    after = lora.from_bytes(model._blobs.get(fitted.adapter))
    assert after.tokens == tokens and (after.rows - given.rows).abs().max() > 0.01
    folder = lora.export_adapter(model._blobs.get(fitted.adapter), tmp_path / "adapter")
    sample = Sample(prompt_ids=(30, 70, 31), token_ids=(71, 90, 40))
    by_blob = asyncio.run(model.forward([sample], "logprobs", fitted.adapter))[0]
    merged = Embedded(Memory(), model.folder, adapter=folder, dtype="float32", progress=lambda line: None)
    assert asyncio.run(merged.forward([sample], "logprobs", None))[0] == pytest.approx(by_blob, abs=1e-4)
    theirs = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32), folder)
    with torch.inference_mode():
        logits = theirs(torch.tensor([[*sample.prompt_ids, *sample.token_ids]])).logits[0, 2:-1]
    expected = logits.log_softmax(-1).gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0].tolist()
    assert by_blob == pytest.approx(expected, abs=1e-3)
    other = model._blobs.put(lora.to_bytes(replace(given, tokens=(1, 2, 9999))))
    with pytest.raises(InputError, match="another model"):
        asyncio.run(model.fit(job.model_copy(update={"adapter": other})))
