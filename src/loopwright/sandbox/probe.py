"""Which protections are in force on this machine: found by attacking a sandbox, not by reading settings."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess

from loopwright.core.errors import SandboxError
from loopwright.sandbox import host, layout
from loopwright.sandbox.box import Sandbox
from loopwright.sandbox.types import Profile

# 192.0.2.1 is kept for documentation; no packet could reach anybody even without a sandbox.
_ATTACKS = """
import ctypes, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(attack):
    try:
        return attack() is False
    except OSError:
        return True
def connect():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("192.0.2.1", 9))
print(json.dumps({
    "network": refused(connect),
    "files": refused(lambda: open("/etc/shadow")) and refused(lambda: os.listdir("/home"))
        and refused(lambda: open("/usr/x", "w")) and refused(lambda: os.listdir("/proc")),
    "namespaces": libc.unshare(0x10000000) != 0,
    "seccomp": libc.ptrace(0, 0, 0, 0) != 0,
}))
"""


def probe() -> Profile:
    """The protections here. Never raises for a missing sandbox: it says so. Blocks for one run, about 50 ms."""
    try:
        box = Sandbox(pool=0)
        future = asyncio.run_coroutine_threadsafe(box.run(_ATTACKS), host.loop())
        outcome = future.result(timeout=120)
        found = json.loads(outcome.stdout)
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
        **found,
    )
