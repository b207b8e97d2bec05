"""Which files are a model's weights, and clear words where they are not all there or do not fit what is asked of them."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

torch = pytest.importorskip("torch")

import tiny_hf  # noqa: E402
import tiny_llama  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from loopwright.core.errors import BadOutput, InputError, ModelError  # noqa: E402
from loopwright.core.model import FitJob, Request, Sample, Sampling  # noqa: E402
from loopwright.core.types import Turn  # noqa: E402
from loopwright.models import files, loading  # noqa: E402
from loopwright.models.embedded import Embedded  # noqa: E402


def model(folder, said=None, **options):
    options = {"dtype": "float32", "device": "cpu", "checkpoint_every": float("inf"), **options}
    return Embedded(tiny_llama.Memory(), folder, progress=(said if said is not None else []).append, **options)


def logits(folder):
    sample = Sample(prompt_ids=(30, 31), token_ids=tuple(range(32, 50)))
    return asyncio.run(model(folder).forward([sample], "logprobs", None))[0]


@pytest.fixture(params=["llama", "gpt2"])
def folder(request, tmp_path):
    """Of a model that our own forward pass runs, and of one that transformers runs."""
    there = tmp_path / "model"
    (tiny_llama if request.param == "llama" else tiny_hf).save(there, request.param)
    return there


def sharded(folder, kind="safetensors"):
    """The same weights in several files with an index."""
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    before = logits(folder)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    whole.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    if kind == "bin":
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        named = {
            file: file.replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
            for file in index["weight_map"].values()
        }
        for file, other in named.items():
            torch.save(load_file(folder / file), folder / other)
            (folder / file).unlink()
        index["weight_map"] = {tensor: named[file] for tensor, file in index["weight_map"].items()}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        (folder / "model.safetensors.index.json").unlink()
    return before


@pytest.mark.parametrize(
    "name",
    ["model_backup.safetensors", "model-old.safetensors", "model.fp16.safetensors", "modelx.safetensors", "a.bin"],
)
def test_a_copy_beside_the_weights_is_not_read(folder, name):
    before = logits(folder)
    save_file({n: t + 1 for n, t in load_file(folder / "model.safetensors").items()}, folder / name)
    assert logits(folder) == before


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_weights_in_several_files_are_those_the_index_names(folder, kind):
    before = sharded(folder, kind)
    save_file({"model.norm.weight": torch.zeros(32)}, folder / "model-99999-of-99999.safetensors")
    torch.save({"model.norm.weight": torch.zeros(32)}, folder / "pytorch_model-99.bin")
    assert logits(folder) == before


def test_one_bin_file_where_there_are_no_safetensors(folder):
    before = logits(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    assert logits(folder) == before
    torch.save({n: t + 1 for n, t in load_file(folder / "model.safetensors").items()}, folder / "pytorch_model.bin")
    assert logits(folder) == before  # safetensors go before
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "model_backup.safetensors")
    assert logits(folder) == before


def test_shards_that_are_missing_are_named(folder):
    sharded(folder)
    gone = sorted(folder.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(ModelError, match=gone.name):
        model(folder).load()


def test_a_whole_file_beside_an_index_of_others_is_not_guessed_at(folder):
    shutil.copy(folder / "model.safetensors", folder / "kept")
    sharded(folder)
    shutil.copy(folder / "kept", folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"both model.safetensors and model.safetensors.index.json"):
        model(folder).load()


def test_an_index_is_read_with_care(tmp_path):
    folder = tmp_path / "model"
    tiny_llama.save(folder)
    sharded(folder)
    index = folder / "model.safetensors.index.json"
    known = json.loads(index.read_text())
    first = sorted(known["weight_map"].values())[0]
    missing = {"weight_map": {**known["weight_map"], "model.extra.weight": first}}
    for text, match in [
        ("{", "damaged"), ("[]", "damaged"), ('{"weight_map": {}}', "names no tensors"), ('{"weight_map": 3}', "damaged"),
        ('{"weight_map": {"a": "../other.safetensors"}}', "files beside it"),
        (json.dumps(missing), "no tensor 'model.extra.weight'"),
    ]:  # fmt: skip
        index.write_text(text)
        with pytest.raises(ModelError, match=match):
            loading.read_tensors(folder)
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    (folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"no model.safetensors.*weights.safetensors there"):
        files.weights(folder)


def ask(model, text="hello", **sampling):
    return asyncio.run(model.generate([Request(turns=(Turn(role="user", text=text),), sampling=Sampling(**sampling))]))[
        0
    ]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_tokens_without_an_embedding_are_named(tmp_path, kind):
    """A tokenizer to which a token was added, and the model not made larger."""
    (tiny_llama if kind == "llama" else tiny_hf).save(tmp_path, kind)
    words = tiny_llama.tokenizer() if kind == "llama" else tiny_hf.words()
    words.add_tokens(["<|new|>"])
    words.save_pretrained(tmp_path)
    made = model(tmp_path)
    assert ask(made, max_tokens=2).choices
    with pytest.raises(BadOutput, match="the prompt has the token id 259, outside the vocabulary of 259"):
        ask(made, "hello <|new|>", max_tokens=2)
    # the engine asks beforehand, so that only that prompt goes without an answer
    long, other = (Request(turns=(Turn(role="user", text=text),)) for text in ("a <|new|>", "a"))
    assert made.too_long(long.model_copy(update={"sampling": Sampling(max_tokens=2)})).kind == "token"
    assert made.too_long(other.model_copy(update={"sampling": Sampling(max_tokens=2)})) is None
    sample = Sample(prompt_ids=(5, 259), token_ids=(6,))
    for call in (made.forward([sample], "logprobs", None), made.fit(FitJob(data=(sample,), rank=2))):
        with pytest.raises(InputError, match="token id 259, outside the vocabulary of 259"):
            asyncio.run(call)


def test_embeddings_of_another_size_than_the_configuration_says(tmp_path):
    tiny_llama.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    name = "model.embed_tokens.weight"
    save_file({**tensors, name: torch.cat([tensors[name], tensors[name][:5]])}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"embed_tokens.weight is \(264, 32\)"):
        model(tmp_path).load()


@pytest.mark.parametrize("end", [None, 100_000])
def test_a_model_without_a_token_that_ends_an_answer(tmp_path, end):
    tiny_llama.save(tmp_path)
    for name in ("config.json", "generation_config.json"):
        path = tmp_path / name
        if path.exists():
            path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": end}))
    words = tiny_llama.tokenizer()
    words.eos_token = None
    words.save_pretrained(tmp_path)
    said = []
    made = model(tmp_path, said)
    reply = ask(made, max_tokens=3)
    assert reply.choices[0].finish == "length" and any("eos_token_id" in line for line in said)
    with pytest.raises(InputError, match=r"no token that ends an answer.*eos_token_id"):
        made.answer_ids("yes")
    with pytest.raises(InputError, match="no token that ends an answer"):
        ask(made, max_tokens=3, schema={"type": "integer"})
