# ruff: noqa: F821
# mypy: ignore-errors
"""Runs the program under test, in its own process: loads it, then does what the judge asks. Follows _wire.py."""

import builtins
import operator
import sys

_MUTABLE = (list, dict, set, bytearray)
_CHANGEABLE = frozenset("dsBCODqa")  # marks of _wire.py


class _Program:
    def __init__(self, line):
        self.line = line
        self.objects, self.handles, self.callbacks = {}, {}, {}
        self.enumerations = set()

    def handle(self, value):
        handle = f"p{id(value):x}"
        self.objects[handle] = value  # kept, so that its id is nobody else's
        return handle

    def export(self, value):
        cls = type(value)
        if cls.__name__ == "function" and value in self.callbacks:
            return {"o": self.callbacks[value]}
        if cls in self.enumerations:
            return {"o": [self.handle(cls), value.name, "member"]}
        if isinstance(value, int | str) and hasattr(cls, "__members__"):
            return pack(int(value) if isinstance(value, int) else str.__str__(value), self)
        how = "generator" if cls.__name__ == "generator" else "callable" if callable(value) else ""
        return {"o": [self.handle(value), cls.__name__, how]}

    def resolve(self, handle):
        if type(handle) is list:
            return self.objects[handle[0]][handle[1]]
        if handle[0] == "p":
            return self.objects[handle]
        if handle in self.handles:
            return self.handles[handle]

        def callback(*args, **kwargs):
            packed = [pack(list(args), self), {name: pack(value, self) for name, value in kwargs.items()}]
            self.line.send({"do": "call", "on": handle, "args": packed[0], "kwargs": packed[1]})
            return self.serve()

        self.handles[handle], self.callbacks[callback] = callback, handle
        return callback

    def saw_nan(self):
        pass

    def saw_type(self, kind):
        return kind

    def saw_fields(self, fields, items):
        pass

    def serve(self):
        """Does what is asked, until the answer to an own question comes."""
        while True:
            message = self.line.receive()
            if "value" in message:
                return unpack(message["value"], self)
            if "raised" in message:
                raised = message["raised"]
                kind = getattr(builtins, raised) if type(raised) is str else unpack(raised, self)
                raise kind(message["text"])
            self.line.send(self.answer(message))

    def answer(self, message):
        what = message["do"]
        try:
            args = [unpack(value, self) for value in message["args"]]
            kwargs = {name: unpack(value, self) for name, value in message["kwargs"].items()}
            if what == "load":
                return {"value": self.load(*args)}
            value = self.do(what, args, kwargs)
            told = {"value": None}
            for at, arg in enumerate(args):
                if arg is value and type(arg) in _MUTABLE:
                    told = {"same": at}
            if "same" not in told:
                told["value"] = pack(value, self)
            changed = []
            for at, arg in (*enumerate(args), *kwargs.items()):
                packed = (message["args"] if type(at) is int else message["kwargs"])[at]
                if type(packed) is list or (type(packed) is dict and _CHANGEABLE & packed.keys()):
                    now = pack(arg, self)
                    if now != packed:
                        changed.append([at, now])
            return {**told, "changed": changed} if changed else told
        except BaseException as error:
            if isinstance(error, StopIteration) and what in ("next", "send", "call"):
                return {"stop": self.packed(error.value), **self.told(error)}
            return self.told(error)

    def told(self, error):
        try:
            text = str(error)
        except BaseException:
            text = "(its message could not be made)"
        try:
            described = {"args": self.packed(list(error.args)), "vars": self.packed(dict(vars(error)))}
        except BaseException:
            described = {"args": [text[:2000]], "vars": {"d": []}}
        return {"raised": self.kind(type(error)), "name": type(error).__name__, "text": text[:2000], **described}

    def packed(self, value):
        try:
            return pack(value, self)
        except BaseException:
            return None

    def kind(self, cls):
        if getattr(builtins, cls.__name__, None) is cls:
            return cls.__name__
        bases = [self.kind(base) for base in cls.__bases__ if issubclass(base, BaseException)]
        return [self.handle(cls), cls.__name__, bases]

    def do(self, what, args, kwargs):
        if what == "call":
            return args[0](*args[1:], **kwargs)
        if what == "send":
            return args[0].send(args[1])
        if what == "enter":
            return type(args[0]).__enter__(args[0])
        if what == "exit":
            kind = args[1]
            return type(args[0]).__exit__(args[0], kind, None if kind is None else kind(), None)
        for place, name in ((builtins, what), (operator, what), (operator, f"{what}_")):
            if hasattr(place, name):
                return getattr(place, name)(*args)
        import copy
        import math

        return getattr(copy if what in ("copy", "deepcopy") else math, what)(*args)

    def load(self, source):
        module = type(sys)("program")
        sys.modules["program"] = module
        exec(compile(source, "program.py", "exec"), module.__dict__)
        # Modules the program imported are its own affair; a test imports what it needs.
        names = {
            name: value
            for name, value in vars(module).items()
            if not name.startswith("__") and not isinstance(value, type(sys))
        }
        errors = {name: self.kind(value) for name, value in names.items() if self.is_class(value, BaseException)}
        enumerations = {}
        if "enum" in sys.modules:
            import enum

            for name, value in names.items():
                if self.is_class(value, enum.Enum) and not issubclass(value, enum.Flag):
                    described = self.enumeration(value)
                    if described is not None:
                        enumerations[name] = described
        packed = {name: pack(value, self) for name, value in names.items()}
        return {"names": packed, "errors": errors, "enumerations": enumerations}

    def is_class(self, value, base):
        return isinstance(value, type) and issubclass(value, base)

    def enumeration(self, cls):
        """Its members, where their values are plain data: known to the judge before any test, so that it can compare them."""
        members = [[member.name, pack(member.value, self)] for member in cls]
        if '"o"' in repr(members).replace("'", '"'):
            return None
        self.enumerations.add(cls)
        base = "int" if issubclass(cls, int) else "str" if issubclass(cls, str) else ""
        return [self.handle(cls), base, members]


_Program(Line(int(sys.argv[1]), int(sys.argv[2]))).serve()
