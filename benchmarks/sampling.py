"""Our sampler against transformers.generate: same weights, dtype and shapes, interleaved in one process.

    python benchmarks/sampling.py [--json] [--repeats 5] [--threads 2]

16 prompts, 8 samples each, 16 new tokens each. With --json one object is the only thing on stdout. Seconds on a shared
machine are noise; the ratio is the figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from typing import Any

import torch

from loopwright.core.model import Sampling
from loopwright.core.types import Turn
from loopwright.models import decode, loading, smollm2

PROMPTS, SAMPLES, NEW = 16, 8, 16
NEVER: frozenset[int] = frozenset()


def measure(repeats: int, threads: int) -> dict[str, Any]:
    """Median tokens per second of both, and the ratio."""
    from transformers import AutoModelForCausalLM

    dtype, device = loading.choose("auto", "auto", smollm2.say)
    folder = loading.locate(smollm2.NAME, smollm2.say)
    loaded = loading.load(folder, dtype, device, threads)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
    asked = [
        f"State the final answer to the following arithmetic problem: {i} + {i * 7 % 10} =" for i in range(PROMPTS)
    ]
    prompts = [loaded.prompt_ids([Turn(role="user", text=text)]) for text in asked]
    width = max(len(p) for p in prompts)
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)

    def ours() -> None:
        rows = [[decode.Row(seed, i, Sampling(max_tokens=NEW)) for i in range(SAMPLES)] for seed in range(PROMPTS)]
        decode.sample(loaded.network, None, prompts, rows, NEVER, lambda row: False, threading.Event())
        assert all(len(row.token_ids) == NEW for group in rows for row in group)

    def generate() -> None:
        options = {"max_new_tokens": NEW, "min_new_tokens": NEW, "top_k": 0, "pad_token_id": 0}
        out = theirs.generate(ids, attention_mask=mask, do_sample=True, num_return_sequences=SAMPLES, **options)
        assert out.shape == (PROMPTS * SAMPLES, width + NEW)

    speeds: dict[str, list[float]] = {"ours": [], "transformers": []}
    for repeat in range(repeats + 1):
        for name, run in (("ours", ours), ("transformers", generate)):
            begun = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first of each warms up
                speeds[name].append(PROMPTS * SAMPLES * NEW / (time.perf_counter() - begun))
    middle = {name: statistics.median(values) for name, values in speeds.items()}
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["transformers"], strict=True)]
    return {
        "benchmark": "sampling",
        "model": smollm2.NAME,
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "prompts": PROMPTS,
        "samples": SAMPLES,
        "new_tokens": NEW,
        "ours_tokens_per_s": round(middle["ours"], 1),
        "transformers_tokens_per_s": round(middle["transformers"], 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_low": round(min(ratios), 2),
        "ratio_high": round(max(ratios), 2),
        "repeats": repeats,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    result = measure(options.repeats, options.threads)
    if options.json:
        json.dump(result, sys.stdout)
        print()
    else:
        print(
            f"ours {result['ours_tokens_per_s']} tokens/s, transformers {result['transformers_tokens_per_s']}: "
            f"{result['ratio']} times as fast ({result['ratio_low']} to {result['ratio_high']})"
        )


if __name__ == "__main__":
    main()
