"""What may be changed in a candidate, by name: the wording of its prompt, or the parameters of its program.

A program (``loopwright.trainable``) is a Solver whose options are its parameters, so a version of it is a candidate whose
``solver`` part holds other values. A candidate without one has the texts of its prompt. Improvers that rewrite text need not
know which of the two they are given.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, JsonValue
from pydantic_core import core_schema

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Frozen
from loopwright.core.policy import prompt_of
from loopwright.core.registry import get_recipe
from loopwright.core.source import parse_python
from loopwright.core.types import Candidate

Kind = Literal["text", "number", "choice", "code"]


class Parameter(Frozen):
    """One thing that may be changed: its value now, and what it may become.

    about: what it is for, in words that an optimiser is shown. fixed: shown, and never changed. low, high: of a number, both
    included. whole: a number without fraction. among: what a choice is made of. function: the name that code defines, with
    the parameters it must keep.
    """

    kind: Kind
    value: JsonValue
    about: str = ""
    fixed: bool = False
    low: float | None = None
    high: float | None = None
    whole: bool = False
    among: tuple[JsonValue, ...] = Field(default=())
    function: str = ""
    takes: tuple[str, ...] = Field(default=())

    @property
    def constraint(self) -> str:
        """What a new value must be, in words; "" where anything of its kind will do."""
        if self.kind == "choice":
            return "one of " + ", ".join(map(repr, self.among))
        if self.kind == "code":
            return f"Python that defines {self.function}({', '.join(self.takes)}) with these very parameters"
        bounds = [f"at least {self.low:g}"] if self.low is not None else []
        bounds += [f"at most {self.high:g}"] if self.high is not None else []
        return " and ".join((["a whole number"] if self.whole else []) + bounds)

    def accept(self, value: Any) -> JsonValue:
        """The value as this parameter holds it; a number may come as text. Raises InputError that says what is expected."""
        if self.kind == "text":
            if not isinstance(value, str) or not value.strip():
                raise InputError(f"expected a text, got {value!r:.80}")
            return value.strip()
        if self.kind == "choice":
            return self._chosen(value)
        if self.kind == "code":
            return self._code(value)
        return self._number(value)

    def _chosen(self, value: Any) -> JsonValue:
        for known in self.among:
            if value == known or str(value).strip() == str(known):
                return known
        raise InputError(f"expected {self.constraint}, got {value!r:.80}")

    def _number(self, value: Any) -> JsonValue:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"expected a number, got {value!r:.80}") from None
        outside = (self.low is not None and number < self.low) or (self.high is not None and number > self.high)
        if isinstance(value, bool) or not math.isfinite(number) or outside or (self.whole and number != round(number)):
            raise InputError(f"expected {self.constraint or 'a finite number'}, got {value!r:.80}")
        return int(number) if self.whole else number

    def _code(self, value: Any) -> JsonValue:
        """Read, never run: it runs in the sandbox alone."""
        if not isinstance(value, str):
            raise InputError(f"expected Python as text, got {value!r:.80}")
        try:
            tree = parse_python(value)
        except SyntaxError as error:
            raise InputError(f"expected Python, got text that is none: {error}") from None
        found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == self.function]
        if not found:
            raise InputError(f"expected {self.constraint}; it defines no such function")
        if names_of(found[-1]) != self.takes:
            raise InputError(f"expected {self.constraint}, got ({', '.join(names_of(found[-1]))})")
        return value.strip() + "\n"


@dataclass(frozen=True, slots=True)
class Marked:
    """In an option's type (``Annotated[Any, Marked(parameter)]``): this option is a parameter, and is checked as one."""

    parameter: Parameter

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        def accept(value: Any) -> JsonValue:
            try:
                return value if value == self.parameter.value else self.parameter.accept(value)
            except InputError as error:
                raise ValueError(str(error)) from None

        return core_schema.no_info_plain_validator_function(accept)


def names_of(function: ast.FunctionDef) -> tuple[str, ...]:
    """The parameters of a function, as they are called."""
    found = function.args
    every = [*found.posonlyargs, *found.args, *found.kwonlyargs]
    every += [a for a in (found.vararg, found.kwarg) if a is not None]
    return tuple(a.arg for a in every)


def parameters_of(candidate: Candidate) -> dict[str, Parameter]:
    """By name, with the candidate's own values. Raises InputError where its Solver is no program with parameters."""
    solver = candidate.parts.get("solver")
    if not isinstance(solver, dict):
        return _of_prompt(candidate)
    recipe = get_recipe(str(solver["recipe"]))
    options = solver.get("options") or {}
    assert isinstance(options, dict)
    found = {name: spec for name, option in recipe.options.items() if (spec := _spec(option.type)) is not None}
    if not found:
        raise InputError(
            f"{recipe.slug} has no parameters to improve; write it as a program of loopwright.trainable, or start from a prompt"
        )
    return {n: s.model_copy(update={"value": options[n]}) if n in options else s for n, s in found.items()}


def _spec(kind: Any) -> Parameter | None:
    """The parameter that an option's type was marked with."""
    marks = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((m.parameter for m in marks if isinstance(m, Marked)), None)


def _of_prompt(candidate: Candidate) -> dict[str, Parameter]:
    prompt = prompt_of(candidate)
    found = {"instruction": Parameter(kind="text", value=prompt.instruction, about="said with each question")}
    if prompt.system:
        found["system"] = Parameter(kind="text", value=prompt.system, about="the system message")
    for name, text in prompt.tools.items():
        found[f"tools.{name}"] = Parameter(kind="text", value=text, about=f"documentation of the tool {name}")
    return found


def with_values(candidate: Candidate, values: Mapping[str, Any], *, by: str = "", note: str = "") -> Candidate:
    """A version in which these parameters have other values.

    Raises UnknownName for a parameter that there is none of, InputError for a value it may not have or a fixed one.
    """
    known = parameters_of(candidate)
    new: dict[str, JsonValue] = {}
    for name, value in values.items():
        if name not in known:
            raise UnknownName("parameter", name, known)
        if known[name].fixed and value != known[name].value:
            raise InputError(f"the parameter {name} is fixed")
        new[name] = known[name].value if value == known[name].value else known[name].accept(value)
    solver = candidate.parts.get("solver")
    if isinstance(solver, dict):
        options = solver.get("options") or {}
        assert isinstance(options, dict)
        return candidate.child(by=by, note=note, solver={**solver, "options": {**options, **new}})
    prompt = prompt_of(candidate)
    tools = {n: str(new.pop(f"tools.{n}", text)) for n, text in prompt.tools.items()}
    changed = prompt.model_copy(update={**new, "tools": tools})
    return candidate.child(by=by, note=note, prompt=changed.model_dump(mode="json", exclude_defaults=True))
