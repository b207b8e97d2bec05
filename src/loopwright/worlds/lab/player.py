"""A tiny policy that plays preference games: a Llama of some thousand weights whose one-token answers are the arms.

It is loaded by the embedded backend like any other model folder, so that a recipe that trains language models is checked,
as it is, against games whose solution is known. It is made here, from a seed, and plays almost evenly at the start.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import InputError
from loopwright.core.model import Blobs

if TYPE_CHECKING:
    from loopwright.models.embedded import Embedded

ARMS = 8
CONTEXTS = 32
SPECIALS = ("<|end|>", "<|start|>", "<|pad|>", "<|unknown|>")
NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of the arms, from the first
VERSION = 1  # raise when the folder changes
_WIDTH, _INNER, _LAYERS, _HEADS = 32, 64, 2, 2
_BIAS, _AVOID, _SPREAD = 2.0, 6.0, 0.05


def question(context: int) -> str:
    return f"game-{context}"


def token_of(arm: int) -> int:
    """The token by which the tiny policy plays an arm."""
    return len(SPECIALS) + CONTEXTS + arm


def player(blobs: Blobs, *, arms: int = ARMS, seed: int = 0, **options: Any) -> Embedded:
    """The tiny policy, made in the cache folder on first use. ``options`` are those of the embedded backend."""
    return kept(blobs, f"{arms}-{seed}-v{VERSION}", lambda folder: make_player(folder, arms=arms, seed=seed), **options)


def kept(blobs: Blobs, name: str, make: Callable[[Path], None], **options: Any) -> Embedded:
    """A tiny model whose folder ``make`` writes, kept in the cache under this name."""
    from loopwright.models.embedded import Embedded
    from loopwright.models.smollm2 import cache_root

    folder = cache_root() / "players" / name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="make-"))
        try:
            make(scratch)
            os.replace(scratch, folder)
        except OSError:
            if not folder.exists():  # else another process was quicker; its result is the same
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    # A fit takes milliseconds: writing checkpoints would take longer.
    given = {"dtype": "float32", "device": "cpu", "checkpoint_every": float("inf"), **options}
    return Embedded(blobs, folder, **given)


def word_tokenizer(folder: Path, words: Sequence[str]) -> None:
    """Write a tokenizer whose tokens are these words, SPECIALS first; a conversation is its texts, one after the other."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=SPECIALS[3]))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_special_tokens(list(SPECIALS))
    core.save(str(folder / "tokenizer.json"))
    end, start, pad, unknown = SPECIALS
    template = "{% for m in messages %}{{ m['content'] }} {% endfor %}" + start
    names = {"eos_token": end, "bos_token": start, "pad_token": pad, "unk_token": unknown}
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template, "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps({**names, **kind}, indent=1), encoding="utf-8")


def make_player(folder: Path, *, arms: int = ARMS, seed: int = 0) -> None:
    """Write a Hugging Face folder. Raises InputError for a number of arms that cannot be named by a letter each."""
    import torch
    from safetensors.torch import save_file

    if not 2 <= arms <= len(NAMES):
        raise InputError(f"a player has 2 to {len(NAMES)} arms, got {arms}")
    words = [*SPECIALS, *(question(c) for c in range(CONTEXTS)), *NAMES[:arms]]
    word_tokenizer(folder, words)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": len(words), "hidden_size": _WIDTH,
        "intermediate_size": _INNER, "num_hidden_layers": _LAYERS, "num_attention_heads": _HEADS,
        "num_key_value_heads": _HEADS, "head_dim": _WIDTH // _HEADS, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": False, "attention_bias": False,
        "mlp_bias": False, "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 2, "torch_dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")

    generator = torch.Generator().manual_seed(seed)

    def drawn(rows: int, columns: int, scale: float) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * scale

    def keeping(weight: torch.Tensor) -> torch.Tensor:
        weight[0] = 0.0  # the first coordinate is the same for every text, which makes it the bias of the last layer
        return weight

    narrow, wide = _WIDTH**-0.5, _INNER**-0.5
    embed, out = drawn(len(words), _WIDTH, 1.0), drawn(len(words), _WIDTH, _SPREAD)
    embed[:, 0] = _BIAS
    out[: token_of(0)] = 0.0
    out[: token_of(0), 0] = -_AVOID  # what is no arm is hardly ever said
    tensors = {"model.embed_tokens.weight": embed, "model.norm.weight": torch.ones(_WIDTH), "lm_head.weight": out}
    for i in range(_LAYERS):
        at = f"model.layers.{i}."
        for name in ("q", "k", "v"):
            tensors[f"{at}self_attn.{name}_proj.weight"] = drawn(_WIDTH, _WIDTH, narrow)
        tensors[f"{at}self_attn.o_proj.weight"] = keeping(drawn(_WIDTH, _WIDTH, narrow))
        tensors[f"{at}mlp.gate_proj.weight"] = drawn(_INNER, _WIDTH, narrow)
        tensors[f"{at}mlp.up_proj.weight"] = drawn(_INNER, _WIDTH, narrow)
        tensors[f"{at}mlp.down_proj.weight"] = keeping(drawn(_WIDTH, _INNER, wide))
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{name}.weight"] = torch.ones(_WIDTH)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
