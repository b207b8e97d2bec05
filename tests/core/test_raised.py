"""What programs and checks raise is counted by exception, in terminal and report, also where it is half of the cases."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.cli.main import execute
from loopwright.core.feedback import Missing, Rater, Verdict
from loopwright.core.raised import in_one_line, raised
from loopwright.core.types import Example, Rollout
from loopwright.trainable.values import stack

EXAMPLE = Example(id="1", input="q")


def attempt(error: str = "", check: str = "", status: Any = "ok") -> Rollout:
    by = Rater(kind="code", name="check.py:check")
    said = (
        Missing(expected="score", message=f"check.py:check: {check}", by=by) if check else Verdict(passed=False, by=by)
    )
    return Rollout(id="r", example=EXAMPLE, turns=(), error=error, feedback=(said,), status=status)


class Odd(Exception):
    pass


def error_of(make: Callable[[], object]) -> str:
    try:
        make()
    except Exception as error:
        return stack(error)
    raise AssertionError


def fails(error: Exception) -> object:
    raise error


@pytest.mark.parametrize(
    ("error", "name", "said"),
    [
        (TypeError("unsupported operand"), "TypeError", "unsupported operand"),
        (Odd("a: b\nc"), "Odd", "a: b c"),
        (KeyError("x"), "KeyError", "'x'"),
        (ValueError(), "ValueError", ""),
        (
            json.JSONDecodeError("Expecting value", "", 0),
            "JSONDecodeError",
            "Expecting value: line 1 column 1 (char 0)",
        ),
    ],
)
def test_what_a_program_raised(error: Exception, name: str, said: str) -> None:
    trace = error_of(lambda: fails(error))
    (found,) = raised([attempt(trace)] * 3 + [attempt()] * 5)
    assert (found.error, found.times, found.of) == (name, 3, 8)
    assert str(found).startswith(f"{name} in 3 of 8 runs of the program") and said in found.said
    assert "test_raised.py line " in found.said and found.ids == ("r",) * 3
    assert re.fullmatch(rf"{name}(: .+)? \(test_raised\.py line \d+\)", in_one_line(trace))


def test_what_the_sandbox_said_is_not_taken_for_it() -> None:
    sandbox = 'Traceback (most recent call last):\n  File "p.py", line 1, in f\nValueError: no'
    (found,) = raised([attempt(f"prog.py, line 3, in route: x\n{sandbox}\nCodeFailed: f: ValueError: no")])
    assert str(found) == "CodeFailed in 1 of 1 runs of the program: f: ValueError: no (prog.py line 3)"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("KeyError: 'x' (check.py line 3)", "KeyError in 2 of 4 calls of check.py:check: 'x' (check.py line 3)"),
        ("took longer than 10 s", "took longer than 10 s in 2 of 4 calls of check.py:check"),
        ("returned 2, out of range", "returned 2, out of range in 2 of 4 calls of check.py:check"),
    ],
)
def test_what_a_check_raised(said: str, told: str) -> None:
    assert [str(r) for r in raised([attempt(check=said)] * 2 + [attempt()] * 2)] == [told]


def test_the_commonest_comes_first_and_models_that_failed_are_not_programs() -> None:
    mixed = (
        [attempt("KeyError: 1")] * 2
        + [attempt("TypeError: 2")] * 3
        + [attempt("the model said nothing", status="failed")]
    )
    assert [(r.error, r.times, r.of) for r in raised(mixed)] == [("TypeError", 3, 6), ("KeyError", 2, 6)]
    assert raised([]) == [] and raised([attempt()]) == []


@given(st.text(), st.text())
def test_any_text_is_counted(error: str, check: str) -> None:
    found = raised([attempt(error, check)])
    assert len(found) == bool(error.strip()) + bool(check) and all(str(r) for r in found)


PROGRAM = """
from loopwright.trainable import Text, trainable

@trainable
async def route(question, tape, *, instruction=Text("Say it.")):
    reply = await tape.ask(instruction + "\\n" + question)
    return {"billing": "B"}[reply] if int(str(question)[1:]) % PART else "A" + 1
"""


CHECK = """
def check(output, example):
    if int(example["input"][1:]) % 4 == 1 and output:
        return {}[output]
    return output == "B"
"""


@pytest.mark.parametrize("part", [1, 2])
def test_a_run_tells_of_them(tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str], part: int) -> None:
    """The program raises each time, or half of the time; the check then raises half of the rest."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "prog.py").write_text(PROGRAM.replace("PART", str(part)))
    (folder / "said.py").write_text("def answers(request, index):\n    return 'billing'\n")
    (folder / "check.py").write_text(CHECK)
    (folder / "task.toml").write_text(
        'name = "t"\n[solver]\nrecipe = "prog:route"\n[examples]\nfile = "e.jsonl"\n[checker]\nkind = "python"\n'
        'function = "check:check"\n'
    )
    (folder / "e.jsonl").write_text("".join(json.dumps({"input": f"q{i}", "target": "B"}) + "\n" for i in range(100)))
    code = execute(["improve", "task", "--model", "scripted:said:answers", "--out", "out"])
    told = capsys.readouterr().err
    assert code == 0, told
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    counted = {
        name: re.findall(rf"(\w+) examples: {name} in (\d+) of (\d+) (.*)", told) for name in ("TypeError", "KeyError")
    }
    for split, times, of, said in counted["TypeError"]:
        assert said.startswith("runs of the program: can only concatenate str") and said.endswith("(prog.py line 7)")
        assert f"{split} examples: TypeError in {times} of {of}" in page
        assert times == of if part == 1 else 0 < int(times) < int(of)
    assert {"screen", "test"} <= {split for split, *_ in counted["TypeError"]}
    assert "prog.py, line" not in told and "in route: return" not in told  # in one line, never as a stack
    assert not re.findall(r"TypeError in .*\n  \w+: .*TypeError: ", told)  # and nothing is told twice
    assert "gate examples: " not in told.replace("gate examples; ", "")  # what became of those is told after the run
    if part == 2:
        assert counted["KeyError"] and all("calls of check.py:check: '" in said for *_, said in counted["KeyError"])
        assert all(said.endswith("(check.py line 4)") for *_, said in counted["KeyError"])
        assert "KeyError in " in page


def test_a_model_that_gave_nothing_is_no_fault_of_the_check() -> None:
    assert raised([attempt(check="m: a choice without a message", status="lost")] * 3) == []
