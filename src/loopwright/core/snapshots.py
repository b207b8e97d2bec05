"""Whether a snapshot of a session belongs to a learner, and can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.state import FORMAT
from loopwright.core.types import MadeBy


def check_snapshot(made_by: MadeBy, snapshot: Any) -> None:
    """Raises InputError for a snapshot that is none, is newer than this version, or does not belong to the learner.

    Snapshots of earlier versions tell less.
    """
    if not isinstance(snapshot, Mapping):
        kind = type(snapshot).__name__
        raise InputError(f"a snapshot is the dict that Session.snapshot gave (json.loads of its text); got {kind}")
    lacking = [name for name in ("spec", "seed", "asked", "state", "open") if name not in snapshot]
    if lacking:
        raise InputError(f"this is no snapshot of a Session: it lacks {', '.join(lacking)}")
    version = snapshot.get("version", 1)
    if not isinstance(version, int) or version > FORMAT:
        raise InputError(
            f"this snapshot was written by a newer Loopwright: it has version {version}, this one reads up to {FORMAT}. Upgrade "
            "with: pip install --upgrade loopwright"
        )
    recipe, options = snapshot.get("recipe"), snapshot.get("options", {})
    if not recipe or not made_by.recipe:
        return
    if recipe != made_by.recipe:
        raise InputError(
            f"this snapshot is of {recipe}, got {made_by.recipe}; restore it with get_recipe({recipe!r})(...)"
        )
    here = made_by.options
    other = {name: value for name, value in options.items() if name in here and here[name] != value}
    if other:
        said = ", ".join(f"{name}={value!r}, here {here[name]!r}" for name, value in other.items())
        made = ", ".join(f"{name}={value!r}" for name, value in other.items())
        raise InputError(
            f"this snapshot was made with other options of {recipe}: {said}; restore it with get_recipe({recipe!r})({made}, ...) "
            "or leave its 'options' out to go on with those given"
        )
