# ruff: noqa: F821
# mypy: ignore-errors
"""Runs the tests, in a process the program cannot see into, and reports each verdict under a nonce. Follows _wire.py and
_objects.py; _PROGRAM is what makes a Python of the program's process, _PROGRAM_CODE what makes a copy of this one."""

import _signal
import builtins
import contextlib
import json
import os
import sys
import time

_END = (GeneratorExit, KeyboardInterrupt)
_CONTROL = (StopIteration, StopAsyncIteration)


class _ProgramError(Exception):
    pass


class _Judge:
    """Fields of one test:

    raised: the errors that the program raised, by id. changed: what calls did to their arguments, not yet shown to the test.
    copies: by id, what calls returned that is one of their arguments, and that argument. spoiled: why the test has failed,
    whatever becomes of it. torn: the program's process cannot be asked again.
    """

    def __init__(self):
        self.pid, self.line, self.spec, self.unloadable, self.nan = None, Line(-1, -1), {}, None, False
        self.exported, self.kinds, self.members = {}, {}, {}
        self.raised, self.copies, self.changed, self.spoiled, self.torn = {}, {}, [], None, False
        self.label, self.made, self.read_as, self.owner_made = "", False, "", False

    # ---- the program's process

    def fork(self):
        """A process for the program, before this one has read any test: the copy knows none."""
        ours, theirs = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            os.close(ours[1])
            os.close(theirs[0])
            sys.argv[1:] = [str(ours[0]), str(theirs[1])]
            exec(_PROGRAM_CODE, {name: globals()[name] for name in ("pack", "unpack", "Line")})
            os._exit(0)
        self.attach(ours, theirs)

    def spawn(self):
        """Another one, with nothing of this process in it."""
        ours, theirs = os.pipe(), os.pipe()
        for fd in (ours[0], theirs[1]):
            os.set_inheritable(fd, True)
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)]
        argv = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, str(ours[0]), str(theirs[1])]
        self.pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        self.attach(ours, theirs)

    def attach(self, ours, theirs):
        os.close(ours[0])
        os.close(theirs[1])
        deadline = self.line.deadline
        self.line = Line(theirs[0], ours[1])
        self.line.deadline = deadline

    def ended(self):
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def stop(self):
        if self.pid is not None:
            if not self.ended():
                os.kill(self.pid, 9)
                os.waitpid(self.pid, 0)
            os.close(self.line.reader)
            os.close(self.line.writer)
            self.pid = None

    def start(self):
        """The program loaded into a fresh process, and the name space a test sees."""
        if self.unloadable is not None:
            raise self.unloadable
        if self.pid is None:
            self.spawn()
        self.kinds, self.members, self.exported = {}, {}, {}
        try:
            loaded = self.ask("load", [self.spec["program"]], raw=True)
        except (Exception, Gone) as error:
            self.unloadable = error
            raise
        try:
            for name, described in loaded["enumerations"].items():
                self.enumeration(name, *described)
            for described in loaded["errors"].values():
                self.kind(described)
            names = {name: self.decoded(packed, name, made=_is_class_name(name)) for name, packed in loaded["names"].items()}
        except Exception as error:
            raise Gone("the program's names could not be read") from error
        # What a test takes for Python's own must be: no all() of the program's, no __builtins__.
        names = {name: value for name, value in names.items() if name[:2] != "__" and not hasattr(builtins, name)}
        module = sys.modules["tests"] = type(sys)("tests")  # dataclasses look their module up
        hooks = _Hooks(self)
        ordering = {function.__name__: hooks.ordering(function) for function in (max, min, sorted)}
        vars(module).update({"__judge__": hooks, **ordering, **names})
        return vars(module)

    # ---- what crosses

    def export(self, value):
        kind = type(value)
        if _is_object(value):
            return {"o": _of(value).handle}
        if kind is _Type:
            return {"y": value.__name__}
        for handle, cls in self.kinds.items():
            if cls is value:
                return {"o": handle}
        for handle, cls in self.members.items():
            if cls is value:
                return {"o": handle}
            if cls is kind:
                return {"o": [handle, value.name]}
        if isinstance(value, int | str):  # a member of an enumeration of the test's own
            return pack(int(value) if isinstance(value, int) else str.__str__(value), self)
        if not callable(value):
            self.refuse(f"a test may hand plain data and functions to the program, not {kind.__name__}")
        handle = f"j{len(self.exported)}"
        self.exported[handle] = value
        return {"o": handle}

    def resolve(self, body):
        if type(body) is str:
            return self.exported[body]
        handle, cls, how = body
        if how == "member":
            return self.members[handle][cls]
        if handle in self.kinds:
            return self.kinds[handle]
        if handle in self.members:
            return self.members[handle]
        if type(handle) is not str or type(cls) is not str:
            raise ValueError("no handle")
        known = _Known(self, handle, cls[:100], self.label, self.made, self.read_as, self.owner_made)
        made = _class_of(cls[:100], how == "callable")(known)
        return self.generator(made) if how == "generator" else made

    def generator(self, made):
        """A generator of the program, as one of the judge's."""
        sent = None
        while True:
            try:
                item = self.ask("send", [made, sent], label=f"an item of {_of(made).label}", ends=True)
            except StopIteration as end:
                return end.value
            sent = yield item

    def decoded(self, packed, label, made=False, read_as="", owner_made=False):
        direct = type(packed) is dict and "o" in packed  # not what is within a container
        self.label, self.read_as = label, read_as if direct else ""
        self.made, self.owner_made = made and direct, owner_made and direct
        return unpack(packed, self)

    def saw_type(self, kind):
        return _Type(kind)

    def saw_fields(self, fields, items):
        # For obj.count(x) a tuple must not have a function of the program's.
        for name, item in zip(fields, items, strict=True):
            if name in _PLAIN_METHODS and callable(item):
                self.refuse_method(self.label, name)

    def saw_nan(self):
        if not self.nan:
            self.refuse(f"{self.label} holds NaN, which every comparison lets pass or fail; the tests do not speak of it")

    def refuse(self, text):
        self.spoiled = self.spoiled or text
        raise Refused(text)

    def refuse_method(self, owner, name):
        self.refuse(
            f"{owner} is an object of a class of the program's own; .{name}() of plain data is not asked of it: "
            "tests compare plain data"
        )

    def kind(self, described):
        """The class that stands for a class of errors of the program: with its name and its bases, and nothing else of it."""
        if type(described) is str:
            found = getattr(builtins, described, None)
            fit = isinstance(found, type) and issubclass(found, BaseException) and not issubclass(found, _END)
            return found if fit and not issubclass(found, _CONTROL) else _ProgramError
        handle, name, bases = described
        if handle not in self.kinds:
            bases = tuple(dict.fromkeys(map(self.kind, bases)))
            own = {"__module__": "program", "__str__": lambda error: vars(error).get("_text") or Exception.__str__(error)}
            try:
                self.kinds[handle] = type(name, bases, own)
            except TypeError:  # two bases of different layout
                self.kinds[handle] = type(name, bases[:1], own)
        return self.kinds[handle]

    def error(self, told):
        kind, label = self.kind(told["raised"]), self.label
        args, extra = (self.decoded(told[part], f"an error of {label}") for part in ("args", "vars"))
        try:
            error = kind(*args)
        except Exception:
            try:
                error = kind.__new__(kind)
                error.args = (told["text"],)
            except TypeError:
                kind, error = _ProgramError, _ProgramError()
        if kind is _ProgramError:
            error.args = (f"the program raised {told['name']}: {told['text']}".removesuffix(": "),)
        for name, value in extra.items():
            if name.isidentifier() and name[0] != "_" and not hasattr(BaseException, name):
                setattr(error, name, value)
        if hasattr(error, "__dict__"):
            error._text = str(told["text"])
        self.raised[id(error)] = error
        return error

    def enumeration(self, name, handle, base, members):
        import enum

        judge = self

        class Asked:
            """What a member has besides its name and value is the program's."""

            def __getattr__(self, attribute):
                if attribute[:1] == "_":
                    raise AttributeError(attribute)
                found = judge.ask("getattr", [self, attribute], label=f"{self}.{attribute}", read_as=attribute)
                if attribute in _PLAIN_METHODS and callable(found) and not _is_object(found):
                    judge.refuse_method(str(self), attribute)
                return found

        base = {"int": enum.IntEnum, "str": getattr(enum, "StrEnum", enum.Enum)}.get(base, enum.Enum)
        values = [(member, self.decoded(value, name)) for member, value in members if member[0] != "_"]
        self.members[handle] = base(name, values, module="program", type=Asked)
        if len(self.members[handle]) != len(values):
            raise ValueError("members of one value")  # they would be one

    # ---- questions and answers

    def ask(self, what, args, kwargs=None, **how):
        """The program's answer, decoded; ``how`` as ``answer`` takes it. What ends a test ends it whatever the test catches."""
        self.settle()
        packed = {name: pack(value, self) for name, value in (kwargs or {}).items()}
        question = {"do": what, "args": [pack(value, self) for value in args], "kwargs": packed}
        try:
            try:
                self.line.send(question)
                while True:
                    message = self.line.receive()
                    if "do" not in message:
                        break
                    self.line.send(self.called_back(message))
            except Exception as error:
                raise Gone(f"{type(error).__name__} while the program was asked") from error
            return self.answer(message, args, kwargs, **how)
        except Gone as error:
            self.torn, self.spoiled = True, self.spoiled or str(error)
            raise
        except Late:
            self.late()

    def late(self, *_):
        self.torn, self.spoiled = True, self.spoiled or "not finished in its share of the time"
        raise Late

    def answer(self, message, args, kwargs, *, label="", made=False, read_as="", owner_made=False, ends=False, raw=False):
        """ends: a StopIteration of the program's is one, and no other error."""
        error = None
        try:
            if "stop" in message and ends:
                error = StopIteration(self.decoded(message["stop"], label))
            elif "raised" in message or "stop" in message:
                self.label = label
                error = self.error(message)
            elif raw:
                return message["value"]
            else:
                for at, packed in message.get("changed", []):
                    mine = args[at] if type(at) is int else kwargs[at]
                    self.changed.append((mine, self.decoded(packed, f"an argument of {label}")))
                if "same" in message and message["same"] not in [at for at, _ in message.get("changed", [])]:
                    return args[message["same"]]
                if "same" in message:
                    at, packed = next(entry for entry in message["changed"] if entry[0] == message["same"])
                    value = self.decoded(packed, label)
                    self.copies[id(value)] = value, args[at]
                    return value
                return self.decoded(message["value"], label, made, read_as, owner_made)
        except Exception as problem:
            raise Gone("the program's answer could not be read") from problem
        raise error

    def settle(self):
        """Shows the test what the program did to lists, dicts and sets that it was given, as sorting in place does.

        Not at once: in ``f(xs) == sorted(xs)`` the right side is of the xs that the test gave.
        """
        if self.changed:
            changed, self.changed = self.changed, []
            for mine, theirs in changed:
                _replace(mine, theirs)

    def called_back(self, message):
        """The program may call a function that a test gave it; nothing else on this side can be reached."""
        try:
            function = self.exported[message["on"]]
            args = self.decoded(message["args"], "what the program gave to a test's function")
            kwargs = {name: unpack(value, self) for name, value in message["kwargs"].items()}
        except Exception as problem:
            raise Gone("the program's call of a test's function could not be read") from problem
        try:
            value = function(*args, **kwargs)
            self.settle()
            return {"value": pack(value, self)}
        except AssertionError as error:
            # The program may swallow it, and must not read it.
            self.spoiled = self.spoiled or str(error) or "assertion failed"
            return {"raised": "AssertionError", "text": ""}
        except Exception as error:
            own = next((handle for handle, cls in self.kinds.items() if cls is type(error)), None)
            bases = [cls.__name__ for cls in type(error).__mro__ if getattr(builtins, cls.__name__, None) is cls]
            return {"raised": {"o": own} if own else bases[0], "text": _text(error)}
        except BaseException:
            self.torn = True  # the program still waits for this answer
            raise

    # ---- verdicts

    def verdict(self, source, upto, done, space):
        """(message or None where it passed, the name space for the next test or None where a fresh one is needed)."""
        self.raised, self.copies, self.changed, self.spoiled, self.torn = {}, {}, [], None, False
        fresh, message = space is None, None
        try:
            if fresh:
                if done is not None and self.unloadable is None:
                    self.stop()
                space, done = self.start(), 0
            for setup in self.spec["setups"][done:upto]:
                exec(compile(setup, "<setup>", "exec"), space)
            fresh = False
            exec(compile(source, "<test>", "exec"), space)
        except AssertionError as error:
            message = _text(error) or "assertion failed"
        except (Late, Gone, Refused) as error:
            message = _text(error)
        except BaseException as error:
            message = _text(error) if type(error) is _ProgramError else f"{type(error).__name__}: {_text(error)}"
        return self.spoiled or message, None if fresh or self.torn or self.ended() else space

    def run(self):
        try:
            self.fork()
        except OSError:
            self.pid = None  # the first test tries again
        self.spec = json.loads(sys.stdin.buffer.read())
        end = time.monotonic() + self.spec["seconds"]
        space, done = None, None
        _signal.signal(_signal.SIGALRM, self.late)
        for at, (source, upto) in enumerate(self.spec["tests"]):
            now = time.monotonic()
            share = max(end - now, 0) / (len(self.spec["tests"]) - at)
            self.line.deadline = now + share
            try:
                # A test may be endless without the program: over range(f()), say.
                _signal.setitimer(_signal.ITIMER_REAL, share + 0.01)
                self.nan = self.spec["nan"][at]
                message, space = self.verdict(source, upto, done, space)
                _signal.setitimer(_signal.ITIMER_REAL, 0)
            except Late:
                message, space = "not finished in its share of the time", None
            done = upto
            text = None if message is None else message[:1000]
            os.write(1, f"\n{self.spec['nonce']} {json.dumps([at, text])}\n".encode())
        self.stop()


class _Hooks:
    """What the rewritten tests call; see ``unittests._Rewrite``."""

    def __init__(self, judge):
        self.settle = judge.settle
        self.judge = judge

    def settled(self, value):
        self.judge.settle()
        return value

    def same(self, one, other):
        """``is``. Whether two of the program's objects are one is its own word, asked only of what the test made."""
        one, other = (self.judge.copies.get(id(value), (None, value))[1] for value in (one, other))
        one, other = (value._kind if type(value) is _Type else value for value in (one, other))
        ours = [_is_object(value) for value in (one, other)]
        if not all(ours) or one is other:
            return one is other
        if not (_of(one).made and _of(other).made):
            _of(one).refuse("is", "The program alone knows whether two of its objects are one.")
        return _of(one).handle == _of(other).handle

    def order(self, sign, one, other):
        """``one < other``; of NaN, which may come of text that the program gave, there is no order."""
        self.ordered(sign, one)
        self.ordered(sign, other)
        if sign in ("<", "<="):
            return one < other if sign == "<" else one <= other
        return one > other if sign == ">" else one >= other

    def ordered(self, what, value):
        if not self.judge.nan and isinstance(value, float) and value != value:
            self.judge.refuse(f"{what} was asked of NaN, which every comparison lets pass or fail; the tests do not speak of it")
        return value

    def made(self, value):
        """What an operator or a call of the test gave: of infinities it can be NaN, of which no comparison need ever be told."""
        if value.__class__ is float and value != value and not self.judge.nan:
            self.judge.refuse("what the test reckons of the program's answer is NaN; the tests do not speak of it")
        return value

    def ordering(self, function):
        """max, min, sorted or a list's sort, which compare where no rewriting sees it: max(0, inf / inf) is 0."""

        def asked(*args, key=None, **options):
            told = f"{function.__name__}()"
            return function(*args, key=lambda item: self.ordered(told, item if key is None else key(item)), **options)

        return asked

    def sort(self, owner):
        return self.ordering(owner.sort) if type(owner) is list else owner.sort

    def shown(self, told, left, right):
        sides = []
        for side in (left, right):
            try:
                sides.append(repr(side))
            except Exception as error:
                sides.append(f"(not shown: {type(error).__name__})")
        return f"{told}: left was {sides[0]}, right was {sides[1]}"


def _replace(mine, theirs):
    """Makes a container what the program left of it; containers within it stay the same objects where they can."""
    if type(mine) is not type(theirs):
        return
    if isinstance(mine, list):
        kept = [_kept(one, other) for one, other in zip(mine, theirs, strict=False)]
        mine[:] = kept + theirs[len(kept) :]
    elif isinstance(mine, bytearray):
        mine[:] = theirs
    elif isinstance(mine, dict):
        kept = {key: _kept(mine.get(key), value) for key, value in theirs.items()}
        mine.clear()
        mine.update(kept)
    elif isinstance(mine, set):
        mine.clear()
        mine.update(theirs)
    elif hasattr(mine, "appendleft"):
        mine.clear()
        mine.extend(theirs)
    elif hasattr(mine, "dtype"):
        mine[...] = theirs


def _kept(mine, theirs):
    if type(mine) is not type(theirs) or not isinstance(mine, list | dict | set | bytearray):
        return theirs
    _replace(mine, theirs)
    return mine


def _text(error):
    try:
        return str(error)
    except Exception:
        return "(its message could not be made)"


# The program can write to the working folder; a module left there must not be what a test imports.
sys.path.remove(os.getcwd())
for _fd in range(3, 64):
    with contextlib.suppress(OSError):
        os.set_inheritable(_fd, False)
_Judge().run()
