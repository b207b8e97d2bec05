"""Real digits to imitate, and the autoencoder that learns them: what generations of models do to each other can be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import CODE, Feedback, Score
from loopwright.core.model import Blobs, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Candidate, Example, Rollout, digest
from loopwright.core.world import Critic, Split, Tool
from loopwright.worlds.generators.arrays import Array, from_text, to_text
from loopwright.worlds.generators.digits import SIDE, digits, picture, reader
from loopwright.worlds.generators.model import Generator, named

if TYPE_CHECKING:
    from loopwright.worlds.generators.vae import Autoencoder

QUESTION = "Draw a digit."


@dataclass(frozen=True)
class DigitPictures:
    """A World of real digits to imitate. figure: what the evidence bound of held-out digits falls short of 0 by, nats a picture.

    rows: train examples, at most 1,297.
    """

    rows: int = 500
    name: str = "digit-pictures"
    prompt: Prompt = Prompt()
    sampling: Sampling = Sampling(max_tokens=1)
    critics: Sequence[Critic] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return digest([self.name, self.rows])

    def examples(self, split: Split) -> Sequence[Example]:
        held = digits(held_out=True)
        found = {"train": digits().x[: self.rows], "gate": held.x[:250], "test": held.x[250:]}[split]
        return [Example(id=f"{split}-{i}", input=QUESTION, target=to_text(x)) for i, x in enumerate(found)]

    def picture(self, output: str) -> Array:
        return picture(output)

    async def checker(self, rollout: Rollout, ctx: Context) -> Feedback:
        """How sure a logistic regression is of the digit it reads: near 1 for a clear one."""
        drawn = from_text(rollout.output, SIDE * SIDE)
        return Score(value=float(reader()(drawn[None])[0].max()), by=CODE)

    async def figure(self, candidate: Candidate, ctx: Context) -> float:
        found = await ctx.forward(candidate, ctx.demonstrations(self.examples("test")), "logprobs")
        return -float(np.mean([row[0] for row in found]))


def digit_pictures(rows: int = 500) -> DigitPictures:
    """Handwritten digits to imitate. Raises InputError for more than there are."""
    most = len(digits().x)
    if not 1 <= rows <= most:
        raise InputError(f"rows: expected 1 to {most} digits to learn from, got {rows}")
    return DigitPictures(rows)


def autoencoder(blobs: Blobs, *, seed: int = 0) -> Generator:
    """The untrained autoencoder that ``digit-pictures`` is learned by."""

    def network() -> Autoencoder:
        from loopwright.worlds.generators.vae import Autoencoder

        return Autoencoder(SIDE * SIDE, seed=seed)

    return Generator(blobs, network, name="digits-vae", fingerprint=named(["digits-vae", seed, 1]))
