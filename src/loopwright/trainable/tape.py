"""The tape: what a program is given beside its question. It reaches models and tools, and records."""

from __future__ import annotations

import copy
import inspect
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from loopwright.blocks.graph import READ, Graph, Node
from loopwright.blocks.parameters import Parameter
from loopwright.core.context import Context
from loopwright.core.errors import Diverged, InputError
from loopwright.core.feedback import FREE, Cost
from loopwright.core.types import Example, Rollout, Turn, digest
from loopwright.trainable.values import ACTIVE, Value, describe, ours, plain, show, stack, unwrap

_MARK = "loopwright-result:"
_SHOWN = 2000  # characters of a value that a trace keeps
_CALL = f"""

import json as _json, sys as _sys
_given = _json.loads(_sys.stdin.read())
print("\\n{_MARK}" + _json.dumps(FUNCTION(*_given["args"], **_given["kwargs"])))
"""


class NoAnswer(Exception):
    """The model gave nothing usable."""


class CodeFailed(Exception):
    """The code of a parameter raised, ran too long or gave back no plain data; ``told`` is what the sandbox said."""

    def __init__(self, message: str, told: str = "") -> None:
        super().__init__(message)
        self.told = told


class Tape:
    """One run of a program.

    id: of the attempt. example: without its target. rng: random numbers that are the same when the run is resumed.
    """

    def __init__(self, ctx: Context, example: Example) -> None:
        self.ctx = ctx
        self.id = digest([ctx.scope, ctx.asked, "program"])[:16]
        self.example = example
        self.rng = ctx.rng
        self.cost: Cost = FREE
        self.nodes: list[Node] = []
        self._read: dict[str, None] = {}
        self._names: Counter[str] = Counter()
        self._failed: dict[int, str] = {}  # the node of an exception that an operation raised
        self._place: dict[str, int] = {}
        self._before: dict[str, int] = {}  # of each node, as bits, the places of all that it was made of

    # ---- what a program calls ---------------------------------------------------------------------------------------

    async def ask(self, prompt: Any, *, system: Any = "", **sampling: Any) -> Value:
        """The policy's answer to a text. Keyword arguments override fields of Sampling. Raises NoAnswer."""

        async def call(prompt: str, system: str = "", **sampling: Any) -> str:
            turns = (Turn(role="system", text=system),) if system else ()
            before = Rollout(id="ask", example=self.example, turns=turns)
            return self._said(await self.ctx.answer(self.example, str(prompt), after=before, **sampling))

        told = {"system": system} if isinstance(system, Value) or system else {}
        return await self._awaited("ask", call, {"prompt": prompt, **told, **sampling}, about="a language model answers")

    async def answer(self, **sampling: Any) -> Value:
        """The policy's answer to the example under the task's own prompt. Raises NoAnswer."""

        async def call(question: Any, **sampling: Any) -> str:
            return self._said(await self.ctx.answer(self.example, **sampling))

        question = Value(self.example.input, "question", self)
        return await self._awaited("answer", call, {"question": question, **sampling}, about="a language model answers")

    async def tool(self, name: str, text: Any) -> Value:
        """What one of the task's tools says."""

        async def call(text: Any) -> str:
            return await self.ctx.tool(name, str(text))

        return await self._awaited(f"tool {name}", call, {"text": text})

    async def effect(self, name: str, function: Callable[..., Any], **arguments: Any) -> Value:
        """``function(**arguments)``, called once and recorded: for what differs the second time (clocks, networks, files).

        It may be ``async def`` and gives JSON data, which a resumed run is given again without a call.
        """

        async def call(**plainly: Any) -> Any:
            async def perform() -> bytes:
                made = function(**plainly)
                return json.dumps(await made if inspect.isawaitable(made) else made).encode()

            return json.loads(await self.ctx.external(f"program:{name}", _data(name, plainly), perform))

        return await self._awaited(name, call, arguments)

    def _said(self, rollout: Rollout) -> str:
        self.cost = self.cost + rollout.cost
        if rollout.status != "ok":
            raise NoAnswer(rollout.error)
        return rollout.output

    # ---- recording --------------------------------------------------------------------------------------------------

    def read(self, node: str) -> None:
        """A value was looked at in plain Python, so whatever comes after may depend on it."""
        self._read[node] = None

    def given(self, name: str, data: Any) -> Value:
        """An input of the program: a copy, which it may change."""
        data = copy.deepcopy(data)
        self._add(Node(name=name, what="input", value=show(data)[:_SHOWN]))
        return Value(data, name, self)

    def parameter(self, name: str, spec: Parameter, data: Any) -> Any:
        """A parameter with the value it has in this version; that of code is called."""
        self._add(Node(name=name, what="parameter", value=show(data), about=spec.about))
        if spec.kind == "code":
            return Function(self, name, spec, str(data))
        return Value(data, name, self)

    def call(
        self, name: str, function: Callable[..., Any], arguments: dict[str, Any], *, about: str = "", positional: bool = False
    ) -> Any:
        """An operation: a Value, or what gives one when awaited."""
        inputs, constants, plainly = self._taken(arguments)
        token = ACTIVE.set(None)  # an operation is one node, whatever it calls
        try:
            made = function(*plainly.values()) if positional else function(**plainly)
        except Exception as error:
            raise self._raised(name, inputs, constants, error) from None if ours(error) else error.__cause__
        finally:
            ACTIVE.reset(token)
        if inspect.isawaitable(made):
            return self._later(name, made, inputs, constants, about)
        return self._made(name, made, inputs, constants, about)

    async def _awaited(self, name: str, function: Callable[..., Any], arguments: dict[str, Any], about: str = "") -> Value:
        made: Value = await self.call(name, function, arguments, about=about)
        return made

    async def _later(
        self, name: str, made: Awaitable[Any], inputs: dict[str, str], constants: dict[str, str], about: str
    ) -> Value:
        token = ACTIVE.set(None)
        try:
            data = await made
        except Exception as error:
            raise self._raised(name, inputs, constants, error) from None if ours(error) else error.__cause__
        finally:
            ACTIVE.reset(token)
        return self._made(name, data, inputs, constants, about)

    def _taken(self, arguments: dict[str, Any]) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
        inputs: dict[str, str] = {}
        constants: dict[str, str] = {}
        plainly: dict[str, Any] = {}
        for argument, value in arguments.items():
            found: list[Value] = []
            plainly[argument] = unwrap(value, found.append)
            if any(v._tape is not self for v in found):
                raise InputError(
                    f"trace: the argument {argument} is a value of another run of the program; keep no values outside it, "
                    "or a resumed run would trace something else"
                )
            for i, v in enumerate(found):
                inputs[argument if len(found) == 1 else f"{argument}[{i}]"] = v._node
            if not found:
                constants[argument] = show(value)[:_SHOWN]
        return inputs | self._reads(inputs.values()), constants, plainly

    def _reads(self, among: Iterable[str]) -> dict[str, str]:
        """What was read before and is not already behind these nodes."""
        behind = 0
        for name in among:
            behind |= self._before[name]
        new = [n for n in self._read if not behind >> self._place[n] & 1]
        return {f"{READ} {i})": n for i, n in enumerate(new, 1)}

    def _add(self, node: Node) -> None:
        self._place[node.name] = len(self.nodes)
        behind = 1 << len(self.nodes)
        for name in node.inputs.values():
            behind |= self._before[name]
        self._before[node.name] = behind
        self.nodes.append(node)

    def _name(self, operation: str) -> str:
        self._names[operation] += 1
        return f"{operation}_{self._names[operation]}"

    def _made(self, operation: str, data: Any, inputs: dict[str, str], constants: dict[str, str], about: str) -> Value:
        name = self._name(operation)
        self._add(
            Node(
                name=name, what="operation", value=show(data)[:_SHOWN], operation=operation, inputs=inputs,
                constants=constants, about=about,
            )  # fmt: skip
        )
        return Value(data, name, self)

    def _raised(self, operation: str, inputs: dict[str, str], constants: dict[str, str], error: Exception) -> Exception:
        if not ours(error):
            self._failed[id(error)] = self._error(operation, inputs, constants, error)
        return error

    def _error(self, operation: str, inputs: dict[str, str], constants: dict[str, str], error: Exception) -> str:
        name = self._name("error")
        self._add(
            Node(
                name=name, what="error", value=describe(error), operation=operation, inputs=inputs, constants=constants,
                about=stack(error),
            )  # fmt: skip
        )
        return name

    # ---- the end ----------------------------------------------------------------------------------------------------

    def returned(self, made: Any) -> tuple[Any, Graph]:
        """The plain output, and the trace."""
        own = isinstance(made, Value) and made._tape is self
        value = made if own else self.call("return", lambda value: value, {"value": made})
        return value._data, Graph(nodes=tuple(self.nodes), output=value._node)

    def ended(self, error: Exception) -> Graph:
        """The trace of a program that raised."""
        name = self._failed.get(id(error))
        if name is None:
            name = self._error("program", self._reads(()), {}, error)
        node = next(n for n in self.nodes if n.name == name)
        whole = node.model_copy(update={"about": stack(error)})  # by now it has the frames above the operation too
        nodes = tuple(whole if n.name == name else n for n in self.nodes)
        return Graph(nodes=nodes, output=name)

    async def confirm(self, program: str, graph: Graph) -> None:
        """Raises Diverged where a resumed run traced something else than the run before it."""
        now = [[n.name, digest([n.operation, n.inputs, n.value])[:12]] for n in graph.nodes]

        async def perform() -> bytes:
            return json.dumps(now).encode()

        content = [program, self.example.id]
        before = json.loads(await self.ctx.external("trace", content, perform, summary=f"trace of {program}"))
        if before == now:
            return
        place = next((i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now)))
        node = graph.nodes[place] if place < len(now) else graph.nodes[-1]
        raise Diverged(
            f"the program {program} is not deterministic: on example {self.example.id} {node.name!r} "
            f"({node.operation or node.what}) is now {node.value[:80]!r}, and was something else before; use tape.rng for chance "
            "and tape.effect for clocks, files, networks and whatever else differs the second time"
        )


class Function:
    """Code that may be changed. It runs in the sandbox, or not at all: ``await function(...)``. Arguments and result are JSON."""

    def __init__(self, tape: Tape, name: str, spec: Parameter, source: str) -> None:
        self._tape, self._name, self._spec, self.source = tape, name, spec, source

    async def __call__(self, *args: Any, **kwargs: Any) -> Value:
        """Raises CodeFailed; SandboxMissing where there is none."""
        takes = self._spec.takes
        names = [takes[i] if i < len(takes) else f"argument {i + 1}" for i in range(len(args))]

        async def call(**given: Any) -> Any:
            given.pop("code")
            positional = [given.pop(n) for n in names]
            return await self._run({"args": positional, "kwargs": given})

        code = Value(self.source, self._name, self._tape)
        arguments = {"code": code, **dict(zip(names, args, strict=True)), **kwargs}
        return await self._tape._awaited(self._spec.function, call, arguments, about=self._spec.about)

    async def _run(self, given: dict[str, Any]) -> Any:
        stdin = json.dumps(_data(self._spec.function, given))
        outcome = await self._tape.ctx.run(self.source + _CALL.replace("FUNCTION", self._spec.function), stdin=stdin)
        _, mark, result = str(outcome["stdout"]).rpartition("\n" + _MARK)
        told = str(outcome["stderr"]).strip()
        if outcome["status"] == "ok" and mark:
            return json.loads(result)
        why = told.splitlines()[-1] if told else f"the sandbox ended it: {outcome['status']}"
        raise CodeFailed(f"{self._spec.function}: {why}", told[-_SHOWN:])


def _data(name: str, value: Any) -> Any:
    try:
        return json.loads(json.dumps(plain(value)))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} takes JSON data (text, numbers, lists, dicts with text as keys): {error}") from None
