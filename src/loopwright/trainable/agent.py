"""Agents: programs that solve tasks and may edit their own source, run in the sandbox alone.

An agent is the text of a Python program with a function ``solve(task)``, which returns an answer as text. It may have a
function ``improve(source, log, seed)``, which is given the program's own text and returns another version of it; ``log`` are
the tasks it was tried on, {task, answer, passed, said} each, the one to learn from first. Either may ask the run's language
model: it is then a generator that yields what to ask and is sent the reply, "" where the model said nothing usable:

    def solve(task):
        reply = yield f"Write a Python function. {task['description']}"
        return reply.split("```python")[-1].split("```")[0]

The function is run from its start for each reply, so it must do the same again with the same replies: no clocks, and no luck
but from ``seed``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import JsonValue

from loopwright.blocks.parameters import Marked, Parameter
from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.source import parse_python
from loopwright.core.types import Example, Rollout, Turn, digest

ADDRESS = f"{__name__}:coding_agent"
SOURCE = Parameter(kind="code", value="", function="solve", takes=("task",), about="the source of the agent")
_PATIENCE = 10  # many run at once: the wall clock goes so much faster than a program's own, and must not decide for it
_MARK = "loopwright-agent:"
_RUN = f"""
import json, sys, types

def _run():
    job = json.loads(sys.stdin.read())
    agent = types.ModuleType("agent")
    sys.modules["agent"] = agent
    exec(compile(job["source"], "agent.py", "exec"), agent.__dict__)
    made, asked = getattr(agent, job["function"])(*job["arguments"]), None
    if isinstance(made, types.GeneratorType):
        try:
            asked = next(made)
            for reply in job["replies"]:
                asked = made.send(reply)
        except StopIteration as end:
            made, asked = end.value, None
    told = {{"said": made}} if asked is None else {{"asked": asked}}
    if not isinstance(*told.values(), str):
        raise TypeError(f"{{job['function']}} must give text, got {{type(*told.values()).__name__}}")
    print("\\n{_MARK}" + json.dumps(told))

_run()
"""


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call of an agent's function: its text, or why there is none.

    waiting: what it asked the model when it might not ask any more.
    """

    text: str
    error: str = ""
    waiting: str = ""


async def call(
    ctx: Context, source: str, function: str, arguments: Sequence[JsonValue], *, seconds: float = 5.0, asks: int = 8,
    role: str = "policy", **sampling: Any,
) -> Called:  # fmt: skip
    """A function of an agent, run in the sandbox; what it asks for, the model of a role is asked, ``asks`` times at most.

    seconds: of processor time, in whole seconds; ten times as long by the clock.
    Whatever the agent does (raise, loop, flood, fork, give no text) is an error in what is returned, with the reason in its
    last line. Raises SandboxMissing where there is no sandbox.
    """
    replies: list[str] = []
    while True:
        job = {"source": source, "function": function, "arguments": list(arguments), "replies": replies}
        limits = {"seconds": _PATIENCE * seconds, "cpu_seconds": seconds}
        outcome = await ctx.run(_RUN, stdin=json.dumps(job), limits=limits)
        _, mark, told = str(outcome["stdout"]).rpartition("\n" + _MARK)
        said: dict[str, str] = _read(told) if mark and outcome["status"] == "ok" else {}
        if not said:
            why = str(outcome["stderr"]).strip() or f"the sandbox ended it: {outcome['status']}"
            return Called("", why[-2000:])
        if "said" in said:
            return Called(said["said"])
        if len(replies) >= asks:
            return Called("", f"{function} asked the model more than {asks} times", said["asked"])
        replies.append(await ctx.ask(said["asked"], role=role, **sampling))


def _read(told: str) -> dict[str, str]:
    try:
        found = json.loads(told)
    except ValueError:  # an agent may print the mark as well
        return {}
    one = isinstance(found, dict) and len(found) == 1 and set(found) <= {"said", "asked"}
    return found if one and all(isinstance(v, str) for v in found.values()) else {}


def defines(source: str, function: str) -> bool:
    """Whether a program has a function of this name. It is read, not run."""
    try:
        return any(isinstance(node, ast.FunctionDef) and node.name == function for node in parse_python(source).body)
    except SyntaxError:
        return False


@solver(needs=("model", "sandbox"), baseline=True, family="program")
async def coding_agent(
    example: Example,
    ctx: Context,
    *,
    source: Annotated[str, Marked(SOURCE)] = "",
    seconds: float = 2.0,
    asks: int = 8,
    temperature: float = 0.7,
) -> Rollout:
    """An agent's ``solve`` on the example's input; where it fails, the answer is empty and the error says why."""
    id = digest([ctx.scope, ctx.asked, "agent"])[:16]
    made = await call(ctx, source, "solve", [example.input], seconds=seconds, asks=asks, temperature=temperature)
    turns = (Turn(role="user", text=example.question), Turn(role="assistant", text=made.text))
    return Rollout(id=id, example=example, turns=turns, candidate=ctx.policy.hash, error=made.error)
