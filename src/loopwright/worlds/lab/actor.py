"""Programs in a model's place: each plays the roles of a method, known by words of their prompts, and errs at stated rates.

Such a program reads what it is sent and nothing else: no target, no arm of a claim, nothing of earlier calls. What it does in one
call is one step of thought; what came of it helps later calls only where the method shows it to them. So a claim that is played
by one says whether a method brings what a model needs to the place where it needs it, and keeps what is good of what comes back;
not how well a language model would play.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loopwright.core.model import Blobs, Request
from loopwright.core.types import Turn, digest
from loopwright.models.scripted import ScriptedModel

T = TypeVar("T")


@dataclass(frozen=True)
class Sent:
    """What one call is sent, and its luck: at temperature 0 that of the texts alone, else of the call's seed too."""

    turns: tuple[Turn, ...]
    rng: random.Random

    @property
    def last(self) -> str:
        return self.turns[-1].text

    @property
    def system(self) -> str:
        return "\n".join(t.text for t in self.turns if t.role == "system")

    @property
    def question(self) -> str:
        """The first thing that was asked, with whatever instruction the prompt puts around it."""
        return next((t.text for t in self.turns if t.role == "user"), "")

    @property
    def told(self) -> list[str]:
        """All that was said to it but by the system, in order."""
        return [t.text for t in self.turns if t.role == "user"]

    @property
    def own(self) -> list[str]:
        """What it said itself before."""
        return [t.text for t in self.turns if t.role == "assistant"]

    def slips(self, rate: float) -> bool:
        return self.rng.random() < rate

    def noticed(self, things: Sequence[T], overlooked: float) -> list[T]:
        """Those of the things that are not overlooked."""
        return [thing for thing in things if not self.slips(overlooked)]


Role = Callable[[Sent], str]


def cast(name: str, version: int, roles: Mapping[str, Role]) -> Callable[[Blobs | None], ScriptedModel]:
    """A model, for ``worlds.registry``, that plays the first role whose words are in the last message. "" fits any message.

    version: raise it when an answer changes, so that no answer of the old one is taken from a cache.
    """

    def play(request: Request, index: int) -> str:
        texts = [t.text for t in request.turns]
        luck = [request.seed, index] if request.sampling.temperature else []
        sent = Sent(request.turns, random.Random(digest([*luck, texts])))
        role = next((role for words, role in roles.items() if words in sent.last), None)
        return role(sent) if role is not None else ""

    def model(blobs: Blobs | None = None) -> ScriptedModel:
        return ScriptedModel(play, name=name, fingerprint=digest([name, version]))

    return model
