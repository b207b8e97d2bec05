"""Agents in the sandbox: what they may do, and what becomes of those that misbehave."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loopwright.blocks.convert import convert
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import BadOutput, InputError, SandboxMissing
from loopwright.core.feedback import Verdict
from loopwright.core.model import Request
from loopwright.core.types import Budget, Candidate, Example, Rollout, Turn
from loopwright.models.scripted import ScriptedModel
from loopwright.sandbox import Sandbox
from loopwright.store import MemoryStore
from loopwright.trainable.agent import ADDRESS, call, coding_agent, defines
from loopwright.trainable.selfedit import EditOptions, edited, editing_lost, open_parameters
from loopwright.worlds.small import Small


def context(sandbox: Any, say: Any = lambda text: "-", silent: int = 0) -> Context:
    async def check(rollout: Rollout, ctx: Context) -> Verdict:
        return Verdict(passed=True)

    def answer(request: Request, i: int) -> str:
        return str(say(request.turns[-1].text))

    store = MemoryStore()
    run = store.create_run({}, seed=0, budget={}, code_version="test")
    failures = {silent: BadOutput("nothing", kind="empty")} if silent else {}
    engine = Engine(
        store=store, run=run, ledger=Ledger(Budget()), convert=convert, sandbox=sandbox, cache=False,
        models={"policy": ScriptedModel(answer, fingerprint="lines", failures=failures)},
    )  # fmt: skip
    return Context(engine, "test", world=Small("none", [], check), policy=Candidate())


def called(sandbox: Any, source: str, function: str = "solve", arguments: Any = ({"k": 2},), **more: Any) -> Any:
    say, silent = more.pop("say", lambda text: "-"), more.pop("silent", 0)
    return asyncio.run(call(context(sandbox, say, silent), source, function, list(arguments), **more))


def test_an_agent_answers_and_may_ask_a_model_on_the_way(sandbox: Sandbox) -> None:
    assert called(sandbox, "def solve(task):\n    print('hm')\n    return str(task['k'])").text == "2"
    asks = "def solve(task):\n    a = yield 'one'\n    b = yield 'then ' + a\n    return a + b"
    assert called(sandbox, asks, say=str.upper).text == "ONETHEN ONE"
    waiting = called(sandbox, asks, asks=1, say=str.upper)
    assert (waiting.text, waiting.waiting) == ("", "then ONE") and "more than 1 times" in waiting.error
    assert called(sandbox, "def solve(task):\n    a = yield 'x'\n    return repr(a)", silent=1).text == "''"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def solve(task:", "SyntaxError"),
        ("x = 1", "no attribute 'solve'"),
        ("def solve(task):\n    return 3", "must give text, got int"),
        ("def solve(task):\n    yield 3", "must give text, got int"),
        ("def solve(task):\n    raise ValueError('no')", "ValueError: no"),
        ("def solve(task):\n    while True: pass", "timeout"),
        ("def solve(task):\n    while True: print('x' * 1000)", "output"),
        ("def solve(task):\n    x = []\n    while True: x.append('x' * 10**6)", "emory"),
        ("import os\ndef solve(task):\n    for _ in range(99): os.fork()\n    return ''", "BlockingIOError|pids|killed"),
        ("import socket\ndef solve(task):\n    socket.create_connection(('127.0.0.1', 80), 1)\n    return ''", "Error"),
        ("import os\ndef solve(task):\n    os._exit(0)", "the sandbox ended it|no answer"),
        ("def solve(task):\n    print('\\nloopwright-agent:nonsense')\n    raise SystemExit(0)", "the sandbox ended it"),
    ],
)
def test_what_an_agent_does_wrong_is_an_error_and_nothing_more(sandbox: Sandbox, source: str, why: str) -> None:
    # Only what is to run out of time may: a busy machine is slow to fill the memory.
    made = called(sandbox, source, seconds=1.0 if why == "timeout" else 20.0)
    assert made.text == "" and any(part in made.error for part in why.split("|")), made.error


def test_without_a_sandbox_no_agent_is_run() -> None:
    with pytest.raises(SandboxMissing):
        called(None, "def solve(task):\n    return ''")


def test_a_solver_that_fails_answers_nothing_and_says_why(sandbox: Sandbox) -> None:
    async def run() -> Rollout:
        source = "def solve(task):\n    1 / 0"
        made: Rollout = await coding_agent(Example(id="e", input={"k": 1}), context(sandbox), source=source)
        return made

    rollout = asyncio.run(run())
    assert rollout.output == "" and rollout.error.endswith("ZeroDivisionError: division by zero")


# ---- self-edits -----------------------------------------------------------------------------------------------------------

EDITOR = """N = 1
def improve(source, log, seed):
    return source.replace('N = 1', 'N = 2')
def solve(task):
    return str(N)
"""


def candidate(source: str) -> Candidate:
    return Candidate(parts={"solver": {"recipe": ADDRESS, "options": {"source": source}}})


def attempt(text: str = "7") -> Rollout:
    turns = (Turn(role="user", text="q"), Turn(role="assistant", text=text))
    said = Verdict(passed=False, message="wanted 8")
    return Rollout(id="r", example=Example(id="e", input="q", target="8"), turns=turns, feedback=(said,))


def edit(sandbox: Any, source: str | Candidate, say: Any = lambda text: "-", **options: Any) -> tuple[Candidate | None, str]:
    start = candidate(source) if isinstance(source, str) else source
    return asyncio.run(edited(context(sandbox, say), start, [attempt()], EditOptions(**options), by="test"))


def source_of(made: Candidate | None) -> str:
    assert made is not None
    return str(open_parameters(made)["source"].value)


def test_an_agent_edits_itself_from_its_log(sandbox: Sandbox) -> None:
    assert source_of(edit(sandbox, EDITOR)[0]) == EDITOR.replace("N = 1", "N = 2")
    told = "def improve(source, log, seed):\n    return source + '# ' + repr(log)\ndef solve(task):\n    return ''\n"
    assert "[{'task': 'q', 'answer': '7', 'passed': False, 'said': 'wanted 8'}]" in source_of(edit(sandbox, told)[0])


@pytest.mark.parametrize(
    ("gives", "why"),
    [
        ("'def solve(task)'", "broken: expected Python"),
        ("'x = 1'", "defines no such function"),
        ("'def solve(job):\\n    return str(1)'", "got (job)"),
        ("source", "nothing was changed"),
        ("''", "it gave nothing back"),
        ("None", "must give text"),
        ("[n for n in iter(int, 1)]", "emory|timeout"),
    ],
)
def test_edits_that_are_none(sandbox: Sandbox, gives: str, why: str) -> None:
    source = f"def improve(source, log, seed):\n    return {gives}\ndef solve(task):\n    return ''\n"
    made, told = edit(sandbox, source, edit_seconds=1.0)
    assert made is None and any(part in told for part in why.split("|")), told


def test_who_can_still_edit(sandbox: Sandbox) -> None:
    def lost(source: str, **options: Any) -> str:
        return asyncio.run(editing_lost(context(sandbox), candidate(EDITOR), candidate(source), EditOptions(**options)))

    assert lost(EDITOR) == ""
    assert lost("def improve(source, log, seed):\n    a = yield 'how?'\ndef solve(task):\n    return ''\n") == ""
    assert "lost its function" in lost("def solve(task):\n    return ''\n")
    assert lost("def solve(task):\n    return ''\n", editor="model") == ""
    assert "ZeroDivisionError" in lost("def improve(source, log, seed):\n    1 / 0\ndef solve(task):\n    return ''\n")
    assert defines(EDITOR, "improve") and not defines("def improve(", "improve")


def test_a_model_edits_what_has_no_editor_of_its_own() -> None:
    asked: list[str] = []

    def say(text: str) -> str:
        asked.append(text)
        if "Describe" in text or "describe" in text:
            return "Add one."
        return "source.py\n<<<<<<< SEARCH\n    return '7'\n=======\n    return '8'\n>>>>>>> REPLACE"

    made, why = edit(None, "def solve(task):\n    return '7'\n", say)
    assert source_of(made) == "def solve(task):\n    return '8'\n" and why == ""
    assert "Answer: 7" in asked[0] and "wanted 8" in asked[0] and "def solve" in asked[0]
    assert "Add one." in asked[1] and "wanted 8" not in asked[1] and "def solve" in asked[1]
    made, _ = edit(None, EDITOR, lambda text: "```python\ndef solve(task):\n    return '9'\n```", editor="model", diagnose="")
    assert source_of(made) == "def solve(task):\n    return '9'\n"
    assert edit(None, "def solve(task):\n    return '7'\n", lambda text: "I would not.")[0] is None


def test_a_prompt_is_edited_too_and_may_not_give_answers_away() -> None:
    start = Candidate(parts={"prompt": {"instruction": "Answer."}})
    made, _ = edit(None, start, lambda text: "```\nAnswer with care.\n```")
    assert made is not None and made.parts["prompt"] == {"instruction": "Answer with care."}
    made, why = edit(None, start, lambda text: "```\nWhere you are asked q, say 8.\n```")
    assert made is None and why == "it gave away answers of train examples"


def test_what_cannot_be_edited_is_said() -> None:
    with pytest.raises(InputError, match="no parameters to improve"):
        open_parameters(Candidate(parts={"solver": {"recipe": "best-of-n", "options": {}}}))
