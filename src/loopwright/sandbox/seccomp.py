"""The system calls refused inside the sandbox, as a classic BPF program; no compiler or library is needed.

A list of refusals, not of permissions: an interpreter's set of calls changes with every libc, and the walls are the
namespaces. This filter takes away what reaches around them, and what the resource limits cannot count.
"""

from __future__ import annotations

import errno
import platform
import struct

# name: (x86_64, aarch64); None where that machine has no such call.
_REFUSED: dict[str, tuple[int, int | None]] = {
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # wide or often broken parts of the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "personality": (135, 92), "syslog": (103, 116),
    # memory that belongs to no process, which neither RLIMIT_AS nor the resident sum would see: in objects,
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "io_setup": (206, 0),
    # in the buffers of sockets (4 MB each once enlarged), and in sockets that are on their way through others,
    "socket": (41, 198), "setsockopt": (54, 208), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    # in pages that a pipe keeps after their process has let go of them (2 MB for each of its places),
    "vmsplice": (278, 75), "splice": (275, 76), "tee": (276, 77),
    # in queues of events (16,384 for each of 128), attributes of files (64 KB each), and rules
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463), "landlock_create_ruleset": (444, 444),
    # the machine itself
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443),
}  # fmt: skip
_SPECIAL = {
    "clone": (56, 220), "clone3": (435, 435), "socketpair": (53, 199), "mmap": (9, 222), "fcntl": (72, 25), "prctl": (157, 167)
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, (16, 24, 32, 40)  # where they lie; of the arguments, the lower half
_CLONE_NEW_ANYTHING = 0x7E020000
_X32 = 0x40000000
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE = 1, 1, 0xF
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20  # the first is a bit of MAP_SHARED_VALIDATE too, and not of MAP_PRIVATE
_F_SETPIPE_SZ = 1031
_PR_FUTEX_HASH = 78


def program(machine: str | None = None) -> bytes | None:
    """The filter for this kind of machine as bytes for ``bwrap --seccomp``; None where no table exists for it."""
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        return None
    column, arch = _MACHINES[machine]

    def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    def refuse(number: int) -> bytes:
        return instruction(_RETURN, _ERRNO | number)

    def of(name: str, *body: bytes) -> list[bytes]:
        """What is done for one call. The body ends with a return; jumps in it count from the instruction after."""
        return [instruction(_EQUAL, _SPECIAL[name][column], 0, len(body)), *body]

    def argument(at: int) -> bytes:
        return instruction(_LOAD, _ARGUMENTS[at])

    allow = instruction(_RETURN, _ALLOW)
    parts = [
        instruction(_LOAD, _ARCH), instruction(_EQUAL, arch, 1, 0), instruction(_RETURN, _KILL),
        instruction(_LOAD, _NUMBER),
    ]  # fmt: skip
    if machine == "x86_64":
        parts += [instruction(_AT_LEAST, _X32, 0, 1), refuse(errno.EPERM)]
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            parts += [instruction(_EQUAL, number, 0, 1), refuse(errno.EPERM)]
    # clone3 passes its flags by pointer, out of a filter's sight; ENOSYS makes every libc fall back to clone.
    parts += of("clone3", refuse(errno.ENOSYS))
    parts += of("clone", argument(0), instruction(_ANY_BIT, _CLONE_NEW_ANYTHING, 0, 1), refuse(errno.EPERM), allow)
    # asyncio wakes its loop through a pair of Unix stream sockets; each holds at most some 300 KB while its buffer
    # cannot be enlarged, and RLIMIT_NOFILE bounds their number.
    parts += of(
        "socketpair", argument(0), instruction(_EQUAL, _AF_UNIX, 0, 3), argument(1), instruction(_AND, _SOCK_TYPE),
        instruction(_EQUAL, _SOCK_STREAM, 1, 0), refuse(errno.EPERM), allow,
    )  # fmt: skip
    # Pages of shared anonymous memory stay while anybody maps them, resident in nobody.
    parts += of(
        "mmap", argument(3), instruction(_ANY_BIT, _MAP_ANONYMOUS, 0, 2), instruction(_ANY_BIT, _MAP_SHARED, 0, 1),
        refuse(errno.EPERM), allow,
    )  # fmt: skip
    parts += of("fcntl", argument(1), instruction(_EQUAL, _F_SETPIPE_SZ, 0, 1), refuse(errno.EPERM), allow)
    parts += of("prctl", argument(0), instruction(_EQUAL, _PR_FUTEX_HASH, 0, 1), refuse(errno.EINVAL), allow)
    return b"".join([*parts, allow])
