"""LoRA adapters: made, written as bytes, read back, exported for PEFT.

A blob is one safetensors file with PEFT's tensor names; its only metadata entry is the PEFT configuration, so the bytes
(and so their hash) depend on nothing but the adapter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.training.peft_config import MERGE, Settings, matches, settings

CONFIG = "adapter_config"  # metadata of an adapter
FULL = "full_weights"  # metadata of a full set
HEAD = "score_head."  # names of a scalar head's tensors start so
ADAPTER_FILE, CONFIG_FILE, HEAD_FILE = "adapter_model.safetensors", "adapter_config.json", "score_head.safetensors"
MODEL_FILE, FULL_FILE = "model.safetensors", "full_weights.json"
PREFIX = "base_model.model."
ROWS = (
    f"{PREFIX}model.embed_tokens.token_adapter.trainable_tokens_delta"  # new rows; PEFT calls them a delta all the same
)


@dataclass(frozen=True)
class Adapter:
    """LoRA weights by module name ("model.layers.0.self_attn.q_proj"): A [rank, in] and B [out, rank], float32.

    The adapted product is x W' + scale x A' B', where scale is alpha / rank, or with ``rslora`` alpha / sqrt(rank)
    (arXiv:2312.03732). rank, alpha: of modules that say nothing else; each A has its own rank, and ``alphas`` has the alpha
    of modules where it differs. tokens, rows: ids whose embedding is ``rows`` [tokens, hidden] instead
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
    rslora: bool = False
    alphas: Mapping[str, float] = field(default_factory=dict)

    def scaled(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Pairs with their scale multiplied into B, as a forward pass takes them. Gradients pass through."""
        return {name: (a, b * self._scale(name, len(a))) for name, (a, b) in self.pairs.items()}

    def _scale(self, name: str, rank: int) -> float:
        return self.alphas.get(name, self.alpha) / (math.sqrt(rank) if self.rslora else rank)

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
    missing = [t for t in targets if not any(matches(name, t) for name in sizes)]
    if missing:
        known = sorted({name.rsplit(".", 1)[-1] for name in sizes})
        raise InputError(f"no module of this model is called {missing[0]!r}; targets can be {', '.join(known)}")
    pairs = {}
    for name, (out, inner) in sizes.items():
        if any(matches(name, t) for t in targets):
            bound = 1 / math.sqrt(inner)
            down = (torch.rand(rank, inner, generator=generator) * 2 - 1) * bound
            pairs[name] = (down, torch.zeros(out, rank))
    return Adapter(pairs, rank, alpha, tuple(targets), base, any(name in transposed for name in pairs))


def combine(first: Adapter, second: Adapter) -> Adapter:
    """One adapter that adds what both add: of each module, the A of both above each other and the B beside each other.

    Args:
        first: an adapter. second: another of the same model; where both have embeddings of a token, its are taken.

    Returns: an adapter whose rank is the sum of theirs, with scales multiplied into B, so that alpha is the rank. Modules
        that only one has are filled up with zeros.
    """
    parts = [adapter.scaled() for adapter in (first, second)]
    joined: dict[str, tuple[Tensor, Tensor]] = {}
    for name in dict.fromkeys(name for pairs in parts for name in pairs):
        mine = [pairs[name] for pairs in parts if name in pairs]
        joined[name] = torch.cat([a for a, _ in mine]), torch.cat([b for _, b in mine], dim=1)
    rank = max(len(a) for a, _ in joined.values())
    full = {}
    for name, (a, b) in joined.items():
        short = rank - len(a)
        full[name] = functional.pad(a, (0, 0, 0, short)), functional.pad(b, (0, short))
    rows = {
        token: row
        for adapter in (first, second)
        if adapter.rows is not None
        for token, row in zip(adapter.tokens, adapter.rows, strict=True)
    }
    return Adapter(
        full, rank, float(rank), tuple(dict.fromkeys((*first.targets, *second.targets))), second.base or first.base,
        first.transposed or second.transposed, tuple(rows), torch.stack([*rows.values()]) if rows else None,
    )  # fmt: skip


def peft_config(adapter: Adapter) -> dict[str, Any]:
    """What PEFT calls adapter_config.json."""
    ranks = {name: len(a) for name, (a, _) in sorted(adapter.pairs.items()) if len(a) != adapter.rank}
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
        **({"use_rslora": True} if adapter.rslora else {}),
        **({"rank_pattern": ranks} if ranks else {}),
        **({"alpha_pattern": dict(sorted(adapter.alphas.items()))} if adapter.alphas else {}),
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
    """The adapter in what ``read`` gives; a scalar head's tensors are passed over.

    Raises StoreCorrupt where there is none, InputError for one of a kind that is not read here (see ``peft_config``) and for
    tensors that are no part of a LoRA.
    """
    config = _config(metadata)
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    left = {key for key in tensors if not key.startswith(HEAD) and key != ROWS}
    for key in sorted(left):
        if key.endswith(".lora_A.weight"):
            name = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
            other = f"{PREFIX}{name}.lora_B.weight"
            if other not in tensors:
                raise StoreCorrupt(f"the adapter has no lora_B for {name}")
            pairs[name] = (tensors[key], tensors[other])
            left -= {key, other}
    told = settings(config, {name: _rank(name, pair) for name, pair in pairs.items()})
    if left:
        kinds = [(called, key) for part, called in UNREAD.items() for key in sorted(left) if part in key]
        kind, key = kinds[0] if kinds else ("a tensor", min(left))
        raise InputError(
            f"the adapter holds {kind} that is not read here, {key!r} ({len(left)} tensors in all): {MERGE}"
        )
    if not pairs:
        raise StoreCorrupt("the adapter holds no LoRA tensors")
    for key, tensor in sorted(tensors.items()):
        if not tensor.is_floating_point():
            raise InputError(
                f"{key!r} holds {str(tensor.dtype).removeprefix('torch.')}, expected floating-point numbers: {MERGE}"
            )
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{key!r} holds numbers that are not finite: the training that made this adapter diverged")
    return Adapter(
        pairs,
        told.rank,
        told.alpha,
        told.targets,
        config.get("base_model_name_or_path") or "",
        bool(config.get("fan_in_fan_out")),
        told.tokens,
        _rows(tensors, told),
        told.rslora,
        told.alphas,
    )


UNREAD = {
    ".lora_magnitude_vector": "a magnitude of DoRA", ".lora_embedding_": "a LoRA on embeddings", ".lora_B.bias": "a bias",
    ".bias": "a bias", ".trainable_tokens_delta": "token embeddings",
}  # fmt: skip


def _rank(name: str, pair: tuple[Tensor, Tensor]) -> int:
    a, b = pair
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
        raise InputError(
            f"lora_A of {name} is {tuple(a.shape)} and lora_B {tuple(b.shape)}: expected [rank, in], [out, rank]"
        )
    return len(a)


def _rows(tensors: Mapping[str, Tensor], told: Settings) -> Tensor | None:
    rows = tensors.get(ROWS)
    found = 0 if rows is None else len(rows)
    if len(told.tokens) != found:
        raise StoreCorrupt(f"the adapter names {len(told.tokens)} tokens and holds {found} rows for them")
    return rows


def export_adapter(
    blob: bytes, folder: str | Path, *, dtype: torch.dtype = torch.float32, base: str | None = None
) -> Path:
    """Write a blob as a folder that ``peft.PeftModel.from_pretrained`` loads; returns the folder.

    dtype: of an adapter. base: where the base model is, as PEFT is to find it; else the name that the blob has.

    A full set becomes ``model.safetensors``, which takes the place of the model's own; a scalar head lies beside either in a
    file of its own. Raises StoreCorrupt where the bytes are no weights of ours.
    """
    tensors, metadata = read(blob)
    head = {n: tensors.pop(n) for n in [*tensors] if n.startswith(HEAD)}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if FULL in metadata:
        (folder / MODEL_FILE).write_bytes(save(tensors, metadata={"format": "pt"}))
        (folder / FULL_FILE).write_text(metadata[FULL] + "\n", encoding="utf-8")
    else:
        config = _config(metadata)
        if base is not None:
            config["base_model_name_or_path"] = base
        cast = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        (folder / ADAPTER_FILE).write_bytes(save(cast, metadata={"format": "pt"}))
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if head:
        (folder / HEAD_FILE).write_bytes(save(head))
    return folder


def import_adapter(folder: str | Path, *, base: str | None = None) -> bytes:
    """The blob of an adapter folder as PEFT writes it, or of one that ``export_adapter`` wrote.

    base: the name of the base model, where it is not what the folder says. Read are LoRA adapters with what changes their
    scale (rsLoRA, patterns of rank and alpha) and embeddings of tokens. Raises InputError where a file is missing or no LoRA,
    and for each other kind of adapter by its name.
    """
    folder = Path(folder)
    try:
        head = load((folder / HEAD_FILE).read_bytes()) if (folder / HEAD_FILE).exists() else {}
        if (folder / FULL_FILE).exists():
            tensors = {**load((folder / MODEL_FILE).read_bytes()), **head}
            plain = {n: t.float().contiguous() for n, t in sorted(tensors.items())}
            return save(plain, metadata={FULL: (folder / FULL_FILE).read_text(encoding="utf-8").strip()})
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8-sig"))
        if not isinstance(config, dict):
            raise ValueError(f"{CONFIG_FILE} holds {type(config).__name__}, expected an object")
        if base is not None:
            config["base_model_name_or_path"] = base
        tensors = load((folder / ADAPTER_FILE).read_bytes())
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        old = folder / "adapter_model.bin"
        raise InputError(
            f"{folder} is not a PEFT adapter: {error}"
            + (f"; {old.name} is of an older PEFT: save it again with save_pretrained" if old.exists() else "")
        ) from None
    try:
        return to_bytes(from_tensors(tensors, {CONFIG: json.dumps(config)}), head)
    except (InputError, StoreCorrupt) as error:
        raise InputError(f"{folder}: {error}") from None


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
