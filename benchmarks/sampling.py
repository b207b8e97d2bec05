"""Our sampler against transformers.generate: same weights, dtype and shapes, interleaved in one process.

    python benchmarks/sampling.py [--json] [--quick] [--repeats 5] [--threads 2]

SmolLM2-135M: 16 prompts, 8 samples each, 16 new tokens each. The laboratory's model, in float32 and bfloat16: 32 prompts of
its own tasks, 8 samples each; ``fixed`` writes 32 new tokens each, ``ends`` lets each sequence end where the model ends it,
at most 128, and counts the tokens up to there: what a training round samples. Rows that have ended leave our batch and stay
in theirs. With --json one object is the only thing on stdout. Seconds on a shared machine are noise; the ratio is the figure.
``ratio_cpu`` is of processor time, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from loopwright.core.model import Sampling
from loopwright.core.types import Turn
from loopwright.models import decode, loading, smollm2

NEVER: frozenset[int] = frozenset()
Run = Callable[[], int]  # samples once; returns how many tokens were written


@dataclass(frozen=True)
class Case:
    model: str
    dtype: str
    samples: int
    new: int
    ends: bool = False


SMOL = Case(smollm2.NAME, "auto", 8, 16)
LAB = {
    f"{dtype} {how}": Case(loading.LAB, dtype, 8, 128 if how == "ends" else 32, how == "ends")
    for dtype in ("float32", "bfloat16")
    for how in ("fixed", "ends")
}


def questions(model: str) -> list[str]:
    if model == smollm2.NAME:
        return [f"State the final answer to the following arithmetic problem: {i} + {i * 7 % 10} =" for i in range(16)]
    from loopwright.worlds.lab.dialogues import LEVELS, TASKS

    rng = random.Random(0)
    tasks, levels = list(TASKS.values()), list(LEVELS)
    return [tasks[i % len(tasks)].draw(rng, levels[i % len(levels)]) for i in range(32)]


def sides(case: Case, threads: int) -> tuple[Run, Run, dict[str, Any]]:
    """Ours, theirs, and what they do."""
    from transformers import AutoModelForCausalLM

    dtype, device = loading.choose(case.dtype, "auto", smollm2.say)
    folder = loading.locate(case.model, smollm2.say)
    loaded = loading.load(folder, dtype, device, threads)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
    prompts = [loaded.prompt_ids([Turn(role="user", text=text)]) for text in questions(case.model)]
    width = max(len(p) for p in prompts)
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    ends = loaded.ends if case.ends else NEVER
    length = {} if case.ends else {"min_new_tokens": case.new}

    def ours() -> int:
        sampling = Sampling(max_tokens=case.new)
        rows = [[decode.Row(seed, i, sampling) for i in range(case.samples)] for seed in range(len(prompts))]
        decode.sample(loaded.network, None, prompts, rows, ends, lambda row: False, threading.Event())
        return sum(len(row.token_ids) for group in rows for row in group)

    def generate() -> int:
        options = {
            "max_new_tokens": case.new,
            "top_k": 0,
            "pad_token_id": 0,
            "num_return_sequences": case.samples,
            **length,
        }
        out = theirs.generate(ids, attention_mask=mask, do_sample=True, **options)[:, width:]
        if not case.ends:
            return out.numel()
        ended = torch.isin(out, torch.tensor(sorted(ends), device=device)).long().cumsum(dim=1)
        return int(((ended == 0).sum(dim=1) + (ended[:, -1] > 0)).sum())

    about = {
        "model": case.model,
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "prompts": len(prompts),
        "prompt_tokens": round(sum(map(len, prompts)) / len(prompts), 1),
        "samples": case.samples,
        "new_tokens": case.new,
    }
    return ours, generate, about


def measure(case: Case, repeats: int, threads: int) -> dict[str, Any]:
    """Median tokens per second of both, and the ratio."""
    ours, generate, about = sides(case, threads)
    speeds: dict[str, list[float]] = {"ours": [], "transformers": []}
    cpu: dict[str, list[float]] = {"ours": [], "transformers": []}
    written: dict[str, list[int]] = {"ours": [], "transformers": []}
    for repeat in range(repeats + 1):
        for name, run in (("ours", ours), ("transformers", generate)):
            begun, worked = time.perf_counter(), time.process_time()
            tokens = run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat:  # the first of each warms up
                speeds[name].append(tokens / (time.perf_counter() - begun))
                cpu[name].append(tokens / (time.process_time() - worked))
                written[name].append(tokens)
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["transformers"], strict=True)]
    rows = about["prompts"] * about["samples"]
    return {
        **about,
        "ours_mean_length": round(statistics.mean(written["ours"]) / rows, 1),
        "transformers_mean_length": round(statistics.mean(written["transformers"]) / rows, 1),
        "ours_tokens_per_s": round(statistics.median(speeds["ours"]), 1),
        "transformers_tokens_per_s": round(statistics.median(speeds["transformers"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_low": round(min(ratios), 2),
        "ratio_high": round(max(ratios), 2),
        "ratio_cpu": round(statistics.median(cpu["ours"]) / statistics.median(cpu["transformers"]), 2),
        "repeats": repeats,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="two repeats")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=["smollm2", *LAB], help="these cases")
    options = parser.parse_args()
    results = {}
    for name, case in {"smollm2": SMOL, **LAB}.items():
        if options.only and name not in options.only:
            continue
        results[name] = result = measure(case, 2 if options.quick else options.repeats, options.threads)
        if not options.json:
            print(
                f"{name:15} ours {result['ours_tokens_per_s']} tokens/s, transformers {result['transformers_tokens_per_s']}: "
                f"{result['ratio']} times as fast ({result['ratio_low']} to {result['ratio_high']}; of processor time "
                f"{result['ratio_cpu']}), {result['ours_mean_length']} tokens a sequence",
                flush=True,
            )
    if options.json:
        lab = {name: row for name, row in results.items() if name != "smollm2"}
        json.dump({"benchmark": "sampling", **results.get("smollm2", {}), "lab": lab}, sys.stdout)
        print()


if __name__ == "__main__":
    main()
