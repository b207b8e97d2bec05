"""Adapters as PEFT writes them: those that are read give PEFT's own logits, all others are refused by name."""

from __future__ import annotations

import asyncio
import json

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

import kit  # noqa: E402
import tiny_hf  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_llama import Memory  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from loopwright.core.errors import InputError, ModelNotFound  # noqa: E402
from loopwright.core.model import FitJob, Sample  # noqa: E402
from loopwright.models.embedded import Embedded  # noqa: E402
from loopwright.models.llama import pack  # noqa: E402
from loopwright.training import lora, peft_config  # noqa: E402

IDS = [5, *range(30, 60), 7, 9]
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def written(folder, base, **options):
    """A PEFT adapter of random weights, saved by PEFT."""
    torch.manual_seed(1)
    options = {"r": 4, "lora_alpha": 12, "target_modules": LINEAR, "task_type": "CAUSAL_LM", **options}
    wrapped = peft.get_peft_model(plain(base), peft.LoraConfig(**options))
    with torch.no_grad():
        for name, tensor in wrapped.named_parameters():
            if "lora_" in name:
                tensor.copy_(0.1 * torch.randn_like(tensor))
            elif "trainable_tokens" in name or "modules_to_save" in name:
                tensor.add_(0.1 * torch.randn_like(tensor))
    wrapped.save_pretrained(folder)


def plain(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def reference(folder, base):
    """What PEFT makes of the files. (It writes patterns in another order than it was given, and takes the first that matches.)"""
    with torch.no_grad():
        return peft.PeftModel.from_pretrained(plain(base), folder).eval()(torch.tensor([IDS])).logits[0]


def logits(network, adapter=None):
    """Ours."""
    with torch.no_grad():
        bound = network.bind(adapter.scaled()) if adapter is not None else None
        return network.head(network.hidden(pack([IDS]), bound))[0].float()


def check(folder, base, *, kind, tmp_path):
    """As a blob, as part of a model's name, and written down again: always PEFT's logits."""
    theirs = reference(folder, base)
    blobs = Memory()
    model = kit.model(kind=kind, blobs=blobs)
    blob = lora.import_adapter(folder)
    view = model._view(blobs.put(blob))
    close = {"atol": 5e-4, "rtol": 1e-4}
    with torch.no_grad():
        found = view.network.head(view.network.hidden(pack([IDS]), view.bound))[0]
    torch.testing.assert_close(found, theirs, **close)
    named = Embedded(blobs, base, adapter=folder, dtype="float32", device="cpu", progress=lambda line: None)
    torch.testing.assert_close(logits(named.load().network), theirs, **close)
    again = lora.export_adapter(blob, tmp_path / "again")
    torch.testing.assert_close(reference(again, base), theirs, **close)
    assert lora.import_adapter(again) == blob
    assert (theirs - logits(model.load().network)).abs().max() > 0.05
    return json.loads((again / "adapter_config.json").read_text())


Q1, Q = "model.layers.1.self_attn.q_proj", "q_proj"
READ = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "rank": {"rank_pattern": {"q_proj": 2, "down_proj": 7}},
    "alpha": {"alpha_pattern": {"q_proj": 3, "v_proj": 40}},
    # the first that matches counts; a pattern is a regular expression that ends where the name ends
    "patterns": {
        "rank_pattern": {r"layers\.1\.self_attn\..*": 2, "q_proj": 6, "mlp": 5, r"^model\.layers\.0\.mlp\.up_proj": 3},
        "alpha_pattern": {"proj": 1.0, "[qk]_proj": 30, Q1: 5, r".*\.0\..*": 7.5},
    },
    "rslora and patterns": {"use_rslora": True, "rank_pattern": {Q: 2}, "alpha_pattern": {"o_proj": 1, Q1: 9}},
    "expression": {"target_modules": r".*\.layers\.1\..*(q|up)_proj"},
    "one layer": {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1], "layers_pattern": "layers"},
    "excluded": {"exclude_modules": [Q1]},
    "all linear": {"target_modules": "all-linear"},
    "started otherwise": {"init_lora_weights": "gaussian", "lora_dropout": 0.3},
    "mica": {"init_lora_weights": "mica"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "tokens": {"trainable_token_indices": [44, 31, 7]},
    "tokens by module": {"trainable_token_indices": {"embed_tokens": [31]}, "use_rslora": True},
}


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@pytest.mark.parametrize("name", READ)
def test_what_is_read_gives_peft_s_own_logits(name, kind, tmp_path):
    base = kit.folder(kind)
    written(tmp_path / "adapter", base, **READ[name])
    config = check(tmp_path / "adapter", base, kind=kind, tmp_path=tmp_path)
    if name == "expression":
        assert config["target_modules"] == ["model.layers.1.mlp.up_proj", "model.layers.1.self_attn.q_proj"]


FEW = settings(max_examples=15, deadline=None)
PATTERN = st.sampled_from(
    [*LINEAR, "mlp", "self_attn", r".*\.1\..*", r"layers\.0\..*", r"^model\..*v_proj", "[qk]_proj", Q1, "proj"]
)


@FEW
@given(
    st.dictionaries(PATTERN, st.integers(1, 6), max_size=3),
    st.dictionaries(PATTERN, st.integers(1, 40), max_size=3),
    st.booleans(),
)
def test_patterns_mean_what_they_mean_to_peft(
    ranks,
    alphas,
    rslora,
):
    base = plain(kit.folder("llama"))
    options = {"r": 4, "lora_alpha": 12, "use_rslora": rslora, "rank_pattern": ranks, "alpha_pattern": alphas}
    wrapped = peft.get_peft_model(base, peft.LoraConfig(target_modules=LINEAR, **options))
    layers = {n.removeprefix(lora.PREFIX): m for n, m in wrapped.named_modules() if hasattr(m, "lora_A")}
    tensors = {}
    for name, module in layers.items():
        for part in "AB":
            tensors[f"{lora.PREFIX}{name}.lora_{part}.weight"] = (
                getattr(module, f"lora_{part}")["default"].weight.detach() + 1
            )
    config = {"peft_type": "LORA", "target_modules": LINEAR, **options}
    adapter = lora.from_tensors(tensors, {lora.CONFIG: json.dumps(config)})
    for name, (_, up) in adapter.scaled().items():
        torch.testing.assert_close(up, tensors[f"{lora.PREFIX}{name}.lora_B.weight"] * layers[name].scaling["default"])
    # written down and read again it is the same, whatever the patterns were
    again = lora.from_bytes(lora.to_bytes(adapter))
    assert all(torch.equal(again.scaled()[name][1], up) for name, (_, up) in adapter.scaled().items())


REFUSED = {
    "dora": ({"use_dora": True}, "DoRA"),
    "bias": ({"bias": "lora_only"}, "bias='lora_only'"),
    "bias of its own": ({"lora_bias": True}, "lora_bias"),
    "whole modules": ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    "pissa": ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
    "pissa by iterations": ({"init_lora_weights": "pissa_niter_2"}, "path_initial_model_for_weight_conversion"),
    "olora": ({"init_lora_weights": "olora"}, "init_lora_weights='olora'"),
    "embedding": ({"target_modules": [*LINEAR, "embed_tokens"]}, "LoRA on embeddings"),
    "head": ({"target_modules": [*LINEAR, "lm_head"]}, "lm_head"),
    "layers": ({"layer_replication": [[0, 2], [1, 2]]}, "replicated layers"),
    "tokens of the head": ({"trainable_token_indices": {"lm_head": [5]}}, "'lm_head'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_name(name, tmp_path):
    options, match = REFUSED[name]
    kind = (
        "llama" if name == "layers" else "qwen3"
    )  # the head of the second is not tied, PEFT replicates layers of the first
    written(tmp_path, kit.folder(kind), **options)
    model = kit.model(kind=kind)
    with pytest.raises(InputError, match=match) as error:
        model._view(model._blobs.put(lora.import_adapter(tmp_path)))
    assert "PEFT" in str(error.value)
    named = kit.model(kind=kind, adapter=tmp_path)
    with pytest.raises(InputError, match=match):
        named.load()


def test_other_kinds_of_adapters_are_refused_by_name(tmp_path):
    for i, config in enumerate(
        [
            peft.IA3Config(target_modules=["q_proj"], feedforward_modules=[]),
            peft.LoHaConfig(target_modules=["q_proj"]),
            peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2),
            peft.VeraConfig(target_modules=["q_proj"]),
        ]
    ):
        peft.get_peft_model(plain(kit.folder("llama")), config).save_pretrained(tmp_path / str(i))
        with pytest.raises(InputError, match=f"type {config.peft_type.value}; LORA is read here"):
            lora.import_adapter(tmp_path / str(i))


def test_a_field_that_nobody_knows_yet_is_refused_once_it_says_something(tmp_path):
    written(tmp_path, kit.folder("llama"))
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "use_newlora": None}))
    lora.import_adapter(tmp_path)
    path.write_text(json.dumps({**config, "use_newlora": {"strength": 2}}))
    with pytest.raises(InputError, match="use_newlora"):
        lora.import_adapter(tmp_path)
    path.write_text(json.dumps({name: config[name] for name in ("peft_type", "target_modules")}))
    with pytest.raises(InputError, match="has rank 8, its tensors have 4"):  # PEFT's default
        lora.import_adapter(tmp_path)


def test_every_field_of_peft_s_configuration_was_looked_at():
    known = peft_config.READ | peft_config.SILENT | set(peft_config.CALLED)
    assert not set(peft.LoraConfig().to_dict()) - known


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.layers.0.self_attn.q_proj.lora_magnitude_vector", "DoRA"),
        ("model.layers.0.self_attn.q_proj.lora_B.bias", "a bias"),
        ("model.layers.0.self_attn.q_proj.bias", "a bias"),
        ("model.embed_tokens.lora_embedding_A", "embeddings"),
        ("model.embed_tokens.weight", "a tensor"),
        ("lm_head.weight", "a tensor"),
        ("model.layers.0.self_attn.o_proj.lora_B.weight", "a tensor"),
        ("lm_head.token_adapter.trainable_tokens_delta", "token embeddings"),
    ],
)
def test_no_tensor_of_the_file_is_passed_over(name, kind, tmp_path):
    written(tmp_path, kit.folder("llama"), target_modules=["q_proj"])
    path = tmp_path / "adapter_model.safetensors"
    save_file({**load_file(path), f"base_model.model.{name}": torch.ones(2, 2)}, path)
    with pytest.raises(InputError, match=kind) as error:
        lora.import_adapter(tmp_path)
    assert name in str(error.value)


def test_damaged_adapters_are_told(tmp_path):
    written(tmp_path, kit.folder("llama"), target_modules=["q_proj"])
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    for change, match in [
        ({"r": 8}, "has rank 8, its tensors have 4"), ({"r": "4"}, "r is a number"), ({"lora_alpha": None}, "lora_alpha"),
        ({"lora_alpha": float("inf")}, "lora_alpha"), ({"alpha_pattern": {"q_proj": "x"}}, "alpha_pattern of 'q_proj'"),
        ({"alpha_pattern": [1]}, "alpha_pattern is an object"), ({"target_modules": ["v_proj"]}, "not of one adapter"),
        ({"alpha_pattern": {"q_(proj": 3}}, "not a regular expression"),
        ({"alpha_pattern": {r"((\w|\.|\w\w|\w\.|\w\w\w)+)+(?<=x)": 3}}, "took longer than 1 s"),
        ({"rank_pattern": {"q_proj": 2}}, "has rank 2"),
    ]:  # fmt: skip
        (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(InputError, match=match):
            lora.import_adapter(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    name = next(n for n in tensors if "lora_A" in n)
    for odd, match in [
        (tensors[name] * float("nan"), "not finite"), (tensors[name] * float("inf"), "not finite"),
        (tensors[name].to(torch.int8), "holds int8"),
    ]:  # fmt: skip
        save_file({**tensors, name: odd}, tmp_path / "adapter_model.safetensors")
        with pytest.raises(InputError, match=match):
            lora.import_adapter(tmp_path)
    save_file({**tensors, name: torch.ones(5, 32)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"lora_A of .* is \(5, 32\)"):
        lora.import_adapter(tmp_path)
    for text in ("[]", "null", "3"):
        (tmp_path / "adapter_config.json").write_text(text)
        with pytest.raises(InputError, match="expected an object"):
            lora.import_adapter(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(InputError, match="older PEFT"):
        lora.import_adapter(tmp_path)
    with pytest.raises(ModelNotFound, match="older PEFT"):
        kit.model(adapter=tmp_path)


def test_training_goes_on_from_an_adapter_with_patterns(tmp_path):
    options = {"use_rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}}
    written(tmp_path / "adapter", kit.folder("llama"), **options)
    theirs = reference(tmp_path / "adapter", kit.folder("llama"))
    model = kit.model()
    start = model._blobs.put(lora.import_adapter(tmp_path / "adapter"))
    job = FitJob(
        data=(Sample(prompt_ids=(30, 31), token_ids=(70, 71)),), adapter=start, rank=4, alpha=12, learning_rate=1e-3
    )
    fitted = asyncio.run(model.fit(job))
    before, after = (lora.from_bytes(model._blobs.get(blob)) for blob in (start, fitted.adapter))
    assert (after.rslora, after.alphas, after.rank) == (True, before.alphas, 4) and len(after.alphas) == 2
    assert {n: a.shape for n, (a, _) in after.pairs.items()} == {n: a.shape for n, (a, _) in before.pairs.items()}
    moved = logits(model.load().network, after)
    assert 0 < (moved - theirs).abs().max() < 1.0


def test_weights_kept_the_other_way_round(tmp_path):
    """GPT-2 keeps them as [in, out] (fan_in_fan_out), which changes nothing of what an adapter adds."""
    tiny_hf.save(tmp_path / "gpt2", "gpt2")
    written(tmp_path / "adapter", tmp_path / "gpt2", target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    model = Embedded(Memory(), tmp_path / "gpt2", dtype="float32", device="cpu", progress=lambda line: None)
    adapter = lora.from_bytes(lora.import_adapter(tmp_path / "adapter"))
    assert adapter.transposed
    theirs = reference(tmp_path / "adapter", tmp_path / "gpt2")
    torch.testing.assert_close(logits(model.load().network, adapter), theirs, atol=5e-4, rtol=1e-4)
