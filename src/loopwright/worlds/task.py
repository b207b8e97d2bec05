"""A task folder, loaded: a World."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from loopwright.core.errors import UnknownName
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Budget, Example, digest
from loopwright.core.world import Comparator, Split, Tool
from loopwright.critics import BuiltCritic

TEXT_TOKENS = 256


@dataclass(frozen=True, eq=False)
class Task:
    """Examples, objective and what may be used, as ``task.toml`` says. Made by ``load_task``.

    text_tokens: tokens that a text of a method's own may take (a critique, a plan) where the method sets no limit.
    solver: {recipe, options} of who answers to begin with, or None. gate: ``alpha`` and ``min_effect``. methods: options by
    recipe, as written. model: a model's name, or "".
    """

    name: str
    description: str
    folder: Path
    prompt: Prompt
    sampling: Sampling
    checker: BuiltCritic
    critics: tuple[BuiltCritic, ...]
    tools: Mapping[str, Tool]
    budget: Budget
    gate: Mapping[str, float]
    methods: Mapping[str, dict[str, Any]]
    model: str = ""
    text_tokens: int = TEXT_TOKENS
    solver: Mapping[str, Any] | None = None
    splits: Mapping[Split, tuple[Example, ...]] = field(default_factory=dict, repr=False)
    tool_specs: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    compare: Comparator | None = None
    compare_spec: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)

    def examples(self, split: Split) -> tuple[Example, ...]:
        """The examples of a split, in the order of the file. Raises UnknownName."""
        if split not in self.splits:
            raise UnknownName("split", split, self.splits)
        return self.splits[split]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides the work: examples and their splits, prompt, sampling, checker, critics, tools."""
        return digest(self._work())

    def _work(self) -> dict[str, JsonValue]:
        return {
            "prompt": self.prompt.model_dump(mode="json"),
            "sampling": self.sampling.model_dump(mode="json", by_alias=True),
            **({"text_tokens": self.text_tokens} if self.text_tokens != TEXT_TOKENS else {}),
            **({"solver": dict(self.solver)} if self.solver else {}),
            "checker": self.checker.spec(),
            "critics": [c.spec() for c in self.critics],
            "tools": dict(self.tool_specs),
            **({"compare": dict(self.compare_spec)} if self.compare_spec else {}),
            "examples": {
                name: {"count": len(part), "hash": digest([e.model_dump(mode="json") for e in part])}
                for name, part in self.splits.items()
            },
        }

    def spec(self) -> dict[str, JsonValue]:
        """Plain JSON: what a run records of its task."""
        return {
            "name": self.name,
            "description": self.description,
            **self._work(),
            "budget": self.budget.model_dump(mode="json"),
            "gate": dict(self.gate),
            "methods": {slug: dict(options) for slug, options in self.methods.items()},
            "model": self.model,
            "fingerprint": self.fingerprint,
        }


