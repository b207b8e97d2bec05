"""What a user sees in any terminal: names as they are, escapes where an encoding has no letter, and places checked first."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import loopwright
from loopwright.core.errors import InputError
from loopwright.core.outputs import check_file, check_folder

Cli = Callable[..., tuple[int, str, str]]
NAME = "é:smile: [bold]x[red] ☃ 😀"
START = "import sys; from loopwright.cli.main import main; main()"


def folder(path: Path, name: str = "t", target: str = "é☃") -> Path:
    path.mkdir(parents=True)
    (path / "task.toml").write_text(
        f'name = {json.dumps(name, ensure_ascii=False)}\n[prompt]\ninstruction = "Ünterscheide {{x}} ☃"\n'
        '[examples]\nfile = "e.jsonl"\n[checker]\nkind = "exact"\n[answer]\nmax_tokens = 8\n',
        encoding="utf-8",
    )
    lines = [json.dumps({"input": f"Frage {i} ü", "target": target}, ensure_ascii=False) + "\n" for i in range(80)]
    (path / "e.jsonl").write_text("".join(lines), encoding="utf-8")
    says = "def answers(request, index):\n    return 'é☃' if 'answer' in request.turns[-1].text.lower() else '😀'\n"
    for place in (path, path.parent):  # an artifact is without it
        (place / "asked.py").write_text(says, encoding="utf-8")
    return path


def start(at: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    own = {**os.environ, "COLUMNS": "200", "PYTHONPATH": f"{Path(loopwright.__file__).parents[1]}{os.pathsep}{at}"}
    return subprocess.run([sys.executable, "-c", START, *words], cwd=at, capture_output=True, env={**own, **environment})


ASCII = {
    "ioencoding": {"PYTHONIOENCODING": "ascii"},
    "locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "latin": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.fault(82)
@pytest.mark.parametrize("kind", list(ASCII))
def test_a_run_ends_well_in_a_terminal_without_letters(tmp_path: Path, kind: str, seen: Callable[[str], None]) -> None:
    if kind == "locale":
        at, name = tmp_path, "task"  # file names are of the locale too
        folder(at / "task", NAME)
    else:
        at, name = tmp_path, NAME
        folder(at / NAME, NAME)
    words = ("improve", name, "--model", "scripted:asked:answers", "--method", "few-shot", "--out", "out")
    done = start(at, *words, **ASCII[kind])
    assert done.returncode == 0, done.stderr.decode("latin-1")[-2000:]
    assert b"Traceback" not in done.stderr and b":smile: [bold]x[red]" in done.stderr
    commands = [
        ("export", "last", "--threshold", "0"), ("runs",), ("runs", "--json"), ("report", "last", "--out", "page.html"),
        ("answer", "-a", "out/artifact", "Frage?", "--trust"),
    ]  # fmt: skip
    rows: list[object] = []
    for words in commands if kind == "ioencoding" else commands[:1]:
        done = start(at, *words, **ASCII[kind])
        assert done.returncode == 0 and b"Traceback" not in done.stderr, (words, done.stderr.decode("latin-1")[-2000:])
        if "--json" in words:
            assert json.loads(done.stdout)[0]["task"] == NAME
        if words[0] == "export":
            rows = [json.loads(line) for line in done.stdout.decode("latin-1").splitlines()]
            assert rows and all("ü" in json.dumps(row, ensure_ascii=False) for row in rows)
    seen(f"{kind}: a run in letters that the terminal lacks, exit 0, {len(rows)} rows exported whole")


def test_names_and_paths_are_shown_as_they_are(tmp_path: Path) -> None:
    folder(tmp_path / NAME, NAME)
    words = ("improve", NAME, "--model", "scripted:asked:answers", "--method", "few-shot")
    done = start(tmp_path, *words, PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr.decode()
    assert f"{NAME}: model scripted:asked:answers" in done.stderr.decode()
    assert f"out/{NAME}/report.html" in done.stdout.decode() and f"out/{NAME}/artifact" in done.stdout.decode()
    assert NAME in start(tmp_path, "runs", PYTHONIOENCODING="utf-8").stdout.decode()
    wrong = start(tmp_path, "improve", ":smile:[red]", PYTHONIOENCODING="utf-8")
    assert wrong.returncode == 2 and ":smile:[red]: no such folder" in wrong.stderr.decode()


# ---- places that cannot be written to ---------------------------------------------------------------------------------


def test_a_file_in_the_way_is_found_before_anything_is_spent(tmp_path: Path, cli: Cli) -> None:
    folder(tmp_path / "task")
    (tmp_path / "file").write_text("mine")
    task = tmp_path / "task"
    for out in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        for words in (
            ("improve", task, "--model", "scripted:asked:answers", "--out", out),
            ("run", "few-shot", "--task", task, "--model", "scripted:asked:answers", "--out", out),
            ("run", "ucb1", "--world", "bandit", "--steps", "10", "--out", out),
            ("reproduce", "ucb1", "--out", out),
        ):
            code, _, err = cli(*words)
            assert code == 2 and "--out: " in err and "file" in err and "resume" not in err, err
    code, out, _ = cli("runs", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path, cli: Cli, database: Path) -> None:
    for words in (("report", "last"), ("export", "last")):
        code, _, err = cli(*words, "--out", tmp_path, "--store", database)
        assert code == 2 and "--out: " in err and "is a folder, expected a file" in err
    (tmp_path / "plots.png").mkdir()
    code, _, err = cli("watch", "replay", "--plot", tmp_path / "plots.png")
    assert code == 2 and "--plot: " in err and "is a folder" in err


def test_places_below_files_and_free_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("")
    monkeypatch.chdir(tmp_path)
    for place in ("new", "new/deep/er", ".", "~", str(tmp_path)):
        check_folder(place, "--out")
    for place in ("f", "f/x", "f/x/y"):
        with pytest.raises(InputError, match=r"^--out: "):
            check_folder(place, "--out")
    for place in ("new.html", "deep/er/new.html", "f"):
        check_file(place, "--plot")
    for place in (".", "f/x"):
        with pytest.raises(InputError, match=r"^--plot: "):
            check_file(place, "--plot")


# ---- files ------------------------------------------------------------------------------------------------------------


def test_every_text_file_is_utf8_whatever_the_locale() -> None:
    """A file of text is opened with its encoding said; what the kernel writes is ASCII."""
    root, found = Path(loopwright.__file__).parent, []
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or any(k.arg in ("encoding", "mode") for k in node.keywords):
                continue
            given = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if isinstance(node.func, ast.Attribute):
                text = node.func.attr in ("write_text", "read_text") and not set(given) & {"utf-8", "ascii"}
            else:
                text = getattr(node.func, "id", "") == "open" and not any("b" in value for value in given[-1:])
            if text and "/proc/" not in ast.unparse(node):
                found.append(f"{path.relative_to(root)}:{node.lineno}: {ast.unparse(node)[:60]}")
    assert not found
