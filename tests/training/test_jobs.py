"""Whole jobs through the embedded model: kinds of weights, heads, references, the optimiser's state, readings, figures."""

from __future__ import annotations

import asyncio
import math

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from kit import model, network, pairs, samples
from transformers import AutoModelForCausalLM

from loopwright import losses
from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.core.model import FitJob, Request, Sample, Sampling
from loopwright.core.types import Turn
from loopwright.losses.registry import Loss
from loopwright.models import whole
from loopwright.training import blob, lora, references, steps
from loopwright.training.reading import View, read

ASK = Request(turns=(Turn(role="user", text="say"),), sampling=Sampling(max_tokens=8), n=3, seed=5)


@pytest.fixture
def tiny():
    return model()


def fit(tiny, **job):
    given = {"data": samples(), "batch": 4, "rank": 4, "alpha": 8.0, "learning_rate": 0.01, "seed": 1, **job}
    return asyncio.run(tiny.fit(FitJob(**given)))


def forward(tiny, what, adapter=None, data=None):
    return asyncio.run(tiny.forward(data or samples(), what, adapter))


def row(monkeypatch, name, function, *rest, **named):
    monkeypatch.setitem(losses.LOSSES, name, Loss(name, function, *rest, **named))


def weights(tiny, hash):
    return blob.from_bytes(tiny._blobs.get(hash))


def numbers(found):
    tensors = dict(found.adapter.pairs) if found.adapter else {n: (t,) for n, t in found.full.items()}
    return torch.cat([t.flatten() for name in sorted(tensors) for t in tensors[name]])


# ---- all weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_all_weights_survive_the_way_to_a_blob_and_back(kind):
    """Transformers' own model with the blob's tensors says what we say with the blob."""
    tiny = model(kind=kind)
    fitted = fit(tiny, tuning="full", epochs=2)
    found = weights(tiny, fitted.adapter)
    theirs = AutoModelForCausalLM.from_pretrained(tiny.folder, dtype=torch.float32)
    missing, unexpected = theirs.load_state_dict(dict(found.full), strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    theirs.tie_weights()
    ids = list(range(30, 60))
    view = tiny._view(fitted.adapter)
    said = read(view, [Sample(prompt_ids=ids[:1], token_ids=ids[1:])]).logprobs[0]
    full = theirs(torch.tensor([ids])).logits[0].log_softmax(-1)
    torch.testing.assert_close(said, full[range(29), ids[1:]], atol=5e-4, rtol=1e-4)
    before, after = (torch.tensor(forward(tiny, "logprobs", a)[3]) for a in (None, fitted.adapter))
    assert (before - after).abs().max() > 0.01
    assert blob.to_bytes(found) == tiny._blobs.get(fitted.adapter)


def test_a_full_set_is_sampled_as_an_adapter_is_and_can_be_fitted_further(tiny):
    first = fit(tiny, tuning="full", epochs=3)
    on = fit(tiny, tuning="full", epochs=3, adapter=first.adapter)
    assert on.stats["first_loss"] < first.stats["first_loss"]
    requests = [ASK, ASK.model_copy(update={"adapter": on.adapter})]
    for reply in asyncio.run(tiny.generate(requests)):
        for turn in reply.choices:
            sample = Sample(prompt_ids=turn.prompt_ids, token_ids=turn.token_ids)
            adapter = on.adapter if reply is not None and turn in reply.choices else None
            said = [forward(tiny, "logprobs", a, [sample])[0] for a in (None, adapter)]
            assert min(max(abs(a - b) for a, b in zip(s, turn.logprobs, strict=True)) for s in said) < 1e-4
    base, full = (r.choices[0].token_ids for r in asyncio.run(tiny.generate(requests)))
    assert base != full


def test_small_steps_on_all_weights_of_a_bfloat16_model_are_not_lost_to_rounding():
    tiny = model(dtype="bfloat16")
    start = whole.split(tiny.load().network, whole.weights(tiny.load().network))
    fitted = fit(tiny, tuning="full", learning_rate=1e-6, epochs=1)
    found = weights(tiny, fitted.adapter).full
    name = "model.layers.0.mlp.up_proj.weight"
    moved = (found[name] - start[name].float()).abs()
    assert 0 < moved.max() < 1e-4
    assert found[name].dtype == torch.float32


def test_a_model_beyond_the_limit_is_refused(monkeypatch):
    with pytest.raises(InputError, match="full_limit=1,000"):
        fit(model(full_limit=1000), tuning="full")


# ---- heads ---------------------------------------------------------------------------------------------------------


def closer(batch):
    score = batch.last(batch.scores)
    return (score - batch.values["label"]) ** 2 * batch.weights, {"error": (score - batch.values["label"]).abs().detach()}


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_scalar_head_learns_travels_and_is_read(tiny, monkeypatch, kind):
    row(monkeypatch, "closer", closer, "sequence", values=("label",), needs=frozenset({"scores"}))
    first = fit(tiny, loss="closer", head=True, tuning=kind, epochs=30, batch=9)
    assert first.stats["loss"] < 0.2 * first.stats["first_loss"]
    scores = forward(tiny, "scores", first.adapter)
    assert [len(s) for s in scores] == [len(s.token_ids) for s in samples()]
    said = [abs(s[-1] - float(i % 2)) for i, s in enumerate(scores)]
    assert max(said[:6]) < 0.5
    # A fit that trains no head carries it along; one that does goes on with it.
    carried = fit(tiny, adapter=first.adapter, tuning=kind)
    assert torch.equal(weights(tiny, carried.adapter).head[0], weights(tiny, first.adapter).head[0])
    on = fit(tiny, loss="closer", head=True, tuning=kind, adapter=first.adapter, batch=9)
    assert on.stats["first_loss"] < 0.2 * first.stats["first_loss"]
    with pytest.raises(InputError, match=r"no scalar head.*head=True"):
        forward(tiny, "scores")
    with pytest.raises(InputError, match="width 1"):
        fit(tiny, loss="closer", head=2, tuning=kind, adapter=first.adapter)


def test_scores_come_after_a_token_and_state_values_before_it(tiny, monkeypatch):
    seen = {}

    def look(batch):
        seen.update(scores=batch.scores.detach(), states=batch.state_values.detach(), mask=batch.mask)
        return batch.scores - batch.state_values, {}

    row(monkeypatch, "look", look, needs=frozenset({"scores", "state_values"}))
    fitted = fit(tiny, loss="look", head=True, epochs=2, batch=9)
    longest = samples()[3]
    fit(tiny, loss="look", head=True, adapter=fitted.adapter, data=(longest,), learning_rate=1e-9)
    torch.testing.assert_close(seen["scores"][0, :-1], seen["states"][0, 1:])
    said = forward(tiny, "scores", fitted.adapter, [longest])[0]
    torch.testing.assert_close(seen["scores"][0], torch.tensor(said), atol=1e-5, rtol=1e-5)
    said = forward(tiny, "state_values", fitted.adapter, [longest])[0]
    torch.testing.assert_close(seen["states"][0], torch.tensor(said), atol=1e-5, rtol=1e-5)


def test_a_wide_head_says_vectors(tiny):
    fitted = fit(tiny, data=pairs(), loss="general-preference", head=4, epochs=2)
    assert weights(tiny, fitted.adapter).head[0].shape == (4, 32)
    assert [len(s) for s in forward(tiny, "scores", fitted.adapter)] == [4 * len(s.token_ids) for s in samples()]


# ---- references ----------------------------------------------------------------------------------------------------


def apart(batch):
    gap = batch.total(batch.logprobs - batch.references["reference"])
    return gap**2, {"gap": gap.detach().abs()}


def test_references_by_name(tiny, monkeypatch):
    """At the first step the policy is where it starts, so it differs from every reference but that."""
    row(monkeypatch, "apart", apart, "sequence", ("reference",))
    first, second = (fit(tiny, epochs=2, seed=s).adapter for s in (1, 2))
    gaps = {
        what: fit(tiny, loss="apart", adapter=first, batch=9, references={"reference": what}).stats["gap"]
        for what in ("start", "base", second, first)
    }
    assert gaps["start"] == gaps[first] == 0.0
    assert gaps["base"] > 0.01 and gaps[second] > 0.01
    assert fit(tiny, loss="apart", batch=9).stats["gap"] == 0.0  # a new adapter starts as the base
    with pytest.raises(InputError, match=r"no reference 'old'; it reads reference"):
        fit(tiny, loss="apart", references={"old": "base"})


def test_references_are_computed_once_and_remembered(tiny, monkeypatch):
    row(monkeypatch, "apart", apart, "sequence", ("reference",))
    calls = []
    monkeypatch.setattr(references, "read", lambda *a, **k: calls.append(1) or read(*a, **k))
    first = fit(tiny, loss="apart", epochs=3)
    assert len(calls) == 1
    again = fit(tiny, loss="apart", epochs=3)
    assert len(calls) == 1 and again.adapter == first.adapter
    fit(tiny, loss="apart", temperature=0.5)
    assert len(calls) == 2


def test_the_memory_is_bounded():
    memory = references.Memory(limit=10)
    for i in range(5):
        memory.put(bytes([i]), [torch.zeros(4)])
        memory.get(bytes([0]))
    assert [memory.get(bytes([i])) is not None for i in range(5)] == [True, False, False, False, True]


def test_a_reference_of_another_model_is_refused(tiny, monkeypatch):
    row(monkeypatch, "apart", apart, "sequence", ("reference",))
    other = model(kind="qwen2", blobs=tiny._blobs)
    for tuning in ("lora", "full"):
        foreign = fit(other, tuning=tuning, targets=("q_proj",)).adapter
        if tuning == "lora":
            continue  # the same shapes: nothing tells it from one of ours
        with pytest.raises(InputError, match="another model"):
            fit(tiny, loss="apart", references={"reference": foreign})
    with pytest.raises(StoreCorrupt):
        fit(tiny, loss="apart", references={"reference": tiny._blobs.put(b"no weights")})


def test_drift_by_hand(tiny, monkeypatch):
    seen = []

    def look(batch):
        seen.append(batch.values["drift"].tolist())
        return batch.total(batch.logprobs) * 0 + batch.total(batch.logprobs), {}

    row(monkeypatch, "look", look, "sequence", ("reference",), ("drift",))
    start = fit(tiny, epochs=3).adapter
    data = tuple(s.model_copy(update={"prompt_ids": (*s.prompt_ids, 100 + i)}) for i, s in enumerate(samples(4)))
    fit(tiny, data=data, loss="look", adapter=start, references={"reference": "base"}, batch=4)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(1_000_003)).tolist()
    total = 0.0
    for place, i in enumerate(order):
        moved = data[i].model_copy(update={"prompt_ids": data[order[(place + 1) % 4]].prompt_ids})
        total += sum(forward(tiny, "logprobs", start, [moved])[0]) - sum(forward(tiny, "logprobs", None, [moved])[0])
    assert seen == [[pytest.approx(max(0.0, total / 4), abs=1e-4)] * 4]
    with pytest.raises(InputError, match="same prompt"):
        fit(tiny, data=data[:1] * 3, loss="look")


# ---- temperature, entropy, state -----------------------------------------------------------------------------------


def test_log_probabilities_and_entropy_at_a_temperature():
    net = network()
    data = samples()
    plain = read(View(net), data, temperature=0.7)
    told = read(View(net), data, temperature=0.7, entropy=True)
    torch.testing.assert_close(plain.logprobs, told.logprobs, atol=1e-5, rtol=1e-5)
    ids = [*data[3].prompt_ids, *data[3].token_ids]
    from loopwright.models.llama import pack

    full = (net.head(net.hidden(pack([ids])))[0] / 0.7).log_softmax(-1)[-5:-1]
    torch.testing.assert_close(told.logprobs[3], full[range(4), data[3].token_ids], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(told.entropy[3], -(full.exp() * full).sum(-1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_gradient_of_log_probabilities_is_that_of_autograd(temperature):
    from loopwright.training.reading import _LogProbs

    generator = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(n, 16, generator=generator, requires_grad=True) for n in (11, 50))
    target = torch.randint(50, (11,), generator=generator)
    factor = torch.randn(11, generator=generator)
    found = _LogProbs.apply(states, weight, target, temperature)
    expected = (states @ weight.T / temperature).log_softmax(-1)[range(11), target]
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        *(torch.autograd.grad((v * factor).sum(), (states, weight)) for v in (found, expected)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_single_steps_with_the_state_kept_are_one_long_fit(tiny, kind):
    options = {"batch": 9, "schedule": "constant", "warmup": 0.0, "tuning": kind, "weight_decay": 0.01}
    long = fit(tiny, epochs=4, keep_state=True, **options)
    at = state = None
    for _ in range(4):
        step = fit(tiny, adapter=at, state=state, keep_state=True, **options)
        at, state = step.adapter, step.state
    torch.testing.assert_close(
        numbers(weights(tiny, at)), numbers(weights(tiny, long.adapter)), atol=1e-6, rtol=1e-5
    )
    without = at
    for _ in range(2):
        without = fit(tiny, adapter=without, **options).adapter
    assert (numbers(weights(tiny, without)) - numbers(weights(tiny, at))).abs().max() > 1e-3
    with pytest.raises(InputError, match="other parameters"):
        fit(tiny, state=state, **{**options, "rank": 2, "alpha": 4.0, "tuning": "lora"})
    with pytest.raises(StoreCorrupt, match="state of an optimiser"):
        fit(tiny, state=at, **options)


# ---- readings and figures ------------------------------------------------------------------------------------------


def test_readings(tiny):
    adapter = fit(tiny, epochs=2).adapter
    data = samples()
    for hash in (None, adapter):
        view = tiny._view(hash)
        for sample, said, entropy, features in zip(
            data, *(forward(tiny, what, hash) for what in ("logprobs", "entropy", "features")), strict=True
        ):
            alone = read(view, [sample], entropy=True, features=True)
            torch.testing.assert_close(torch.tensor(said), alone.logprobs[0].detach(), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(torch.tensor(entropy), alone.entropy[0].detach(), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(torch.tensor(features), alone.features[0].detach(), atol=1e-4, rtol=1e-4)
    hidden = AutoModelForCausalLM.from_pretrained(tiny.folder, dtype=torch.float32).model
    ids = torch.tensor([[*data[2].prompt_ids, *data[2].token_ids]])
    torch.testing.assert_close(
        torch.tensor(forward(tiny, "features")[2]), hidden(ids).last_hidden_state[0, -1], atol=2e-4, rtol=1e-4
    )
    assert forward(tiny, "logprobs", None, []) != [] or asyncio.run(tiny.forward([], "logprobs", None)) == []
    with pytest.raises(InputError, match="vocabulary"):
        forward(tiny, "logprobs", None, [Sample(prompt_ids=(1,), token_ids=(5000,))])


def test_figures(tiny, monkeypatch):
    def ratio(batch):
        change = (batch.logprobs - batch.sampler).exp()
        outside = (change > 1.2).float()
        return -change * batch.per_token("advantage") - 0.01 * batch.entropy, {"clipped": outside.detach()}

    row(monkeypatch, "ratio", ratio, values=("advantage",), needs=frozenset({"sampler", "entropy"}))
    own = forward(tiny, "logprobs")
    data = tuple(
        s.model_copy(update={"logprobs": tuple(p), "values": {"advantage": float(i % 3), "reward": 1.5}})
        for i, (s, p) in enumerate(zip(samples(), own, strict=True))
    )
    stats = fit(tiny, data=data, loss="ratio", batch=9).stats
    assert stats["approx_kl"] == pytest.approx(0.0, abs=1e-6)  # the first step is where the sampler was
    assert stats["zero_advantage"] == pytest.approx(1 / 3)
    assert stats["reward"] == 1.5 and stats["advantage"] == pytest.approx(1.0)
    assert stats["tokens"] == 21 and stats["mean_length"] == pytest.approx(21 / 9) and stats["steps"] == 1
    assert 0 < stats["entropy"] < math.log(network().vocabulary) and stats["clipped"] == 0.0
    assert stats["gradient_norm"] > 0
    later = fit(tiny, data=data, loss="ratio", epochs=5, batch=9, learning_rate=0.05).stats
    assert later["approx_kl"] > 1e-4


def test_one_class_of_verdicts_is_said(monkeypatch):
    lines = []
    tiny = model(progress=lines.append)
    data = tuple(s.model_copy(update={"values": {"label": 1.0}}) for s in samples())
    assert fit(tiny, data=data, loss="kto").stats["one_class"] == 1.0
    assert any("same label" in line for line in lines)
    assert "one_class" not in fit(tiny, loss="kto").stats


def test_every_row_of_the_table_can_be_fitted(tiny):
    """One step of each loss, with whatever it asks for."""
    for name, found in losses.LOSSES.items():
        values = {n: 0.5 for n in found.values if n != "drift"}
        fields = {"logprobs": lambda s: tuple([-3.0] * len(s.token_ids))}
        if name == "srpo":  # one of whose values belongs to the sides
            data = tuple(
                p.model_copy(
                    update={
                        "values": {"scale": 0.5},
                        **{s: getattr(p, s).model_copy(update={"values": {"sign": 0.5}}) for s in ("chosen", "rejected")},
                    }
                )
                for p in pairs(4)
            )
        elif found.unit == "pair":
            data = tuple(p.model_copy(update={"values": values}) for p in pairs(4))
        else:
            data = tuple(s.model_copy(update={"values": values, "logprobs": fields["logprobs"](s)}) for s in samples(4))
        head = 0
        if {"scores", "state_values"} & found.needs:
            head = 2 if name == "general-preference" else 1
        stats = fit(tiny, data=data, loss=name, head=head).stats
        assert math.isfinite(stats["loss"]), name


def test_a_loss_of_the_wrong_shape_is_told(tiny, monkeypatch):
    row(monkeypatch, "wrong", lambda batch: (batch.logprobs, {}), "sequence")
    with pytest.raises(InputError, match="one number per sequence"):
        fit(tiny, loss="wrong")


def test_a_gradient_that_is_not_a_number_stops(tiny, monkeypatch):
    from loopwright.core.errors import ModelError

    def cliff(batch):
        return torch.sqrt((batch.logprobs - batch.logprobs.detach()) ** 2), {}

    row(monkeypatch, "cliff", cliff)
    with pytest.raises(ModelError, match=r"gradient became nan in epoch 0, step 0"):
        fit(tiny, loss="cliff")


def test_a_sum_takes_numbers_of_every_unit():
    sums = steps.Sums()
    mask = torch.tensor([[True, False], [True, True]])
    sums.add("a", torch.tensor([[1.0, 9.0], [2.0, 3.0]]), mask)
    sums.add("a", torch.tensor([2.0]), mask)
    assert sums.means() == {"a": 2.0}
    assert steps.Sums(sums.plain()).means() == {"a": 2.0}


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_weights_go_out_as_files_and_come_back(tiny, monkeypatch, tmp_path, kind):
    row(monkeypatch, "closer", closer, "sequence", values=("label",), needs=frozenset({"scores"}))
    fitted = fit(tiny, loss="closer", head=True, tuning=kind, epochs=2)
    there = lora.export_adapter(tiny._blobs.get(fitted.adapter), tmp_path / "out")
    assert lora.import_adapter(there) == tiny._blobs.get(fitted.adapter)
    if kind == "full":  # the file takes the place of the model's own
        for path in tiny.folder.glob("*.json"):
            (there / path.name).write_bytes(path.read_bytes())
        theirs = AutoModelForCausalLM.from_pretrained(there, dtype=torch.float32)
        ids = torch.tensor([list(range(30, 60))])
        said = read(tiny._view(fitted.adapter), [Sample(prompt_ids=(30,), token_ids=tuple(range(31, 60)))]).logprobs[0]
        full = theirs(ids).logits[0].log_softmax(-1)[range(29), ids[0, 1:]]
        torch.testing.assert_close(said, full, atol=5e-4, rtol=1e-4)


def test_text_ends_tell_which_token_wrote_what(tiny):
    tokenizer = tiny.load().tokenizer
    text = "3+4=7\nAnswer: 7"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    ends = tiny.text_ends(ids)
    assert len(ends) == len(ids) and sorted(ends) == list(ends) and ends[-1] == len(whole)
    for i in range(len(ids)):
        said = tokenizer.decode(ids[: i + 1], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert whole[: ends[i]] == said
