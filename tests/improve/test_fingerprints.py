"""What a run's code is known by: files through their imports, packages by version, functions without a file by what they do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.beside import use_folder
from loopwright.core.registry import get_recipe, improver
from loopwright.improve.fingerprints import Code, by_itself, fingerprint, parts

RECIPE = """'''A recipe.'''
from loopwright import improver
import numpy as np
import near, package.inner, {more}
from package import other

@improver(improves="prompt", needs=("model",), baseline=True)
async def mine(base, ctx):
    '''One.'''
    import late
    words = open("words.txt").read()
    yield base
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "recipe_of_mine.py": RECIPE.replace("{more}", "json"), "near.py": "import far\n", "far.py": "X = 1\n",
        "late.py": "Y = 2\n",
        "package/__init__.py": "", "package/inner.py": "from . import deep\nfrom .deep import z\n", "package/deep.py": "z = 3\n",
        "package/other.py": "def f(): pass\n", "words.txt": "one", "unread.txt": "two", "unused.py": "A = 1\n",
        "examples.jsonl": "{}", "task.toml": '[examples]\nfile = "examples.jsonl"\n[x]\nother = "table.csv"\n',
        "table.csv": "1,2",
        ".hidden/words.txt": "x", "out/words.txt": "x",
    }  # fmt: skip
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def of(folder: Path) -> Code:
    use_folder(folder)
    try:
        return fingerprint("1.0", folder, {"mine": get_recipe("recipe_of_mine:mine")}, [folder / "late.py"])
    finally:
        use_folder(None)


def test_imports_are_followed_in_the_users_own_files_and_named_elsewhere(folder: Path) -> None:
    code = of(folder)
    assert set(code.files) == {
        "recipe_of_mine.py", "near.py", "far.py", "late.py", "package/__init__.py", "package/inner.py", "package/deep.py",
        "package/other.py",
    }  # fmt: skip
    assert set(code.data) == {"words.txt", "table.csv"}, "what code or task.toml names, and the examples are compared themselves"
    assert set(code.packages) == {"numpy"} and code.unseen == [] and code.functions == {}
    assert code.version == "1.0" and code.python == f"{sys.version_info[0]}.{sys.version_info[1]}"


READ = ["near.py", "far.py", "late.py", "package/deep.py", "package/other.py", "words.txt", "table.csv"]


@pytest.mark.parametrize("name", READ)
def test_each_of_them_counts(folder: Path, name: str) -> None:
    before = of(folder).spec()
    path = folder / name
    path.write_text(path.read_text() + ("\nB = 7\n" if name.endswith(".py") else "!"))
    assert of(folder).spec() != before
    (folder / "unused.py").write_text("A = 2\n")
    (folder / "unread.txt").write_text("three")
    changed = of(folder).spec()
    (folder / "unused.py").write_text("A = 3\n")
    assert of(folder).spec() == changed, "what nobody reads does not"


def test_a_project_that_is_moved_keeps_its_fingerprint(folder: Path, tmp_path: Path) -> None:
    before = of(folder).spec()
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    folder.rename(moved)
    assert of(moved).spec() == before


def test_a_file_that_is_no_python_any_more_is_known_by_its_bytes(folder: Path) -> None:
    use_folder(folder)
    recipe = get_recipe("recipe_of_mine:mine")
    (folder / "near.py").write_text("def (:\n")
    code = fingerprint("1.0", folder, {"mine": recipe})
    use_folder(None)
    assert list(code.files["near.py"]) == ["bytes"]


def test_parts_are_functions_methods_and_the_rest() -> None:
    text = "import a\nX = 1\ndef f(x):\n    return x\nclass C(B):\n    y = 2\n    def g(self):\n        return 1\n"
    before = parts(ast.parse(text))
    assert set(before) == {"f", "C", "C.g", ""}
    for old, new, changed in [
        ("return x", "return x + 1", {"f"}), ("return 1", "return 2", {"C.g"}), ("y = 2", "y = 3", {"C"}),
        ("X = 1", "X = 2", {""}),
        ("(B)", "(D)", {"C"}), ("return x", "return (x)  # the same", set()), ("import a\n", "import a\n\n# a comment\n", set()),
    ]:  # fmt: skip
        after = parts(ast.parse(text.replace(old, new)))
        assert {name for name in before if before[name] != after[name]} == changed
    assert parts(ast.parse(text + "def f(x):\n    return 9\n"))["f"] != before["f"], "one that is defined again"


# ---- what has no file -------------------------------------------------------------------------------------------------


def written(source: str, name: str = "made", **values: Any) -> Callable[..., Any]:
    """A function as a shell makes it: Python has no source of it."""
    scope: dict[str, Any] = {"__name__": "__main__", **values}
    exec(source, scope)
    made: Callable[..., Any] = scope[name]
    return made


def test_a_function_without_a_file_is_known_by_its_bytecode_and_what_it_uses() -> None:
    base = "def used(x):\n    return x + 1\nLIMIT = 3\ndef made(x):\n    return used(x) * LIMIT\n"
    same, _ = by_itself(written(base))
    assert by_itself(written("\n\n# moved down\n" + base))[0] == same
    for old, new in [("x + 1", "x + 2"), ("LIMIT = 3", "LIMIT = 4"), ("* LIMIT", "- LIMIT"), ("used(x) *", "used(-x) *")]:
        assert by_itself(written(base.replace(old, new)))[0] != same, new
    again = "def made(n):\n    return n and made(n - 1)\n"
    assert by_itself(written(again))[0] == by_itself(written(again))[0], "one that calls itself"


def test_plain_values_of_a_closure_count_and_others_are_told_to_be_unseen() -> None:
    def factory(value: Any) -> Callable[..., Any]:
        return written("def outer(v):\n    def inner(x):\n        return x, v\n    return inner\n", "outer")(value)  # type: ignore[no-any-return]

    assert by_itself(factory(1))[0] == by_itself(factory(1))[0] != by_itself(factory(2))[0]
    assert by_itself(factory({"a": [1, (2, None)]}))[0] != by_itself(factory({"a": [1, (3, None)]}))[0]
    _, unseen = by_itself(factory(object()))
    assert unseen == ["v in its closure, of type object"]
    assert by_itself(factory(1))[1] == []


def test_recipes_that_a_factory_makes_differ_by_what_they_were_made_with() -> None:
    def made(note: Any) -> Any:
        @improver(improves="prompt", needs=("model",), baseline=True)
        async def of_a_factory(base, ctx):
            """Notes."""
            yield base.child(note=note)

        return of_a_factory

    one, two, three = (fingerprint("1", None, {"m": made(v)}) for v in ("a", "b", object()))
    assert one.files == two.files and one.functions != two.functions
    assert three.unseen == ["m: note in its closure, of type object"] and one.unseen == []


def test_our_own_recipes_are_known_by_their_file_and_our_version(folder: Path) -> None:
    code = fingerprint("1", None, {"gepa": get_recipe("gepa")})
    assert list(code.files) == ["loopwright/recipes/prompt/gepa.py"] and code.packages == {}


def test_a_fingerprint_is_the_same_in_another_process(folder: Path) -> None:
    program = (
        "import sys, json, pathlib; sys.path[:0] = sys.argv[2:]; from loopwright.improve.fingerprints import fingerprint\n"
        "from loopwright.core.beside import use_folder; from loopwright.core.registry import get_recipe\n"
        "folder = pathlib.Path(sys.argv[1]); use_folder(folder)\n"
        "print(json.dumps(fingerprint('1', folder, {'m': get_recipe('recipe_of_mine:mine')}).spec(), sort_keys=True))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True, cwd=folder.parent,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(p for p in sys.path if p)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1 and "recipe_of_mine.py" in said.pop()


@pytest.mark.fault(11)
@pytest.mark.parametrize("name", ["rules.toml", "linked.json", "two words.json", "deep/rules.toml"])
def test_every_named_file_of_the_folder_is_known_by_its_bytes(tmp_path: Path, name: str, seen: Callable[[str], None]) -> None:
    folder, target = tmp_path / "task", tmp_path / "elsewhere"
    (folder / "deep").mkdir(parents=True)
    checker = folder / "checker.py"
    checker.write_text(f"def check(output): return open({name!r}).read()\n")
    target.write_text("1")
    if name == "linked.json":
        (folder / name).symlink_to(target)
    else:
        target = folder / name
        target.write_text("1")
    before = fingerprint("1", folder, {}, [checker])
    target.touch()
    assert fingerprint("1", folder, {}, [checker]) == before
    target.write_text("2")
    after = fingerprint("1", folder, {}, [checker])
    assert after.data.keys() == before.data.keys() == {name}
    assert after.data != before.data
    seen(f"{name}: changed bytes told, touch alone not")


def test_what_is_named_but_not_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "task"
    folder.mkdir()
    (tmp_path / "far").mkdir()
    (folder / "linked").symlink_to(tmp_path / "far")
    (folder / ".env").write_text("KEY=1")
    (folder / "task.toml").write_text("[examples]\nfile = 'examples.jsonl'\n")
    checker = folder / "checker.py"
    checker.write_text("def check(output): return open('linked/x').read() + open('.env').read() + open('task.toml').read()\n")
    code = fingerprint("1", folder, {}, [checker])
    assert code.data == {}
    assert code.unseen == ["files in linked, a link to a folder", ".env, a hidden file"]
