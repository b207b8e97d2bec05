"""What a run writes: into a folder of its own, whole or not at all, and never over what somebody else put there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from out_task import IMPROVE, START, begin, echo, ran

from loopwright.core.errors import FolderTaken, InputError
from loopwright.core.outfolder import MARKER, reserve
from loopwright.core.outputs import check_file, write_file

Seen = Callable[[str], None]
# Kills the process just before the n-th time that it flushes or renames a file.
KILLED = """
import os, signal
left = int(os.environ["KILL_AT"])
def counted(real):
    def call(*given, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)
    return call
for name in ("fsync", "rename", "replace"):
    setattr(os, name, counted(getattr(os, name)))
"""


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a digest of its content."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def whole(out: Path) -> None:
    """Whatever is there under its own name is there to its end."""
    if (out / "artifact").exists():
        manifest = json.loads((out / "artifact" / "artifact.json").read_text())
        assert json.loads((out / "artifact" / "prompt.json").read_text()) and manifest["parts"] == ["prompt"]
    if (out / "result.json").exists():
        assert json.loads((out / "result.json").read_text())["status"] == "done"
    if (out / "report.html").exists():
        assert (out / "report.html").read_text().rstrip().endswith("</html>")


@pytest.mark.fault(40, 58)
def test_a_run_killed_while_it_writes_leaves_whole_files_and_is_gone_on_with(tmp_path: Path, seen: Seen) -> None:
    echo(tmp_path)
    out = tmp_path / "mine"
    out.mkdir()
    (out / "notes.txt").write_text("my own")
    code, kills = KILLED + START, 0
    for at in (3, 8, 11, 14, 17, 20, 23, 26, 29, 10_000):
        begun = json.loads(ran(tmp_path, "runs", "--json")[1])
        words = ("resume", "last", "--json") if begun else (*IMPROVE, "--out", "mine")
        returned, said, err = ran(tmp_path, *words, code=code, KILL_AT=str(at))
        whole(out)
        assert (out / "notes.txt").read_text() == "my own"
        if returned == 0:
            break
        assert returned == -9, err
        kills += 1
    assert kills >= 6, "the kills came before or after what they should hit"
    result = json.loads(said)
    assert result["artifact"] == str(out / "artifact") and result["report"] == str(out / "report.html")
    expected = {MARKER, "artifact/artifact.json", "artifact/prompt.json", "notes.txt", "report.html", "result.json"}
    left = {name for name in tree(out) if not name.endswith((".svg", ".png")) and not name.startswith("unproven/")}
    assert left == expected, left
    seen(f"{kills} kills in mid-write: every file whole or absent, then finished in the same folder")


@pytest.mark.fault(40)
def test_an_export_that_is_killed_leaves_the_old_file(tmp_path: Path, seen: Seen) -> None:
    target = tmp_path / "data.jsonl"
    target.write_text("old\n")
    code = (
        "import os, signal, sys; from pathlib import Path; from loopwright.core.outputs import write_file\n"
        "def rows():\n    for i in range(100_000):\n        yield 'x' * 100 + '\\n'\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_file(Path(sys.argv[1]), rows())"
    )
    assert begin(tmp_path, target, code=code).wait(timeout=60) == -9
    assert target.read_text() == "old\n"
    seen("killed after 10 MB: the old file is unchanged")


@pytest.mark.fault(58)
@pytest.mark.parametrize("name", ["artifact", "unproven", "result.json", "report.html"])
def test_what_is_in_the_way_is_named_before_anything_is_asked(tmp_path: Path, name: str, seen: Seen) -> None:
    echo(tmp_path)
    out = tmp_path / "mine"
    out.mkdir()
    if "." in name:
        (out / name).write_text("my own")
    else:
        (out / name).mkdir()
        (out / name / "thesis.txt").write_text("my own")
    before = tree(out)
    for more in ((), ("--force",)):
        code, said, _ = ran(tmp_path, *IMPROVE, "--out", "mine", *more)
        error = json.loads(said)["error"]
        assert code == 2 and error["type"] == "FolderTaken" and name in error["message"] and "--out mine-2" in error["message"]
        assert tree(out) == before
    assert not json.loads(ran(tmp_path, "runs", "--json")[1])
    (tmp_path / "deep" / "mine").mkdir(parents=True)
    (tmp_path / "deep" / "mine" / "result.json").write_text("my own")
    (tmp_path / "deep" / "mine-2").mkdir()
    error = json.loads(ran(tmp_path, *IMPROVE, "--out", "deep/mine")[1])["error"]
    assert "--out deep/mine-3" in error["message"], "beside the folder that was named, and free"
    seen(f"a folder with one's own {name}: refused by name, {len(before)} file unchanged")


@pytest.mark.fault(58)
def test_results_of_an_earlier_run_are_replaced_only_when_asked_and_only_where_unchanged(tmp_path: Path, seen: Seen) -> None:
    echo(tmp_path)
    assert ran(tmp_path, *IMPROVE, "--out", "mine")[0] == 0
    out = tmp_path / "mine"
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    before = tree(out)
    code, said, _ = ran(tmp_path, *IMPROVE, "--out", "mine")
    assert code == 2 and "has the results of run" in json.loads(said)["error"]["message"] and tree(out) == before
    (out / "notes.txt").write_text("my own")
    (out / "artifact" / "prompt.json").write_text('{"instruction": "edited by hand"}')
    (out / "report.html").write_text("my own notes on the report")
    kept = tree(out)
    first = json.loads((out / "result.json").read_text())["run"]
    code, said, _ = ran(tmp_path, *IMPROVE, "--out", "mine", "--force")
    assert code == 2 and "artifact" in json.loads(said)["error"]["message"], "an edited artifact is not one that a run wrote"
    (out / "artifact").rename(out / "edited")
    (out / "report.html").rename(out / "notes.html")
    code, said, err = ran(tmp_path, *IMPROVE, "--out", "mine", "--force", "--seed", "1")
    assert code == 0, err
    now = tree(out)
    assert now["edited/prompt.json"] == kept["artifact/prompt.json"] and now["notes.txt"] == kept["notes.txt"]
    assert now["notes.html"] == kept["report.html"] and json.loads((out / "result.json").read_text())["run"] != first
    seen("--force: the earlier run's files replaced, 3 of one's own unchanged")


@pytest.mark.fault(59)
@pytest.mark.parametrize("explicit", [False, True])
def test_runs_begun_together_never_share_a_folder(tmp_path: Path, explicit: bool, seen: Seen) -> None:
    echo(tmp_path)
    more = ("--out", "mine") if explicit else ()
    started = [begin(tmp_path, *IMPROVE, *more, "--seed", str(seed)) for seed in range(3)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in started]
    results = [json.loads(out) for (out, _), code in ended if code == 0]
    refused = [json.loads(out)["error"] for (out, _), code in ended if code != 0]
    folders = {str(Path(result["artifact"]).parent) for result in results}
    assert len(folders) == len(results) == (1 if explicit else 3), [err for (_, err), _ in ended]
    for result in results:
        place = Path(result["artifact"]).parent
        assert json.loads((place / "result.json").read_text())["run"] == result["run"]
        assert json.loads((place / "artifact" / "artifact.json").read_text())["run"] == result["run"]
    assert all(error["type"] == "FolderTaken" and "--out mine-2" in error["message"] for error in refused)
    names = sorted(Path(folder).name for folder in folders)
    assert names == (["mine"] if explicit else ["echo", "echo-2", "echo-3"])
    seen(f"3 together: {', '.join(names)}; {len(refused)} refused by name")


@pytest.mark.fault(59)
def test_a_run_that_is_gone_on_with_after_its_folder_was_given_away_writes_beside_it(tmp_path: Path, seen: Seen) -> None:
    echo(tmp_path)
    killed = ran(tmp_path, *IMPROVE, "--out", "mine", code=KILLED + START, KILL_AT="9")
    assert killed[0] == -9
    run = json.loads((tmp_path / "mine" / MARKER).read_text())["run"]
    subprocess.run(["rm", "-r", str(tmp_path / "mine")], check=True)
    assert ran(tmp_path, *IMPROVE, "--out", "mine", "--seed", "1")[0] == 0
    other = tree(tmp_path / "mine")
    for _ in range(2):
        code, said, err = ran(tmp_path, "resume", run, "--json")
        assert code == 0 and "mine-2" in err
        assert Path(json.loads(said)["artifact"]) == tmp_path / "mine-2" / "artifact" and tree(tmp_path / "mine") == other
    seen("written to mine-2, twice the same; the other run's folder unchanged")


@pytest.mark.fault(58)
def test_files_of_commands_are_not_written_over(tmp_path: Path, seen: Seen) -> None:
    echo(tmp_path)
    assert ran(tmp_path, *IMPROVE)[0] == 0
    commands = [("export", "last", "--threshold", "0", "--out"), ("report", "last", "--out")]
    (tmp_path / "link").symlink_to("own")
    refused = 0
    for words in commands:
        for name in ("own", "link"):
            (tmp_path / "own").write_text("my own\n")
            code, _, err = ran(tmp_path, *words, name)
            assert code == 2 and "--force" in err and (tmp_path / "own").read_text() == "my own\n"
            refused += 1
        assert ran(tmp_path, *words, "link", "--force")[0] == 0
        assert (tmp_path / "link").is_symlink() and (tmp_path / "own").read_text() != "my own\n"
        assert ran(tmp_path, *words, "/dev/null")[0] == 0 and stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert ran(tmp_path, "report", "last", "--out", "page.html")[0] == 0
    assert ran(tmp_path, "report", "last", "--out", "page.html")[0] == 0, "a report of ours may be written again"
    seen(f"{refused} refused with --force named; a link's file written, not the link; /dev/null is still a device")


# ---- the parts ------------------------------------------------------------------------------------------------------


def test_a_marker_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").write_text("x")
    for text in (
        "", "null", "[]", "{}", '{"format": 1}', '{"format": 2, "run": "", "files": {}, "building": []}',
        '{"format": 1, "run": 3, "files": {}, "building": []}',
        '{"format": 1, "run": "", "files": {"../x": []}, "building": []}',
        '{"format": 1, "run": "", "files": {}, "building": ["precious"]}',
        '{"format": 1, "run": "", "files": {}, "building": [".x/../precious.building"]}',
    ):  # fmt: skip
        (tmp_path / MARKER).write_text(text)
        with pytest.raises(FolderTaken, match="cannot be read"):
            reserve(tmp_path, force=True)
        assert (tmp_path / "precious" / "a").read_text() == "x"
    (tmp_path / MARKER).unlink()
    (tmp_path / MARKER).symlink_to("precious/a")
    with pytest.raises(FolderTaken):
        reserve(tmp_path)


def test_a_folder_locked_by_a_run_under_way_cannot_be_forced(tmp_path: Path) -> None:
    with reserve(tmp_path / "out") as first:
        first.claim("run-1")
        with pytest.raises(FolderTaken, match="writing into"):
            reserve(tmp_path / "out", force=True)
        with reserve(tmp_path / "out", numbered=True) as second:
            assert second.path == tmp_path / "out-2"
    assert not (tmp_path / "out-2").exists(), "made for a run that never began"
    assert (tmp_path / "out").exists()


def test_what_was_added_to_a_folder_of_ours_keeps_it_from_being_replaced(tmp_path: Path) -> None:
    with reserve(tmp_path / "out") as out:
        out.claim("run-1")
        for text in ("one", "two"):
            with out.folder("artifact") as building:
                (building / "a.txt").write_text(text)
        assert tree(tmp_path / "out" / "artifact") == {"a.txt": hashlib.sha256(b"two").hexdigest()}
        (tmp_path / "out" / "artifact" / "mine.txt").write_text("my own")
        with out.folder("artifact") as building:
            (building / "a.txt").write_text("three")
        assert not out.remove("artifact") and out.remove("artifact-2")
        assert (tmp_path / "out" / "artifact" / "mine.txt").read_text() == "my own"
        (tmp_path / "out" / "artifact" / "mine.txt").unlink()
        (tmp_path / "out" / "artifact" / "empty").mkdir()
        assert not out.remove("artifact")
        assert out.write("result.json", "1").name == out.write("result.json", "2").name == "result.json"
        (tmp_path / "out" / "result.json").write_text("edited")
        assert out.write("result.json", "3").name == "result-2.json"


def test_an_error_while_a_folder_is_filled_leaves_the_old_one(tmp_path: Path) -> None:
    with reserve(tmp_path / "out") as out:
        out.claim("run-1")
        with out.folder("artifact") as building:
            (building / "a.txt").write_text("one")
        with contextlib.suppress(ZeroDivisionError), out.folder("artifact") as building:
            (building / "a.txt").write_text(str(1 / 0))
        assert set(tree(tmp_path / "out")) == {MARKER, "artifact/a.txt"}
        assert (tmp_path / "out" / "artifact" / "a.txt").read_text() == "one"


def test_files_keep_their_mode_and_pipes_are_written_into(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file"
    write_file(path, ["a", b"b"])
    assert path.read_bytes() == b"ab" and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o640)
    write_file(path, ["c"])
    assert path.read_bytes() == b"c" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    check_file(pipe, "--out", force=False)
    write_file(pipe, ["through"])
    assert reader.communicate(timeout=30)[0] == b"through" and stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / "gone").symlink_to("nowhere")
    with pytest.raises(InputError, match="link to nowhere"):
        check_file(tmp_path / "gone", "--out")


@pytest.mark.fault(58)
def test_two_commands_that_write_one_new_file_at_once(tmp_path: Path, seen: Seen) -> None:
    code = (
        "import sys, time; from pathlib import Path; from loopwright.core.outputs import write_file\n"
        "def rows():\n    yield sys.argv[2]\n    time.sleep(1.5)\n"
        "write_file(Path(sys.argv[1]), rows(), new=True)"
    )
    started = [begin(tmp_path, tmp_path / "data.jsonl", str(i), code=code) for i in range(3)]
    errors = [process.communicate(timeout=60)[1].decode() for process in started]
    won = [i for i, process in enumerate(started) if process.returncode == 0]
    assert len(won) == 1 and (tmp_path / "data.jsonl").read_text() == str(won[0])
    assert sum("InputError" in error and "not replaced" in error for error in errors) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]
    seen("3 at once into one new file: 1 wrote, 2 refused by name")


@pytest.mark.fault(58)
def test_links_put_in_the_way_during_a_run_lead_nowhere(tmp_path: Path, seen: Seen) -> None:
    (tmp_path / "precious").mkdir()
    mine = tmp_path / "precious" / "mine.txt"
    mine.write_text("my own")
    with reserve(tmp_path / "out") as out:
        out.claim("run-1")
        for name in ("artifact", ".artifact.building", ".artifact-2.building"):
            (out.path / name).symlink_to(tmp_path / "precious")
        for name in ("result.json", ".result.json.building", f"{MARKER}.building"):
            (out.path / name).symlink_to(mine)
        with out.folder("artifact") as building:
            (building / "a.txt").write_text("one")
        assert out.write("result.json", "{}").name == "result-2.json" and (out.path / "artifact-2" / "a.txt").is_file()
        (out.path / MARKER).unlink()
        (out.path / MARKER).symlink_to(mine)
        out.write("report.html", "page")
        assert not (out.path / MARKER).is_symlink()
        assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"] and mine.read_text() == "my own"
        subprocess.run(["rm", "-r", str(out.path)], check=True)
        assert out.write("report.html", "page").read_text() == "page", "the folder was removed during the run"
    seen("7 links to one's own files: none followed; the folder removed in mid-run: the result is written all the same")


def test_names_that_can_be_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for name in ("x" * 300, "a\0b", str(tmp_path / "gone"), str(tmp_path / "file"), "/proc/x"):
        with pytest.raises(InputError, match="--out: "):
            reserve(name)
        with pytest.raises(InputError, match="--out: "):
            check_file(Path(name) / "page.html", "--out")


@pytest.mark.fault(55)
def test_what_a_run_leaves_is_its_owners_alone(tmp_path: Path, seen: Seen) -> None:
    """Also where the folder was there, for others to read, and the umask hides nothing."""
    echo(tmp_path)
    (tmp_path / "mine").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        for out in ("mine", "new"):
            assert ran(tmp_path, *IMPROVE, "--out", out)[0] == 0
    finally:
        os.umask(before)
    inside = [path for out in ("mine", "new") for path in (tmp_path / out).rglob("*")]
    modes = {path: oct(path.stat().st_mode & 0o777) for path in inside}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {"0o700"}, modes
    assert {mode for path, mode in modes.items() if path.is_file()} == {"0o600"}, modes
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    seen(f"umask 000, a folder of 755 and a new one: {len(modes)} files and folders, all 600 and 700")
