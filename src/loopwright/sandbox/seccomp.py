"""The system calls refused inside the sandbox, as a classic BPF program; no compiler or library is needed.

A list of refusals, not of permissions: an interpreter's set of calls changes with every libc, and the walls are the
namespaces. This filter takes away what reaches around them, and what the resource limits cannot count.
"""

from __future__ import annotations

import errno
import platform
import struct

# name: (x86_64, aarch64); only calls that both machines have, so that one table serves.
_REFUSED = {
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
    # memory that belongs to no process, which neither RLIMIT_AS nor the resident sum would see
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # the machine itself
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60),
}  # fmt: skip
_SPECIAL = {"clone": (56, 220), "clone3": (435, 435), "socket": (41, 198)}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_NEW_ANYTHING = 0x7E020000
_X32 = 0x40000000
_FAMILIES = (1, 2, 10)  # unix, inet, inet6. Not vsock: it ignores network namespaces and reaches a hypervisor.


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

    parts = [
        instruction(_LOAD, _ARCH), instruction(_EQUAL, arch, 1, 0), instruction(_RETURN, _KILL),
        instruction(_LOAD, _NUMBER),
    ]  # fmt: skip
    if machine == "x86_64":
        parts += [instruction(_AT_LEAST, _X32, 0, 1), refuse(errno.EPERM)]
    for numbers in _REFUSED.values():
        parts += [instruction(_EQUAL, numbers[column], 0, 1), refuse(errno.EPERM)]
    # clone3 passes its flags by pointer, out of a filter's sight; ENOSYS makes every libc fall back to clone.
    parts += [instruction(_EQUAL, _SPECIAL["clone3"][column], 0, 1), refuse(errno.ENOSYS)]
    parts += [
        instruction(_EQUAL, _SPECIAL["clone"][column], 0, 4),
        instruction(_LOAD, _FIRST_ARGUMENT),
        instruction(_ANY_BIT, _CLONE_NEW_ANYTHING, 0, 1),
        refuse(errno.EPERM),
        instruction(_RETURN, _ALLOW),
    ]
    parts += [
        instruction(_EQUAL, _SPECIAL["socket"][column], 0, len(_FAMILIES) + 2),
        instruction(_LOAD, _FIRST_ARGUMENT),
        *(instruction(_EQUAL, family, len(_FAMILIES) - at, 0) for at, family in enumerate(_FAMILIES)),
        refuse(errno.EAFNOSUPPORT),
    ]
    parts.append(instruction(_RETURN, _ALLOW))
    return b"".join(parts)
