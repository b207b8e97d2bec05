"""The control flow of methods that run what the model wrote; the programs are really run, in the sandbox."""

from __future__ import annotations

import pytest
from refine_kit import solve

from loopwright.blocks.programs import asserts_in
from loopwright.sandbox import Sandbox


def test_asserts_of_a_reply() -> None:
    assert asserts_in("Tests:\n```python\nassert f(1) == 2\nassert f(1)==2, 'again'\n```\nand\n```\nassert g() is None\n```") == [
        "assert f(1) == 2", "assert f(1) == 2, 'again'", "assert g() is None",
    ]  # fmt: skip
    assert asserts_in("1. assert f(1) == 2\nassert f(2) == 3\n  assert f([) == 4") == ["assert f(2) == 3"]
    assert asserts_in("def test_f():\n    assert f(1)\ndef check(f):\n    assert f(2)") == ["assert f(1)"]
    assert asserts_in("no tests") == asserts_in("assert 3 in (1, 2, 3)\nassert len([1]) == 1") == []


RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG = "```python\ndef double(x):\n    return x + 2\n```"
TESTS = "```python\nassert double(2) == 4\nassert double(5) == 10\n```"
ROLES = {"programmer": "program it", "designer": "test it: {question}", "revise": "failed:\n{feedback}"}


def test_agent_coder_tells_the_programmer_which_tests_failed(sandbox: Sandbox) -> None:
    def say(said: list[str]) -> str:
        return TESTS if said[0].startswith("test it") else WRONG if len(said) == 2 else RIGHT

    rollout, asked = solve("agent-coder", say, sandbox=sandbox, **ROLES)
    assert rollout.output == RIGHT
    assert asked == [
        ["q", "program it"], ["test it: q"],
        ["q", "program it", WRONG, "failed:\nassert double(5) == 10: AssertionError"],
    ]  # fmt: skip


def test_agent_coder_keeps_what_passed_most_of_tests_that_may_be_wrong(sandbox: Sandbox) -> None:
    tests = "assert double(2) == 5\nassert double(3) == 6\nassert double(4) == 8"

    def say(said: list[str]) -> str:
        return tests if said[0].startswith("test it") else RIGHT if len(said) == 2 else WRONG

    rollout, asked = solve("agent-coder", say, sandbox=sandbox, rounds=2, **ROLES)
    assert rollout.output == RIGHT and len(asked) == 4


def test_agent_coder_runs_the_program_alone_where_no_test_was_designed(sandbox: Sandbox) -> None:
    def say(said: list[str]) -> str:
        return "I would rather not." if said[0].startswith("test it") else "return 1" if len(said) == 2 else RIGHT

    rollout, asked = solve("agent-coder", say, sandbox=sandbox, **ROLES)
    assert rollout.output == RIGHT and "SyntaxError" in asked[-1][-1]


PROGRAMS = {
    "a b.": "could not be parsed",
    "answer(X) :- colour(Y).": "could not be grounded",
    "answer(red). :- answer(red).": "no answer set",
    "answer(X) :- colour(X). #show answer/1.": "shows no atom",
}


@pytest.mark.parametrize("interpret", ["so {atoms}?", ""])
def test_llm_asp_is_told_each_kind_of_failure_and_reads_the_answer_off(sandbox: Sandbox, interpret: str) -> None:
    pytest.importorskip("clingo", reason="pip install 'loopwright[asp]'")
    programs = [*PROGRAMS, "answer(X) :- colour(X). colour(X) :- sky(X). #show answer/1."]

    def say(said: list[str]) -> str:
        return "It is blue." if said[-1] == "so answer(blue)?" else programs[len(said) // 2 - 1]

    own = {"formalise": "write", "repair": "{feedback}", "knowledge": "sky(blue).", "interpret": interpret}
    rollout, asked = solve("llm-asp", say, sandbox=sandbox, rounds=4, **own)
    for (program, failure), conversation in zip(PROGRAMS.items(), asked[1:], strict=False):
        assert conversation[-2] == program and failure in conversation[-1]
    assert rollout.output == ("It is blue." if interpret else "blue")
    assert len(asked) == 5 + bool(interpret)


def test_llm_asp_answers_by_itself_where_no_program_was_solved(sandbox: Sandbox) -> None:
    pytest.importorskip("clingo", reason="pip install 'loopwright[asp]'")
    rollout, asked = solve(
        "llm-asp", lambda said: "blue" if said[-1] == "then say it" else "a b.", sandbox=sandbox, rounds=1, direct="then say it"
    )
    assert rollout.output == "blue" and len(asked) == 3
