"""A lean forward pass for the Llama family (Llama, SmolLM2, Mistral, Qwen2, Qwen3), written once for sampling and training.

Both use the very same operations, adapter included, so the sampled model is the trained model. Three things make it
quick: query, key and value (and gate and up) are one product each; tokens that all sequences of a batch share at their
start are computed once; and log-probabilities are asked for at the positions that need them only.

Shapes: B sequences, S tokens each, R rows being sampled, D the head size, H heads, G key-value heads, V the vocabulary.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from loopwright.core.errors import ModelError
from loopwright.models.cache import Cache
from loopwright.models.kernels import attention, linear, rotate
from loopwright.models.packing import Packed as Packed
from loopwright.models.packing import pack as pack

# Fused products: weights with the same input, one matrix product for all of them.
GROUPS: dict[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "mlp": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
LoraPair = tuple[Tensor, Tensor]  # A [rank, in], B [out, rank] already multiplied by alpha / rank
LoraWeights = Mapping[str, LoraPair]  # by module name, as in "model.layers.0.self_attn.q_proj"
Bound = list[dict[str, LoraPair]]  # by layer and group: A [sum of ranks, in], B [out, sum of ranks] block-diagonal


class Llama:
    """Weights and the three passes over them: ``hidden`` (train), ``prefill`` and ``step`` (sample).

    ``grouped`` says that ``hidden`` takes starts shared by groups of sequences.

    config: the Hugging Face configuration. tensors: its state dict, any dtype. Raises ModelError for an unknown layout.
    """

    grouped = True

    def __init__(self, config: Any, tensors: Mapping[str, Tensor], *, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype = dtype
        self.device = device
        self.heads: int = config.num_attention_heads
        self.groups: int = getattr(config, "num_key_value_heads", None) or self.heads
        self.size: int = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.eps: float = config.rms_norm_eps
        self.context: int = config.max_position_embeddings
        self.vocabulary: int = config.vocab_size
        self.frequencies, self.rope_scale = rope(config, self.size, device)
        left = set(tensors)

        def take(name: str) -> Tensor:
            left.discard(name)
            try:
                return tensors[name].to(device=device, dtype=dtype)
            except KeyError:
                raise ModelError(
                    f"the weights have no tensor {name!r}: not a complete {config.model_type} model"
                ) from None

        self.embed = take("model.embed_tokens.weight")
        self.norm = take("model.norm.weight")
        self.head_weight = take("lm_head.weight") if "lm_head.weight" in tensors else self.embed
        for name, tensor in (("model.embed_tokens.weight", self.embed), ("lm_head.weight", self.head_weight)):
            if tensor.shape != (self.vocabulary, config.hidden_size):
                raise ModelError(
                    f"the weights do not fit their configuration: {name} is {tuple(tensor.shape)}, vocab_size and hidden_size "
                    f"say {(self.vocabulary, config.hidden_size)}"
                )
        self.sizes: dict[str, tuple[int, int]] = {}  # adaptable modules: (out, in)
        self.layers: list[dict[str, Any]] = []
        for i in range(config.num_hidden_layers):
            start = f"model.layers.{i}."
            layer: dict[str, Any] = {
                "norm": take(start + "input_layernorm.weight"),
                "norm2": take(start + "post_attention_layernorm.weight"),
            }
            for group, modules in GROUPS.items():
                weights = [take(f"{start}{m}.weight") for m in modules]
                for module, weight in zip(modules, weights, strict=True):
                    self.sizes[start + module] = (weight.shape[0], weight.shape[1])
                layer[group] = torch.cat(weights)
                if any(f"{start}{m}.bias" in tensors for m in modules):
                    layer[group + "_bias"] = torch.cat(
                        [
                            take(f"{start}{m}.bias") if f"{start}{m}.bias" in tensors else w.new_zeros(w.shape[0])
                            for m, w in zip(modules, weights, strict=True)
                        ]
                    )
            for part in ("q_norm", "k_norm"):
                if f"{start}self_attn.{part}.weight" in tensors:
                    layer[part] = take(f"{start}self_attn.{part}.weight")
            self.layers.append(layer)
        left = {n for n in left if not n.endswith(("rotary_emb.inv_freq", ".masked_bias"))}
        if left:
            raise ModelError(f"the weights hold tensors this layout does not use, such as {min(left)!r}")

    def bind(self, weights: LoraWeights | None) -> Bound | None:
        """LoRA weights cast and fused for the passes. Differentiable: gradients reach the weights given here."""
        if not weights:
            return None
        bound: Bound = []
        for i in range(len(self.layers)):
            fused: dict[str, LoraPair] = {}
            for group, modules in GROUPS.items():
                names = [f"model.layers.{i}.{m}" for m in modules]
                pairs = [weights.get(n) for n in names]
                if not any(pairs):
                    continue
                downs = [p[0] for p in pairs if p]
                # A module without an adapter still has its rows in the fused product: a block of no columns.
                ups = [
                    p[1] if p else downs[0].new_zeros(self.sizes[n][0], 0) for p, n in zip(pairs, names, strict=True)
                ]
                fused[group] = (torch.cat(downs).to(self.dtype), torch.block_diag(*ups).to(self.dtype))
            bound.append(fused)
        return bound

    def head(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of normalised hidden states, in the model's dtype."""
        return linear(hidden, self.head_weight)

    def hidden(self, packed: Packed, bound: Bound | None = None, *, dropout: float = 0.0) -> Tensor:
        """Normalised hidden states [B, S, hidden] of the unshared tokens; carries gradients to the adapter."""
        return self._read(packed, bound, None, dropout)

    def prefill(self, packed: Packed, bound: Bound | None, copies: Sequence[int], room: int) -> tuple[Tensor, Cache]:
        """Read the prompts; returns the logits after each [B, V] and a cache of ``copies[i]`` rows for prompt i.

        room: how many tokens each row may still add.
        """
        width = packed.prefix.shape[0] + packed.ids.shape[1]
        # Padding stands between what all prompts share and the rest, and attention does not mind where it stands.
        cache = Cache(packed.pad, width, copies, self.groups, self.size, self.dtype, packed.prefix.shape[0])
        last = self._read(packed, bound, cache.start, 0.0)[:, -1]
        return self.head(last), cache

    def step(self, tokens: Tensor, cache: Cache, bound: Bound | None) -> Tensor:
        """Logits [R, V] after one more token [R] per row; the cache grows by a column."""
        cos, sin = self._rotation(cache.positions[:, None])
        cache.open()
        x = F.embedding(tokens[:, None], self.embed)
        for i in range(len(self.layers)):
            x = self._layer(i, x, cos, sin, functools.partial(cache.attend, i), bound, 0.0)
        cache.close()
        return self.head(self._rms(x[:, 0], self.norm))

    def _read(
        self, packed: Packed, bound: Bound | None, keep: Callable[[Tensor, Tensor], None] | None, dropout: float
    ) -> Tensor:
        """One pass over the shared starts (once each) and the rest (batched), layer by layer."""
        rows, width = packed.ids.shape
        if packed.groups is not None:
            starts, starts_pad, owner = packed.groups
        else:  # a start of all is one group
            starts, starts_pad = packed.prefix[None], packed.pad.new_zeros(1)
            owner = packed.pad.new_zeros(rows)
        shared = starts.shape[1]
        columns = torch.arange(shared, device=self.device)
        known = columns >= starts_pad[:, None]
        order = torch.arange(width, device=self.device)
        allowed = _causal(order, packed.pad)
        mask = self._additive(torch.cat([known[owner][:, None].expand(-1, width, -1), allowed], dim=2)[:, None])
        before = (shared - starts_pad)[owner]
        cos, sin = self._rotation(before[:, None] + (order - packed.pad[:, None]).clamp(min=0))
        x = F.embedding(packed.ids, self.embed)
        if shared:
            prefix_mask = self._additive(_causal(columns, starts_pad)[:, None])
            prefix_cos, prefix_sin = self._rotation((columns - starts_pad[:, None]).clamp(min=0))
            y = F.embedding(starts, self.embed)
        kept: list[tuple[Tensor, Tensor]] = []

        def over_prefix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            kept[:] = [(k, v)]
            return attention(q, k, v, prefix_mask)

        def over_rest(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            if shared:
                k, v = (
                    torch.cat([one.expand(rows, -1, -1, -1) if len(starts) == 1 else one[owner], own], dim=2)
                    for one, own in zip(kept[0], (k, v), strict=True)
                )
            if keep is not None:
                keep(k, v)
            return attention(q, k, v, mask)

        for i in range(len(self.layers)):
            if shared:
                y = self._layer(i, y, prefix_cos, prefix_sin, over_prefix, bound, dropout)
            x = self._layer(i, x, cos, sin, over_rest, bound, dropout)
        return self._rms(x, self.norm)

    def _layer(
        self,
        i: int,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
        bound: Bound | None,
        dropout: float,
    ) -> Tensor:
        layer = self.layers[i]
        lora = bound[i] if bound else {}
        rows, width = x.shape[:2]
        heads = self.heads + 2 * self.groups
        qkv = self._linear(self._rms(x, layer["norm"]), layer, "qkv", lora, dropout).view(rows, width, heads, self.size)
        if "q_norm" in layer:
            q, k, v = qkv.split([self.heads, self.groups, self.groups], dim=2)
            q, k = rotate(self._rms(q, layer["q_norm"]), cos, sin), rotate(self._rms(k, layer["k_norm"]), cos, sin)
        else:  # queries and keys lie side by side
            turned = rotate(qkv[:, :, : self.heads + self.groups], cos, sin)
            (q, k), v = turned.split([self.heads, self.groups], dim=2), qkv[:, :, self.heads + self.groups :]
        mixed = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        x = x + self._linear(mixed, layer, "out", lora, dropout)
        gate, up = self._linear(self._rms(x, layer["norm2"]), layer, "mlp", lora, dropout).chunk(2, dim=-1)
        return x + self._linear(F.silu(gate) * up, layer, "down", lora, dropout)

    def _linear(
        self, x: Tensor, layer: dict[str, Any], group: str, lora: dict[str, LoraPair], dropout: float
    ) -> Tensor:
        out = linear(x, layer[group], layer.get(group + "_bias"))
        pair = lora.get(group)
        if pair is not None:
            inner = F.dropout(x, dropout) if dropout else x
            out = out + linear(linear(inner, pair[0]), pair[1])
        return out

    def _rms(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self.eps)

    def _additive(self, allowed: Tensor) -> Tensor:
        return torch.zeros(allowed.shape, dtype=self.dtype, device=self.device).masked_fill_(~allowed, float("-inf"))

    def _rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """For ``rotate``: [B, S, 1, D] each, computed in float32: bfloat16 cannot tell position 256 from 257."""
        angles = positions[..., None].float() * self.frequencies
        angles = torch.cat([angles, angles], dim=-1)[:, :, None]
        cos, sin = angles.cos() * self.rope_scale, angles.sin() * self.rope_scale
        sin[..., : self.size // 2].neg_()
        return cos.to(self.dtype), sin.to(self.dtype)


def _causal(order: Tensor, pad: Tensor) -> Tensor:
    """Who sees whom [B, S, S]: what came before and is no padding, and everyone themselves, so that no row sees nothing."""
    seen = order[None, :] <= order[:, None]
    own = torch.eye(len(order), dtype=torch.bool, device=order.device)
    return seen & ((order >= pad[:, None])[:, None, :] | own)


def rope(config: Any, size: int, device: torch.device) -> tuple[Tensor, float]:
    """Rotary frequencies [D / 2] and the scale of the rotation. Raises ModelError for a scheme that needs the length."""
    options = dict(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {})
    kind = options.get("rope_type", "default")
    if kind == "default":
        theta: float = options.get("rope_theta") or getattr(config, "rope_theta", None) or 10000.0
        return theta ** -(torch.arange(0, size, 2, device=device).float() / size), 1.0
    if kind in ("linear", "llama3", "yarn"):
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        frequencies, scale = ROPE_INIT_FUNCTIONS[kind](config, device)
        return frequencies, float(scale)
    raise ModelError(f"rotary scheme {kind!r} is not known here")


def supports(config: Any) -> bool:
    """Whether this module can run the architecture exactly."""
    names = getattr(config, "architectures", None) or []
    options = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return (
        any(n in ARCHITECTURES for n in names)
        and not getattr(config, "quantization_config", None)
        and options.get("rope_type", "default") in ("default", "linear", "llama3", "yarn")
        and getattr(config, "hidden_act", "silu") == "silu"
        and not window
    )
