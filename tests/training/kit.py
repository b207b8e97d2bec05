"""A tiny network and data of several lengths, for the tests of the trainer."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from tiny_llama import Memory, save

from loopwright.core.model import FitJob, Pair, Sample
from loopwright.models import whole
from loopwright.models.embedded import Embedded
from loopwright.training import lora
from loopwright.training.blob import Weights

torch.set_num_threads(1)  # these networks are too small for more
START = tuple(range(20, 32))


@functools.cache
def folder(kind):
    path = Path(tempfile.mkdtemp(prefix="tiny-"))
    save(path, kind)
    return path


def model(tmp_path=None, *, kind="llama", blobs=None, **options):
    """The tiny model; its checkpoints lie in ``tmp_path`` where one is given, else it writes none."""
    if tmp_path is None:
        options.setdefault("checkpoint_every", float("inf"))
    given = {"dtype": "float32", "device": "cpu", "checkpoints": tmp_path, "progress": lambda line: None, **options}
    return Embedded(Memory() if blobs is None else blobs, folder(kind), **given)


@functools.cache
def network(kind="llama"):
    return model(kind=kind).load().network


def samples(count=9):
    """Prompts with a common start, some of them the same; completions of several lengths; all a loss may ask for."""
    out = []
    for i in range(count):
        written = 1 + i % 4
        out.append(
            Sample(
                prompt_ids=(*START, *range(40, 41 + i % 3)),
                token_ids=tuple((60 + 7 * i + j) % 200 for j in range(written)),
                logprobs=tuple(-2.0 - 0.1 * j for j in range(written)),
                weight=1.0 - 0.05 * i,
                values={"advantage": tuple(0.5 - 0.3 * j * (i % 2) for j in range(written)), "label": float(i % 2)},
            )
        )
    return tuple(out)


def pairs(count=9):
    """The sides have the same prompt and other lengths."""
    out = []
    for i, sample in enumerate(samples(count)):
        written = tuple((90 + 5 * i + j) % 200 for j in range(1 + (i + 2) % 5))
        other = sample.model_copy(update={"token_ids": written, "logprobs": ()})
        plain = {"values": {}}
        out.append(
            Pair(
                chosen=sample.model_copy(update=plain),
                rejected=other.model_copy(update=plain),
                weight=1.0 - 0.05 * i,
                values={"margin": 0.1 * i},
            )
        )
    return tuple(out)


def warm(net, kind="lora"):
    """Weights to start from; B of zeros would give A no gradient, which would test little."""
    if kind == "full":
        return Weights(full=whole.split(net, whole.weights(net)))
    adapter = lora.create(net.sizes, rank=4, alpha=8, targets=FitJob(data=samples(1)).targets, seed=0)
    generator = torch.Generator().manual_seed(1)
    moved = {n: (a, torch.randn(b.shape, generator=generator) * 0.1) for n, (a, b) in adapter.pairs.items()}
    return Weights(adapter=replace(adapter, pairs=moved))


JOBS = {"kill": FitJob(data=samples(), batch=3, rank=4, epochs=3, dropout=0.1, keep_state=True, seed=3)}
