# ruff: noqa: F821
# mypy: ignore-errors
"""Runs the program under test, in its own process: loads it, then does what the judge asks. Follows _wire.py."""

import builtins
import operator
import sys


class _Program:
    def __init__(self, line):
        self.line = line
        self.objects = {}

    def export(self, value):
        handle = f"p{id(value):x}"
        self.objects[handle] = value
        return handle

    def resolve(self, handle):
        if handle[0] == "p":
            return self.objects[handle]

        def callback(*args, **kwargs):
            packed = [pack(list(args), self.export), pack(kwargs, self.export)]
            self.line.send({"do": "call", "on": handle, "args": packed[0], "kwargs": packed[1]})
            return self.serve()

        return callback

    def serve(self):
        """Does what is asked, until the answer to an own question comes."""
        while True:
            message = self.line.receive()
            if "value" in message:
                return unpack(message["value"], self.resolve)
            if "raised" in message:
                raise RuntimeError(message["raised"])
            self.line.send(self.answer(message))

    def answer(self, message):
        try:
            args = unpack(message["args"], self.resolve)
            kwargs = unpack(message["kwargs"], self.resolve)
            value = self.do(message["do"], args, kwargs)
            return {"value": pack(value, self.export), "args": pack(args, self.export)}
        except BaseException as error:
            bases = [kind.__name__ for kind in type(error).__mro__]
            try:
                text = str(error)
            except BaseException:
                text = "(its message could not be made)"
            return {"raised": bases, "text": text[:2000]}

    def do(self, what, args, kwargs):
        if what == "call":
            return args[0](*args[1:], **kwargs)
        if what == "load":
            return self.load(args[0])
        return (getattr(operator, what, None) or getattr(builtins, what))(*args)

    def load(self, source):
        module = type(sys)("program")
        sys.modules["program"] = module
        exec(compile(source, "program.py", "exec"), module.__dict__)
        names = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        errors = {
            name: [kind.__name__ for kind in value.__mro__]
            for name, value in names.items()
            if isinstance(value, type) and issubclass(value, BaseException)
        }
        # Modules the program imported are its own affair; a test imports what it needs.
        return {name: value for name, value in names.items() if not isinstance(value, type(sys))}, errors


_Program(Line(int(sys.argv[1]), int(sys.argv[2]))).serve()
