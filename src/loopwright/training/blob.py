"""What a blob of weights holds: a LoRA adapter or a full set, and for either a scalar head.

One safetensors file with one metadata entry (several would be written in an order that changes), so that equal weights
give equal bytes. Tensors are float32: a bfloat16 model trained on in small steps would else lose most of them to rounding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors.torch import save
from torch import Tensor

from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.training import lora
from loopwright.training.lora import Adapter

FULL = "full_weights"
HEAD = ("score_head.weight", "score_head.bias")
Head = tuple[Tensor, Tensor]  # weight [1, hidden] and bias [1], float32


@dataclass(frozen=True)
class Weights:
    """One of ``adapter`` and ``full`` is there.

    full: by Hugging Face's names. head: maps the last hidden state of a position to one number.
    """

    adapter: Adapter | None = None
    full: Mapping[str, Tensor] | None = None
    head: Head | None = None
    base: str = ""  # name of the model they belong to

    @property
    def kind(self) -> str:
        return "full" if self.full is not None else "lora"


def new_head(width: int) -> Head:
    """A head that says 0 everywhere; gradients reach it all the same."""
    return torch.zeros(1, width), torch.zeros(1)


def to_bytes(weights: Weights) -> bytes:
    """Weights as a blob."""
    head = dict(zip(HEAD, weights.head, strict=True)) if weights.head is not None else {}
    if weights.adapter is not None:
        return lora.to_bytes(weights.adapter, head)
    tensors = {**(weights.full or {}), **head}
    plain = {n: t.detach().to("cpu", torch.float32).contiguous() for n, t in sorted(tensors.items())}
    return save(plain, metadata={FULL: json.dumps({"base": weights.base})})


def from_bytes(blob: bytes) -> Weights:
    """The weights in a blob. Raises StoreCorrupt where the bytes are none."""
    tensors, metadata = lora.read(blob)
    head = None
    if HEAD[0] in tensors:
        if HEAD[1] not in tensors:
            raise StoreCorrupt("the scalar head has no bias")
        head = (tensors.pop(HEAD[0]), tensors.pop(HEAD[1]))
    if FULL not in metadata:
        adapter = lora.from_tensors(tensors, metadata)
        return Weights(adapter=adapter, head=head, base=adapter.base)
    return Weights(full=tensors, head=head, base=str(json.loads(metadata[FULL])["base"]))


def adapter_for(weights: Weights, rank: int, alpha: float) -> None:
    """Raises InputError where a job would go on with an adapter of another rank or alpha than it says."""
    start = weights.adapter
    if start is not None and (start.rank, start.alpha) != (rank, alpha):
        raise InputError(
            f"the adapter to start from has rank {start.rank} and alpha {start.alpha:g}, the job says rank "
            f"{rank} and alpha {alpha:g}: give the job the adapter's own"
        )
