"""What the inside of a sandbox looks like: the interpreter, its libraries, an empty working folder, nothing else."""

from __future__ import annotations

import functools
import glob
import hashlib
import importlib.util
import os
import random
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from loopwright.core.errors import SandboxMissing

WORK = "/tmp/work"
GUESTS = "/guests"  # packages of the host that are shown inside
STAGE = Path("/var/cache/loopwright")
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_UNUSED = ("site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo", "pkgconfig")
_ENVIRONMENT = {
    "PATH": "/python/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": f"/python/{sys.platlibdir}",
    "MALLOC_ARENA_MAX": "1",  # else each thread reserves 64 MiB of the address space that is capped
    "PYTHONDONTWRITEBYTECODE": "1",
}
_ADVICE = """Model-written code is only run in isolation.
  To install bubblewrap, type:  apt-get install bubblewrap    (Debian, Ubuntu; elsewhere: dnf, apk or pacman)
  To allow user namespaces, type what applies:
    sysctl -w kernel.apparmor_restrict_unprivileged_userns=0      (Ubuntu 23.10 and later)
    sysctl -w kernel.unprivileged_userns_clone=1                  (older Debian)
    sysctl -w user.max_user_namespaces=15000                      (where it is 0)
    docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined
  Sandbox(unsafe=True) runs the code with resource limits only, and only if you trust it."""


def missing(reason: str) -> SandboxMissing:
    return SandboxMissing(f"no sandbox here: {reason.strip()}. {_ADVICE}")


def find_bubblewrap() -> str:
    """The path of bwrap on PATH. Raises SandboxMissing, which says what to type."""
    found = shutil.which("bwrap")
    if found is None:
        raise missing("bubblewrap (bwrap) is not installed, or not on PATH")
    return found


def spare_uid() -> int | None:
    """A user id nobody has, another for each sandbox, when run by root; None for an ordinary user, who cannot change it.

    Started by root, bwrap would keep reading what only root may read, whatever ``--uid`` says.
    """
    if os.geteuid() != 0:
        return None
    first, _, count = (int(part) for part in Path("/proc/self/uid_map").read_text().split()[:3])
    if first == 0 and count > 0x70010000:
        return 0x70000000 + random.SystemRandom().randrange(0x10000)
    return 50000 + random.SystemRandom().randrange(10000)


def own_process_count() -> bool:
    """Since Linux 5.14 RLIMIT_NPROC counts within a user namespace; before, over everything a user runs."""
    release = os.uname().release.split("-")[0].split(".")
    return (int(release[0]), int(release[1])) >= (5, 14)


def _open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & 0o005 == 0o005 for part in (path, *path.parents))


def _staged(executable: Path, library: Path) -> tuple[Path, Path]:
    """Copies the interpreter to where a user without rights can reach it: once for each version, about 60 MB."""
    key = hashlib.sha256(f"{executable} {library} {executable.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    home = STAGE / f"{_VERSION}-{key}"
    if not home.is_dir():
        try:
            STAGE.mkdir(parents=True, exist_ok=True, mode=0o755)
            STAGE.chmod(0o755)
            fresh = Path(tempfile.mkdtemp(dir=STAGE))
            skip = shutil.ignore_patterns(*_UNUSED, "config-*")
            shutil.copytree(library / _VERSION, fresh / "lib" / _VERSION, symlinks=True, ignore=skip)
            for shared in library.glob("lib*.so*"):
                shutil.copy2(shared, fresh / "lib", follow_symlinks=False)
            shutil.copy2(executable, fresh / "python")
            for root, folders, files in os.walk(fresh):
                for entry in (os.path.join(root, name) for name in (".", *folders, *files)):
                    if not os.path.islink(entry):
                        os.chmod(entry, 0o755)
            try:
                fresh.rename(home)
            except OSError:  # another process was first
                shutil.rmtree(fresh)
        except OSError as error:
            raise missing(
                f"{executable} cannot be read by a user without rights, and copying it to {STAGE} failed ({error})"
            ) from error
    return home / "python", home / "lib"


@functools.cache
def _interpreter() -> tuple[str, ...]:
    executable = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    library = standard.parent
    if os.geteuid() == 0 and not all(map(_open_to_all, (executable, library, standard))):
        executable, library = _staged(executable, library)
        standard = library / _VERSION
    inside = f"/python/{sys.platlibdir}"
    # In /usr/lib everybody's files lie beside the standard library; elsewhere the interpreter's own shared objects do.
    shared = library.parts[:2] != ("/", "usr")
    source, target = (library, inside) if shared else (standard, f"{inside}/{_VERSION}")
    binds = ["--ro-bind", str(source), target]
    if (standard / "site-packages").is_dir():
        binds += ["--tmpfs", f"{inside}/{_VERSION}/site-packages"]
        binds += ["--remount-ro", f"{inside}/{_VERSION}/site-packages"]
    binds += ["--ro-bind", str(executable), f"/python/bin/{_VERSION}"]
    return (*binds, "--symlink", _VERSION, "/python/bin/python3", "--symlink", _VERSION, "/python/bin/python")


@functools.cache
def _guests() -> tuple[str, ...]:
    """Optional packages that code inside may import, from ``GUESTS``; those that the user who runs it can read."""
    binds: list[str] = []
    for name in ("clingo", "_cffi_backend"):
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        path = Path(found.origin).resolve()
        path = path.parent if found.submodule_search_locations else path
        if os.geteuid() != 0 or _open_to_all(path):
            binds += ["--ro-bind", str(path), f"{GUESTS}/{path.name}"]
    return tuple(binds)


@functools.cache
def _system_libraries() -> tuple[str, ...]:
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    folders = [f"{top}/{triplet}" for top in ("/lib", "/usr/lib") if triplet and os.path.isdir(f"{top}/{triplet}")]
    folders = [*(folders or ["/lib", "/usr/lib"]), "/lib64", "/usr/lib64", *glob.glob("/lib/ld-*.so*")]
    folders += [f"/usr{path}" for path in glob.glob("/lib/ld-*.so*")] + ["/etc/ld.so.cache"]
    binds: list[str] = []
    for top in ("/lib", "/lib64"):
        if os.path.islink(top):
            binds += ["--symlink", os.readlink(top), top]
    for path in folders:
        if os.path.exists(path) and not os.path.islink("/" + path.split("/")[1]):
            binds += ["--ro-bind", path, path]
    return tuple(binds)


def command(bwrap: str, *, file_mb: int, info_fd: int, seccomp_fd: int | None, readable: Sequence[str]) -> list[str]:
    """The bwrap command line up to, not including, the program to run. Read it top to bottom: it is the profile."""
    line = [bwrap, "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    line += ["--unshare-uts", "--unshare-cgroup-try", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    line += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--info-fd", str(info_fd), "--clearenv"]
    for name, value in _ENVIRONMENT.items():
        line += ["--setenv", name, value]
    line += [*_interpreter(), *_system_libraries(), *_guests()]
    for path in readable:
        line += ["--ro-bind", path, path]
    # No /proc at all, and three devices: bwrap's own --dev brings a terminal and an uncapped tmpfs, and what is mapped
    # shared from /dev/zero is memory that belongs to no process.
    for device in ("null", "random", "urandom"):
        line += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    line += ["--symlink", "/tmp", "/dev/shm", "--perms", "0700", "--size", str(file_mb << 20), "--tmpfs", "/tmp"]
    line += ["--dir", WORK, "--remount-ro", "/", "--chdir", WORK]
    if seccomp_fd is not None:
        line += ["--seccomp", str(seccomp_fd)]
    return line


def python(control_fd: int, *, inside: bool) -> list[str]:
    """The interpreter, waiting for one job on ``control_fd``."""
    runner = Path(__file__).with_name("_runner.py").read_text(encoding="utf-8")
    program = "/python/bin/python3" if inside else sys.executable
    tie = "by-bwrap" if inside or not sys.platform.startswith("linux") else "die-with-parent"
    return [program, "-I", "-S", "-B", "-c", runner, str(control_fd), tie]
