"""The adapter of an artifact is the whole model: plain PEFT loads it with its base, whatever the run's model was named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from tiny_llama import save  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from loopwright.core.model import FitJob, Sample, Sampling  # noqa: E402
from loopwright.core.types import Candidate  # noqa: E402
from loopwright.improve.artifact import read_artifact, write_artifact  # noqa: E402
from loopwright.models import load, without_adapter  # noqa: E402
from loopwright.models.llama import pack  # noqa: E402
from loopwright.store import MemoryStore  # noqa: E402
from loopwright.training import lora  # noqa: E402

IDS = [5, *range(30, 60), 7, 9]
SAMPLE = Sample(prompt_ids=tuple(IDS[:1]), token_ids=tuple(IDS[1:]))
JOB = FitJob(data=(SAMPLE,), rank=3, alpha=5, learning_rate=0.02, epochs=3, targets=("q_proj", "down_proj"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save(folder)
    return folder


@pytest.fixture(scope="module", params=["plain", "patterns", "tokens"])
def named(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter as PEFT writes it, of other modules than the run trains, some of them the same."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(2)
    options: dict[str, Any] = {
        "plain": {"r": 4, "lora_alpha": 12},
        "patterns": {
            "r": 4,
            "lora_alpha": 12,
            "use_rslora": True,
            "rank_pattern": {"q_proj": 6},
            "alpha_pattern": {"v_proj": 2},
        },
        "tokens": {"r": 2, "lora_alpha": 6, "trainable_token_indices": [44, 31]},
    }[request.param]
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", **options)
    wrapped = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    with torch.no_grad():
        for name, tensor in wrapped.named_parameters():
            if "lora_" in name or "trainable_tokens" in name:
                tensor.add_(0.1 * torch.randn_like(tensor))
    wrapped.save_pretrained(folder)
    return folder


def written(folder: Path, store: MemoryStore, spec: Any, adapter: str | None) -> Path:
    candidate = Candidate(parts={"prompt": {"instruction": "Go."}} | ({} if adapter is None else {"adapter": adapter}))
    about: dict[str, Any] = {"sampling": Sampling(), "place": {}, "task": "t", "run": "r"}
    policy = load(spec, blobs=store.blobs, dtype="float32")
    return write_artifact(folder, candidate, blobs=store.blobs, model=spec, policy=policy, **about)


def ours(spec: Any, store: MemoryStore, adapter: str | None) -> Any:
    model: Any = load(spec, blobs=store.blobs, dtype="float32")
    view = model._view(adapter)
    with torch.no_grad():
        return view.network.head(view.network.hidden(pack([IDS]), view.bound))[0]


def theirs(folder: Path) -> Any:
    """What somebody has who never heard of us."""
    loaded = peft.AutoPeftModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return loaded(torch.tensor([IDS])).logits[0]


close = {"atol": 1e-3, "rtol": 1e-3}


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_named_adapter_is_part_of_the_artifact(
    base: Path, named: Path, tmp_path: Path, trained: bool, as_text: bool
) -> None:
    store, other = MemoryStore(), MemoryStore()
    spec: Any = (
        f"embedded:{base}+{named}" if as_text else {"backend": "embedded", "path": str(base), "adapter": str(named)}
    )
    model: Any = load(spec, blobs=store.blobs, dtype="float32", checkpoint_every=float("inf"))
    adapter = asyncio.run(model.fit(JOB)).adapter if trained else None
    expected = ours(spec, store, adapter)
    folder = written(tmp_path / "artifact", store, spec, adapter)
    torch.testing.assert_close(theirs(folder / "adapter"), expected, **close)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.no_grad():
        assert (plain(torch.tensor([IDS])).logits[0] - expected).abs().max() > 0.1
    # and with us: the manifest's model is the base alone, so nothing is added twice
    candidate, manifest = read_artifact(folder, other.blobs)
    assert manifest["model"] == without_adapter(spec) and "adapter" in manifest["parts"]
    torch.testing.assert_close(ours(manifest["model"], other, str(candidate.parts["adapter"])), expected, **close)
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)
    if trained:
        assert config["r"] == 3 + {"plain": 4, "patterns": 6, "tokens": 2}[named.name.rstrip("0123456789")]
        assert "rank_pattern" not in config and config["lora_alpha"] == config["r"]


def test_without_one_the_blob_comes_back_as_it_was(base: Path, tmp_path: Path) -> None:
    store, other = MemoryStore(), MemoryStore()
    spec = f"embedded:{base}"
    model: Any = load(spec, blobs=store.blobs, dtype="float32", checkpoint_every=float("inf"))
    adapter = asyncio.run(model.fit(JOB)).adapter
    folder = written(tmp_path / "artifact", store, spec, adapter)
    torch.testing.assert_close(theirs(folder / "adapter"), ours(spec, store, adapter), **close)
    candidate, manifest = read_artifact(folder, other.blobs)
    assert (candidate.parts["adapter"], manifest["model"]) == (adapter, spec)
    assert not (written(tmp_path / "none", store, spec, None) / "adapter").exists()


def test_all_weights_on_top_of_a_named_adapter_are_all_there_is(base: Path, named: Path, tmp_path: Path) -> None:
    store, other = MemoryStore(), MemoryStore()
    spec = f"embedded:{base}+{named}"
    model: Any = load(spec, blobs=store.blobs, dtype="float32", checkpoint_every=float("inf"))
    adapter = asyncio.run(model.fit(JOB.model_copy(update={"tuning": "full", "learning_rate": 1e-3}))).adapter
    folder = written(tmp_path / "artifact", store, spec, adapter)
    candidate, manifest = read_artifact(folder, other.blobs)
    assert manifest["model"] == f"embedded:{base}"
    torch.testing.assert_close(
        ours(manifest["model"], other, str(candidate.parts["adapter"])), ours(spec, store, adapter), **close
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("embedded:lab+coder", "embedded:lab"), ("embedded", "embedded"), ("embedded:lab", "embedded:lab"),
        ("openai:a+b@http://h/v1", "openai:a+b@http://h/v1"), ("scripted:a+b", "scripted:a+b"),
        (
            {"backend": "embedded", "path": "lab", "adapter": "x", "dtype": "float32"},
            {"backend": "embedded", "path": "lab", "dtype": "float32"},
        ),
        ({"backend": "embedded", "path": "lab+x"}, {"backend": "embedded", "path": "lab"}),
        ({"backend": "openai", "model": "a+b"}, {"backend": "openai", "model": "a+b"}),
    ],
)  # fmt: skip
def test_the_name_of_a_model_without_its_adapter(spec: Any, expected: Any) -> None:
    assert without_adapter(spec) == expected


def test_combining_is_exact_for_any_two_adapters(base: Path, named: Path) -> None:
    first = lora.from_bytes(lora.import_adapter(named))
    sizes = {n: (len(b), a.shape[1]) for n, (a, b) in first.pairs.items()} | {"model.layers.0.mlp.up_proj": (48, 32)}
    second = lora.create(sizes, rank=5, alpha=7, targets=("q_proj", "up_proj"), seed=1)
    second = lora.Adapter({n: (a, torch.randn_like(b)) for n, (a, b) in second.pairs.items()}, 5, 7, second.targets)
    both = lora.combine(first, second)
    assert set(both.pairs) == set(first.pairs) | set(second.pairs)
    for name, (down, up) in both.scaled().items():
        expected = sum(u @ d for pairs in (first.scaled(), second.scaled()) if name in pairs for d, u in [pairs[name]])
        torch.testing.assert_close(up @ down, expected)
    assert both.tokens == first.tokens
