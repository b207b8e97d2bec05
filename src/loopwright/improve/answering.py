"""Using what a run left: an answer as the artifact's candidate gives it. The artifact may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from loopwright import __version__
from loopwright.core.beside import use_folder, without_modules
from loopwright.core.context import Context, solve
from loopwright.core.errors import InputError
from loopwright.core.policy import prompt_of
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget
from loopwright.core.visible import visible_line
from loopwright.improve.allowing import Trust, allow, uses_of
from loopwright.improve.artifact import MANIFEST, read_artifact, staged
from loopwright.improve.parts import models_of, store_folder
from loopwright.improve.session import driving, quiet
from loopwright.improve.untrusted import AGAIN
from loopwright.models.names import ModelName
from loopwright.store import open_store
from loopwright.worlds.single import Single

MOST = Budget(calls=1000, tokens=5_000_000)  # what one answer may take where nothing is said


def _nothing(line: str) -> None:
    pass


@contextmanager
def _in_the_artifact(task: Path | None, folder: Path) -> Iterator[None]:
    """Errors name the files in the artifact, not those of the copy that was read."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(task), str(folder / "task"))) from None


def _check(solver: Any) -> None:
    """Raises InputError for a recipe that does not exist or answers nothing, and for options that it does not take."""
    recipe = get_recipe(str(solver["recipe"]))
    if recipe.card.shape != "solver":
        raise InputError(f"solver: {recipe.slug} is {recipe.card.shape}, expected a solver; {AGAIN}")
    recipe.check(solver.get("options") or {})


async def answer_with(
    artifact: Path | str,
    question: str,
    *,
    model: ModelName | None = None,
    others: Mapping[str, ModelName] | None = None,
    trust: Trust = False,
    budget: Budget = MOST,
    store_path: Path | str = "memory:",
    unproven: bool = False,
    tell: Callable[[str], None] = _nothing,
) -> str:
    """Answer a question as the artifact's candidate would, its Solver included.

    Args:
        artifact: its folder, or the folder of the run that left it.
        question: as somebody types it.
        model: instead of the one that the artifact names. others: of the roles "judge" and "proposer".
        trust: whether the artifact may use what it asks for beyond its plain data: a server, keys, weights at a path, Python
            code. True allows all of it; a function is given what is asked for, as ``allowing.Use``, and says whether it may be.
        budget: what the answer may take; an artifact's Solver may ask a model as often as it likes.
        store_path: where the run of one answer is recorded.
        unproven: ``artifact`` is the folder of a candidate that the gate refused.
        tell: is given what the user should know of the artifact.

    Returns:
        The answer.

    Raises:
        NotAllowed: the artifact asks for what ``trust`` does not allow; nothing of it was used.
        InputError: it is no artifact, a damaged one, or the model gave no usable answer.
        BudgetExhausted: the answer would have taken more than ``budget``.
    """
    folder = Path(artifact)
    if not (folder / MANIFEST).is_file() and (folder / "artifact").is_dir() and not (folder / "artifact").is_symlink():
        folder = folder / "artifact"
    store = open_store(store_folder(store_path))
    try:
        candidate, manifest = read_artifact(folder, store.blobs, unproven=unproven)
        with staged(folder, manifest) as task, ExitStack() as kept:
            solver = "solver" in candidate.parts
            given = {role: name for role, name in (others or {}).items() if solver}
            with _in_the_artifact(task, folder):
                asked = uses_of(candidate, manifest, task if solver else None, model=model, others=given)
            allow(asked, trust)
            for line in manifest.get("left_out", ()):
                tell(f"the artifact was made without {visible_line(line)}")
            roles: dict[str, Any] = {**manifest.get("others", {}), **given} if solver else {}
            spec = {"job": "answer", "model": model or manifest["model"], "others": roles}
            runs_code = any(use.kind == "code" for use in asked)
            if runs_code:
                use_folder(task)
            if solver:
                _check(candidate.parts["solver"])
            async with models_of(spec, store, budget) as models:
                if not runs_code:
                    kept.enter_context(without_modules())
                with _in_the_artifact(task, folder):
                    world = Single.from_artifact(manifest, task if solver else None)
                row = store.create_run(spec, seed=0, budget=budget.model_dump(), code_version=__version__)
                policy = models.pop("policy")
                async with driving(store, row, policy, cache=False, progress=quiet, budget=budget, others=models) as engine:
                    ctx = Context(engine, "answer", world=world, policy=candidate, split="test")
                    rollout = await solve(candidate, world.example(prompt_of(candidate).typed(question)), ctx)
                    if rollout.status != "ok":
                        raise InputError(f"the model gave no usable answer: {rollout.error}")
                    return rollout.output
    finally:
        store.close()
