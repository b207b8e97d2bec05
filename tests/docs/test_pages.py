"""What the pages tell people to type works."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from loopwright.core.model import Request
from loopwright.core.registry import Recipe, get_recipe, recipes_in
from loopwright.improve.job import run_recipe
from loopwright.models.scripted import ScriptedModel
from loopwright.worlds.files import load_task

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall((ROOT / page).read_text(encoding="utf-8")) if found == language]


def module_of(code: str, path: Path) -> ModuleType:
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_a_page_compiles(page: Path) -> None:
    for code in blocks(str(page), "python"):
        compile(code, str(page), "exec")


def test_readme_learner_runs() -> None:
    (code,) = [code for code in blocks("README.md", "python") if "Session(" in code]
    names: dict[str, object] = {}
    exec(code, names)
    assert names["session"].asked == 1 and not names["session"].open  # type: ignore[attr-defined]


def test_readme_shows_the_recipe_as_it_is() -> None:
    from loopwright.recipes.search import best_of_n

    (shown,) = [code for code in blocks("README.md", "python") if code.startswith("@solver")]
    source = inspect.getsource(sys.modules[best_of_n.__module__] if isinstance(best_of_n, Recipe) else best_of_n)
    assert source.endswith(shown)


def test_readme_names_every_recipe_of_the_main_job() -> None:
    from loopwright.improve.portfolio import PORTFOLIO

    text = (ROOT / "README.md").read_text(encoding="utf-8").casefold()
    words = {"critic-tools": "critic", "few-shot": "few-shot selection"}
    for slug in {slug for slugs in PORTFOLIO.values() for slug in slugs}:
        assert get_recipe(slug)
        assert words.get(slug, slug) in text


def test_tutorial_task_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples, check = blocks("docs/tutorial.md", "python")
    subprocess.run([sys.executable, "-c", examples], check=True, cwd=tmp_path)
    task_file, checker = blocks("docs/tutorial.md", "toml")
    folder = tmp_path / "dates"
    (folder / "task.toml").write_text(task_file)
    assert sum(len(load_task(folder).examples(s)) for s in ("train", "gate", "test")) == 300

    (folder / "check.py").write_text(check)
    whole = re.compile(r"\[checker\]\nkind = \"exact\"\n")
    assert whole.search(task_file)
    (folder / "task.toml").write_text(whole.sub(checker, task_file))
    load_task(folder)
    said = module_of(check, tmp_path / "tutorial_check.py").check
    assert said("2004-07-24", {"target": "2004-07-24"}) == {"score": 1.0}
    assert said("2004-7-24", {"target": "2004-07-24"})["score"] == 0.5


def test_task_reference_loads(tmp_path: Path) -> None:
    text, model = blocks("docs/reference/task.md", "toml")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Paris is the capital of France.")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE item (name TEXT)")
    lines = [json.dumps({"input": f"What is the capital of country {i}?", "target": "Paris"}) for i in range(120)]
    (tmp_path / "examples.jsonl").write_text("\n".join(lines))
    (tmp_path / "task.toml").write_text(text)
    task = load_task(tmp_path)
    assert set(task.tools) == {"python", "calculator", "search", "sql"} and task.methods["few-shot"] == {"sizes": [0, 2, 4]}
    line = 'model = "embedded"'
    assert line in text
    (tmp_path / "task.toml").write_text(re.sub(f"{line}.*", "", text) + model)
    task = load_task(tmp_path)
    assert isinstance(task.model, dict) and task.model["api_key_env"] == "MY_KEY" and set(task.others) == {"judge", "proposer"}


def test_the_program_on_its_page_runs_and_is_improved(tmp_path: Path) -> None:
    """The first version fails with its stack trace; a scripted model writes another parse, and the task's solver has it."""
    code, effect = blocks("docs/concepts/programs.md", "python")
    (program,) = recipes_in(module_of(code, tmp_path / "dates.py"))
    assert set(program.options) == {"instruction", "order", "warmth", "parse"} and "tape.effect" in effect
    (table,) = blocks("docs/concepts/programs.md", "toml")
    month = "from datetime import datetime as d\n\ndef parse(text):\n    return d.strptime(text, '%B %d, %Y').date().isoformat()"
    dates = [date(2004, 7, 24) + timedelta(days=i) for i in range(80)]
    lines = [json.dumps({"input": f"{d.day} {d:%B} {d.year}", "target": d.isoformat()}) for d in dates]
    (tmp_path / "examples.jsonl").write_text("\n".join(lines))
    rest = '[checker]\nkind = "exact"\n[examples]\nfile = "examples.jsonl"\n'
    (tmp_path / "task.toml").write_text(f'name = "d"\n{table}{rest}')

    def say(request: Request, index: int) -> str:
        asked = request.turns[-1].text
        if "# Parameters" in asked:
            assert "raised CodeFailed: parse: ValueError: not enough values to unpack" in asked
            return json.dumps({"suggestion": {"parse": month}})
        day, name, year = asked.split("\n")[-1].split()
        return f"{name} {day}, {year}."

    async def go() -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("loopwright.improve.parts.load_model", lambda *args, **kwargs: ScriptedModel(say))
            return await run_recipe(
                "trace-opto", task_folder=tmp_path, options={"rounds": 1, "examples": 2, "held": 4}, out=tmp_path / "out",
                store_path="memory:", model="scripted:said",
            )  # fmt: skip

    result = asyncio.run(go())
    assert result["final"]["score"] == 1.0
    assert "strptime" in (tmp_path / "out" / "artifact" / "solver.toml").read_text()


def test_contributing_recipe_is_one(tmp_path: Path) -> None:
    code, row = blocks("CONTRIBUTING.md", "python")
    (recipe,) = recipes_in(module_of(code, tmp_path / "re_read.py"))
    assert recipe.slug == "re-read" and recipe.card.shape == "solver"
    assert recipe.card.summary.startswith("Re-reading: ")

    from loopwright.claims.table import Claim

    claim = eval(row, {"Claim": Claim})
    assert isinstance(claim, Claim) and claim.recipe == recipe.slug

    class Asked:
        async def answer(self, example: object, message: str) -> str:
            return message

    from loopwright.core.types import Example

    said = asyncio.run(recipe(Example(id="1", input="2 {+} 2?"), Asked()))
    assert said == "Read the question again: 2 {+} 2?"


def test_make_help_lists_the_developer_commands() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("demo", "test", "check", "reproduce", "bench", "docs", "lint"):
        assert f"make {name} " in said
