"""The two sides of benchmarks/train.py: one optimiser step of ours and of TRL's, of the same weights on the same data."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from loopwright import losses
from loopwright.core.model import FitJob, Pair, Sample
from loopwright.models import loading, smollm2
from loopwright.training import lora, trainer
from loopwright.training.blob import Weights
from loopwright.training.reading import View, read

RATE = 1e-4  # large enough that a wrong gradient would show in the next losses
ALPHA = 16.0
RANK = 8
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Step = Callable[[], float]  # one optimiser step; returns the loss before it


@dataclass(frozen=True)
class Case:
    """method: dpo or grpo. model: "lab" (all weights) or "smollm2-135m" (LoRA). ``units`` pairs, or prompts of ``group``.

    prompt, written: shortest and longest, in tokens. vocabulary: where given, random weights of the lab model's shape.
    """

    method: str
    model: str
    units: int
    group: int = 2
    prompt: tuple[int, int] = (24, 40)
    written: tuple[int, int] = (8, 24)
    vocabulary: int | None = None

    @property
    def sequences(self) -> int:
        return self.units * self.group


def folder_of(case: Case) -> Path:
    """The model's folder; one of another vocabulary is made on the spot."""
    if case.model != "lab":
        return loading.locate(smollm2.NAME, smollm2.say)
    lab = loading.locate(loading.LAB, smollm2.say)
    if case.vocabulary is None:
        return lab
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = Path(tempfile.mkdtemp(prefix="loopwright-bench-"))
    config = AutoConfig.from_pretrained(lab)
    config.vocab_size = case.vocabulary
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(lab).save_pretrained(folder)
    return folder


def data_of(case: Case, vocabulary: int) -> list[Sample]:
    """Random sequences by prompt; with a sampler's log-probabilities that are a little off, and advantages."""
    rng = random.Random(1)
    out = []
    for _ in range(case.units):
        prompt = tuple(rng.randrange(10, vocabulary) for _ in range(rng.randint(*case.prompt)))
        for _ in range(case.group):
            written = tuple(rng.randrange(10, vocabulary) for _ in range(rng.randint(*case.written)))
            values: dict[str, float | tuple[float, ...]] = {"advantage": rng.gauss(0.3, 1)}
            out.append(Sample(prompt_ids=prompt, token_ids=written, values=values if case.method == "grpo" else {}))
    return out


class Both:
    """The same start for the two sides. ``only`` builds one of them, for its memory alone."""

    def __init__(self, case: Case, *, only: str | None = None) -> None:
        self.case = case
        self.folder = folder_of(case)
        self.loaded = loading.load(self.folder, torch.float32, torch.device("cpu"), None)
        self.samples = data_of(case, self.loaded.network.vocabulary)
        self.start = self._start()
        self.known = self._known()
        self.steps: dict[str, Step] = {}
        if only != "trl":
            self.steps["ours"] = self._ours()
        if only != "ours":
            self.steps["trl"] = self._trl()

    def _start(self) -> Weights:
        """Weights that have moved already: an adapter of zeros would hide a wrong gradient of its other half."""
        if self.case.model == "lab":
            from safetensors.torch import load_file

            return Weights(full={n: t.float() for n, t in load_file(self.folder / "model.safetensors").items()})
        adapter = lora.create(self.loaded.network.sizes, rank=RANK, alpha=ALPHA, targets=TARGETS, seed=0)
        generator = torch.Generator().manual_seed(1)
        for _, b in adapter.pairs.values():
            b.copy_(torch.randn(b.shape, generator=generator) * 1e-3)
        return Weights(adapter=adapter)

    def _known(self) -> list[torch.Tensor]:
        """Log-probabilities that the losses compare with: the model's own, a little off. Made once, used by both sides."""
        view = View(self.loaded.network)
        with torch.no_grad():
            said = [read(view, self.samples[i : i + 16]) for i in range(0, len(self.samples), 16)]
        rows = [row[mask] for part in said for row, mask in zip(part.logprobs, part.mask, strict=True)]
        generator = torch.Generator().manual_seed(2)
        return [row + 0.1 * torch.randn(row.shape, generator=generator) for row in rows]

    def _ours(self) -> Step:
        case = self.case
        if case.method == "dpo":
            data: Any = tuple(
                Pair(chosen=a, rejected=b) for a, b in zip(self.samples[::2], self.samples[1::2], strict=True)
            )
        else:
            told = zip(self.samples, self.known, strict=True)
            data = tuple(s.model_copy(update={"logprobs": tuple(row.tolist())}) for s, row in told)
        job = FitJob(
            data=data, loss="dpo" if case.method == "dpo" else "ppo", batch=len(data), epochs=10_000, aggregation="token",
            tuning="full" if case.model == "lab" else "lora", rank=RANK, alpha=ALPHA, targets=TARGETS,
            learning_rate=RATE, schedule="constant", warmup=0.0,
        )  # fmt: skip
        loss = losses.loss(job.loss)
        fit = trainer._Fit(
            self.loaded.network,
            copy.deepcopy(self.start),
            job,
            loss,
            {},
            None,
            None,
            None,
            None,
            None,
            lambda line: None,
        )
        fit.known = {"reference": self.known} if case.method == "dpo" else {}

        def step() -> float:
            fit._step(len(fit.history))
            return fit.history[-1]

        return step

    def _trl(self) -> Step:
        import trl
        from datasets import Dataset
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        case = self.case
        tokenizer = AutoTokenizer.from_pretrained(self.folder)
        model: Any = AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32)
        adapter = self.start.adapter
        if adapter is not None:
            model = get_peft_model(
                model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(TARGETS), task_type="CAUSAL_LM")
            )
            theirs = dict(model.named_parameters())
            for name, pair in adapter.pairs.items():
                for part, tensor in zip("AB", pair, strict=True):
                    theirs[f"{lora.PREFIX}{name}.lora_{part}.default.weight"].data.copy_(tensor)
        options: dict[str, Any] = {
            "output_dir": tempfile.mkdtemp(prefix="loopwright-bench-"), "report_to": "none", "use_cpu": True,
            "learning_rate": RATE, "lr_scheduler_type": "constant", "bf16": False, "gradient_checkpointing": False,
            "max_grad_norm": 1.0,
        }  # fmt: skip
        if case.method == "dpo":
            rows = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2)
            config = trl.DPOConfig(per_device_train_batch_size=case.units, **options)
            there = trl.DPOTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer)
            there.precompute_ref_logps = True
            there.ref_model = None
            inputs = there.data_collator(self._pairs())
        else:
            rows = Dataset.from_list([{"prompt": "a"}] * 2)
            config = trl.GRPOConfig(
                per_device_train_batch_size=case.sequences, num_generations=case.group,
                max_completion_length=case.written[1], **options,
            )  # fmt: skip
            there = trl.GRPOTrainer(
                model, reward_funcs=lambda completions, **_: [0.0] * len(completions), args=config, train_dataset=rows,
                processing_class=tokenizer,
            )  # fmt: skip
            there._prepare_inputs = lambda given: given  # which would generate: the rollouts are given here
            inputs = self._rollouts()
        there.current_gradient_accumulation_steps = 1
        there.create_optimizer()
        network, optimiser = there.accelerator.prepare(there.model, there.optimizer)
        count = inputs.get("num_items_in_batch")

        def step() -> float:
            loss = there.training_step(network, inputs, count)
            there.accelerator.clip_grad_norm_(network.parameters(), config.max_grad_norm)
            optimiser.step()
            network.zero_grad()
            return float(loss)

        return step

    def _pairs(self) -> list[dict[str, Any]]:
        known = [float(row.sum()) for row in self.known]
        return [
            {
                "prompt_ids": list(a.prompt_ids),
                "chosen_ids": list(a.token_ids),
                "rejected_ids": list(b.token_ids),
                "ref_chosen_logps": known[2 * i],
                "ref_rejected_logps": known[2 * i + 1],
            }
            for i, (a, b) in enumerate(zip(self.samples[::2], self.samples[1::2], strict=True))
        ]

    def _rollouts(self) -> dict[str, torch.Tensor]:
        """As TRL lays them out: prompts padded on the left, completions on the right."""
        starts = [s.prompt_ids for s in self.samples]
        ends = [s.token_ids for s in self.samples]
        out = {}
        for name, rows, left in (("prompt", starts, True), ("completion", ends, False)):
            width = max(map(len, rows))
            out[f"{name}_ids"] = torch.tensor([_padded(r, width, left) for r in rows])
            out[f"{name}_mask"] = torch.tensor([_padded([1] * len(r), width, left) for r in rows])
        width = out["completion_ids"].shape[1]
        out["old_per_token_logps"] = torch.tensor([_padded(row.tolist(), width, False) for row in self.known])
        out["advantages"] = torch.tensor([s.values["advantage"] for s in self.samples])
        out["num_items_in_batch"] = out["completion_mask"].sum()
        return out


def _padded(row: Sequence[Any], width: int, left: bool) -> list[Any]:
    blank = [0] * (width - len(row))
    return blank + list(row) if left else list(row) + blank
