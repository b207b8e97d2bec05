"""LoRA adapters: made, written as bytes, read back, exported for PEFT.

A blob is one safetensors file with PEFT's tensor names; its only metadata entry is the PEFT configuration, so the bytes
(and so their hash) depend on nothing but the adapter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from loopwright.core.errors import InputError, StoreCorrupt

CONFIG = "adapter_config"  # metadata of an adapter
FULL = "full_weights"  # metadata of a full set
HEAD = "score_head."  # names of a scalar head's tensors start so
ADAPTER_FILE, CONFIG_FILE, HEAD_FILE = "adapter_model.safetensors", "adapter_config.json", "score_head.safetensors"
MODEL_FILE, FULL_FILE = "model.safetensors", "full_weights.json"
PREFIX = "base_model.model."
ROWS = f"{PREFIX}model.embed_tokens.token_adapter.trainable_tokens_delta"  # new rows; PEFT calls them a delta all the same


@dataclass(frozen=True)
class Adapter:
    """LoRA weights by module name ("model.layers.0.self_attn.q_proj"): A [rank, in] and B [out, rank], float32.

    The adapted product is x W' + (alpha / rank) x A' B'. tokens, rows: ids whose embedding is ``rows`` [tokens, hidden] instead
    of the model's own, for words that it was never taught; where the head is tied, it has the same rows.
    """

    pairs: Mapping[str, tuple[Tensor, Tensor]]
    rank: int
    alpha: float
    targets: tuple[str, ...]
    base: str = ""
    transposed: bool = False  # the adapted modules keep their weight as [in, out], as GPT-2's do; only PEFT must know
    tokens: tuple[int, ...] = ()
    rows: Tensor | None = None

    def scaled(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Pairs with alpha / rank multiplied into B, as a forward pass takes them. Gradients pass through."""
        return {name: (a, b * (self.alpha / self.rank)) for name, (a, b) in self.pairs.items()}

    def parameters(self) -> list[Tensor]:
        return [t for pair in self.pairs.values() for t in pair]


def create(
    sizes: Mapping[str, tuple[int, int]],
    *,
    rank: int,
    alpha: float,
    targets: Sequence[str],
    seed: int,
    base: str = "",
    transposed: Collection[str] = (),
) -> Adapter:
    """A new adapter that changes nothing yet: A uniform as in PEFT, B zero.

    sizes: (out, in) of every module that can be adapted. transposed: those of them whose weight is kept as [in, out].
    Raises InputError where a target matches none.
    """
    generator = torch.Generator().manual_seed(seed % 2**63)
    missing = [t for t in targets if not any(_matches(name, t) for name in sizes)]
    if missing:
        known = sorted({name.rsplit(".", 1)[-1] for name in sizes})
        raise InputError(f"no module of this model is called {missing[0]!r}; targets can be {', '.join(known)}")
    pairs = {}
    for name, (out, inner) in sizes.items():
        if any(_matches(name, t) for t in targets):
            bound = 1 / math.sqrt(inner)
            down = (torch.rand(rank, inner, generator=generator) * 2 - 1) * bound
            pairs[name] = (down, torch.zeros(out, rank))
    return Adapter(pairs, rank, alpha, tuple(targets), base, any(name in transposed for name in pairs))


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith("." + target)


def peft_config(adapter: Adapter) -> dict[str, Any]:
    """What PEFT calls adapter_config.json."""
    return {
        "base_model_name_or_path": adapter.base,
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": adapter.rank,
        "target_modules": list(adapter.targets),
        "task_type": "CAUSAL_LM",
        **({"fan_in_fan_out": True} if adapter.transposed else {}),
        **({"trainable_token_indices": list(adapter.tokens)} if adapter.tokens else {}),
    }


def to_bytes(adapter: Adapter, extra: Mapping[str, Tensor] | None = None) -> bytes:
    """The adapter as a blob, with further tensors where given; equal ones give equal bytes."""
    tensors = dict(extra or {})
    for name, pair in adapter.pairs.items():
        for part, tensor in zip("AB", pair, strict=True):
            tensors[f"{PREFIX}{name}.lora_{part}.weight"] = tensor
    if adapter.rows is not None:
        tensors[ROWS] = adapter.rows
    plain = {n: t.detach().to("cpu", torch.float32).contiguous() for n, t in sorted(tensors.items())}
    return save(plain, metadata={CONFIG: json.dumps(peft_config(adapter), sort_keys=True)})


def from_bytes(blob: bytes) -> Adapter:
    """The adapter in a blob. Raises StoreCorrupt where the bytes are not one."""
    return from_tensors(*read(blob))


def from_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Adapter:
    """The adapter in what ``read`` gives; other tensors are passed over. Raises StoreCorrupt where there is none."""
    config = _config(metadata)
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for key in tensors:
        if key.endswith(".lora_A.weight"):
            name = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
            try:
                pairs[name] = (tensors[key], tensors[f"{PREFIX}{name}.lora_B.weight"])
            except KeyError:
                raise StoreCorrupt(f"the adapter has no lora_B for {name}") from None
    if not pairs:
        raise StoreCorrupt("the adapter holds no LoRA tensors")
    return Adapter(
        pairs,
        config["r"],
        config["lora_alpha"],
        tuple(config["target_modules"]),
        config["base_model_name_or_path"],
        bool(config.get("fan_in_fan_out")),
        *_rows(tensors, config),
    )


def _rows(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[tuple[int, ...], Tensor | None]:
    """Tokens and rows. PEFT also takes a mapping of module names to token ids; only the embedding's are known here."""
    given = config.get("trainable_token_indices") or ()
    tokens = tuple(int(i) for i in (given.get("embed_tokens", ()) if isinstance(given, Mapping) else given))
    rows = tensors.get(ROWS)
    if len(tokens) != (0 if rows is None else len(rows)):
        raise StoreCorrupt(f"the adapter names {len(tokens)} tokens and holds {0 if rows is None else len(rows)} rows for them")
    return tokens, rows


def export_adapter(blob: bytes, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> Path:
    """Write a blob as a folder that ``peft.PeftModel.from_pretrained`` loads; returns the folder. dtype: of an adapter.

    A full set becomes ``model.safetensors``, which takes the place of the model's own; a scalar head lies beside either in a
    file of its own. Raises StoreCorrupt where the bytes are no weights of ours.
    """
    tensors, metadata = read(blob)
    head = {n: tensors.pop(n) for n in [*tensors] if n.startswith(HEAD)}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if FULL in metadata:
        (folder / MODEL_FILE).write_bytes(save(tensors, metadata={"format": "pt"}))
        (folder / FULL_FILE).write_text(metadata[FULL] + "\n")
    else:
        config = _config(metadata)
        cast = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        (folder / ADAPTER_FILE).write_bytes(save(cast, metadata={"format": "pt"}))
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    if head:
        (folder / HEAD_FILE).write_bytes(save(head))
    return folder


def import_adapter(folder: str | Path) -> bytes:
    """The blob of an adapter folder as PEFT writes it, or of one that ``export_adapter`` wrote.

    Raises InputError where a file is missing or no LoRA.
    """
    folder = Path(folder)
    try:
        head = load((folder / HEAD_FILE).read_bytes()) if (folder / HEAD_FILE).exists() else {}
        if (folder / FULL_FILE).exists():
            tensors = {**load((folder / MODEL_FILE).read_bytes()), **head}
            plain = {n: t.float().contiguous() for n, t in sorted(tensors.items())}
            return save(plain, metadata={FULL: (folder / FULL_FILE).read_text().strip()})
        config = json.loads((folder / CONFIG_FILE).read_text())
        tensors = load((folder / ADAPTER_FILE).read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{folder} is not a PEFT adapter: {error}") from None
    return to_bytes(from_tensors(tensors, {CONFIG: json.dumps(config)}), head)


def read(blob: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of safetensors bytes. Raises StoreCorrupt where they are none."""
    length = int.from_bytes(blob[:8], "little")
    try:
        return load(blob), json.loads(blob[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise StoreCorrupt(f"these {len(blob)} bytes are not weights of ours: {error}") from error


def _config(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(metadata[CONFIG])
    except (ValueError, KeyError) as error:
        raise StoreCorrupt(f"these weights are not an adapter of ours: no {error} in their metadata") from error
    return config
