"""A training step, ours against TRL's: same weights, data, dtype and optimiser, interleaved in one process.

    python benchmarks/train.py [--json] [--quick] [--repeats 7] [--threads 1]

DPO with cached reference log-probabilities and GRPO on given rollouts, 8 samples a prompt; the lab model with all its
weights and SmolLM2-135M with LoRA of rank 8; float32 and AdamW. TRL's side is its own trainers' ``training_step`` (loss,
backward, its metrics), then clipping and the optimiser, as ``Trainer.train`` does it; its defaults but for what must be
equal: float32 instead of bfloat16 autocast, learning rate, no gradient checkpointing (which would make it slower). Left
out of its time: data loader and collation, generation, rewards, logging. Ours is timed with laying out the batch, which
is part of its step. Generation is in sampling.py. Losses are compared over the first steps, so gradients are too; apart is
the difference, or its share of a loss above 1.

The figure is the ratio of samples per second. ``ratio_cpu`` is of processor time, which other processes disturb less.
Memory is the peak of a process of its own, less what it was before it read the model.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

from _training import Both, Case

AIM = 1.3
EQUAL = 1e-4
CASES: dict[str, Case] = {
    "dpo lab": Case("dpo", "lab", units=32),
    "grpo lab": Case("grpo", "lab", units=8, group=8),
    "dpo smollm2": Case("dpo", "smollm2-135m", units=4),
    "grpo smollm2": Case("grpo", "smollm2-135m", units=2, group=8),
}
GROWTH: dict[str, Case] = {
    "vocabulary 693": Case("grpo", "lab", 8, 8),
    "vocabulary 8192": Case("grpo", "lab", 8, 8, vocabulary=8192),
    "vocabulary 49152": Case("grpo", "lab", 8, 8, vocabulary=49152),
    "batch 16": Case("grpo", "lab", 2, 8),
    "batch 64": Case("grpo", "lab", 8, 8),
    "batch 256": Case("grpo", "lab", 32, 8),
    "group 2": Case("grpo", "lab", 32, 2),
    "group 8": Case("grpo", "lab", 8, 8),
    "group 32": Case("grpo", "lab", 2, 32),
}
COMPARED = 3  # steps whose losses are compared; they warm up as well


def timed(case: Case, repeats: int) -> dict[str, Any]:
    """Medians of interleaved steps, whose order turns."""
    both = Both(case)
    apart = 0.0
    for _ in range(COMPARED):
        ours, theirs = (both.steps[name]() for name in ("ours", "trl"))
        apart = max(apart, abs(ours - theirs) / max(1.0, abs(theirs)))
    wall: dict[str, list[float]] = {"ours": [], "trl": []}
    cpu: dict[str, list[float]] = {"ours": [], "trl": []}
    for number in range(repeats):
        for name in ("ours", "trl") if number % 2 else ("trl", "ours"):
            gc.collect()
            begun, worked = time.perf_counter(), time.process_time()
            both.steps[name]()
            cpu[name].append(time.process_time() - worked)
            wall[name].append(time.perf_counter() - begun)
    ratios = [b / a for a, b in zip(wall["ours"], wall["trl"], strict=True)]
    return {
        "sequences": case.sequences,
        "ours_samples_per_s": round(case.sequences / statistics.median(wall["ours"]), 2),
        "trl_samples_per_s": round(case.sequences / statistics.median(wall["trl"]), 2),
        "ours_ms": round(1000 * statistics.median(wall["ours"]), 1),
        "trl_ms": round(1000 * statistics.median(wall["trl"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_low": round(min(ratios), 2),
        "ratio_high": round(max(ratios), 2),
        "ratio_cpu": round(statistics.median(cpu["trl"]) / statistics.median(cpu["ours"]), 2),
        "loss_apart": apart,
    }


def resident(field: str) -> int:
    """Bytes of VmRSS or VmHWM (Linux)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def peak(name: str, side: str) -> float:
    """MB that building one side and three of its steps add. Both sides have loaded the same modules before."""
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import transformers  # noqa: F401
    import trl

    trl.DPOTrainer, trl.GRPOTrainer  # noqa: B018
    gc.collect()
    before = resident("VmRSS")
    both = Both(CASES[name], only=side)
    for _ in range(3):
        both.steps[side]()
    return round((resident("VmHWM") - before) / 1e6, 1)


def peaks(name: str, threads: int) -> dict[str, float]:
    out = {}
    for side in ("ours", "trl"):
        command = [sys.executable, __file__, "--peak", name, side, "--threads", str(threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        out[f"{side}_peak_mb"] = float(done.stdout.split()[-1])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and no table of growth")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=list(CASES), help="these cases")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    quiet()
    if options.peak:
        print(peak(*options.peak))
        return
    repeats = min(options.repeats, 3) if options.quick else options.repeats
    cases = {}
    for name in options.only or CASES:
        cases[name] = {**timed(CASES[name], repeats), **peaks(name, options.threads)}
        if not options.json:
            show(name, cases[name])
    growth = {}
    for name, case in ({} if options.quick or options.only else GROWTH).items():
        growth[name] = timed(case, max(3, repeats // 2))
        if not options.json:
            show(name, growth[name])
    if options.json:
        import trl

        result = {
            "benchmark": "train",
            "cpus": os.cpu_count(),
            "threads": options.threads,
            "dtype": "float32",
            "trl": trl.__version__,
            "aim": AIM,
            "equal": all(row["loss_apart"] <= EQUAL for row in [*cases.values(), *growth.values()]),
            "cases": cases,
            "growth": growth,
        }
        print(json.dumps(result))


def quiet() -> None:
    """One object on stdout is all that --json may print, and progress bars disturb the clock."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.filterwarnings("ignore")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    for name in ("transformers", "trl", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def show(name: str, row: dict[str, Any]) -> None:
    memory = f", peak {row['ours_peak_mb']} and {row['trl_peak_mb']} MB" if "ours_peak_mb" in row else ""
    print(
        f"{name:17} ours {row['ours_samples_per_s']:8} samples/s, TRL {row['trl_samples_per_s']:8}: {row['ratio']} times "
        f"({row['ratio_low']} to {row['ratio_high']}; of processor time {row['ratio_cpu']}), losses {row['loss_apart']:.1e} "
        f"apart{memory}",
        flush=True,
    )


if __name__ == "__main__":
    main()
