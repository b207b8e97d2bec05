"""From a ``[checker]`` or ``[[critics]]`` table to a critic: one row a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from loopwright.core.errors import UnknownName
from loopwright.core.feedback import Feedback
from loopwright.core.registry import all_recipes, get_recipe
from loopwright.core.types import Example, Rollout, digest
from loopwright.core.world import Critic
from loopwright.critics import kinds
from loopwright.critics.parts import target_text
from loopwright.critics.python import PythonCritic
from loopwright.critics.section import Section

if TYPE_CHECKING:
    from loopwright.core.context import Context

Role = Literal["checker", "critic"]


def _nothing(example: Example) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class BuiltCritic:
    """A critic with what a run records of it.

    version: hash of the kind, its options and the files it reads: the same version judges the same way.
    problem: why this critic cannot judge an example, or "". answer: the right answer that an example's target shows, or None.
    graded: whether its scores may lie between 0 and 1; None where only what it says will tell. sandbox: whether it runs code of
    answers.
    """

    kind: str
    options: dict[str, JsonValue]
    version: str
    judge: Critic = field(repr=False)
    problem: Callable[[Example], str] = field(default=_nothing, repr=False)
    role: Role = "checker"
    answer: Callable[[Example], str | None] = field(default=target_text, repr=False)
    graded: bool | None = None
    sandbox: bool = False

    async def ready(self) -> None:
        """Raises CheckerError where it is known before the first answer that it can judge none."""
        if isinstance(self.judge, PythonCritic):
            await self.judge.ready()

    async def __call__(self, rollout: Rollout, ctx: Context) -> Feedback | tuple[Feedback, ...]:
        if self.role == "critic":
            # The context hides the target already; a critic called with the whole example must not see it either.
            rollout = rollout.model_copy(update={"example": rollout.example.hidden()})
        return await self.judge(rollout, ctx)

    def spec(self) -> dict[str, JsonValue]:
        return {"kind": self.kind, "options": self.options, "version": self.version}


def build_critic(
    kind: str,
    options: Mapping[str, Any],
    folder: Path,
    where: str | Callable[[str], str] = "options",
    *,
    role: Role = "checker",
    name: str = "",
) -> BuiltCritic:
    """The critic that a table describes. ``options`` are its fields without ``kind``; ``folder`` is where files are.

    where: where the table stands, for messages; a function gets the name of a field. name: the table's, for messages.
    role: a ``critic`` speaks when the product is used, so it must do without the target.

    Raises UnknownName for a kind that does not exist, TaskError for its options.
    """
    if kind not in kinds.KINDS:
        return _recipe(kind, options, role)
    place = where if callable(where) else lambda field: where
    section = Section(name, options, place)
    parts = kinds.KINDS[kind](section, Path(folder), role)
    section.close()
    if role == "critic" and parts.needs_target:
        raise section.fail(
            "kind",
            f"{kind!r} compares with the target, and critics speak when there is none; expected one of "
            f"{', '.join(sorted(kinds.TARGETLESS))}. Move it to [checker], or {parts.instead}",
        )
    plain = dict(parts.options)
    version = digest([kind, plain, role, parts.files])
    return BuiltCritic(
        kind=kind, options=plain, version=version, judge=parts.judge,
        problem=parts.problem or _nothing, role=role, answer=parts.answer, graded=parts.graded,
        sandbox=parts.sandbox,
    )  # fmt: skip


def _recipe(slug: str, options: Mapping[str, Any], role: Role) -> BuiltCritic:
    """A critic that is a recipe, by its slug or ``module:name``. Raises UnknownName, InputError for its options."""
    known = [s for s, recipe in all_recipes().items() if recipe.card.shape == "critic"]
    if slug not in known and ":" not in slug:
        raise UnknownName("kind of critic", slug, [*kinds.KINDS, *known])
    recipe = get_recipe(slug)
    settings = recipe.settings(options)

    async def judge(rollout: Rollout, ctx: Context) -> Feedback | tuple[Feedback, ...]:
        ctx.recipe = recipe  # what it may touch is what its card declares
        said: Feedback | tuple[Feedback, ...] = await recipe(rollout, ctx, **settings)
        return said

    version = digest([slug, settings, role])
    return BuiltCritic(
        kind=slug, options=settings, version=version, judge=judge, role=role, sandbox="sandbox" in recipe.card.needs
    )
