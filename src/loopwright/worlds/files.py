"""Tasks as folders: ``load_task`` reads ``task.toml``, checks everything in it, and gives a World.

Nothing here calls a model. Every mistake is a TaskError that names the file, the line and the field, and says what was
expected, what arrived and what to type next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopwright.core.beside import files_of, use_folder
from loopwright.core.errors import InputError, TaskError, UnknownName
from loopwright.core.failing import ErrorRules
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget
from loopwright.critics import BuiltCritic, build_critic, schema
from loopwright.critics.judges import build_comparator
from loopwright.critics.kinds import KINDS
from loopwright.critics.registry import Role
from loopwright.critics.section import Section, kind_of, near, not_plain, shown
from loopwright.worlds.examples import Located, generated_examples, read_examples
from loopwright.worlds.inputs import check_template
from loopwright.worlds.model_table import read_models
from loopwright.worlds.split import Fractions
from loopwright.worlds.task import TEXT_TOKENS, TOO_LONG, Task
from loopwright.worlds.toml_file import TomlFile, validated
from loopwright.worlds.tools import read_tools

__all__ = ["Task", "load_task"]

_TABLES = (
    "prompt", "solver", "answer", "texts", "examples", "split", "checker", "compare", "tools", "budget", "gate", "errors",
    "artifact",
)  # fmt: skip
_PROMPT_FIELDS = ("system", "instruction", "template")


def load_task(folder: Path | str) -> Task:
    """The task in a folder (or the path of its ``task.toml``). Raises TaskError."""
    path = Path(folder).expanduser()
    if not path.exists():
        raise TaskError(str(path), "no such folder; give the path of a folder with a task.toml")
    file = TomlFile(path / "task.toml" if path.is_dir() else path)
    folder = file.path.parent
    use_folder(folder)
    top = file.section("")
    name = top.text("name", hint=f'name = "{folder.resolve().name}"')
    if not name.strip():
        raise top.fail("name", f'expected a name, got {name!r}; write name = "{folder.resolve().name}"')
    description = top.text("description", "")
    top.has("model")
    for table in (*_TABLES, "critics", "methods"):
        top.has(table)
    top.close()

    model, others = read_models(file)
    gate = _gate(file.section("gate"))
    checker = _checker(file, folder)
    critics = read_critics(file, folder)
    compared = build_comparator(file.section("compare"))
    located = _examples(file.section("examples"), folder)
    for place, example in located:
        for critic in (checker, *critics):
            if problem := critic.problem(example):
                raise TaskError(place, problem)
    prompt = _prompt(file.section("prompt"), located)
    fractions = Fractions(file.section("split"))
    splits = fractions.divide([example for _, example in located], gate["alpha"], graded=bool(checker.graded))
    tools, tool_specs = read_tools(file.section("tools"), folder)
    return Task(
        errors=_errors(file.section("errors")),
        too_long=file.section("prompt").choice("too_long", TOO_LONG, "mark"),
        name=name, description=description, model=model, others=others, folder=folder,
        prompt=prompt, solver=(solver := _solver(file)), program=_program(solver),
        sampling=(sampling := _sampling(file.section("answer"))), text_tokens=_text_tokens(file.section("texts"), sampling),
        checker=checker, critics=critics, tools=tools, tool_specs=tool_specs,
        compare=compared[0] if compared else None, compare_spec=compared[1] if compared else {},
        budget=validated(Budget, file.section("budget")),
        gate=gate, carries=_carries(file.section("artifact"), folder), methods=_methods(file), fractions=fractions, splits=splits,
    )  # fmt: skip


def _gate(section: Section) -> dict[str, float]:
    alpha = float(section.number("alpha", 0.05, low=0.0, high=0.5, above=True))
    effect = float(section.number("min_effect", 0.01, low=0.0, high=1.0))
    planned, graded = section.whole("planned", None, low=1), section.flag("graded", None)
    goal = section.choice("goal", ("better", "not-worse"), "better")
    if goal == "better" and section.has("margin"):
        raise section.fail("margin", 'a margin is how much worse may be; it goes with goal = "not-worse"')
    margin = float(section.number("margin", 0.05, low=0.001, high=0.5))
    section.close()
    return {
        "alpha": alpha, "min_effect": effect, **({"margin": margin} if goal == "not-worse" else {}),
        **({"planned": planned} if planned is not None else {}), **({"graded": graded} if graded is not None else {}),
    }  # fmt: skip


def _errors(section: Section) -> ErrorRules:
    given = {name: section.data[name] for name in ("fail_on_error", "retry_on_error") if section.has(name)}
    section.close()
    for name, value in given.items():
        try:
            ErrorRules.checked(**{name: value})
        except InputError as error:
            raise section.fail(name, str(error)) from None
    return ErrorRules.checked(**given)


def _prompt(section: Section, located: list[Located]) -> Prompt:
    known = (*_PROMPT_FIELDS, "too_long")
    for field in section.data:
        if field not in known:
            raise section.fail(field, f"unknown field; {near(field, known)}")
    written = {name: value for name, value in section.data.items() if name != "too_long"}
    prompt = validated(Prompt, Section(section.name, written, lambda field: section.fail(field, "").where))
    check_template(section, prompt, located)
    return prompt


def _sampling(section: Section) -> Sampling:
    sampling = validated(Sampling, section, {"temperature": 0.0})
    if sampling.schema_ is not None:
        try:
            schema(sampling.schema_)
        except InputError as error:
            raise section.fail("schema", str(error)) from None
    return sampling


def _text_tokens(section: Section, sampling: Sampling) -> int:
    most: int = section.whole("max_tokens", max(TEXT_TOKENS, sampling.max_tokens), low=1)
    section.close()
    return most


def _carries(section: Section, folder: Path) -> tuple[str, ...]:
    """What an artifact with a Solver takes along beside its code."""
    names = section.texts("files", [])
    section.close()
    for name in names:
        place = folder / name
        if not place.exists() or not place.resolve().is_relative_to(folder.resolve()) or name.startswith("~"):
            raise section.fail("files", f"{name}: expected a file or folder in the task's own folder, such as \"words.csv\"")
    return tuple(names)


def _solver(file: TomlFile) -> dict[str, Any] | None:
    """Who answers to begin with, where it is not the model by itself."""
    if "solver" not in file.data:
        return None
    section = file.section("solver")
    address = section.text("recipe", hint='recipe = "my_package.my_module:my_program"')
    options = section.table("options", {})
    section.close()
    module, _, name = address.rpartition(":")
    if module.endswith(".py") and module.removesuffix(".py").isidentifier():
        address = f"{module.removesuffix('.py')}:{name}"  # the same program by either name
    try:
        recipe = get_recipe(address)
        if recipe.card.shape != "solver":
            raise InputError(f"{address} is a {recipe.card.shape}, expected a Solver")
        return {"recipe": address, "options": recipe.check(options)}
    except InputError as error:
        raise section.fail("recipe", str(error)) from None


def _program(solver: dict[str, Any] | None) -> dict[str, str]:
    return files_of(str(solver["recipe"]).rpartition(":")[0]) if solver else {}


def _build(section: Section, folder: Path, role: Role) -> BuiltCritic:
    kind = section.text("kind", hint='kind = "exact"')
    options = {k: v for k, v in section.data.items() if k != "kind"}
    try:
        return build_critic(kind, options, folder, lambda f: section.fail(f, "").where, role=role, name=section.name)
    except UnknownName:
        raise section.fail("kind", f"unknown kind {kind!r}; {near(kind, KINDS)}") from None


def _checker(file: TomlFile, folder: Path) -> BuiltCritic:
    if "checker" not in file.data:
        raise TaskError(
            str(file.path), 'no [checker]: nothing says which answers are right. Add [checker] with kind = "exact" '
            f"(kinds: {', '.join(sorted(KINDS))})"
        )  # fmt: skip
    return _build(file.section("checker"), folder, "checker")


def read_critics(file: TomlFile, folder: Path) -> tuple[BuiltCritic, ...]:
    """The critics of a task file; ``folder`` is where their files are. Raises TaskError."""
    tables = file.data.get("critics", [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        place = file.place("[critics]" if isinstance(tables, dict) else "")
        raise TaskError(place("critics"), f"critics: expected tables headed [[critics]], got {kind_of(tables)}")
    return tuple(
        _build(Section("[[critics]]", table, file.place("[[critics]]", i)), folder, "critic")
        for i, table in enumerate(tables)
    )


def _examples(section: Section, folder: Path) -> list[Located]:
    if section.has("file") == section.has("generator"):
        both = section.has("file")
        raise section.fail(
            "file" if both else "",
            f"expected file or generator, got {'both' if both else 'neither'}; "
            'write file = "examples.jsonl", or generator = "make.py:generate" with count = 200',
        )
    if section.has("generator"):
        return generated_examples(section, folder)
    path = folder / section.text("file")
    section.close()
    return read_examples(path)


def _methods(file: TomlFile) -> dict[str, dict[str, Any]]:
    """Options by recipe, without those that are switched off."""
    methods: dict[str, dict[str, Any]] = {}
    for slug, table in file.section("methods").data.items():
        place = file.place(f"[methods.{slug}]")
        section = Section(f"[methods.{slug}]", table if isinstance(table, dict) else {}, place)
        if not isinstance(table, dict):
            raise section.fail("", f"expected a table, got {kind_of(table)} {shown(table)}; write [methods.{slug}]")
        enabled = section.flag("enabled", True)
        options = {k: v for k, v in table.items() if k != "enabled"}
        if problem := not_plain(options):
            raise section.fail(problem.split(":", 1)[0], problem.split(": ", 1)[-1])
        try:
            recipe = get_recipe(slug)
            for option, value in options.items():
                try:
                    recipe.check({option: value})
                except InputError as error:
                    raise section.fail(option, str(error)) from None
        except TaskError:
            raise
        except InputError as error:
            raise section.fail("", str(error)) from None
        if enabled:
            methods[slug] = options
    return methods
