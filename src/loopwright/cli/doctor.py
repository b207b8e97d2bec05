"""The command that tells what this machine offers, what is missing, and what to type next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from loopwright.cli.shared import JsonOption, StoreOption, console, emit, given_store, say, store_path
from loopwright.core.errors import InputError

_LEAST_MB = 200  # of a disk, for a store; the embedded model wants 100 more
_PYTHON = (3, 11)
_SCOPE = "systemd-run --user --scope -p MemoryMax=8G -p TasksMax=2000"


@dataclass(frozen=True, slots=True)
class Line:
    """One finding.

    state: ``ok``, ``missing``, ``limited`` (there, but it protects or serves less than it could), or ``damaged``.
    told: what was found. next: what to type, or "". needed: whether a plain run needs it, so that its lack is a failure.
    """

    part: str
    name: str
    state: Literal["ok", "missing", "limited", "damaged"]
    told: str
    next: str = ""
    needed: bool = False


def _python(store: Path) -> Iterator[Line]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info[:2] >= _PYTHON
    yield Line(
        "python", "version", "ok" if good else "missing", f"{version} ({sys.executable})",
        "" if good else "install Python 3.11 or later, and Loopwright into it", needed=True,
    )  # fmt: skip


def _extras(store: Path) -> Iterator[Line]:
    from loopwright.core.extras import EXTRAS, there

    for extra in dict.fromkeys(EXTRAS.values()):
        absent = [package for package, of in EXTRAS.items() if of == extra and not there(package)]
        if absent:
            yield Line("extras", extra, "missing", f"not installed: {', '.join(absent)}", f"pip install 'loopwright[{extra}]'")
        else:
            yield Line("extras", extra, "ok", "installed")


def _model(store: Path) -> Iterator[Line]:
    from loopwright.core.extras import there
    from loopwright.core.packaged import Packaged, cache_root
    from loopwright.models.smollm2 import MEMBER, NAME, REQUIREMENT, SHA256

    if not there("torch") or not there("transformers"):
        yield Line(
            "model", NAME, "missing", "the embedded model needs the extra embedded; models on servers do not",
            "pip install 'loopwright[embedded]', or name a server: --model openai:MODEL@http://127.0.0.1:8000/v1",
        )  # fmt: skip
        return
    if Packaged(REQUIREMENT, {MEMBER: SHA256}, "", "gguf").here:
        yield Line("model", NAME, "ok", f"in {cache_root() / 'gguf'}")
    else:
        yield Line("model", NAME, "missing", "not fetched yet; the first run fetches it (93 MB)", "loopwright model fetch")


def _keys(store: Path) -> Iterator[Line]:
    from loopwright.core.environment import holds_key

    names = sorted(name for name, value in os.environ.items() if holds_key(name) and value.strip())
    if names:
        yield Line("keys", "environment", "ok", f"set: {', '.join(names)} (names only; values are never shown)")
    else:
        yield Line(
            "keys", "environment", "missing", "no variable that holds a key; only servers that want one need it",
            "export OPENAI_API_KEY=...",
        )  # fmt: skip


def _store(store: Path) -> Iterator[Line]:
    from loopwright.core.errors import StoreError
    from loopwright.store.locks import refuse_network

    folder = store.parent.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        yield Line("store", "folder", "missing", f"{there} is not a folder", "say where runs are kept: --store PATH", needed=True)
        return
    try:
        if store.exists():
            os.close(os.open(store, os.O_RDWR))
        with tempfile.TemporaryFile(dir=there):  # tried, not asked: root is told that it may write anywhere
            pass
        yield Line("store", "folder", "ok", f"{folder} can be written", needed=True)
    except OSError as error:
        told = f"{there} cannot be written: {error.strerror}"
        yield Line("store", "folder", "missing", told, "say where runs are kept: --store PATH", needed=True)
    try:
        refuse_network(store)
        yield Line("store", "file system", "ok", "not one of the network file systems that SQLite cannot trust", needed=True)
    except StoreError as error:
        yield Line("store", "file system", "missing", str(error), "say where runs are kept: --store PATH", needed=True)
    free = shutil.disk_usage(there).free >> 20
    enough = free >= _LEAST_MB
    yield Line(
        "store", "disk", "ok" if enough else "missing", f"{free:,} MB free in {there}",
        "" if enough else f"free at least {_LEAST_MB} MB, or say where runs are kept: --store PATH", needed=True,
    )  # fmt: skip


def _sandbox(store: Path) -> Iterator[Line]:
    from loopwright.sandbox import probe

    found = probe()
    if not found.isolated:
        first, _, rest = found.problem.partition("\n")
        yield Line("sandbox", "isolation", "missing", first or "attacks from inside a sandbox were not all refused", rest.strip())
        return
    yield Line("sandbox", "bubblewrap", "ok", f"{found.bubblewrap}, and it may create user namespaces")
    for name, held, told in (
        ("network", found.network, "connections from inside are refused"),
        ("files", found.files, "files of this machine cannot be read or written from inside"),
        ("system calls", found.seccomp, "calls that reach around the walls are refused"),
    ):
        yield Line("sandbox", name, "ok" if held else "limited", told if held else f"it does NOT hold that {told}")
    yield Line("sandbox", "memory", "ok" if "resident" in found.memory else "limited", f"limited by {found.memory}")
    kernel = [
        ("ways to hold memory in the kernel are refused", found.kernel_memory),
        ("what it keeps for sockets and files counts as memory", found.counted),
    ]
    told = "; ".join(words if holds else f"it does NOT hold that {words}" for words, holds in kernel)
    yield Line("sandbox", "kernel memory", "ok" if found.kernel_memory and found.counted else "limited", told)
    yield from _group()
    yield Line("sandbox", "processes", "limited" if found.pids in ("watched", "none") else "ok", f"counted by {found.pids}")


def _group() -> Iterator[Line]:
    from loopwright.sandbox.cgroups import around

    group = around()
    if group.memory is not None:
        told = f"this program and all sandboxes together may use {group.memory >> 20:,} MB ({group.folder})"
        yield Line("sandbox", "control group", "ok", told)
        return
    yield Line(
        "sandbox", "control group", "limited", "none limits the memory of this program with all its sandboxes; each is counted "
        "ten times a second instead",
        f"{_SCOPE} loopwright ..." if Path("/run/systemd/system").is_dir() else "",
    )  # fmt: skip


# Each is given where runs are kept, and looks at one part of the machine.
CHECKS: tuple[Callable[[Path], Iterator[Line]], ...] = (_python, _store, _model, _keys, _sandbox, _extras)


def examine(store: Path) -> list[Line]:
    """All findings, in the order in which they are shown.

    Args:
        store: The database file that runs would be kept in; it is not opened.

    Returns:
        One line for each thing looked at. Raises nothing for what is missing.
    """
    return [line for check in CHECKS for line in check(store)]


def kept(store: Path) -> list[Line]:
    """What is to be said of what a store holds: every row and blob of it is read, none is changed.

    Args:
        store: The database file.

    Returns:
        One line for each thing looked at; damage is needed, so that it is a failure.
    """
    from loopwright.store.checkup import check_up

    if not store.is_file():
        return []
    found = check_up(store)
    return [Line("what is kept", f.name, f.state, f.told, f.next, needed=f.state == "damaged") for f in found]


def doctor(
    ctx: typer.Context,
    json: JsonOption = False,
    store: StoreOption = None,
    salvage: Annotated[
        Path | None,
        typer.Option(
            "--salvage", metavar="FOLDER", help="Make a new store there of all that can still be read of the one of --store."
        ),
    ] = None,
) -> None:
    """Tell what this machine offers and what to type for what is missing; with --store also whether what is kept there is whole.

    The exit code is 1 where something is missing that every run needs, or what is kept is damaged, else 0.
    """
    path = store_path(ctx, store)
    if salvage is not None:
        _salvage(path, salvage, json)
        return
    lines = examine(path)
    if given_store(ctx, store):
        lines += kept(path)
    failed = [line for line in lines if line.needed and line.state in ("missing", "damaged")]
    if json:
        plain: list[dict[str, Any]] = [asdict(line) for line in lines]
        emit({"ok": not failed, "lines": plain})
    else:
        _show(lines)
    if failed:
        raise typer.Exit(1)


def _salvage(path: Path, folder: Path, json: bool) -> None:
    from loopwright.store.opening import FILE
    from loopwright.store.salvage import salvage

    if not path.is_file():
        raise InputError(f"--salvage: there is no store at {path}; say which one with --store")
    copied, left = salvage(path, folder)
    if json:
        emit({"store": str(folder), "copied": dict(copied), "damaged": dict(left)})
        return
    for word, counts in (("copied", copied), ("damaged, left out", left)):
        told = ", ".join(f"{number:,} of {name}" for name, number in sorted(counts.items())) or "nothing"
        say(f"{word}: {told}")
    made = folder if path.name == FILE else folder / path.name  # a folder means the file of that name
    look = f"loopwright runs --store {shlex.quote(str(made))}"
    say(f"the new store is {made}; nothing was changed in {path.parent}. Look at it: {look}")


def _show(lines: list[Line]) -> None:
    from rich.text import Text

    out, part = console(), ""
    for line in lines:
        if line.part != part:
            part = line.part
            out.print(Text(part, style="bold"))
        style = "green" if line.state == "ok" else "bold red" if line.needed else "yellow"
        text = Text("  ").append(f"{line.state:8}", style=style)
        out.print(text.append(f"{line.name}: {line.told}"))
        if line.next:
            first, *more = line.next.split("\n")
            out.print(Text(f"          type: {first.strip()}" if not more else f"          {first.strip()}"))
            for row in more:
                out.print(Text(f"          {row}"))
