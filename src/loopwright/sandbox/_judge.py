# ruff: noqa: F821
# mypy: ignore-errors
"""Runs the tests, in a process the program cannot see into, and reports each verdict under a nonce. Follows _wire.py."""

import builtins
import json
import os
import subprocess
import sys
import time


class _Remote:
    """An object of the program. Against plain data it is never equal and has no order, whatever its class says."""

    def __init__(self, judge, handle):
        self.__dict__.update(_judge=judge, _handle=handle)

    def __call__(self, *args, **kwargs):
        return self._judge.ask("call", [self, *args], kwargs)

    def __getattr__(self, name):
        if name.startswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)
        return self._judge.ask("getattr", [self, name])

    def __setattr__(self, name, value):
        self._judge.ask("setattr", [self, name, value])

    def __eq__(self, other):
        return isinstance(other, _Remote) and self._judge.ask("eq", [self, other]) is True

    def __lt__(self, other):
        return self._judge.ask("lt", [self, other]) is True if type(other) is _Remote else NotImplemented

    def __hash__(self):
        return hash(self._handle)

    def __instancecheck__(self, instance):
        return self._judge.ask("isinstance", [instance, self]) is True

    def __repr__(self):
        return str(self._judge.ask("repr", [self]))

    def __str__(self):
        return str(self._judge.ask("str", [self]))


def _operation(name):
    def method(self, *args):
        return self._judge.ask(name, [self, *args])

    return method


for _method, _name in {
    "len": "len", "iter": "iter", "next": "next", "bool": "bool", "contains": "contains", "getitem": "getitem",
    "setitem": "setitem", "delitem": "delitem", "add": "add", "sub": "sub", "mul": "mul", "truediv": "truediv",
    "neg": "neg", "abs": "abs",
}.items():  # fmt: skip
    setattr(_Remote, f"__{_method}__", _operation(_name))


class _ProgramError(Exception):
    pass


class _Judge:
    def __init__(self, spec):
        self.spec, self.process, self.line = spec, None, None
        self.exported, self.kinds = {}, {}

    def start(self):
        """A fresh process with the program loaded, and the name space a test sees."""
        ours, theirs = os.pipe(), os.pipe()
        source = self.spec["wire"] + self.spec["worker"]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", source, str(ours[0]), str(theirs[1])],
            stdin=subprocess.DEVNULL, stdout=2, pass_fds=(ours[0], theirs[1]),
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        deadline = self.line.deadline if self.line else None
        self.line = Line(theirs[0], ours[1])
        self.line.deadline = deadline
        names, errors = self.ask("load", [self.spec["program"]])
        self.kinds = {}
        for name, bases in errors.items():
            self.kinds[bases[0]] = names[name] = type(name, (self.builtin(bases),), {})
        # What a test takes for Python's own must be: no all() of the program's, no __builtins__.
        names = {name: value for name, value in names.items() if name[:2] != "__" and not hasattr(builtins, name)}
        return {"__name__": "tests", **names}

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            os.close(self.line.reader)
            os.close(self.line.writer)
            self.process = None

    def builtin(self, bases):
        for name in bases:
            kind = getattr(builtins, name, None) if isinstance(name, str) else None
            if isinstance(kind, type) and issubclass(kind, Exception):
                return kind
        return _ProgramError

    def export(self, value):
        if type(value) is _Remote:
            return value._handle
        if not callable(value):
            raise TypeError(f"a test may hand plain data and functions to the program, not {type(value).__name__}")
        handle = f"j{len(self.exported)}"
        self.exported[handle] = value
        return handle

    def resolve(self, handle):
        return self.exported[handle] if handle in self.exported else _Remote(self, str(handle))

    def ask(self, what, args, kwargs=None):
        packed = pack(args, self.export)
        self.line.send({"do": what, "args": packed, "kwargs": pack(kwargs or {}, self.export)})
        while True:
            message = self.line.receive()
            if "do" in message:
                self.line.send(self.called_back(message))
            elif "raised" in message:
                bases = message["raised"]
                raise (self.kinds.get(bases[0]) or self.builtin(bases))(message["text"])
            else:
                break
        for mine, theirs in zip(args, unpack(message["args"], self.resolve), strict=False):
            # The program may have changed a list, dict or set in place, as sorting does.
            if type(mine) is type(theirs) and isinstance(mine, list):
                mine[:] = theirs
            elif type(mine) is type(theirs) and isinstance(mine, dict | set):
                mine.clear()
                mine.update(theirs)
        return unpack(message["value"], self.resolve)

    def called_back(self, message):
        """The program may call a function that a test gave it; nothing else on this side can be reached."""
        try:
            function = self.exported[message["on"]]
            args = unpack(message["args"], self.resolve)
            value = function(*args, **unpack(message["kwargs"], self.resolve))
            return {"value": pack(value, self.export)}
        except Exception as error:
            return {"raised": f"{type(error).__name__}: {error}"}

    def verdict(self, source, setups, space):
        """(message or None where it passed, the name space for the next test or None where a fresh one is needed)."""
        try:
            if space is None:
                self.stop()
                space = {"fresh": True}
                space = self.start()
                setups = self.spec["setups"][: setups["upto"]]
            else:
                setups = self.spec["setups"][setups["done"] : setups["upto"]]
            for setup in setups:
                exec(compile(setup, "<setup>", "exec"), space)
            exec(compile(source, "<test>", "exec"), space)
        except Late:
            return "not finished in its share of the time", None
        except Gone:
            return "the program ended its process", None
        except AssertionError as error:
            return str(error) or "assertion failed", space
        except BaseException as error:
            return f"{type(error).__name__}: {error}", None if "fresh" in space else space
        return None, None if self.process.poll() is not None else space

    def run(self):
        end = time.monotonic() + self.spec["seconds"]
        space, done = None, 0
        self.line = Line(-1, -1)
        for at, (source, upto) in enumerate(self.spec["tests"]):
            now = time.monotonic()
            self.line.deadline = now + max(end - now, 0) / (len(self.spec["tests"]) - at)
            message, space = self.verdict(source, {"done": done, "upto": upto}, space)
            done = upto
            text = None if message is None else message[:1000]
            os.write(1, f"\n{self.spec['nonce']} {json.dumps([at, text])}\n".encode())
        self.stop()


# The program can write to the working folder; a module left there must not be what a test imports.
sys.path.remove(os.getcwd())
os.chdir("/")
_Judge(json.loads(sys.stdin.buffer.read())).run()
