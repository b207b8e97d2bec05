"""Arms by name: who is there, who is offered in an ask, and proposals from places to names and back.

A Learner counts its arms from 0. A specification whose ``arms`` is a list of names gives them names; the learner is still told
how many there are, and its state knows places alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Preference


def names_in(spec: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the arms, None where they are only counted. Raises InputError for names that are none, or given twice."""
    arms = spec.get("arms")
    if not isinstance(arms, list | tuple):
        return None
    for name in arms:
        checked_name(name, "the name of an arm")
    if len(set(arms)) != len(arms):
        twice = sorted({name for name in arms if arms.count(name) > 1})
        raise InputError(f"every arm has a name of its own; given twice: {', '.join(twice)}")
    return tuple(arms)


def checked_name(name: Any, what: str) -> str:
    """Raises InputError for what is no short text, or one that cannot be stored."""
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise InputError(f"{what} is a text of 1 to 200 characters, got {name!r}")
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise InputError(f"{what} is a text that UTF-8 can hold, got half a character in {name!r}")
    return name


def counted(spec: Mapping[str, JsonValue], names: Sequence[str] | None) -> dict[str, JsonValue]:
    """The specification as a Learner reads it."""
    return dict(spec) if names is None else {**spec, "arms": len(names)}


def place_of(name: Any, names: Sequence[str]) -> int:
    """Raises UnknownName with the near ones."""
    if name not in names:
        raise UnknownName("arm", str(name), names)
    return names.index(name)


def offered(arms: Iterable[Any], names: Sequence[str] | None, count: int) -> list[int]:
    """The places, ascending, of the arms that are offered, by name, or by place where they have none. Raises InputError."""
    arms = arms if isinstance(arms, str) else [arm.item() if hasattr(arm, "item") else arm for arm in arms]  # numpy's, too
    if isinstance(arms, str) or not arms:
        raise InputError(f"expected a list of the arms that are offered, at least one, got {arms!r}")
    if names is not None:
        places = [place_of(name, names) for name in arms]
    else:
        odd = [arm for arm in arms if isinstance(arm, bool) or not isinstance(arm, int) or not 0 <= arm < count]
        if odd:
            raise InputError(
                f"the arms here are counted from 0 to {count - 1}, got {odd[0]!r}; for arms by name give the specification "
                'their names: {"arms": ["red", "blue"], ...}'
            )
        places = arms
    if len(set(places)) != len(places):
        raise InputError(f"an arm is offered once, got {arms!r}")
    return sorted(places)


def check_proposal(proposal: Any, names: Sequence[str] | None, count: int) -> None:
    """Raises InputError for a proposal that speaks of other arms than there are."""
    parts = proposal if isinstance(proposal, list) else list(proposal.values()) if isinstance(proposal, dict) else [proposal]
    for part in parts:
        if isinstance(part, list | dict):
            check_proposal(part, names, count)
        else:
            offered([part], names, count)


def by_place(feedback: Any, proposal: Any) -> Any:
    """A preference that names the two arms of its proposal, as one that names their places, "0" and "1"."""
    if not isinstance(feedback, Preference) or not isinstance(proposal, list) or set(proposal) & {"0", "1"}:
        return feedback
    if len(proposal) != 2 or {feedback.chosen, feedback.rejected} != set(proposal):
        return feedback
    places = {name: str(place) for place, name in enumerate(proposal)}
    shown = None if feedback.shown is None else tuple(places[name] for name in feedback.shown)
    return feedback.model_copy(
        update={"chosen": places[feedback.chosen], "rejected": places[feedback.rejected], "shown": shown}
    )


def renamed(proposal: Any, names: Sequence[Any]) -> Any:
    """A proposal with the place of every arm in it replaced by ``names[place]``; in lists and dicts, too."""
    if isinstance(proposal, bool) or proposal is None or isinstance(proposal, str | float):
        return proposal
    if isinstance(proposal, int):
        return names[proposal]
    if isinstance(proposal, Mapping):
        return {key: renamed(value, names) for key, value in proposal.items()}
    return [renamed(value, names) for value in proposal]


def placed(proposal: Any, names: Sequence[str]) -> Any:
    """The inverse of ``renamed`` for arms that have names. Raises UnknownName."""
    if isinstance(proposal, str):
        return place_of(proposal, names)
    if isinstance(proposal, Mapping):
        return {key: placed(value, names) for key, value in proposal.items()}
    return [placed(value, names) for value in proposal]


def arms_of(proposal: Any) -> set[str]:
    """The arms that a proposal by name speaks of."""
    if isinstance(proposal, str):
        return {proposal}
    parts = proposal.values() if isinstance(proposal, Mapping) else proposal
    return set().union(*(arms_of(part) for part in parts))
