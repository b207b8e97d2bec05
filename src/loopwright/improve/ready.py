"""What a run needs besides its model: found missing before the first call is paid for, not after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopwright.core.errors import SandboxError
from loopwright.core.world import World
from loopwright.critics.registry import BuiltCritic
from loopwright.improve.portfolio import Method
from loopwright.worlds.tools import python


async def make_ready(task: World, checker: object, methods: Sequence[Method], sandbox: Any) -> None:
    """Start what judges the answers, and a sandbox where code will be run.

    Args:
        task: whose critics and tools are looked at.
        checker: its checker.
        methods: that will be tried.
        sandbox: where code would run.

    Raises:
        CheckerError: a checker of the user's own cannot be loaded.
        SandboxError: code will be run, and none can be; SandboxMissing where there is no isolation here.
    """
    judges = [judge for judge in (checker, *task.critics) if isinstance(judge, BuiltCritic)]
    for judge in judges:
        await judge.ready()
    run = [f"the {judge.role} ({judge.kind})" for judge in judges if judge.sandbox]
    run += ["the tool python"] if python in task.tools.values() else []
    run += [method.slug for method in methods if "sandbox" in method.recipe.card.needs]
    if not run:
        return
    try:
        await sandbox.run("pass")
    except SandboxError as error:
        raise type(error)(f"code is run here by {', '.join(run)}; nothing was asked of the model yet. {error}") from None


__all__ = ["make_ready"]
