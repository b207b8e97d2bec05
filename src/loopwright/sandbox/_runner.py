# mypy: ignore-errors
"""Runs inside the sandbox: says it is ready, waits for one job, gives up its rights and becomes the job.

The launcher passes this file's text to ``python -c``; nothing here is imported by Loopwright. It runs once: whatever
the job does to this interpreter dies with it.
"""


def _become_the_job():
    import _sitebuiltins
    import builtins
    import marshal
    import os
    import resource
    import sys

    fd = int(sys.argv[1])
    if sys.argv[2] == "die-with-parent":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    def take(count):
        parts = []
        while count:
            part = os.read(fd, min(count, 1 << 20))
            if not part:
                os._exit(0)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    os.write(fd, b"R")
    job = marshal.loads(take(int.from_bytes(take(8), "big")))
    os.write(fd, b"G")
    os.close(fd)

    for name, data in job["files"].items():
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(name, "wb") as file:
            file.write(data)
    for name, soft, hard in job["rlimits"]:
        resource.setrlimit(getattr(resource, name), (soft, hard))
    if job["argv"] is not None:
        try:
            os.execvp(job["argv"][0], job["argv"])
        except OSError as error:
            os.write(2, f"{job['argv'][0]}: {error.strerror}\n".encode())
            os._exit(127)

    builtins.exit = builtins.quit = _sitebuiltins.Quitter("exit", "Ctrl-D")
    sys.argv[:] = ["main.py"]
    sys.orig_argv[:] = ["python3", "main.py"]
    sys.path.insert(0, os.getcwd())
    return job["code"]


def _run(code):
    import contextlib
    import sys

    space = sys.modules["__main__"].__dict__
    for name in ("_become_the_job", "_run"):
        del space[name]
    space["__file__"] = "main.py"
    try:
        exec(compile(code, "main.py", "exec"), space)
    except SystemExit:
        raise
    except BaseException as error:
        # The frames of this file are no business of whoever reads the traceback.
        trace = error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        raise SystemExit(1) from None


_run(_become_the_job())
