"""The few operations that a forward pass spends its time in, by the quickest kernel torch has for the shape.

Which one is taken depends on the processor, the dtype and the shape only, never on a clock, so that a fit stays repeatable.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FEW = 16  # rows: for fewer a product is bound by reading the weight, and torch's own has less to prepare
NEAR = {torch.bfloat16: 256, torch.float32: 64}  # keys, up to which torch's fused attention is slower on a processor


@functools.cache
def onednn() -> bool:
    """Whether float32 products should go to oneDNN: MKL keeps to AVX2 on processors that are not Intel's.

    On such a processor with AVX-512 this is more than twice as fast, forward and backward.
    """
    if not (torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX512")):
        return False
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "GenuineIntel" not in about and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., in] times weight [out, in] transposed, plus bias [out]."""
    if x.dtype != torch.float32 or x.device.type != "cpu" or x.numel() < FEW * x.shape[-1] or not onednn():
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and (
        x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    ):
        product: Tensor = _Linear.apply(x, weight, bias)
        return product
    return _product(x, weight, bias)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class _Linear(torch.autograd.Function):
    """oneDNN's product, which torch knows no gradient of. Keeps no more than torch's own does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        to_x, to_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if to_weight else None, weight if to_x else None)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        flat = given.reshape(-1, given.shape[-1])
        to_x = _product(given, weight.t()) if weight is not None else None
        to_weight = _product(flat.t(), x.reshape(-1, x.shape[-1]).t()) if x is not None else None
        return to_x, to_weight, flat.sum(dim=0) if ctx.needs_input_grad[2] else None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of x [B, S, heads, D], halves convention; the first half of ``sin`` is negated already."""
    half = x.shape[-1] // 2
    return torch.addcmul(x * cos, torch.cat([x[..., half:], x[..., :half]], dim=-1), sin)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q [B, H, S, D] over k, v [B, G, T, D] with an additive mask [B or 1, 1, S, T]; returns [B, S, H * D].

    Heads that share keys are folded into the query axis, so keys and values are never repeated.
    """
    rows, heads, width, size = q.shape
    groups, reach = k.shape[1:3]
    share = heads // groups
    folded = q.reshape(rows, groups, share * width, size)
    if plain(q, reach):
        scores = torch.matmul(folded * (1 / math.sqrt(size)), k.transpose(-1, -2)).view(
            rows, groups, share, width, reach
        )
        weights = torch.softmax(scores.add_(mask[:, :, None]), dim=-1).view(rows, groups, share * width, reach)
        out = torch.matmul(weights, v)
    else:
        if share > 1 and width > 1:
            mask = mask.repeat(1, 1, share, 1)
        out = F.scaled_dot_product_attention(folded, k, v, attn_mask=mask.expand(-1, -1, share * width, -1))
    return out.view(rows, heads, width, size).transpose(1, 2).reshape(rows, width, heads * size)


def plain(q: Tensor, reach: int) -> bool:
    """Whether two products and a softmax over ``reach`` keys are quicker than torch's fused kernel.

    In bfloat16 twice forward and three to ten times backward, for less than a fifth more memory at these lengths.
    """
    return q.device.type == "cpu" and reach <= NEAR.get(q.dtype, 0)
