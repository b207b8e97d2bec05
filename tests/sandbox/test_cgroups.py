"""The control groups around this program, as /proc and /sys tell of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopwright.sandbox.cgroups import around

NONE = "9223372036854771712"


def made(tmp_path: Path, groups: str, mounts: str, **files: str) -> Path:
    """A folder as of /proc, and a tree as of /sys/fs/cgroup below ``tmp_path``; ``files`` by path with "__" for "/"."""
    (tmp_path / "cgroup").write_text(groups)
    (tmp_path / "mountinfo").write_text(mounts.replace("SYS", str(tmp_path / "sys")))
    for name, text in files.items():
        path = tmp_path / "sys" / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return tmp_path


V2 = "30 23 0:26 / SYS rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:27 / SYS/memory rw - cgroup cgroup rw,memory\n32 23 0:28 / SYS/pids rw - cgroup cgroup rw,pids\n"
    "33 23 0:29 / SYS/unified rw - cgroup2 cgroup2 rw\n"
)


@pytest.mark.parametrize(
    ("files", "memory", "pids", "folder"),
    [
        ({"a__b__memory_max": "max", "a__memory_max": "max"}, None, None, "sys/a/b"),
        ({"a__b__memory_max": "1073741824", "a__memory_max": "max", "a__b__pids_max": "99"}, 1 << 30, 99, "sys/a/b"),
        ({"a__b__memory_max": "1073741824", "a__memory_max": "1048576", "a__pids_max": "7", "a__b__pids_max": "9"},
         1 << 20, 7, "sys/a"),
        ({"a__b__memory_max": "none of ours"}, None, None, "sys/a/b"),
    ],
)  # fmt: skip
def test_version_2(tmp_path: Path, files: dict[str, str], memory: int | None, pids: int | None, folder: str) -> None:
    found = around(made(tmp_path, "0::/a/b\n", V2, **files))
    assert (found.memory, found.pids, found.folder) == (memory, pids, str(tmp_path / folder))


def test_version_1(tmp_path: Path) -> None:
    process = made(tmp_path, "9:pids:/p\n4:memory:/a/b\n0::/\n", V1, memory__a__b__memory__limit="", pids__p__pids_max="50")
    for path, text in {"a/b": NONE, "a": "2097152", ".": NONE}.items():
        (tmp_path / "sys" / "memory" / path / "memory.limit_in_bytes").write_text(text)
    found = around(process)
    assert (found.memory, found.pids, found.folder) == (2 << 20, 50, str(tmp_path / "sys" / "memory" / "a"))


def test_within_a_container(tmp_path: Path) -> None:
    mounts = "30 23 0:26 /docker/x SYS ro - cgroup2 cgroup ro\n"
    found = around(made(tmp_path, "0::/docker/x/y\n", mounts, y__memory_max="4096", memory_max="8192"))
    assert found.memory == 4096


def test_without_any(tmp_path: Path) -> None:
    assert around(tmp_path).memory is None and around(made(tmp_path, "0::/\n", "1 1 0:1 / / rw - ext4 /dev/x rw\n")).folder == ""
    assert around().memory is None or around().memory > 1 << 20  # this process, whatever it is in
