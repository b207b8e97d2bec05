"""The embedded backend: a language model in this process that can be sampled and trained.

    model = Embedded(blobs)                                   # SmolLM2-135M-Instruct, fetched on first use
    model = Embedded(blobs, "path/to/folder")                 # a Hugging Face folder
    model = Embedded(blobs, "path/to/model.gguf")             # a GGUF file, converted once

Torch work runs on one worker thread, one call at a time, so the event loop lives. Weights load on the first call.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from loopwright.core.errors import BadOutput, InputError, PromptTooLong
from loopwright.core.model import Blobs, Exported, FitJob, Fitted, Reading, Reply, Request, Sample
from loopwright.core.types import Cost, Turn
from loopwright.models.smollm2 import NAME, cache_root, say

if TYPE_CHECKING:
    from loopwright.models.constrained import Grammars, Matcher
    from loopwright.models.decode import Row
    from loopwright.models.hf import HF
    from loopwright.models.llama import Llama
    from loopwright.models.loading import Loaded
    from loopwright.training.blob import Weights
    from loopwright.training.reading import View
    from loopwright.training.references import Memory, Reference

R = TypeVar("R")
HELD = 4  # blobs of weights kept ready
LARGE = 2  # of these, full sets
UNSTORED = 4  # passes without gradient may be this many times as large as those of training


class Embedded:
    """Implements ``core.model.Model`` and ``core.model.Trainable``.

    blobs: where adapters are read from and written to.
    model: "smollm2-135m", "lab", a Hugging Face folder, or a GGUF file. Llama, Mistral, Qwen2 and Qwen3 run on our own forward
        pass, every other causal language model on that of transformers, which is slower. Models that bring their own
        Python code are not run.
    adapter: a folder with a LoRA adapter as PEFT writes it, or a role that the lab model was taught. It becomes part of the
        weights, and what is fitted later is fitted on top of it.
    dtype: "auto" (bfloat16 where the machine computes in it, else float32, said aloud), "bfloat16" or "float32".
    device: "auto" (CUDA where there is one), "cpu", "cuda", ...
    batch_rows: sequences the engine should put into one ``generate`` call.
    threads: torch's threads, None for torch's own choice. This is a setting of the whole process.
    full_limit: parameters beyond which fitting all weights is refused: it takes some 20 bytes of memory for each.
    checkpoints: folder where a long fit writes every ``checkpoint_every`` seconds what it needs to go on after a kill;
        None for one in the cache. 0 writes after every step, infinity never.
    Raises ModelNotFound at once where ``model`` does not exist, ModelError where a file is damaged.
    """

    def __init__(
        self,
        blobs: Blobs,
        model: str | Path = NAME,
        *,
        adapter: str | Path | None = None,
        dtype: str = "auto",
        device: str = "auto",
        batch_rows: int = 256,
        threads: int | None = None,
        full_limit: int = 500_000_000,
        checkpoints: str | Path | None = None,
        checkpoint_every: float = 30.0,
        progress: Callable[[str], None] = say,
    ) -> None:
        from loopwright.models import loading

        if checkpoint_every < 0:
            raise InputError(f"checkpoint_every is seconds, 0 or more, got {checkpoint_every:g}")

        self._model = str(model)
        self.name = str(model) if adapter is None else f"{model}+{adapter}"
        self.batch_rows = batch_rows
        self._blobs = blobs
        self._progress = progress
        self._folder = loading.locate(model, progress)
        self._adapter = None if adapter is None else loading.locate_adapter(adapter)
        self._dtype, self._device = loading.choose(dtype, device, progress)
        self.fingerprint = loading.fingerprint(self._folder, self._dtype, self._adapter)
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._full_limit = full_limit
        self._checkpoints = cache_root() / "fits" if checkpoints is None else Path(checkpoints)
        self._checkpoint_every = checkpoint_every
        self._views: OrderedDict[str, View] = OrderedDict()
        self._memory: Memory | None = None
        self._grammars: Grammars | None = None
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
                self._loaded = loading.load(
                    self._folder, self._dtype, self._device, self._threads, self._adapter
                )
                if not self._loaded.ends:
                    self._progress(f"{loading.NO_END}; until then every answer runs to max_tokens or to a stop string")
            return self._loaded

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answers in the order of the requests; see ``core.model.Model``.

        Log-probabilities are those of the full distribution at the sampling temperature (at 1 when greedy). The text
        leaves out special tokens and everything from a stop string on; the token ids are as sampled. An answer fits
        the JSON schema it is asked for, unless it is cut off at its limit. Raises PromptTooLong for a prompt that does not
        fit the context, BadOutput for one with a token that has no embedding, InputError for a schema that cannot be
        enforced, StoreCorrupt for a bad adapter.
        """
        if not requests:
            return []
        return await self._run(lambda cancel: self._generate(requests, cancel))

    def estimate(self, request: Request) -> Cost:
        """Prompt tokens exactly, completion tokens as if every sample ran to its limit."""
        prompt = self.load().prompt_ids(request.turns)
        return Cost(calls=1, prompt_tokens=len(prompt), completion_tokens=request.n * request.sampling.max_tokens)

    def too_long(self, request: Request) -> BadOutput | None:
        """See ``core.model.Limited``."""
        loaded = self.load()
        return self._unreadable(loaded, loaded.prompt_ids(request.turns), request)

    def _unreadable(self, loaded: Loaded, prompt: Sequence[int], request: Request) -> BadOutput | None:
        from loopwright.models.packing import check_ids

        need = len(prompt) + request.sampling.max_tokens
        if need > loaded.network.context:
            return PromptTooLong(
                f"the prompt has {len(prompt)} tokens and max_tokens is {request.sampling.max_tokens}: together "
                f"{need}, but the context of {self.name} is {loaded.network.context}"
            )
        try:
            check_ids(prompt, loaded.network.vocabulary, "the prompt", "the tokenizer has more tokens than the weights")
        except InputError as error:
            return BadOutput(str(error), kind="token", paid=False)
        return None

    def prompt_ids(self, turns: Sequence[Turn]) -> Sequence[int]:
        """The conversation as the model's chat template renders it, the opening of the answer included."""
        return self.load().prompt_ids(turns)

    def answer_ids(self, text: str) -> Sequence[int]:
        """See ``core.model.Trainable.answer_ids``."""
        return self.load().answer_ids(text)

    def text_ends(self, token_ids: Sequence[int]) -> Sequence[int]:
        """See ``core.model.Trainable.text_ends``; special tokens have no text."""
        return self.load().text_ends(token_ids)

    def export_weights(self, adapter: str | None) -> Exported:
        """See ``core.model.Exportable``. An adapter that the model was named with is put together with the blob's."""
        from loopwright.training import blob as blobs
        from loopwright.training import lora

        taken = None if adapter is None else self._blobs.get(adapter)
        if self._adapter is not None:
            named = blobs.from_bytes(lora.import_adapter(self._adapter, base=Path(self._model).name))
            weights = named if taken is None else blobs.from_bytes(taken)
            if taken is not None and named.adapter is not None and weights.adapter is not None:
                both = lora.combine(named.adapter, weights.adapter)
                weights = replace(weights, adapter=replace(both, base=named.adapter.base))
            taken = blobs.to_bytes(weights)
        return Exported(taken, str(self._folder.resolve()))

    async def fit(self, job: FitJob) -> Fitted:
        """Fit an adapter, or all weights, and keep them as a blob.

        A job that was stopped in the middle, in this process or another, goes on from its last checkpoint and gives the
        very bytes of one that was not. Raises InputError for a job that does not fit the model, ModelError for a loss
        that is not a number, StoreCorrupt for a bad blob.
        """
        return await self._run(lambda cancel: self._fit(job, cancel))

    async def forward(self, samples: Sequence[Sample], what: Reading, adapter: str | None) -> Sequence[Sequence[float]]:
        """See ``core.model.Trainable.forward``; at temperature 1.

        Raises InputError for sequences the model cannot read, and for scores or values of weights without a scalar head.
        """
        if not samples:
            return []
        return await self._run(lambda cancel: self._forward(samples, what, adapter, cancel))

    async def close(self) -> None:
        """Let go of the weights and the thread."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._loaded = None
        self._views.clear()
        self._memory = None

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
            if (wrong := self._unreadable(loaded, prompt, request)) is not None:
                raise wrong
        groups = [[decode.Row(r.seed, i, r.sampling, self._matcher(loaded, r)) for i in range(r.n)] for r in requests]
        by_adapter: dict[str | None, list[int]] = {}
        for i, request in enumerate(requests):
            by_adapter.setdefault(request.adapter, []).append(i)
        for adapter, members in by_adapter.items():
            view = self._view(adapter)
            decode.sample(
                cast("Llama | HF", view.network),
                view.bound,
                [prompts[i] for i in members],
                [groups[i] for i in members],
                loaded.ends,
                loaded.stopped,
                cancel,
            )
        seconds = (time.perf_counter() - begun) / len(requests)
        return [_reply(loaded, p, g, seconds) for p, g in zip(prompts, groups, strict=True)]

    def _matcher(self, loaded: Loaded, request: Request) -> Matcher | None:
        from loopwright.models.constrained import Grammars
        from loopwright.models.loading import NO_END

        if request.sampling.schema_ is None:
            return None
        if self._grammars is None:
            if not loaded.ends:
                raise InputError(NO_END)
            self._grammars = Grammars(loaded.tokenizer, loaded.network.vocabulary, loaded.ends)
        return self._grammars.matcher(request.sampling.schema_)

    def _view(self, blob: str | None) -> View:
        """The weights of a blob in the form the passes take; the last few are kept."""
        from loopwright.training.reading import View

        loaded = self.load()
        if blob is None:
            return View(loaded.network)
        if blob not in self._views:
            self._views[blob] = self._viewed(loaded, self._weights(blob))
            base = loaded.network
            while len(self._views) > HELD or sum(v.network is not base for v in self._views.values()) > LARGE:
                self._views.popitem(last=False)
        self._views.move_to_end(blob)
        return self._views[blob]

    def _viewed(self, loaded: Loaded, weights: Weights) -> View:
        import torch

        from loopwright.models import whole
        from loopwright.training.reading import View

        with torch.no_grad():
            head = (weights.head[0].to(self._device), weights.head[1].to(self._device)) if weights.head else None
            if weights.adapter is None:
                plain = loaded.whole()
                return View(whole.replaced(plain, whole.fuse(plain, weights.full or {})), None, head)
            adapter, network = weights.adapter, loaded.network
            loaded.check_adapter(adapter)
            moved = {n: (a.to(self._device), b.to(self._device)) for n, (a, b) in adapter.scaled().items()}
            if adapter.rows is not None:
                network = whole.retokened(loaded.whole(), adapter.tokens, adapter.rows)
            return View(network, network.bind(moved), head)

    def _weights(self, blob: str) -> Weights:
        from loopwright.training import blob as blobs

        return blobs.from_bytes(self._blobs.get(blob))

    def _start(self, loaded: Loaded, job: FitJob) -> Weights:
        """What the job starts from: its blob, or new weights that answer as the model does."""
        from loopwright.models import whole
        from loopwright.training import blob as blobs
        from loopwright.training import lora, reading

        name = Path(self.name).name  # no path: the blob's hash must not depend on where the model lies
        if job.adapter is not None:
            start = self._weights(job.adapter)
            self._view(job.adapter)  # checks that it was made for this model
            blobs.check_start(start, job)
        elif job.tuning == "full":
            network = loaded.whole()
            start = blobs.Weights(full=whole.split(network, whole.weights(network)), base=name)
        else:
            adapter = lora.create(
                loaded.network.sizes,
                rank=job.rank,
                alpha=job.scale,
                targets=loaded.targets(job.targets, self._progress),
                transposed=loaded.transposed,
                seed=job.seed,
                base=name,
            )
            start = blobs.Weights(adapter=adapter, base=name)
        if start.full is not None:
            size = sum(t.numel() for t in start.full.values())
            if size > self._full_limit:
                raise InputError(
                    f"{self.name} has {size:,} parameters, and all weights are fitted up to full_limit={self._full_limit:,}: "
                    "use tuning='lora', or raise the limit where the memory is there"
                )
        if job.head and start.head is None:
            start = replace(start, head=blobs.new_head(reading.width(loaded.network), job.head, job.seed))
        return start

    def _references(self, job: FitJob) -> dict[str, Reference]:
        from loopwright import losses
        from loopwright.training.references import Reference

        found = {}
        for name in losses.loss(job.loss).given(job.loss_options).references:
            asked = job.references.get(name, "start")
            blob = {"start": job.adapter, "base": None}.get(asked, asked)
            found[name] = Reference(blob or "base", self._view(blob))
        return found

    def _fit(self, job: FitJob, cancel: threading.Event) -> Fitted:
        from loopwright.training import blob as blobs
        from loopwright.training import trainer
        from loopwright.training.checkpoint import Checkpoint
        from loopwright.training.references import Memory

        begun = time.perf_counter()
        loaded = self.load()
        self._memory = self._memory or Memory()
        limit = trainer.pass_tokens(loaded.network)
        checkpoint = Checkpoint(
            self._checkpoints, self._checkpoint_every, job, f"{self.fingerprint} {limit}", self._progress
        )
        outcome = trainer.fit(
            loaded.network,
            self._start(loaded, job),
            job,
            references=self._references(job),
            state=self._blobs.get(job.state) if job.state is not None else None,
            cancel=cancel,
            limit=limit,
            memory=self._memory,
            checkpoint=checkpoint if self._checkpoint_every < math.inf else None,
            say=self._progress,
        )
        stats = {**outcome.stats, "samples": float(len(job.data))}
        cost = Cost(calls=1, prompt_tokens=outcome.tokens, seconds=time.perf_counter() - begun)
        state = self._blobs.put(outcome.state) if outcome.state is not None else None
        return Fitted(adapter=self._blobs.put(blobs.to_bytes(outcome.weights)), state=state, stats=stats, cost=cost)

    def _forward(
        self, samples: Sequence[Sample], what: Reading, blob: str | None, cancel: threading.Event
    ) -> list[list[float]]:
        import torch

        from loopwright.training import data, trainer
        from loopwright.training.reading import read

        network = self.load().network
        data.check(samples, network)
        view = self._view(blob)
        lengths = {i: len(s.prompt_ids) + len(s.token_ids) for i, s in enumerate(samples)}
        out: list[list[float]] = [[] for _ in samples]
        with torch.no_grad():
            for part in data.cut(range(len(samples)), lengths, UNSTORED * trainer.pass_tokens(network)):
                if cancel.is_set():
                    raise trainer.Stopped
                said = read(view, [samples[i] for i in part], **{"logprobs": what == "logprobs", what: True})
                values = getattr(said, what)
                rows = values if what == "features" else [v[m] for v, m in zip(values, said.mask, strict=True)]
                for i, row in zip(part, rows, strict=True):
                    out[i] = row.flatten().tolist()
        return out


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
