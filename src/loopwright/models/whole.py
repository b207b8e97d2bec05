"""All weights of a Llama network as one set that can be replaced, trained and written down.

There are two namings. A blob has Hugging Face's ("model.layers.0.self_attn.q_proj.weight"). The passes take fused products
("0.qkv"), and these are what is trained: an optimiser works number by number, so fusing changes nothing but the speed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.models.llama import GROUPS, Llama

PLAIN = {
    "norm": "input_layernorm.weight",
    "norm2": "post_attention_layernorm.weight",
    "q_norm": "self_attn.q_norm.weight",
    "k_norm": "self_attn.k_norm.weight",
}
ENDS = {"embed": "model.embed_tokens.weight", "norm": "model.norm.weight", "head": "lm_head.weight"}


def weights(network: Llama) -> dict[str, Tensor]:
    """The network's tensors as its passes take them, by our own names. Tied embeddings are there once."""
    out = {"embed": network.embed, "norm": network.norm}
    if network.head_weight is not network.embed:
        out["head"] = network.head_weight
    for i, layer in enumerate(network.layers):
        out.update({f"{i}.{part}": tensor for part, tensor in layer.items()})
    return out


def replaced(network: Llama, given: Mapping[str, Tensor]) -> Llama:
    """The same network with other weights (``weights``' names), cast to its dtype. Gradients reach the weights given."""
    cast = {name: tensor.to(network.device, network.dtype) for name, tensor in given.items()}
    other = copy.copy(network)
    other.embed, other.norm = cast["embed"], cast["norm"]
    other.head_weight = cast.get("head", other.embed)
    other.layers = [{part: cast[f"{i}.{part}"] for part in layer} for i, layer in enumerate(network.layers)]
    return other


def retokened(network: Llama, tokens: Sequence[int], rows: Tensor) -> Llama:
    """The same network with other embeddings [tokens, hidden] of some tokens; a tied head has them too. Gradients reach them."""
    other = copy.copy(network)
    at = torch.tensor(tokens, device=network.device)
    other.embed = network.embed.index_copy(0, at, rows.to(network.device, network.dtype))
    if network.head_weight is network.embed:
        other.head_weight = other.embed
    return other


def split(network: Llama, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From our own names to Hugging Face's."""
    out: dict[str, Tensor] = {}
    for name, tensor in given.items():
        parts = list(_parts(network, name))
        pieces = tensor.split([rows for _, rows in parts]) if len(parts) > 1 else [tensor]
        out.update({theirs: piece for (theirs, _), piece in zip(parts, pieces, strict=True)})
    return out


def fuse(network: Llama, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From Hugging Face's names to our own. Raises InputError where the tensors are those of another model."""
    left = set(tensors)
    out: dict[str, Tensor] = {}
    for name, own in weights(network).items():
        parts = [theirs for theirs, _ in _parts(network, name)]
        missing = [theirs for theirs in parts if theirs not in tensors]
        if missing:
            raise InputError(f"the weights were made for another model: they have no {missing[0]}")
        out[name] = torch.cat([tensors[theirs] for theirs in parts])
        if out[name].shape != own.shape:
            raise InputError(
                f"the weights were made for another model: {parts[0]} makes {tuple(out[name].shape)}, this model has "
                f"{tuple(own.shape)}"
            )
        left -= set(parts)
    if left:
        raise InputError(f"the weights were made for another model: this one has no {min(left)}")
    return out


def _parts(network: Llama, name: str) -> Iterator[tuple[str, int]]:
    """Hugging Face's names of what is in a tensor, and how many rows each has."""
    if name in ENDS:
        yield ENDS[name], 0
        return
    number, part = name.split(".")
    start = f"model.layers.{number}."
    if part in PLAIN:
        yield start + PLAIN[part], 0
        return
    kind = "bias" if part.endswith("_bias") else "weight"
    for module in GROUPS[part.removesuffix("_bias")]:
        yield f"{start}{module}.{kind}", network.sizes[start + module][0]
