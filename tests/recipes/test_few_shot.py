"""few-shot shows real worked answers alone, after the task's own instruction."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.policy import Prompt, prompt_of
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate
from loopwright.core.world import demonstration, start
from loopwright.models.scripted import ScriptedModel
from loopwright.sandbox import Sandbox
from loopwright.store import MemoryStore
from loopwright.worlds import load_task
from loopwright.worlds.named import named_world

CHECK = 'def check(output, example):\n    return output.strip() == str(example["target"]).upper()\n'


def task(folder: Path, checker: str, example: Any, instruction: str = "", code: str = CHECK) -> Any:
    """80 examples made by ``example(i)``, an input and a target."""
    (folder / "check.py").write_text(code)
    (folder / "task.toml").write_text(
        f'name = "t"\n[prompt]\ninstruction = {json.dumps(instruction)}\n[examples]\nfile = "e.jsonl"\n[checker]\n{checker}\n'
    )
    given = [dict(zip(("input", "target"), example(i), strict=True)) for i in range(80)]
    (folder / "e.jsonl").write_text("".join(json.dumps(e) + "\n" for e in given))
    return load_task(folder)


def offered(world: Any, reply: Any = "no", recipe: str = "few-shot", **options: Any) -> list[Prompt]:
    """The prompts that the recipe offers to a gate that accepts none."""
    store = MemoryStore()
    row = store.create_run({"x": 1}, seed=0, budget={}, code_version="test")
    box = Sandbox()
    engine = Engine(store=store, run=row, ledger=Ledger(Budget()), models={"policy": ScriptedModel(reply)}, sandbox=box)
    found: list[Prompt] = []

    async def offer(candidate: Candidate) -> bool:
        found.append(prompt_of(candidate))
        return False

    async def go() -> None:
        base = start(world, by="task")
        ctx = Context(engine, "run", world=world, policy=base)
        ctx.recipe = get_recipe(recipe)
        await loop.improve(ctx.recipe, base, ctx, offer, options)

    try:
        asyncio.run(go())
    finally:
        box.close()
    return found


def shots(prompts: list[Prompt]) -> list[tuple[Any, str]]:
    return [(s.input, s.output) for p in prompts for s in p.shots]


@pytest.mark.parametrize(
    ("checker", "example", "right"),
    [
        ('kind = "exact"', lambda i: (f"q{i}", f"a{i}"), "a{i}"),
        ('kind = "exact"', lambda i: (f"q{i}", [f"a{i}", f"b{i}"]), "a{i}"),
        ('kind = "exact"', lambda i: (f"q{i}", i), "{i}"),
        ('kind = "number"', lambda i: (f"q{i}", i / 2), None),
        ('kind = "number"', lambda i: (f"q{i}", f"{i}.5"), "{i}.5"),
        ('kind = "regex"\npattern = "a.*"', lambda i: (f"q{i}", f"a{i}"), "a{i}"),
        ('kind = "python"\nfunction = "check.py:check"', lambda i: (f"q{i}", f"A{i}"), "A{i}"),
    ],
)
def test_targets_that_are_answers_are_shown(tmp_path: Path, checker: str, example: Any, right: str | None) -> None:
    found = shots(offered(task(tmp_path, checker, example), sizes=(2,), sets=2))
    assert len(found) == 2
    for question, answer in found:
        i = int(str(question)[1:])
        assert answer == (right.format(i=i) if right else str(i / 2))


@pytest.mark.parametrize(
    ("checker", "example"),
    [
        ('kind = "regex"', lambda i: (f"q{i}", f"a[{i}]+")),
        ('kind = "regex"', lambda i: (f"q{i}", ".*")),  # it matches itself, and is no answer for that
        ('kind = "tests"', lambda i: (f"q{i}", [f"assert f({i}) == {i}"])),
        ('kind = "tests"', lambda i: (f"q{i}", f"assert {i} == {i}")),  # as a program it would pass itself
        ('kind = "python"\nfunction = "check.py:check"', lambda i: (f"q{i}", f"a{i}")),
        ('kind = "python"\nfunction = "check.py:check"', lambda i: (f"q{i}", {"must": ["a", "b"]})),
        ('kind = "schema"\nschema = {type = "object"}', lambda i: (f"q{i}", f"a{i}")),
    ],
)
def test_targets_that_are_none_are_never_shown(tmp_path: Path, checker: str, example: Any) -> None:
    found = shots(offered(task(tmp_path, checker, example), reply="no way", sizes=(2,)))
    assert {answer for _, answer in found} <= {"no way"}  # which one of the patterns accepts


def test_right_attempts_stand_in_for_them(tmp_path: Path) -> None:
    world = task(tmp_path, 'kind = "regex"', lambda i: (f"q{i}", f"yes {i % 2}"))
    found = offered(world, reply=lambda request, index: f"yes {int(request.turns[-1].text[1:]) % 2}", sizes=(3,), sets=1)
    assert [(a, len(p.shots)) for p in found for a in [p.shots[0].output[:4]]] == [("yes ", 3)]
    made = task(tmp_path, 'kind = "tests"', lambda i: (f"q{i}", [f"assert f({i}) == {i + 1}"]))
    found = offered(made, reply="```python\ndef f(x):\n    return x + 1\n```", sizes=(2,), sets=1)
    assert [s.output for p in found for s in p.shots] == ["```python\ndef f(x):\n    return x + 1\n```"] * 2


def test_wrong_targets_among_right_ones_are_left_out(tmp_path: Path) -> None:
    world = task(
        tmp_path, 'kind = "python"\nfunction = "check.py:check"', lambda i: (f"q{i}", f"A{i}" if i % 3 else f"a{i}")
    )
    found = shots(offered(world, sizes=(2, 4), sets=3))
    assert len(found) == 6 and all(answer.startswith("A") for _, answer in found)


def test_a_check_of_ones_own_is_asked_about_few_targets(tmp_path: Path) -> None:
    count = "from pathlib import Path\nlog = Path(__file__).with_name('calls')\n"
    code = count + "def check(output, example):\n    log.open('a').write('x')\n    return output == 'never'\n"
    world = task(tmp_path, 'kind = "python"\nfunction = "check.py:check"', lambda i: (f"q{i}", f"a{i}"), code=code)
    assert offered(world, sizes=(4,), sets=2, examples=6) == []
    trained = len(world.examples("train"))
    assert len((tmp_path / "calls").read_text()) <= 6 + 4 + trained  # of targets, then the model's own answers


def test_the_tasks_instruction_is_kept(tmp_path: Path) -> None:
    world = task(tmp_path, 'kind = "exact"', lambda i: (f"q{i}", f"a{i}"), instruction="Name the {thing}.")
    found = offered(world, sizes=(0, 1), instructions=("Be short.", "Be quick."))
    assert [p.instruction for p in found] == ["Name the {thing}.\nBe short.", "Name the {thing}."]
    world = task(tmp_path, 'kind = "exact"', lambda i: (f"q{i}", f"a{i}"))
    assert [p.instruction for p in offered(world, sizes=(0,), instructions=("Be short.",))] == ["Be short."]


def test_objects_are_shown_as_they_are(tmp_path: Path) -> None:
    world = task(tmp_path, 'kind = "exact"', lambda i: ({"a": f"q{i}", "b": i}, f"a{i}"))
    (prompt,) = offered(world, sizes=(1,), sets=1)
    told = prompt.model_copy(update={"template": "{a} ({b})"}).render(world.examples("gate")[0])
    given: Any = prompt.shots[0].input
    assert told[0].text == f"{given['a']} ({given['b']})"
    assert prompt.render(world.examples("gate")[0])[0].text == json.dumps(given)


def test_a_world_whose_targets_are_numbers_of_words_shows_none_of_them() -> None:
    assert offered(named_world("words"), reply="word", sizes=(2,), examples=4) == []


def test_patterns_and_tests_are_nothing_to_imitate(tmp_path: Path) -> None:
    for checker, target in (('kind = "regex"', "a+"), ('kind = "tests"', ["assert f(1)"])):
        world = task(tmp_path, checker, lambda i, target=target: (f"q{i}", target))
        assert demonstration(world, world.examples("train")[0]) is None
