"""Architectures that run on transformers' forward pass, against transformers itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_hf
import torch
import transformers
from tiny_llama import Memory
from tiny_llama import save as save_llama

from loopwright.core.errors import InputError, ModelError
from loopwright.core.model import FitJob, Request, Sample, Sampling
from loopwright.core.types import Turn
from loopwright.models import hf
from loopwright.models.embedded import Embedded
from loopwright.models.llama import Llama, pack
from loopwright.training import lora


@pytest.fixture(scope="module", params=sorted(tiny_hf.SIZES))
def both(request, tmp_path_factory):
    """A model of ours and the same one of transformers."""
    folder = tmp_path_factory.mktemp(request.param)
    reference = tiny_hf.save(folder, request.param)
    return embedded(folder), reference


def embedded(folder, said=None):
    return Embedded(Memory(), folder, dtype="float32", device="cpu", progress=(said if said is not None else []).append)


def user(text):
    return (Turn(role="user", text=text),)


def ask(model, *requests):
    return asyncio.run(model.generate(list(requests)))


def samples(reply):
    return [Sample(prompt_ids=c.prompt_ids, token_ids=c.token_ids, logprobs=c.logprobs) for c in reply.choices]


def network_logprobs(network, bound, data):
    """Of what each sample wrote, in one pass of the network, as training does it."""
    written = [len(s.token_ids) for s in data]
    packed = pack([(*s.prompt_ids, *s.token_ids)[:-1] for s in data], own=written)
    states = network.hidden(packed, bound)
    return [
        network.head(row[-n:]).log_softmax(-1).gather(1, torch.tensor(s.token_ids)[:, None])[:, 0]
        for row, n, s in zip(states, written, data, strict=True)
    ]


def plain_logprobs(reference, sample):
    """By one forward pass of transformers over the one sequence, without cache or padding."""
    with torch.no_grad():
        logits = reference(torch.tensor([sample.prompt_ids + sample.token_ids])).logits[0].log_softmax(-1)
    at = len(sample.prompt_ids) - 1
    return torch.stack([logits[at + i, t] for i, t in enumerate(sample.token_ids)])


def test_which_quick_ways_are_taken(both):
    model, reference = both
    network = model.load().network
    kind = reference.config.model_type
    assert isinstance(network, hf.HF)
    assert network._body is not None
    assert network._pads == network._shares == (kind in tiny_hf.PADDED)
    assert (network.head_weight is None) == (kind in ("gemma2", "phi"))  # a cap, a bias
    assert network._cache_name == {"mamba": "cache_params", "rwkv": None}.get(kind, "past_key_values")


def test_greedy_is_what_transformers_writes(both):
    model, reference = both
    requests = [Request(turns=user(t), sampling=Sampling(max_tokens=12, temperature=0)) for t in ("a", "a longer one")]
    for reply in ask(model, *requests):
        turn = reply.choices[0]
        prompt = torch.tensor([turn.prompt_ids])
        out = reference.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False)
        assert out[0, prompt.shape[1] :].tolist() == list(turn.token_ids)


def test_a_row_does_not_depend_on_its_neighbours(both):
    """Other prompts, longer ones, and rows that end earlier and leave the batch."""
    model, reference = both
    one = Request(turns=user("hello there"), sampling=Sampling(max_tokens=10), n=3, seed=7)
    others = [Request(turns=user("x" * i * i), sampling=Sampling(max_tokens=i * i), n=2, seed=i) for i in range(1, 5)]
    alone = ask(model, one)[0]
    together = ask(model, others[0], one, *others[1:])
    assert [c.token_ids for c in alone.choices] == [c.token_ids for c in together[1].choices]
    assert len({c.token_ids for c in alone.choices}) == 3
    for reply in together:
        for sample in samples(reply):
            torch.testing.assert_close(
                torch.tensor(sample.logprobs), plain_logprobs(reference, sample), atol=1e-4, rtol=1e-4
            )


def test_the_trained_model_is_the_sampled_model(both):
    """With an adapter and without: sampler and trainer say the same, for prompts with a long common start too."""
    model, reference = both
    base = ask(model, *[Request(turns=user(f"a common start {t}"), sampling=Sampling(max_tokens=6), n=2) for t in "ab"])
    data = tuple(s for reply in base for s in samples(reply))
    fitted = asyncio.run(model.fit(FitJob(data=data, rank=4, learning_rate=0.02, epochs=4, batch=4, warmup=0.0)))
    assert fitted.stats["loss"] < fitted.stats["first_loss"]
    for adapter in (None, fitted.adapter):
        requests = [Request(turns=user(f"a common start {t}"), sampling=Sampling(max_tokens=6), n=2, adapter=adapter, seed=3)
                    for t in ("a", "bcd")]  # fmt: skip
        written = [s for reply in ask(model, *requests) for s in samples(reply)]
        again = network_logprobs(model.load().network, model._view(adapter).bound, written)
        for values, sample in zip(again, written, strict=True):
            torch.testing.assert_close(values.detach(), torch.tensor(sample.logprobs), atol=1e-4, rtol=1e-4)
        unlike = [(plain_logprobs(reference, s) - torch.tensor(s.logprobs)).abs().max() > 1e-3 for s in written]
        assert all(unlike) if adapter else not any(unlike)


def test_the_cut_of_a_batch_cannot_change_the_gradient(both):
    """Passes of one sequence, of a few, and of all; with a common start, which some of them share."""
    network = both[0].load().network
    adapter = adapted(network)
    start = tuple(range(20, 32))
    data = [Sample(prompt_ids=(*start, *range(40, 41 + i % 3)), token_ids=tuple(range(60 + i, 61 + i + i % 4)))
            for i in range(6)]  # fmt: skip

    def gradients(size):
        pairs = {n: (a.clone().requires_grad_(), b.clone().requires_grad_()) for n, (a, b) in adapter.pairs.items()}
        for at in range(0, len(data), size):
            bound = network.bind(replace(adapter, pairs=pairs).scaled())
            (-torch.cat(network_logprobs(network, bound, data[at : at + size])).sum()).backward()
        return torch.cat([t.grad.flatten() for pair in pairs.values() for t in pair])

    whole = gradients(6)
    assert whole.norm() > 0.1
    for size in (1, 4):
        torch.testing.assert_close(gradients(size), whole, atol=1e-4 * whole.abs().max().item(), rtol=1e-3)


def adapted(network, **options):
    """An adapter of all linear modules whose B is not zero."""
    adapter = lora.create(network.sizes, rank=4, alpha=8, targets=network.targets, seed=0, **options)
    assert set(adapter.pairs) == set(network.sizes)
    generator = torch.Generator().manual_seed(1)
    for _, up in adapter.pairs.values():
        up.copy_(torch.randn(up.shape, generator=generator) * 0.1)
    return adapter


def test_the_same_job_gives_the_same_bytes(both):
    data = tuple(Sample(prompt_ids=(20, 21, i), token_ids=(22 + i, 23)) for i in range(4))
    job = FitJob(data=data, rank=2, batch=2, epochs=2, dropout=0.1)
    first, again = (asyncio.run(both[0].fit(job)) for _ in range(2))
    other = asyncio.run(both[0].fit(job.model_copy(update={"dropout": 0.0})))
    assert first.adapter == again.adapter != other.adapter
    assert first.stats == again.stats


def test_peft_loads_what_we_export_and_agrees(both, tmp_path):
    peft = pytest.importorskip("peft")
    model, reference = both
    loaded = model.load()
    network = loaded.network
    adapter = adapted(network, transposed=loaded.transposed)
    blob = lora.to_bytes(adapter)
    assert lora.from_bytes(blob).transposed == (reference.config.model_type == "gpt2")
    folder = lora.export_adapter(blob, tmp_path / "adapter")
    base = transformers.AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, folder).eval()
    ids = list(range(30, 60))
    with torch.no_grad():
        ours = network.head(network.hidden(pack([ids]), network.bind(adapter.scaled())))
        plain = network.head(network.hidden(pack([ids])))
        torch.testing.assert_close(ours, theirs(torch.tensor([ids])).logits, atol=5e-4, rtol=1e-4)
        assert (ours - plain).abs().max() > 0.01
        merged = theirs.merge_and_unload()
        torch.testing.assert_close(ours, merged(torch.tensor([ids])).logits, atol=2e-3, rtol=1e-3)


def test_logits_at_once_where_states_and_head_are_not_apart(tmp_path, monkeypatch):
    reference = tiny_hf.save(tmp_path, "gpt2")
    monkeypatch.setattr(hf.HF, "_try_head", lambda self, ids, logits: None)
    model = embedded(tmp_path)
    reply = ask(model, Request(turns=user("hello"), sampling=Sampling(max_tokens=8), n=3))[0]
    assert model.load().network._body is None
    data = tuple(samples(reply))
    for sample in data:
        torch.testing.assert_close(
            torch.tensor(sample.logprobs), plain_logprobs(reference, sample), atol=1e-4, rtol=1e-4
        )
    fitted = asyncio.run(model.fit(FitJob(data=data, rank=4, learning_rate=0.02, epochs=4, warmup=0.0)))
    assert fitted.stats["loss"] < fitted.stats["first_loss"]


def test_targets_that_a_user_may_give(tmp_path):
    tiny_hf.save(tmp_path, "gpt2")
    said = []
    model = embedded(tmp_path, said)
    data = (Sample(prompt_ids=(20, 21), token_ids=(22, 23)),)

    def fit(**options):
        fitted = asyncio.run(model.fit(FitJob(data=data, rank=2, **options)))
        return lora.from_bytes(model._blobs.get(fitted.adapter))

    assert fit().targets == ("c_attn", "c_fc", "c_proj")
    assert "c_attn, c_fc, c_proj" in said[-1]
    count = len(said)
    assert fit(targets=("all-linear",)).targets == ("c_attn", "c_fc", "c_proj")
    assert set(fit(targets=("c_attn",)).pairs) == {f"transformer.h.{i}.attn.c_attn" for i in range(2)}
    assert len(said) == count
    with pytest.raises(InputError, match="c_attn, c_fc, c_proj"):
        fit(targets=("q_proj",))
    save_llama(tmp_path / "llama")
    llama = embedded(tmp_path / "llama", said)
    assert len(llama.load().targets(("all-linear",), said.append)) == 7


@pytest.mark.parametrize("opening", [False, True])
def test_a_base_model_goes_on_from_plain_text(tmp_path, opening):
    tiny_hf.save(tmp_path, "gpt2", opening=opening)
    model = embedded(tmp_path)
    tokenizer = model.load().tokenizer
    plain = tokenizer("one\n\ntwo", add_special_tokens=False)["input_ids"]
    turns = (Turn(role="system", text="one"), Turn(role="user", text="two"))
    assert list(model.prompt_ids(turns)) == [1] * opening + plain  # and not what the tokenizer ends texts with
    request = Request(turns=turns, sampling=Sampling(max_tokens=4), seed=5)
    first = ask(model, request)[0].choices[0]
    known = first.prompt_ids + first.token_ids
    text = "one\n\ntwo" + tokenizer.decode(first.token_ids)
    if text.isascii() and 0 not in first.token_ids:
        again = model.prompt_ids((*turns[:1], turns[1], first.model_copy(update={"text": text[10:]}), *user("more")))
        assert again[: len(known)] == known
    if not opening:
        with pytest.raises(InputError, match="empty"):
            ask(model, Request(turns=user("")))


def test_weights_in_bin_files(tmp_path):
    for kind, network in (("gpt2", hf.HF), ("llama", Llama)):
        folder = tmp_path / kind
        reference = save_llama(folder) if kind == "llama" else tiny_hf.save(folder, kind)
        model = embedded(folder)
        request = Request(turns=user("hi"), sampling=Sampling(max_tokens=5))
        expected = ask(model, request)[0].choices[0]
        (folder / "model.safetensors").unlink()
        torch.save(reference.state_dict(), folder / "pytorch_model.bin")
        again = embedded(folder)
        choice = ask(again, request)[0].choices[0]
        assert choice.token_ids == expected.token_ids
        assert choice.logprobs == pytest.approx(expected.logprobs, abs=1e-5)
        assert isinstance(again.load().network, network)
        assert again.fingerprint != model.fingerprint
        ran = []
        torch.save({"weight": Bomb(ran)}, folder / "pytorch_model.bin")
        with pytest.raises(ModelError, match="may run code"):
            ask(embedded(folder), request)


class Bomb:
    """What an attacker puts where a tensor should be."""

    def __init__(self, ran):
        self.ran = ran

    def __reduce__(self):
        return (pytest.fail, ("the file ran code",))


def test_models_of_other_kinds_are_told(tmp_path):
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    bert = transformers.BertConfig(vocab_size=259, initializer_range=0.3, **sizes)
    t5 = transformers.T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4, vocab_size=259)
    gpt2 = tiny_hf.build("gpt2").config
    for model, match in [
        (transformers.T5ForConditionalGeneration(t5), "got T5ForConditionalGeneration .* an encoder with a decoder"),
        (transformers.BertForMaskedLM(bert), "got BertForMaskedLM .* something else"),
        (transformers.BertLMHeadModel(bert), "expected a causal language model, got BertLMHeadModel"),
        (transformers.GPT2ForSequenceClassification(gpt2), "got GPT2ForSequenceClassification .* GPT2LMHeadModel"),
        (transformers.ViTForImageClassification(transformers.ViTConfig(**sizes)), "got ViTForImageClassification"),
    ]:
        folder = tmp_path / type(model).__name__
        model.save_pretrained(folder)
        tiny_hf.words().save_pretrained(folder)
        with pytest.raises(ModelError, match=match):
            embedded(folder).load()


def test_folders_that_are_not_whole(tmp_path):
    reference = tiny_hf.save(tmp_path, "gpt2")
    config = json.loads((tmp_path / "config.json").read_text())
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:3000])
    with pytest.raises(ModelError, match="cannot read the model"):
        embedded(tmp_path).load()
    state = reference.state_dict()
    (tmp_path / "model.safetensors").unlink()
    torch.save({n: t for n, t in state.items() if "c_fc.weight" not in n}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"have no tensor.*c_fc"):
        embedded(tmp_path).load()
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"has no model.safetensors"):
        embedded(tmp_path).load()
    for path in tmp_path.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="no tokenizer"):
        embedded(tmp_path).load()
    own = {**config, "model_type": "strange", "auto_map": {"AutoConfig": "configuration_strange.Strange"}}
    (tmp_path / "config.json").write_text(json.dumps(own))
    with pytest.raises(ModelError, match="'strange', whose code is not in transformers"):
        embedded(tmp_path).load()


def write_gguf(path, model, architecture="gpt2"):
    """A GPT-2 as llama.cpp's converter lays it out."""
    from gguf import GGUFWriter

    config, state = model.config, model.state_dict()
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(config.n_positions)
    writer.add_block_count(config.n_layer)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    vocabulary = tiny_hf.words().get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    tokens[2] = "ab"  # a file needs at least one merge
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(1)
    names = {"ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
             "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}  # fmt: skip
    out = {"token_embd.weight": "wte.weight", "position_embd.weight": "wpe.weight"}
    for part in ("weight", "bias"):
        out[f"output_norm.{part}"] = f"ln_f.{part}"
        for i in range(config.n_layer):
            out |= {f"blk.{i}.{ours}.{part}": f"h.{i}.{theirs}.{part}" for theirs, ours in names.items()}
    for ours, theirs in out.items():
        tensor = state[f"transformer.{theirs}"]
        writer.add_tensor(ours, (tensor.T if ".c_" in theirs and tensor.ndim == 2 else tensor).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_files_of_other_architectures(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPWRIGHT_CACHE", str(tmp_path / "cache"))
    # The precision that files are converted to, and the context that every GPT-2 has.
    reference = tiny_hf.build("gpt2", n_positions=1024).to(torch.bfloat16).float()
    write_gguf(tmp_path / "gpt2.gguf", reference)
    model = embedded(tmp_path / "gpt2.gguf")
    reply = ask(model, Request(turns=user("hello"), sampling=Sampling(max_tokens=6), n=2))[0]
    assert isinstance(model.load().network, hf.HF)
    for sample in samples(reply):
        torch.testing.assert_close(
            torch.tensor(sample.logprobs), plain_logprobs(reference, sample), atol=1e-4, rtol=1e-4
        )
    write_gguf(tmp_path / "short.gguf", tiny_hf.build("gpt2"))  # transformers takes its context for 1024 all the same
    with pytest.raises(ModelError, match=r"wpe.weight is \(128, 32\), expected \(1024, 32\)"):
        embedded(tmp_path / "short.gguf")
    write_gguf(tmp_path / "strange.gguf", reference, "strange")
    with pytest.raises(ModelError, match=r"strange.*not supported"):
        embedded(tmp_path / "strange.gguf")
    assert not list((tmp_path / "cache" / "models").glob("convert-*"))
