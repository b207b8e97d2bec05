"""Which protections are in force on this machine: found by attacking a sandbox, not by reading settings."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess

from loopwright.core.errors import SandboxError
from loopwright.sandbox import host, layout
from loopwright.sandbox.box import Sandbox
from loopwright.sandbox.types import Limits, Outcome, Profile

# 192.0.2.1 is kept for documentation; no packet could reach anybody even without a sandbox.
_ATTACKS = """
import ctypes, json, mmap, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(attack):
    try:
        return attack() is False
    except OSError:
        return True
def connect():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("192.0.2.1", 9))
def enlarged():
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
def attribute():
    open("probed", "w").close()
    os.setxattr("probed", "user.probe", b"x")
def queue():
    return libc.inotify_init1(0) >= 0
print(json.dumps({
    "kernel_memory": all(map(refused, (
        lambda: socket.socket(socket.AF_UNIX), enlarged, attribute, queue, lambda: mmap.mmap(-1, 4096),
    ))),
    "network": refused(connect),
    "files": refused(lambda: open("/etc/shadow")) and refused(lambda: os.listdir("/home"))
        and refused(lambda: open("/usr/x", "w")) and refused(lambda: os.listdir("/proc")),
    "namespaces": libc.unshare(0x10000000) != 0,
    "seccomp": libc.ptrace(0, 0, 0, 0) != 0,
}))
"""

# 200 sockets stand for 42 MB of the kernel's memory, however little is in them.
_SOCKETS = """
import os, socket, time
for _ in range(3):
    os.fork()
held = [socket.socketpair() for _ in range(25)]
time.sleep(5)
"""


def probe() -> Profile:
    """The protections here. Never raises for a missing sandbox: it says so. Blocks for two runs, about 300 ms."""
    try:
        box = Sandbox(pool=0)

        def run(code: str, limits: Limits) -> Outcome:
            return asyncio.run_coroutine_threadsafe(box.run(code, limits=limits), host.loop()).result(timeout=120)

        found = json.loads(run(_ATTACKS, Limits()).stdout)
        counted = run(_SOCKETS, Limits(seconds=2, memory_mb=64)).status == "memory"
        version = subprocess.run([layout.find_bubblewrap(), "--version"], capture_output=True, text=True, check=True)
    except SandboxError as error:
        return Profile(isolated=False, problem=str(error))
    except (OSError, ValueError, TimeoutError, subprocess.SubprocessError) as error:
        return Profile(isolated=False, problem=f"the sandbox does not answer: {error}")
    root = os.geteuid() == 0
    children = os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return Profile(
        isolated=all(found[name] for name in ("network", "files", "namespaces")),
        bubblewrap=version.stdout.strip().rpartition(" ")[2],
        pids="namespace" if layout.own_process_count() else "uid" if root else "watched" if children else "none",
        memory="address space and resident" if children else "address space",
        identity="own uid" if root else "caller",
        counted=counted,
        **found,
    )
