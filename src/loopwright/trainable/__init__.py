"""Programs of one's own that can be improved: their prompts, numbers, choices and the code of their functions.

    from loopwright.trainable import Choice, Code, Number, Text, operation, trainable

    @operation
    def tidy(text: str) -> str:
        return text.strip().rstrip(".")

    @trainable
    async def answer(question, tape, *, instruction=Text("Answer in one word."), warmth=Number(0.0, low=0, high=1)):
        return tidy(await tape.ask(instruction + "\\n" + question, temperature=warmth))

Such a program is a Solver: ``loopwright run trace-opto --task FOLDER`` improves it where ``task.toml`` names it under
``[solver]``. A version of it is its parameters' values. A run of it records a trace (``blocks.graph``): which value came of
which, and the stack trace where it failed.

``question`` and the parameters are Values: operators, methods and operations on them are recorded. What is read in plain
Python (``if``, f-strings, ``int(...)``, ``.data``) counts as an input of every operation after it.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Sequence
from typing import Annotated, Any, overload

from pydantic import JsonValue

from loopwright.blocks.graph import Graph
from loopwright.blocks.parameters import Marked, Parameter, names_of
from loopwright.core.context import Context
from loopwright.core.errors import Diverged, InputError
from loopwright.core.registry import Recipe
from loopwright.core.source import parse_python
from loopwright.core.types import Card, Example, Rollout, Turn
from loopwright.trainable.tape import CodeFailed, NoAnswer, Tape
from loopwright.trainable.values import ACTIVE, Value, operation, ours, plain, show, stack

__all__ = [
    "Choice", "Code", "CodeFailed", "NoAnswer", "Number", "Tape", "Text", "Value", "operation", "plain", "trainable",
]  # fmt: skip


# ---- parameters: typed as Any, since in the program they are Values ----------------------------------------------------


def Text(value: str, *, about: str = "", fixed: bool = False) -> Any:
    """A prompt or another text."""
    return Parameter(kind="text", value=value, about=about, fixed=fixed)


def Number(
    value: float, *, low: float | None = None, high: float | None = None, whole: bool = False, about: str = "",
    fixed: bool = False,
) -> Any:  # fmt: skip
    """A number, within bounds where there are any (both included)."""
    made = Parameter(kind="number", value=value, low=low, high=high, whole=whole, about=about, fixed=fixed)
    return made.model_copy(update={"value": made.accept(value)})


def Choice(value: JsonValue, among: Sequence[JsonValue], *, about: str = "", fixed: bool = False) -> Any:
    """One of a few."""
    made = Parameter(kind="choice", value=value, among=tuple(among), about=about, fixed=fixed)
    return made.model_copy(update={"value": made.accept(value)})


def Code(function: Callable[..., Any] | str, *, about: str = "", fixed: bool = False) -> Any:
    """The code of a function: a Python function whose source can be read, or the source itself.

    Whatever version of it there is, the first one too, runs in the sandbox alone, with nothing but what it imports itself.
    In the program it is awaited: ``await parse(text)``. Raises InputError where the source defines no function.
    """
    if isinstance(function, str):
        source = textwrap.dedent(function).strip() + "\n"
    else:
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError):
            raise InputError(f"the source of {function!r} cannot be read; hand it to Code as text") from None
    try:
        found = [n for n in parse_python(source).body if isinstance(n, ast.FunctionDef)]
    except SyntaxError as error:
        raise InputError(f"Code: expected Python, got text that is none: {error}") from None
    if not found:
        raise InputError("Code: expected the source of a function (def ...), and it defines none")
    about = about or (ast.get_docstring(found[-1]) or "").split("\n", 1)[0]
    takes = names_of(found[-1])
    return Parameter(kind="code", value=source, function=found[-1].name, takes=takes, about=about, fixed=fixed)


# ---- the decorator ------------------------------------------------------------------------------------------------------


@overload
def trainable(function: Callable[..., Any]) -> Recipe: ...
@overload
def trainable(*, needs: Sequence[str] = ..., slug: str = ...) -> Callable[[Callable[..., Any]], Recipe]: ...
def trainable(
    function: Callable[..., Any] | None = None, *, needs: Sequence[str] = ("model",), slug: str = ""
) -> Recipe | Callable[[Callable[..., Any]], Recipe]:
    """A program ``(question, tape, *, parameters)``, plain or ``async def``, becomes a Solver that can be improved.

    It returns the answer: text, or data that is given as JSON. needs: capabilities it touches (``model``, ``tools``);
    ``sandbox`` is added where a parameter is code. Where it raises, the answer is empty, judged as such, and the attempt's
    error is the stack trace; only NoAnswer makes an attempt that failed. Raises InputError for another signature.
    """
    if function is None:
        return lambda f: _made(f, needs, slug)
    return _made(function, needs, slug)


def _made(program: Callable[..., Any], needs: Sequence[str], slug: str) -> Recipe:
    given = list(inspect.signature(program).parameters.values())
    specs: dict[str, Parameter] = {p.name: p.default for p in given[2:] if isinstance(p.default, Parameter)}
    if len(given) < 2 or len(specs) != len(given) - 2 or any(p.kind is not p.KEYWORD_ONLY for p in given[2:]):
        raise InputError(
            f"{program.__name__}: expected (question, tape, *, name=Text(...), ...), with Text, Number, Choice or Code for each"
        )
    address = f"{program.__module__}:{program.__name__}"

    async def solve(example: Example, ctx: Context, **values: Any) -> Rollout:
        return await _run(program, address, specs, values, example, ctx)

    options = [
        inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=s.value, annotation=Annotated[_type(s), Marked(s)])
        for n, s in specs.items()
    ]
    positional = [
        inspect.Parameter("example", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Example),
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Context),
    ]
    solve.__signature__ = inspect.Signature([*positional, *options])  # type: ignore[attr-defined]
    solve.__annotations__ = {p.name: p.annotation for p in [*positional, *options]}
    solve.__doc__ = program.__doc__
    more = ("sandbox",) if any(s.kind == "code" for s in specs.values()) and "sandbox" not in needs else ()
    summary = (inspect.getdoc(program) or "").split("\n", 1)[0] or f"The program {program.__name__}."
    card = Card(
        slug=slug or program.__name__.strip("_").replace("_", "-").lower(), family="program", shape="solver", summary=summary,
        needs=(*needs, *more), baseline=True,
    )  # fmt: skip
    return Recipe(card=card, function=solve, module=program.__module__, name=program.__name__)


def _type(spec: Parameter) -> Any:
    return float if spec.kind == "number" else str if spec.kind in ("text", "code") else JsonValue


async def _run(
    program: Callable[..., Any], address: str, specs: dict[str, Parameter], values: dict[str, Any], example: Example, ctx: Context
) -> Rollout:
    """One attempt: the program's answer with its trace, or its stack trace."""
    tape = Tape(ctx, example)
    question = tape.given("question", example.input)
    parameters = {n: tape.parameter(n, spec, values.get(n, spec.value)) for n, spec in specs.items()}
    token = ACTIVE.set(tape)
    error, output, silent = "", "", False
    try:
        made = program(question, tape, **parameters)
        awaits = not isinstance(made, Value) and inspect.isawaitable(made)  # what kind of thing a Value is would be read
        data, graph = tape.returned(await made if awaits else made)
        output = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=_text)
    except Diverged as diverged:
        raise Diverged(
            f"{diverged}. This came up in the program {address}: if nothing was changed, it is not deterministic; "
            "use tape.rng for chance, and tape.effect for clocks, files and networks"
        ) from None
    except Exception as failed:
        if ours(failed):
            raise
        graph, error, silent = tape.ended(failed), stack(failed), isinstance(failed, NoAnswer)
    finally:
        ACTIVE.reset(token)
    await tape.confirm(address, graph)
    return Rollout(
        id=tape.id, example=example, candidate=ctx.policy.hash, cost=tape.cost,
        turns=(Turn(role="user", text=example.question), Turn(role="assistant", text=output)),
        status="failed" if silent else "ok", error=error, trace=_trace(graph),
    )  # fmt: skip


def _text(value: Any) -> str:
    """What JSON has no form for; a set in the same order in every process."""
    return show(value) if isinstance(value, set | frozenset) else str(value)


def _trace(graph: Graph) -> JsonValue:
    made: JsonValue = graph.model_dump(mode="json", exclude_defaults=True)
    return made
