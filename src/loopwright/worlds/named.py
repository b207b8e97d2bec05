"""A world by name as a task: what a run can be made of without a folder."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import JsonValue

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Budget, Example, digest
from loopwright.core.world import Comparator, Critic, Picture, Split, Stream, Tool, World, demonstration
from loopwright.worlds.registry import known_world
from loopwright.worlds.split import question_key, screened


@dataclass(frozen=True, eq=False)
class NamedWorld:
    """A World of ``worlds.registry`` with what a job asks of a Task beside. Made by ``named_world``.

    spelled: the name with its options, which makes the same world again. model: the one it is meant for, as ``models.load``
    takes it, or "". others: of roles that it is not to play.
    """

    spelled: str
    made: World
    model: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    gate: Mapping[str, float] = field(default_factory=lambda: {"alpha": 0.05, "min_effect": 0.01})
    methods: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    screens: bool = False  # whether a part of train is kept from methods, as the screen

    @property
    def name(self) -> str:
        return self.made.name

    @property
    def prompt(self) -> Prompt:
        return self.made.prompt

    @property
    def sampling(self) -> Sampling:
        return self.made.sampling

    @property
    def checker(self) -> Critic:
        return self.made.checker

    @property
    def critics(self) -> Sequence[Critic]:
        return self.made.critics

    @property
    def tools(self) -> Mapping[str, Tool]:
        return self.made.tools

    @property
    def solver(self) -> Mapping[str, JsonValue] | None:
        return getattr(self.made, "solver", None)

    @property
    def text_tokens(self) -> int:
        return getattr(self.made, "text_tokens", 0)

    @property
    def compare(self) -> Comparator | None:
        return getattr(self.made, "compare", None)

    def demonstrate(self, example: Example) -> str | None:
        return demonstration(self.made, example)

    @property
    def picture(self) -> Picture | None:
        return getattr(self.made, "picture", None)

    @cached_property
    def fingerprint(self) -> str:
        return self.made.fingerprint

    def examples(self, split: Split) -> Sequence[Example]:
        if self.screens and split in ("train", "screen"):
            return self._screened[split == "screen"]
        return self.made.examples(split)

    @cached_property
    def _screened(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        return screened(self.made.examples("train"))

    def divided(self, *, weights: bool = True, fresh: int = 0) -> NamedWorld:
        """The same world as a run uses it: its train split without the screen, which no method is shown.

        Args:
            weights: makes no difference: the splits of a world by name are its own.
            fresh: must be 0, for the same reason.

        Raises:
            InputError: if train and gate were to be drawn anew.
        """
        if fresh:
            raise InputError(f"{self.spelled}: the splits of a world by name are its own, so its gate cannot be drawn anew")
        return replace(self, screens=True)

    @cached_property
    def questions(self) -> str:
        """Hash of the questions alone: what earlier runs may have seen of this world."""
        splits: tuple[Split, ...] = ("train", "gate", "test")
        return digest(sorted(question_key(e.input) for split in splits for e in self.made.examples(split)))

    def spec(self) -> dict[str, JsonValue]:
        """Plain JSON: what a run records of it."""
        begun: dict[str, JsonValue] = {"solver": dict(self.solver)} if self.solver else {}
        return {
            "name": self.spelled, **begun, "prompt": self.prompt.model_dump(mode="json"), "fingerprint": self.fingerprint,
            "questions": self.questions,
        }  # fmt: skip


def named_world(spelled: str) -> NamedWorld:
    """``sums``, or with options ``lab-sums:level=2,train=100``.

    Raises UnknownName for a name or option that does not exist, InputError for a world that is a stream, or one that has
    nothing to learn, prove or measure on.
    """
    made, model = _made(spelled)
    if not hasattr(made, "examples"):
        raise InputError(f"{made.name} is a stream for learners, without examples; a learner runs on it: loopwright list")
    empty = [split for split in ("train", "gate", "test") if not made.examples(split)]
    if empty:
        raise InputError(f"{spelled} has no examples in {', '.join(empty)}")
    if callable(model):
        model = f"world:{spelled.partition(':')[0].strip()}"
    if isinstance(model, Mapping):
        model = f"{model['backend']}:{model['path']}"
    return NamedWorld(spelled, made, model)


def named_stream(spelled: str) -> Stream:
    """A stream for Learners: ``bandit``, or with options ``arms:arms=10,change=500``.

    Raises UnknownName for a name or option that does not exist, InputError for a world of examples.
    """
    made, _ = _made(spelled)
    if not hasattr(made, "respond"):
        raise InputError(f"{spelled} is a world of examples, not a stream; learners run on streams such as bandit, arms or duels")
    found: Stream = made
    return found


def _made(spelled: str) -> tuple[Any, Any]:
    """The world or stream, and the model that it is meant for."""
    name, _, rest = spelled.partition(":")
    known = known_world(name.strip())
    options = _options(name, rest)
    accepted = inspect.signature(known.make).parameters
    for option in options:
        if option not in accepted:
            raise UnknownName(f"option of the world {name}", option, accepted)
    return known.make(**options), known.model


def _options(name: str, text: str) -> dict[str, Any]:
    """Values as JSON where they are that, else as text."""
    options: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"world {name}: expected options such as {name}:option=value,option=value, got {item!r}")
        try:
            options[key.strip()] = json.loads(value)
        except ValueError:
            options[key.strip()] = value.strip()
    return options
