"""A world of one question: what an artifact answers in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout
from loopwright.core.world import Critic, Split, Tool


async def no_checker(rollout: Rollout, ctx: Context) -> Feedback:
    raise InputError("there is no target to check an answer against here")


@dataclass(frozen=True)
class Single:
    """No examples and no objective; the critics and tools that the artifact's Solver may call."""

    name: str
    sampling: Sampling
    fingerprint: str = ""
    prompt: Prompt = Prompt()
    checker: Critic = no_checker
    critics: Sequence[Critic] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)
    text_tokens: int = 0

    @classmethod
    def from_artifact(cls, manifest: Mapping[str, Any], task: Path | None = None) -> Single:
        """The world of an artifact.

        Args:
            manifest: of the artifact.
            task: a folder with what its Solver needs of a task, if it has one: critics and tools. Nothing else in it is read.

        Raises:
            InputError: critics, tools or a world that cannot be made.
        """
        sampling = Sampling.model_validate(manifest["sampling"])
        if "world" in manifest:
            from loopwright.worlds.named import named_world

            world = named_world(manifest["world"])
            return cls(world.name, sampling, critics=world.critics, tools=world.tools, text_tokens=world.text_tokens)
        if task is None:
            return cls(name=manifest["task"], sampling=sampling)
        from loopwright.worlds.equipment import load_equipment

        given = load_equipment(task)
        return cls(manifest["task"], sampling, critics=given.critics, tools=given.tools, text_tokens=given.text_tokens)

    def examples(self, split: Split) -> Sequence[Example]:
        return ()

    def example(self, question: JsonValue) -> Example:
        return Example(id="question", input=question)
