"""Reward models as they are published: a sequence classifier with one output in a Hugging Face folder, run by transformers."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from loopwright.core.errors import InputError, ModelError, ModelNotFound
from loopwright.core.extras import require
from loopwright.models.smollm2 import say


class RewardModel:
    """Says how good an answer to a question is: one number, without a range, higher where people would prefer it.

    folder: with config.json, weights and tokenizer. device, dtype: as in ``models.embedded.Embedded``, but float32 unless told
        otherwise: rewards are compared with each other, and half precision moves their second digit.
    Weights load on the first call; sequences are read one at a time on one worker thread, so that a reward does not depend on
    what else was asked. Raises ModelNotFound at once where there is no such folder, ModelError where it is no reward model.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        dtype: str = "float32",
        device: str = "auto",
        progress: Callable[[str], None] = say,
    ) -> None:
        require("torch", "transformers", "safetensors")
        self.folder = Path(folder).expanduser()
        config = self.folder / "config.json"
        if not config.is_file():
            raise ModelNotFound(
                f"{self.folder}: expected a folder with config.json, weights and tokenizer of a reward model; one of the "
                "Hugging Face hub is downloaded first, with: hf download NAME --local-dir FOLDER"
            )
        outputs, kind = _outputs(config)
        if outputs != 1:
            raise ModelError(
                f"{self.folder} is {kind} with {outputs} outputs; a reward model is a sequence classifier with one "
                "(AutoModelForSequenceClassification, num_labels=1)"
            )
        self._given = dtype, device, progress
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loopwright-reward")

    @property
    def fingerprint(self) -> str:
        """Hash of weights, configuration, tokenizer and dtype."""
        from loopwright.models import loading

        return loading.fingerprint(self.folder, loading.choose(*self._given)[0])

    async def reward(self, question: str, answer: str) -> float:
        """The model's output. Raises InputError where the two do not fit its context, ModelError where it is no number."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._reward, question, answer)

    def _reward(self, question: str, answer: str) -> float:
        import torch

        network, tokenizer = self._load()
        if tokenizer.chat_template:
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            text = tokenizer.apply_chat_template(turns, tokenize=False)
            read = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        else:  # such as the DeBERTa family: a pair of texts, parted by the tokenizer's own mark
            read = tokenizer(question, answer, return_tensors="pt")
        tokens, room = int(read["input_ids"].shape[1]), getattr(network.config, "max_position_embeddings", None)
        if room is not None and tokens > room:
            raise InputError(f"question and answer take {tokens} tokens, {tokens - room} more than the reward model reads")
        with torch.inference_mode():
            value = float(network(**read.to(network.device)).logits[0, 0])
        if not math.isfinite(value):
            raise ModelError(f"the reward model in {self.folder} gave {value}")
        return value

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self.folder, *self._given)
            return self._loaded


def _outputs(config: Path) -> tuple[int, str]:
    """How many outputs a configuration tells of, and what it calls the model."""
    try:
        told = json.loads(config.read_text(encoding="utf-8"))
        architectures = told.get("architectures") or ["a model of no named kind"]
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{config}: {error}; expected a JSON object") from None
    labels = told.get("id2label")
    classifier = "SequenceClassification" in str(architectures[0]) or told.get("num_labels") is not None
    if not labels and not classifier:
        return 0, str(architectures[0])
    return int(told.get("num_labels", len(labels) if labels else 2)), str(architectures[0])


def _load(folder: Path, dtype: str, device: str, progress: Callable[[str], None]) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from loopwright.models import loading

    kind, where = loading.choose(dtype, device, progress)
    try:
        network, told = AutoModelForSequenceClassification.from_pretrained(
            folder, trust_remote_code=False, dtype=kind, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # transformers fails in many ways here, tokenizers with a bare Exception
        raise ModelError(f"cannot read the reward model in {folder}: {error}") from error
    if missing := sorted(told["missing_keys"]):
        # transformers would draw them at random and say so in a warning: every reward would be noise.
        raise ModelError(f"{folder} lacks the weights {', '.join(missing[:3])}: it is no trained reward model")
    return network.to(where).eval(), tokenizer
