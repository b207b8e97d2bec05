"""Memory of the kernel that a program could hold without any process of its own growing: refused, or counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from loopwright.sandbox import Limits, Sandbox, probe

Seen = Callable[[str], None]
pytestmark = pytest.mark.fault(72)

_START = """
import ctypes, mmap, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def refused(code):
    if code >= 0:
        print("through")
    else:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
pair = socket.socketpair()
"""
# Each held between 100 MB and 1.5 GB at a limit of 256 MB before it was refused.
REFUSED = {
    "a Unix socket": "socket.socket(socket.AF_UNIX)",
    "a TCP socket": "socket.socket()",
    "a pair of datagram sockets": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "a pair of packet sockets": "socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)",
    "a larger socket buffer": "pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)",
    "sockets sent through sockets": "socket.send_fds(pair[0], [b'x'], [0])",
    "shared anonymous memory": "mmap.mmap(-1, 1 << 20)",
    "shared memory of a device": "mmap.mmap(open('/dev/zero', 'r+b').fileno(), 1 << 20)",
    "a memory file": "os.memfd_create('x')",
    "a larger pipe": "import fcntl; fcntl.fcntl(os.pipe()[1], 1031, 1 << 20)",
    "pages given to a pipe": "refused(libc.vmsplice(os.pipe()[1], 0, 0, 0))",
    "pages moved between pipes": "refused(libc.tee(os.pipe()[0], os.pipe()[1], 1, 0))",
    "pages moved from a file": "os.splice(os.open('x', os.O_CREAT | os.O_RDWR), os.pipe()[1], 1)",
    "a queue of file events": "refused(libc.inotify_init1(0))",
    "an attribute of a file": "open('x', 'w').close(); os.setxattr('x', 'user.a', b'x' * 60000)",
    "rules": "refused(libc.syscall(444, (ctypes.c_uint64 * 2)(0, 3), 16, 0))",
    "a table of futexes": "refused(libc.prctl(78, 1, 1 << 20, 0, 0))",
    "a System V segment": "refused(libc.shmget(0, 1 << 20, 0o1600))",
    "a message queue": "refused(libc.mq_open(b'/x', 66, 0o600, None))",
}  # fmt: skip


def run(code: str, **limits: float):
    async def main():
        async with Sandbox(pool=0, limits=Limits(**{"seconds": 20, "cpu_seconds": 20} | limits)) as box:
            return await box.run(code)

    return asyncio.run(main())


def test_ways_to_hold_memory_in_the_kernel_are_refused(seen: Seen) -> None:
    calls = "".join(
        f"try:\n    {call}\n    print('through', flush=True)\nexcept OSError as error:\n    print(error.errno, flush=True)\n"
        for call in REFUSED.values()
    )
    outcome = run(_START + calls)
    assert outcome.status == "ok", outcome.stderr
    held = dict(zip(REFUSED, outcome.stdout.split(), strict=True))
    assert [name for name, said in held.items() if said == "through"] == []
    seen(f"{len(REFUSED)} of {len(REFUSED)} ways to hold memory in the kernel refused")


FLOODS = {
    "sockets": "kept = []\nfor _ in range(3): os.fork()\nwhile True:\n    try: kept.append(socket.socketpair())\n"
    "    except OSError: time.sleep(1)",
    "empty files": "n = 0\nwhile True:\n    open(f'{n}', 'w').close()\n    n += 1",
    "folders": "n = 0\nwhile True:\n    os.mkdir(f'{n}')\n    n += 1",
    "links": "n = 0\nopen('a', 'w').close()\nwhile True:\n    os.symlink('a' * 100, f'{n}')\n    n += 1",
    "page tables": "libc.mmap.restype = ctypes.c_void_p\n"
    "libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]\nfor _ in range(2): os.fork()\n"
    "for n in range(200000):\n    ctypes.string_at(libc.mmap((1 << 44) + (n << 21), 4096, 1, 0x100022, -1, 0), 1)",
}


@pytest.mark.parametrize("name", FLOODS)
def test_what_the_kernel_holds_counts_as_memory(name: str, seen: Seen) -> None:
    outcome = run(_START + FLOODS[name], memory_mb=96)
    assert outcome.status == "memory", outcome
    seen(f"a flood of {name} at 96 MB: ended as {outcome.status} after {outcome.seconds:.1f} s")


FILL = """
for _ in range(4):
    try: os.fork()
    except OSError: pass
kept, total = [], 0
try:
    while True:
        kept.append(socket.socketpair())
        for end in kept[-1]:
            end.setblocking(False)
            try:
                while True: total += end.send(b'x' * 65536)
            except BlockingIOError: pass
except OSError: pass
os.write(1, b'%d\\n' % total)
time.sleep(5)
"""


def test_sockets_filled_to_the_brim(seen: Seen) -> None:
    outcome = run(_START + FILL, seconds=8)
    held = sum(map(int, outcome.stdout.split())) >> 20
    # The flood held 3,600 MB; a socket takes 208 KB, of which most are data, and a process has some 60.
    assert outcome.status in ("memory", "timeout", "ok", "pids") and 0 < held < 256, outcome
    seen(f"sockets filled by {len(outcome.stdout.split())} processes at 256 MB: {held} MB in the kernel, then {outcome.status}")


WORKS = {
    "asyncio": "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    p = await asyncio.create_subprocess_exec("
    "'python3', '-c', 'print(5)', stdout=-1)\n    return (await p.communicate())[0]\nprint(asyncio.run(main()))",
    "pools": "import multiprocessing, concurrent.futures\nwith multiprocessing.Pool(2) as p: print(p.map(abs, [-1]))\n"
    "with concurrent.futures.ProcessPoolExecutor(2) as p: print(list(p.map(abs, [-2])))",
    "pipes and queues": "import multiprocessing as m\na, b = m.Pipe()\nq = m.Queue()\ndef f(): b.send(1); q.put(2)\n"
    "p = m.Process(target=f); p.start(); print(a.recv(), q.get()); p.join()",
    "shared values": "import multiprocessing as m, multiprocessing.shared_memory as s\nprint(m.Value('i', 3).value)\n"
    "x = s.SharedMemory(create=True, size=10); x.buf[0] = 1; x.close(); x.unlink()",
    "a database": "import sqlite3\nc = sqlite3.connect('a.db'); c.execute('create table t(x)'); c.commit()",
    "private memory": "import mmap\nmmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE)[0]",
    "copies": "import shutil\nopen('a', 'w').write('x' * 100000); shutil.copy2('a', 'b'); shutil.copytree('.', '/tmp/c')",
    "fifty files": "kept = [open(f'{n}', 'w') for n in range(50)]",
}


@pytest.mark.parametrize("name", WORKS)
def test_ordinary_programs_still_work(name: str) -> None:
    outcome = run(WORKS[name])
    assert outcome.ok, outcome


def test_the_probe_tells_what_holds() -> None:
    found = probe()
    assert found.kernel_memory and found.counted
