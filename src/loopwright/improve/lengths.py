"""Examples whose prompt does not fit the model's context: found before anything is measured, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from loopwright.core.errors import InputError
from loopwright.core.model import Limited, Model, Request
from loopwright.core.policy import prompt_of
from loopwright.core.types import Candidate, Example
from loopwright.core.world import Split, World
from loopwright.worlds.held_out import HeldOut, held_out

SPLITS: tuple[Split, ...] = ("train", "screen", "gate", "test")
GAP = " [...] "  # stands where the middle of an input was left out
_NAMED = 8  # examples that a message names


class Fitted(NamedTuple):
    """A world whose examples were looked at, and what is to be said of those that were too long; "" of none."""

    world: Any
    message: str


@dataclass(frozen=True)
class _Changed:
    """A world with other examples."""

    of: World
    splits: dict[Split, Sequence[Example]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def examples(self, split: Split) -> Sequence[Example]:
        return self.splits[split]


def _with(world: Any, splits: Mapping[Split, tuple[Example, ...]]) -> _Changed:
    """The world with these examples; where its test split can be put away, so can this one."""
    changed: dict[Split, Sequence[Example]] = dict(splits)
    if held_out(world):
        changed["test"] = HeldOut(splits["test"])
    return _Changed(world, changed)


def fitted(world: Any, model: Model, base: Candidate, policy: str = "mark") -> Fitted:
    """Look whether every example fits the model's context with the prompt that a run begins with.

    A model that cannot tell (a server that says so only when it is asked) lets everything pass, and so does a program, whose
    prompts nobody knows beforehand; what turns out to be too long then is answered with nothing.

    Args:
        world: whose examples.
        model: that answers.
        base: what the run begins with.
        policy: ``mark``: it stays, and its answer is ""; ``drop``: it is left out; ``truncate``: the middle of its input is left
            out, where that is text; ``stop``: the run does not begin.

    Returns:
        The world to run on, and a warning that names the examples.

    Raises:
        InputError: the policy is to stop and an example is too long, or dropping leaves a split without examples.
    """
    if not isinstance(model, Limited) or base.parts.get("solver"):
        return Fitted(world, "")
    prompt = prompt_of(base)

    def too_long(example: Example) -> str:
        error = model.too_long(Request(turns=prompt.render(example), sampling=world.sampling))
        return str(error) if error is not None else ""

    splits = {split: tuple(world.examples(split)) for split in SPLITS}
    why = {e.id: said for part in splits.values() for e in part if (said := too_long(e))}
    if not why:
        return Fitted(world, "")
    total = sum(map(len, splits.values()))
    named = ", ".join(list(why)[:_NAMED]) + (", ..." if len(why) > _NAMED else "")
    what = f"{len(why)} of {total} examples do not fit the context ({named}): {next(iter(why.values()))}"
    if policy == "stop":
        raise InputError(f'{what}. Shorten them, or write [prompt] too_long = "mark", "drop" or "truncate"')
    if policy == "mark":
        return Fitted(world, f'{what}. Each counts as the answer ""; [prompt] too_long = "drop" or "truncate" changes that')
    if policy == "drop":
        kept = {split: tuple(e for e in part if e.id not in why) for split, part in splits.items()}
        if empty := [split for split in kept if splits[split] and not kept[split]]:
            raise InputError(f"{what}. Without them the {empty[0]} split is empty; shorten them")
        return Fitted(_with(world, kept), f"{what}. They are left out")
    cut = {e.id: _cut(e, too_long) for part in splits.values() for e in part if e.id in why}
    still = sum(bool(too_long(e)) for e in cut.values())
    rest = f', except {still} that no cut makes fit, which count as the answer ""' if still else ""
    changed = {split: tuple(cut.get(e.id, e) for e in part) for split, part in splits.items()}
    return Fitted(_with(world, changed), f"{what}. The middle of their input is left out{rest}")


def _cut(example: Example, too_long: Any) -> Example:
    """The example with as much of both ends of its input as fits; itself where the input is no text or nothing helps."""
    text = example.input
    if not isinstance(text, str):
        return example

    def with_kept(size: int) -> Example:
        head, tail = -(-size // 2), size // 2
        return example.model_copy(update={"input": text[:head] + GAP + text[len(text) - tail :]})

    low, high = 0, len(text)  # what fits, what does not
    if too_long(with_kept(0)):
        return example
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if too_long(with_kept(middle)) else (middle, high)
    return with_kept(low)

