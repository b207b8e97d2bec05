"""A task folder, loaded: a World."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from loopwright.core.errors import UnknownName
from loopwright.core.failing import ErrorRules
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Budget, Example, digest
from loopwright.core.world import Comparator, Split, Tool
from loopwright.critics import BuiltCritic
from loopwright.worlds.held_out import HeldOut
from loopwright.worlds.split import Fractions, question_key, screened

TEXT_TOKENS = 256
TOO_LONG = ("mark", "drop", "truncate", "stop")  # what may become of examples whose prompt does not fit the context


@dataclass(frozen=True, eq=False)
class Task:
    """Examples, objective and what may be used, as ``task.toml`` says. Made by ``load_task``.

    text_tokens: tokens that a text of a method's own may take (a critique, a plan) where the method sets no limit.
    solver: {recipe, options} of who answers to begin with, or None. program: hashes of the files in the folder that it is made
    of. gate: options of the gate: ``alpha``, ``min_effect`` and, where they are given, ``planned``, ``graded`` and ``margin``.
    methods: options by recipe, as written. model: a model's name as ``models.load`` takes it, or "". others: models of the roles
    that it is not to play. carries: files and folders that its program or critics read, for an artifact to take along.
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
    model: str | Mapping[str, Any] = ""
    others: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    text_tokens: int = TEXT_TOKENS
    solver: Mapping[str, Any] | None = None
    program: Mapping[str, str] = field(default_factory=dict, repr=False)
    fractions: Fractions | None = field(default=None, repr=False)
    splits: Mapping[Split, Sequence[Example]] = field(default_factory=dict, repr=False)
    tool_specs: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    compare: Comparator | None = None
    compare_spec: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    too_long: str = "mark"
    carries: tuple[str, ...] = ()
    errors: ErrorRules = field(default_factory=ErrorRules)

    def examples(self, split: Split) -> Sequence[Example]:
        """The examples of a split, in the order of the file; of a task as a run uses it, test is a ``HeldOut``.

        Raises UnknownName.
        """
        if split == "screen" and split not in self.splits:
            return ()  # only a run keeps some of train apart
        if split not in self.splits:
            raise UnknownName("split", split, self.splits)
        return self.splits[split]

    def divided(self, *, weights: bool = True, fresh: int = 0) -> Task:
        """The same task as a run uses it: its train split without the screen, which no method is shown, and its test split so
        that it can be put away.

        Args:
            weights: whether the run may change weights; without explicit fractions the gate gets more examples where not.
            fresh: above 0, train and gate are drawn anew, differently for each number; test stays.

        Raises:
            TaskError: if a split is empty, or the gate too small to accept anything.
        """
        splits: dict[Split, Sequence[Example]] = dict(self.splits)
        if self.fractions is not None:
            graded = bool(self.checker.graded)
            splits.update(self.fractions.divide(self.pool, self.gate["alpha"], weights=weights, fresh=fresh, graded=graded))
        splits["train"], splits["screen"] = screened(
            splits["train"], self.fractions.screen if self.fractions is not None else None
        )
        if not isinstance(splits["test"], HeldOut):
            splits["test"] = HeldOut(splits["test"])
        return replace(self, splits=splits)

    @property
    def pool(self) -> tuple[Example, ...]:
        """All examples, split by split."""
        return tuple(e for part in self.splits.values() for e in part)

    @cached_property
    def questions(self) -> str:
        """Hash of the questions alone, in whatever order and splits: what earlier runs may have seen of this task."""
        return digest(sorted(question_key(e.input) for e in self.pool))

    def demonstrate(self, example: Example) -> str | None:
        """An answer to imitate: the target, where it is one to the checker."""
        return self.checker.answer(example)

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
            **({"program": dict(self.program)} if self.program else {}),
            "checker": self.checker.spec(),
            "critics": [c.spec() for c in self.critics],
            "tools": dict(self.tool_specs),
            **({"compare": dict(self.compare_spec)} if self.compare_spec else {}),
            **({"too_long": self.too_long} if self.too_long != "mark" else {}),
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
            "model": self.model if isinstance(self.model, str) else dict(self.model),
            **({"others": {r: m if isinstance(m, str) else dict(m) for r, m in self.others.items()}} if self.others else {}),
            "fingerprint": self.fingerprint,
            "questions": self.questions,
        }


