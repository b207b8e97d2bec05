"""A Learner inside a service: feedback is converted where that is lawful, and no id is ever given twice."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from loopwright.blocks.convert import converter
from loopwright.core import learner as core
from loopwright.core.feedback import Feedback
from loopwright.core.learner import Learner
from loopwright.core.types import MadeBy


class Session(core.Session):
    """A Learner in use in a service.

    Feedback of another kind than the learner learns from is converted where that is lawful (``blocks.convert``); where it is
    not, it is refused with both kinds named, and the trial stays open. Ids are drawn anew in every process, so feedback that is
    late for one trial is never taken for feedback on another, also where the service began again without a snapshot or with an
    old one. When a trial was asked is kept, so that ``expire`` can close those that nobody will answer.

    Args:
        learner: what a recipe makes, such as ``get_recipe("lin-ucb")(alpha=0.5)``.
        spec: what the learner must know at the start, such as ``{"arms": ["red", "blue"], "dimensions": 5}``. ``arms`` is how
            many there are, or the list of their names, by which they are then proposed.
        seed: of the draws.
        convert: turns feedback into a kind the learner learns from, in place of the conversion by default.
        ids: a text from which, with the seed, ids are made; None draws one.
        clock: seconds; for ``expire``.

    Raises:
        InputError: for a specification that the learner cannot use.
    """

    def __init__(
        self,
        learner: Learner,
        spec: Mapping[str, Any],
        *,
        seed: int = 0,
        convert: Callable[[Feedback], Feedback] | None = None,
        ids: str | None = None,
        clock: Callable[[], float] | None = time.time,
    ) -> None:
        made_by = getattr(learner, "made_by", MadeBy())
        super().__init__(
            learner, spec, seed=seed, convert=convert or converter(made_by.learns_from),
            ids=secrets.token_hex(16) if ids is None else ids, clock=clock,
        )  # fmt: skip
