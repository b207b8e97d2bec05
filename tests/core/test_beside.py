"""Programs that lie beside task.toml are found, each task its own, and a mistyped one gets the near name."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwright.core.beside import files_of, module_named, use_folder
from loopwright.core.errors import InputError, TaskError, UnknownName
from loopwright.core.lazy import lazy
from loopwright.core.registry import get_recipe
from loopwright.worlds import load_task

PROGRAM = '''"""Routes."""
from loopwright.trainable import Text, trainable
import helpers_of_test

WHERE = {where!r}

@trainable(needs=())
def route(question, tape, *, a=Text("x")):
    """Says where it is from."""
    import later_of_test
    return WHERE + helpers_of_test.NAME + later_of_test.NAME

def plain(question):
    return question

@trainable(needs=())
def router(question, tape, *, a=Text("x")):
    return "other"
'''


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    use_folder(None)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def folder(at: Path, where: str = "A", recipe: str = "prog:route", checker: str = 'kind = "exact"') -> Path:
    at.mkdir(exist_ok=True)
    (at / "prog.py").write_text(PROGRAM.format(where=where))
    (at / "helpers_of_test.py").write_text(f"NAME = '/helper {where}'\n")
    (at / "later_of_test.py").write_text("NAME = '/later'\n")
    (at / "check.py").write_text("def check(output, example):\n    return True\n")
    (at / "task.toml").write_text(
        f'name = "t"\n[solver]\nrecipe = {json.dumps(recipe)}\n[examples]\nfile = "e.jsonl"\n[checker]\n{checker}\n'
    )
    (at / "e.jsonl").write_text("".join(json.dumps({"input": f"q{i}", "target": "A"}) + "\n" for i in range(80)))
    return at


def test_a_program_is_found_by_either_name(tmp_path: Path) -> None:
    tasks = [load_task(folder(tmp_path / "a", recipe=name)) for name in ("prog:route", "prog.py:route")]
    assert [task.solver for task in tasks] == [{"recipe": "prog:route", "options": {}}] * 2
    assert tasks[0].fingerprint == tasks[1].fingerprint and set(tasks[0].program) == {"prog.py", "helpers_of_test.py"}
    assert get_recipe("prog:route").card.summary == "Says where it is from."


def test_a_changed_program_is_other_work(tmp_path: Path) -> None:
    before = load_task(folder(tmp_path / "a"))
    kept = module_named("prog")
    (tmp_path / "a" / "helpers_of_test.py").write_text("NAME = 'changed'\n")
    assert module_named("prog") is kept  # while a run goes on, it has what it began with
    after = load_task(tmp_path / "a")
    assert before.fingerprint != after.fingerprint and module_named("prog").helpers_of_test.NAME == "changed"


def test_each_task_has_its_own(tmp_path: Path) -> None:
    """Also while the other one runs, and in threads."""
    said: dict[str, list[str]] = {"A": [], "B": []}

    async def one(where: str) -> None:
        load_task(folder(tmp_path / where, where))
        for _ in range(3):
            await asyncio.sleep(0)
            module = await asyncio.to_thread(module_named, "prog")
            said[where].append(module.WHERE + module.helpers_of_test.NAME)
            assert get_recipe("prog:route").function is module.route.function

    async def both() -> None:
        await asyncio.gather(one("A"), one("B"))

    asyncio.run(both())
    assert said == {"A": ["A/helper A"] * 3, "B": ["B/helper B"] * 3}
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(files_of("prog")))
    thread.start()
    thread.join()
    assert found == [{}]  # a thread that was started for something else knows of no task


def test_an_installed_module_keeps_its_name(tmp_path: Path) -> None:
    import textwrap

    at = folder(tmp_path / "a")
    (at / "textwrap.py").write_text("from loopwright.trainable import Text, trainable\n@trainable(needs=())\n"
                                    "def route(question, tape, *, a=Text('x')):\n    return 'mine'\n")  # fmt: skip
    load_task(folder(at, recipe="textwrap:route"))
    assert sys.modules["textwrap"] is textwrap and module_named("textwrap") is not textwrap


def test_what_loads_on_first_use_is_not_loaded(tmp_path: Path) -> None:
    at = folder(tmp_path / "a")
    (tmp_path / "slow_of_test.py").write_text("raise AssertionError('loaded')\n")
    sys.path.append(str(tmp_path))
    lazy("slow_of_test")
    load_task(at)
    load_task(folder(tmp_path / "b", "B"))
    with pytest.raises(AssertionError, match="loaded"):
        _ = lazy("slow_of_test").anything


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("prg:route", "No module named 'prg'; did you mean prog:route?"),
        ("prg.py:route", "No module named 'prg'; did you mean prog:route?"),
        ("nothing_like_it:route", "expected a file beside task.toml, or an importable.module:name"),
        ("prog:rout", "Did you mean route"),
        ("prog:plain", "prog:plain is a plain function, expected a recipe: write @loopwright.trainable.trainable"),
        ("prog:WHERE", "prog:WHERE is a str, expected a recipe"),
        ("broken:route", "broken could not be imported: ZeroDivisionError: division by zero (broken.py line 2)"),
        ("missing:route", "missing could not be imported: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("../b/prog.py:route", "No module named '../b/prog.py'"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, recipe: str, says: str) -> None:
    at = folder(tmp_path / "a", recipe=recipe)
    (at / "broken.py").write_text("x = 1\ny = x / 0\n")
    (at / "missing.py").write_text("import not_there_at_all\n")
    with pytest.raises(TaskError) as caught:
        load_task(at)
    assert says in str(caught.value) and "task.toml:3: [solver] recipe" in str(caught.value)


def test_a_checker_is_found_by_either_name(tmp_path: Path) -> None:
    checkers = [f'kind = "python"\nfunction = "{name}"' for name in ("check:check", "check.py:check")]
    made = [load_task(folder(tmp_path / "a", checker=checker)) for checker in checkers]
    assert made[0].checker.spec() == made[1].checker.spec()
    with pytest.raises(TaskError, match=r'expected "file\.py:function"'):
        load_task(folder(tmp_path / "a", checker='kind = "python"\nfunction = "chek:check"'))


def test_without_a_task_nothing_is_found_beside_it(tmp_path: Path) -> None:
    folder(tmp_path / "a")
    use_folder(None)
    with pytest.raises(InputError, match="No module named 'prog'"):
        get_recipe("prog:route")
    use_folder(tmp_path / "a")
    assert get_recipe("prog:route").name == "route"
    with pytest.raises(UnknownName, match="route"):
        get_recipe("prog:rotue")
