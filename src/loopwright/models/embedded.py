"""The embedded backend: a language model in this process that can be sampled and trained.

    model = Embedded(blobs)                                   # SmolLM2-135M-Instruct, fetched on first use
    model = Embedded(blobs, "path/to/folder")                 # a Hugging Face folder
    model = Embedded(blobs, "path/to/model.gguf")             # a GGUF file, converted once

Torch work runs on one worker thread, one call at a time, so the event loop lives. Weights load on the first call.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loopwright.core.errors import InputError
from loopwright.core.model import Blobs, FitJob, Fitted, Reading, Reply, Request, Sample
from loopwright.core.types import Cost, Turn
from loopwright.models.smollm2 import NAME, say

if TYPE_CHECKING:
    from loopwright.models.decode import Row
    from loopwright.models.llama import Bound
    from loopwright.models.loading import Loaded

R = TypeVar("R")
HELD = 4  # bound adapters kept ready


class Embedded:
    """Implements ``core.model.Model`` and ``core.model.Trainable``.

    blobs: where adapters are read from and written to.
    model: "smollm2-135m", a Hugging Face folder, or a GGUF file. Llama, Mistral, Qwen2 and Qwen3 run on our own forward
        pass, every other causal language model on that of transformers, which is slower. Models that bring their own
        Python code are not run.
    dtype: "auto" (bfloat16 where the machine computes in it, else float32, said aloud), "bfloat16" or "float32".
    device: "auto" (CUDA where there is one), "cpu", "cuda", ...
    batch_rows: sequences the engine should put into one ``generate`` call.
    threads: torch's threads, None for torch's own choice. This is a setting of the whole process.
    Raises ModelNotFound at once where ``model`` does not exist, ModelError where a file is damaged.
    """

    def __init__(
        self,
        blobs: Blobs,
        model: str | Path = NAME,
        *,
        dtype: str = "auto",
        device: str = "auto",
        batch_rows: int = 256,
        threads: int | None = None,
        progress: Callable[[str], None] = say,
    ) -> None:
        from loopwright.models import loading

        self.name = str(model)
        self.batch_rows = batch_rows
        self._blobs = blobs
        self._progress = progress
        self._folder = loading.locate(model, progress)
        self._dtype, self._device = loading.choose(dtype, device, progress)
        self.fingerprint = loading.fingerprint(self._folder, self._dtype)
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._bound: OrderedDict[str, Bound | None] = OrderedDict()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loopwright-torch")

    @property
    def folder(self) -> Path:
        """The Hugging Face folder the weights are read from."""
        return self._folder

    def load(self) -> Loaded:
        """The network and tokenizer, read on the first call."""
        from loopwright.models import loading

        with self._lock:
            if self._loaded is None:
                self._loaded = loading.load(self._folder, self._dtype, self._device, self._threads)
            return self._loaded

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answers in the order of the requests; see ``core.model.Model``.

        Log-probabilities are those of the full distribution at the sampling temperature (at 1 when greedy). The text
        leaves out special tokens and everything from a stop string on; the token ids are as sampled. A JSON schema is
        not enforced. Raises InputError for a prompt that does not fit the context, StoreCorrupt for a bad adapter.
        """
        if not requests:
            return []
        return await self._run(lambda cancel: self._generate(requests, cancel))

    def estimate(self, request: Request) -> Cost:
        """Prompt tokens exactly, completion tokens as if every sample ran to its limit."""
        prompt = self.load().prompt_ids(request.turns)
        return Cost(calls=1, prompt_tokens=len(prompt), completion_tokens=request.n * request.sampling.max_tokens)

    def prompt_ids(self, turns: Sequence[Turn]) -> Sequence[int]:
        """The conversation as the model's chat template renders it, the opening of the answer included."""
        return self.load().prompt_ids(turns)

    async def fit(self, job: FitJob) -> Fitted:
        """Fit an adapter and keep it as a blob. Raises InputError for a job that does not fit the model, ModelError for a
        loss that is not a number."""
        return await self._run(lambda cancel: self._fit(job, cancel))

    async def forward(self, samples: Sequence[Sample], what: Reading, adapter: str | None) -> Sequence[Sequence[float]]:
        """See ``core.model.Trainable.forward``."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of the weights and the thread."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._loaded = None
        self._bound.clear()

    async def _run(self, work: Callable[[threading.Event], R]) -> R:
        cancel = threading.Event()
        future = self._worker.submit(work, cancel)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            cancel.set()  # a thread cannot be killed: it stops at the next token or pass
            raise

    def _generate(self, requests: Sequence[Request], cancel: threading.Event) -> list[Reply]:
        from loopwright.models import decode

        begun = time.perf_counter()
        loaded = self.load()
        prompts = [loaded.prompt_ids(r.turns) for r in requests]
        for prompt, request in zip(prompts, requests, strict=True):
            if not prompt:
                raise InputError(f"the prompt is empty: {self.name} needs at least one token to go on from")
            need = len(prompt) + request.sampling.max_tokens
            if need > loaded.network.context:
                raise InputError(
                    f"the prompt has {len(prompt)} tokens and max_tokens is {request.sampling.max_tokens}: together "
                    f"{need}, but the context of {self.name} is {loaded.network.context}"
                )
        groups = [[decode.Row(r.seed, i, r.sampling) for i in range(r.n)] for r in requests]
        by_adapter: dict[str | None, list[int]] = {}
        for i, request in enumerate(requests):
            by_adapter.setdefault(request.adapter, []).append(i)
        for adapter, members in by_adapter.items():
            bound = self._bind(adapter)
            decode.sample(
                loaded.network,
                bound,
                [prompts[i] for i in members],
                [groups[i] for i in members],
                loaded.ends,
                loaded.stopped,
                cancel,
            )
        seconds = (time.perf_counter() - begun) / len(requests)
        return [_reply(loaded, p, g, seconds) for p, g in zip(prompts, groups, strict=True)]

    def _bind(self, adapter: str | None) -> Bound | None:
        """The adapter in the form the passes take; the last few are kept."""
        if adapter is None:
            return None
        if adapter not in self._bound:
            import torch

            from loopwright.training import lora

            loaded = self.load()
            with torch.no_grad():
                pairs = lora.from_bytes(self._blobs.get(adapter)).scaled()
                loaded.check_adapter(pairs)
                moved = {n: (a.to(self._device), b.to(self._device)) for n, (a, b) in pairs.items()}
                self._bound[adapter] = loaded.network.bind(moved)
            while len(self._bound) > HELD:
                self._bound.popitem(last=False)
        self._bound.move_to_end(adapter)
        return self._bound[adapter]

    def _fit(self, job: FitJob, cancel: threading.Event) -> Fitted:
        from loopwright.training import lora, trainer

        begun = time.perf_counter()
        loaded = self.load()
        if job.adapter is None:
            start = lora.create(
                loaded.network.sizes,
                rank=job.rank,
                alpha=job.alpha,
                targets=loaded.targets(job.targets, self._progress),
                transposed=loaded.transposed,
                seed=job.seed,
                base=Path(self.name).name,  # no path: the blob's hash must not depend on where the model lies
            )
        else:
            start = lora.from_bytes(self._blobs.get(job.adapter))
            loaded.check_adapter(start.pairs)
            if (start.rank, start.alpha) != (job.rank, job.alpha):
                raise InputError(
                    f"the adapter to start from has rank {start.rank} and alpha {start.alpha:g}, the job says rank "
                    f"{job.rank} and alpha {job.alpha:g}: give the job the adapter's own"
                )
        outcome = trainer.fit(loaded.network, start, job, cancel=cancel)
        stats = {**outcome.stats, "samples": float(len(job.data))}
        cost = Cost(calls=1, prompt_tokens=outcome.tokens, seconds=time.perf_counter() - begun)
        return Fitted(adapter=self._blobs.put(lora.to_bytes(outcome.adapter)), stats=stats, cost=cost)


def _reply(loaded: Loaded, prompt: Sequence[int], rows: Sequence[Row], seconds: float) -> Reply:
    choices = tuple(
        Turn(
            role="assistant",
            text=loaded.text(row),
            prompt_ids=tuple(prompt),
            token_ids=tuple(row.token_ids),
            logprobs=tuple(row.logprobs),
            finish=row.finish,
        )
        for row in rows
    )
    written = sum(len(row.token_ids) for row in rows)
    return Reply(
        choices=choices,
        cost=Cost(calls=1, prompt_tokens=len(prompt), completion_tokens=written, seconds=seconds),
    )
