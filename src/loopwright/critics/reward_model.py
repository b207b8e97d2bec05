"""A published reward model as critic: what people would prefer, as far as it was taught."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from loopwright.core.errors import InputError, ModelError, ModelNotFound
from loopwright.core.extras import MissingExtra
from loopwright.core.feedback import Feedback, Missing, Rater, Score
from loopwright.core.fences import without_thinking
from loopwright.core.seen import worst
from loopwright.core.types import Rollout
from loopwright.core.world import Critic
from loopwright.critics.parts import Parts
from loopwright.critics.section import Section

if TYPE_CHECKING:
    from loopwright.core.context import Context
    from loopwright.models.reward import RewardModel


def reward_model(model: RewardModel, *, center: float = 0.0, scale: float = 1.0, version: str = "") -> Critic:
    """A Score of sigmoid((reward - center) / scale), in (0, 1), with the reward itself in its message.

    A reward model of Bradley and Terry knows rewards up to a constant; at scale 1 the score is the chance that the answer is
    preferred to one of the reward ``center``, so that is where "good enough" lies. What does not fit the model is Missing.
    version: of the weights, for whoever reads the feedback later; another version is another rater.
    """
    by = Rater(kind="model", name=f"reward-model/{model.folder.name}", version=version[:12])

    async def ask(rollout: Rollout, ctx: Context) -> Feedback:
        if rollout.unanswered:
            return worst(rollout)
        question, answer = rollout.example.question, without_thinking(rollout.output)

        async def read() -> bytes:
            try:
                return json.dumps({"reward": await model.reward(question, answer)}).encode()
            except InputError as error:
                return json.dumps({"problem": str(error)}).encode()

        content = [model.folder.name, version, question, answer]
        said = json.loads(await ctx.external("reward", content, read, summary=f"reward of {rollout.example.id}"))
        if "problem" in said:
            return Missing(expected="score", message=said["problem"], by=by)
        steep = (said["reward"] - center) / scale
        value = 1.0 / (1.0 + math.exp(-steep)) if steep >= 0 else math.exp(steep) / (1.0 + math.exp(steep))
        return Score(value=value, by=by, message=f"reward {said['reward']:.3f}")

    return ask


def reward_parts(section: Section, folder: Path, role: str) -> Parts:
    """kind = "reward-model" of a task file."""
    path = folder / Path(section.text("folder", hint='folder = "path/to/reward-model"')).expanduser()
    center, scale = float(section.number("center", 0.0)), float(section.number("scale", 1.0, low=0.0, above=True))
    from loopwright.models.reward import RewardModel

    try:
        model = RewardModel(path)
        version = model.fingerprint
    except (ModelError, ModelNotFound, MissingExtra) as error:
        raise section.fail("folder", str(error)) from None
    return Parts(
        reward_model(model, center=center, scale=scale, version=version),
        {"folder": str(section.data["folder"]), "center": center, "scale": scale},
        files={"weights": hashlib.sha256(version.encode()).hexdigest()},
        graded=True,
    )
