"""A language of a few words whose sentences are drawn from known chances, and a tiny untrained model that may learn it.

So how much worse a model is than the language itself is measured exactly, for methods that train on texts over and over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import CODE, Feedback, Verdict
from loopwright.core.model import Blobs, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Candidate, Example, Rollout, digest
from loopwright.core.world import Critic, Split, Tool
from loopwright.worlds.lab.player import SPECIALS, kept, word_tokenizer

if TYPE_CHECKING:
    from loopwright.models.embedded import Embedded

WORDS = tuple(f"{a}{b}" for a in "bdfgklmnprst" for b in "aeo")  # 36
QUESTION = "speak"
VERSION = 1  # raise when the model's folder changes
_END = 0.15  # chance that a sentence ends after a word
_LONGEST = 24
_SHOWN = {"gate": 64, "test": 256}


@dataclass(frozen=True)
class Language:
    """A World of ``rows`` sentences to imitate. A word is followed by a few of the others, some much more often than the rest.

    figure: cross-entropy of held-out sentences under a candidate, nats a token, less that under the language itself.
    """

    rows: int = 256
    data: int = 0
    name: str = "lab-language"
    prompt: Prompt = Prompt()
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=_LONGEST + 1)
    critics: Sequence[Critic] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise InputError(f"a language is learned from 1 sentence or more, got rows={self.rows}")

    @property
    def fingerprint(self) -> str:
        return digest([self.name, self.rows, self.data])

    @cached_property
    def chances(self) -> np.ndarray:
        """[words + 1, words]: of the next word, the last row being of the first one."""
        rng = np.random.default_rng([self.data, 0])
        weights = np.exp(2.0 * rng.standard_normal((len(WORDS) + 1, len(WORDS))))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def examples(self, split: Split) -> Sequence[Example]:
        rng = np.random.default_rng([self.data, ("train", "gate", "test").index(split) + 1])
        return [
            Example(id=f"{split}-{i}", input=QUESTION, target=" ".join(WORDS[w] for w in self._sentence(rng)))
            for i in range(_SHOWN.get(split, self.rows))
        ]

    def _sentence(self, rng: np.random.Generator) -> list[int]:
        said = [int(rng.choice(len(WORDS), p=self.chances[-1]))]
        while len(said) < _LONGEST and rng.random() >= _END:
            said.append(int(rng.choice(len(WORDS), p=self.chances[said[-1]])))
        return said

    def logprob(self, sentence: Sequence[str]) -> float:
        """Of a sentence in the language, in nats; its end is part of it. -inf for what is none."""
        if not 0 < len(sentence) <= _LONGEST or any(word not in WORDS for word in sentence):
            return -math.inf
        at = [WORDS.index(word) for word in sentence]
        told = math.fsum(math.log(self.chances[a, b]) for a, b in zip([-1, *at], at, strict=False))
        ended = math.log(_END) if len(at) < _LONGEST else 0.0
        return told + (len(at) - 1) * math.log(1 - _END) + ended

    async def checker(self, rollout: Rollout, ctx: Context) -> Feedback:
        """Whether each word is one that comes after the one before at least once in a hundred times."""
        words = rollout.output.split()
        known = bool(words) and all(word in WORDS for word in words)
        at = [WORDS.index(word) for word in words] if known else []
        return Verdict(passed=known and all(self.chances[a, b] >= 0.01 for a, b in zip([-1, *at], at, strict=False)), by=CODE)

    async def figure(self, candidate: Candidate, ctx: Context) -> float:
        shown = ctx.demonstrations(self.examples("test"))
        found = await ctx.forward(candidate, shown, "logprobs")
        excess = [self.logprob(r.output.split()) - math.fsum(tokens) for r, tokens in zip(shown, found, strict=True)]
        return math.fsum(excess) / sum(len(tokens) for tokens in found)


def lab_language(rows: int = 256, data: int = 0) -> Language:
    """Sentences of a language drawn by the seed ``data``. Raises InputError for no rows."""
    return Language(rows, data)


def speaker(blobs: Blobs, *, seed: int = 0) -> Embedded:
    """A Llama of some 30 thousand weights that knows the words and nothing else, made in the cache folder on first use."""
    return kept(blobs, f"speaker-{seed}-v{VERSION}", lambda folder: make_speaker(folder, seed))


def make_speaker(folder: Path, seed: int = 0) -> None:
    """Write a Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = [*SPECIALS, QUESTION, *WORDS]
    word_tokenizer(folder, words)
    config: Any = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1, eos_token_id=0,
        pad_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
