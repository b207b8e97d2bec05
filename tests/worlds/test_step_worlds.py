"""Worlds that are worked on step by step: rules to be induced, faults to be found by asking, repositories to be repaired."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback
from loopwright.core.types import Example, Rollout, Turn
from loopwright.worlds.diagnosis import charged, diagnosis, named
from loopwright.worlds.registry import known_world
from loopwright.worlds.repair.faults import faults_of
from loopwright.worlds.repair.repository import HIDDEN, PACKAGE, VISIBLE
from loopwright.worlds.repair.world import NOTICED
from loopwright.worlds.rules import all_steps, interpreter, list_of, rules, run, steps_of
from loopwright.worlds.small import Small

LISTS = st.lists(st.integers(0, 99), max_size=6)


def score(world: Small, example: Example, output: str, *shown: str) -> float:
    turns = (*(Turn(role="user", text=t) for t in shown), Turn(role="assistant", text=output))
    said = asyncio.run(world.checker(Rollout(id="r", example=example, turns=turns), None))  # type: ignore[arg-type]
    assert not isinstance(said, Sequence)
    feedback: Feedback = said
    return float(feedback.value if feedback.kind == "score" else feedback.passed)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["rules", "diagnosis", "repair"])
def test_a_world_is_the_same_again_and_splits_its_examples(name: str) -> None:
    first, second = (known_world(name).make(count=40) for _ in range(2))
    assert first.fingerprint == second.fingerprint  # type: ignore[union-attr]
    parts = [{e.id for e in first.examples(split)} for split in ("train", "gate", "test")]  # type: ignore[union-attr, arg-type]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 40 and all(parts)
    with pytest.raises(InputError):
        known_world(name).make(count=0)


# ---- rules ------------------------------------------------------------------------------------------------------------------


@given(LISTS, st.lists(st.sampled_from(all_steps()), min_size=1, max_size=3))
def test_a_rule_is_its_steps_one_after_the_other(given: list[int], steps: list[str]) -> None:
    expected = given
    for step in steps:
        expected = run(step, expected)
    assert run(" then ".join(steps).upper() + ".", given) == expected == run(", ".join(steps), given)
    assert list_of(str(expected)) == expected


def test_a_question_is_answered_by_its_rule_and_not_by_another_of_one_step() -> None:
    world = rules(steps=1, count=30)
    for example in world.items:
        cases = [line.split(" -> ") for line in example.question.splitlines()[1:]]
        seen = [(list_of(a) or [], list_of(b)) for a, b in cases if b != "?"]
        fits = [step for step in all_steps() if all(run(step, a) == b for a, b in seen)]
        assert len(fits) == 1
        answers = [str(run(fits[0], list_of(a) or [])) for a, b in cases if b == "?"]
        assert score(world, example, "\n".join(answers)) == 1.0
        assert score(world, example, "\n".join([*answers[:2], "[-1]", "no"])) == 0.5


def test_rules_of_few_steps_and_short_lists() -> None:
    steps = ["add 1", "Times  2", "add 7"]
    for example in rules(among=steps, length=(1, 2), seen=3, asked=2, count=30).items:
        pairs = [line.split(" -> ") for line in example.question.splitlines()[1:] if line.startswith("[")]
        lists = [list_of(a) or [] for a, _ in pairs]
        assert len({str(v) for v in lists}) == 5 and {len(v) for v in lists} <= {1, 2}
        seen = [(v, list_of(b)) for v, (_, b) in zip(lists, pairs, strict=True) if b != "?"]
        fits = [r for a in ("", *steps) for b in steps if all(run(r := f"{a}, {b}", v) == b_ for v, b_ in seen)]
        assert fits and str(example.target) in {"\n".join(str(run(r, v)) for v in lists[3:]) for r in fits}


@pytest.mark.parametrize(
    "options",
    [{"among": ["fly"]}, {"length": [3, 2]}, {"length": [0, 2]}, {"length": [1]}, {"length": [1, 1], "seen": 9, "asked": 2},
     {"among": ["reverse"], "length": [1, 1], "seen": 3, "asked": 2}],
)  # fmt: skip
def test_rules_that_cannot_be_asked_are_told(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        rules(count=20, **options)


def test_the_interpreter_says_what_it_cannot_run() -> None:
    def say(text: str) -> str:
        return asyncio.run(interpreter(text, None))  # type: ignore[arg-type]

    assert json.loads(say('{"rule": "add 1", "inputs": ["[1]", "x"]}')) == ["[2]", None]
    assert "no step of a rule" in say('{"rule": "fly", "inputs": ["[1]"]}') and "expected" in say("[]")
    assert "too large" in say(json.dumps({"rule": ", ".join(["repeat"] * 20), "inputs": ["[1]"]}))
    with pytest.raises(InputError, match="no step"):
        steps_of(" , ")


# ---- diagnosis --------------------------------------------------------------------------------------------------------------


def test_the_gatekeeper_tells_what_is_asked_and_no_more() -> None:
    world = diagnosis(faults=5, count=3)
    example = world.items[0]

    def say(**asked: object) -> str:
        return asyncio.run(world.tools["gatekeeper"](json.dumps({"case": example.input, **asked}), None))  # type: ignore[arg-type]

    everything = example.question.split("ordered: ")[1].splitlines()[0].rstrip(".").split(", ")
    tests = [t.rsplit(" (", 1)[0] for t in everything]
    assert say(price=tests) == f"Price: ${sum(int(t.rsplit('$', 1)[1][:-1]) for t in everything)}."
    assert say(ask=["smell", "Smell", tests[0]]).count("smell:") == 1 and f"{tests[0]}: not to be had." in say(ask=[tests[0]])
    assert say(ask=["nothing"]).endswith("Charged: $0.") and say(ask=["smell"]).endswith("Charged: $300.")
    assert "expected" in asyncio.run(world.tools["gatekeeper"]("{}", None))  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_signs_lead_to_one_fault_and_costs_count_as_they_weigh(weight: float) -> None:
    world = diagnosis(faults=6, count=10, weight=weight)
    for example in world.items:
        book = {
            line[2:].split(": ")[0]: set(line.split(": ")[1].split(", "))
            for line in example.question.splitlines() if line.startswith("- ")
        }  # fmt: skip
        asked = example.question.split("): ")[1].split(".\n")[0].split(", ")
        tests = [t.rsplit(" (", 1)[0] for t in example.question.split("ordered: ")[1].splitlines()[0].rstrip(".").split(", ")]
        gate = world.tools["gatekeeper"]
        said = [asyncio.run(gate(json.dumps({"case": example.input, k: n}), None)) for k, n in (("ask", asked), ("order", tests))]  # type: ignore[arg-type]
        there = {line.split(": ")[0] for line in "\n".join(said).splitlines() if line.endswith(": yes.")}
        (fault,) = [f for f, signs in book.items() if signs - {""} == there]
        assert fault == example.target
        assert score(world, example, f"Diagnosis: {fault}", *said) == 1 - weight
        assert score(world, example, f"Not {fault}. Diagnosis: {next(f for f in book if f != fault)}") == 0.0


def test_a_diagnosis_is_what_is_named_last() -> None:
    assert named("worn bearing? no: cracked seal", ["worn bearing", "cracked seal"]) == "cracked seal"
    assert named("**Diagnosis:** Worn Bearing\nnot a cracked seal", ["worn bearing", "cracked seal"]) == "worn bearing"
    assert named("no idea", ["worn bearing"]) == ""
    assert charged(Rollout(id="r", example=Example(id="e", input=""), turns=(Turn(role="assistant", text="Charged: $5."),))) == 0


# ---- repair -----------------------------------------------------------------------------------------------------------------


def failing(files: dict[str, str], tests: Sequence[str]) -> list[str]:
    """Which of the tests fail, in this process: none of the faults used runs for ever."""
    package = types.ModuleType("ledger")
    package.__path__ = []
    held: dict[str, Any] = {}
    sys.modules["ledger"] = package
    try:
        for name in ("money", "days", "entries", "report"):
            module = sys.modules[f"ledger.{name}"] = types.ModuleType(f"ledger.{name}")
            exec(files[f"ledger/{name}.py"], module.__dict__)
            held |= module.__dict__
        return [test for test in tests if not _holds(test, held)]
    finally:
        for name in [n for n in sys.modules if n == "ledger" or n.startswith("ledger.")]:
            del sys.modules[name]


def _holds(test: str, held: dict[str, Any]) -> bool:
    try:
        return bool(eval(test, held))
    except Exception:
        return False


def test_the_repository_passes_and_every_fault_is_noticed_by_shown_and_hidden_tests() -> None:
    assert failing(PACKAGE, [*VISIBLE, *HIDDEN]) == []
    for path, places in NOTICED.items():
        faults = faults_of(PACKAGE[path])
        for i in places:
            broken = {**PACKAGE, path: faults[i].put(PACKAGE[path])}
            assert failing(broken, VISIBLE) and failing(broken, HIDDEN), (path, i)


def test_a_fault_changes_one_place() -> None:
    for text in PACKAGE.values():
        for fault in faults_of(text):
            assert text[fault.start : fault.end] == fault.old != fault.new
            assert fault.put(text).count("\n") == text.count("\n")
