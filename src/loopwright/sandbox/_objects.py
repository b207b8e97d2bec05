# ruff: noqa: F821
# mypy: ignore-errors
"""The judge's side of an object of the program: methods are called and attributes read, nothing is decided by it.

A test compares on the judge's side. So an operator with plain data is never sent to the program: what stands beside its
object may be the expected value. What sends nothing but the object itself, a position or a method's arguments is asked,
and its answer is data: len(), bool(), str(), abs(), iteration, obj[key], obj.name, obj.method(...).
"""

# _PLAIN_METHODS: names of methods of plain data, made by unittests.py. Where a function should have returned that,
# obj.startswith("expected") must not ask the program.


class Refused(BaseException):
    """A test asked something of an object of the program that is not the program's to answer."""


class _Known:
    """What the judge knows of a handle.

    label: how the test came by it. made: by calling a class (a name with a capital), or as a name of the program itself;
    then its methods are what is tested, whatever they are called.
    """

    __slots__ = ("cls", "handle", "judge", "label", "made", "owner_made", "read_as")

    def __init__(self, judge, handle, cls, label, made=False, read_as="", owner_made=False):
        self.judge, self.handle, self.cls, self.made = judge, handle, cls, made
        self.label = label if len(label) < 100 else f"...{label[-90:]}"
        self.read_as, self.owner_made = read_as, owner_made

    def told(self):
        return f"{self.label} is an object of class {self.cls}"

    def refuse(self, what, instead):
        self.judge.refuse(f"{self.told()}; {what} is not asked of it: tests compare plain data. {instead}")


class _Object:
    """An object of the program. Every attribute is the program's; operators look at the class, so they meet those below."""

    __slots__ = ("_of",)

    def __init__(self, known):
        _Object._of.__set__(self, known)

    def __getattribute__(self, name):
        if name == "__class__":
            return type(self)
        known = _of(self)
        if name in ("__copy__", "__deepcopy__"):  # looked up on the object by the module copy
            return lambda *_: known.judge.ask(name.strip("_"), [self], label=known.label)
        label = f"{known.label}.{name}"
        found = known.judge.ask("getattr", [self, name], label=label, read_as=name, owner_made=known.made)
        if name in _PLAIN_METHODS and not known.made and callable(found) and not _is_object(found):
            known.judge.refuse_method(known.label, name)  # a type or a class of errors, say, that takes and tells nothing
        return found

    def __setattr__(self, name, value):
        _of(self).judge.ask("setattr", [self, name, value])

    def __delattr__(self, name):
        _of(self).judge.ask("delattr", [self, name])

    def __eq__(self, other):
        return False if other is None else _refuse(self, other, "==")

    def __ne__(self, other):
        return True if other is None else _refuse(self, other, "!=")

    def __hash__(self):
        _of(self).refuse("hash()", "It cannot be in a set or a key of a dict here.")

    def __contains__(self, item):
        known = _of(self)
        try:
            found = iter(self)
        except TypeError:
            known.refuse("in", "If its own __contains__ is what is tested, call that by name.")
        return any(one is item or one == item for one in found)

    def __instancecheck__(self, instance):
        return _is_object(instance) and _bool(_of(self).judge.ask("isinstance", [instance, self]), self)

    def __subclasscheck__(self, cls):
        return _is_object(cls) and _bool(_of(self).judge.ask("issubclass", [cls, self]), self)

    def __bool__(self):
        return _bool(_of(self).judge.ask("bool", [self]), self)

    def __next__(self):
        known = _of(self)
        return known.judge.ask("next", [self], label=f"an item of {known.label}", ends=True)

    def __getitem__(self, key):
        known = _of(self)
        return known.judge.ask("getitem", [self, key], label=f"{known.label}[...]")

    def __enter__(self):
        known = _of(self)
        entered = known.judge.ask("enter", [self], label=f"what {known.label} gives to with")
        # What most return is the object itself; it stays what the test made.
        return self if _is_object(entered) and _of(entered).handle == known.handle else entered

    def __exit__(self, kind, error, trace):
        """An exception of the test's own is not the program's to see, or to swallow."""
        judge = _of(self).judge
        own = id(error) in judge.raised
        return bool(judge.ask("exit", [self, kind if own else None])) and own


class _Type:
    """A built-in type that the program returned. It is equal to that type, and makes and recognises what that does.

    Not the type itself: in ``f(x).intersection({1}) == {1}`` that of a set would take the test's set for itself.
    """

    def __init__(self, kind):
        self._kind = kind
        self.__name__ = self.__qualname__ = kind.__name__

    def __call__(self, *args, **kwargs):
        return self._kind(*args, **kwargs)

    def __eq__(self, other):
        return self._kind is (other._kind if type(other) is _Type else other)

    def __hash__(self):
        return hash(self._kind)

    def __instancecheck__(self, value):
        return isinstance(value, self._kind)

    def __repr__(self):
        return repr(self._kind)


_of = _Object._of.__get__


class _Callable(_Object):
    __slots__ = ()

    def __call__(self, *args, **kwargs):
        known = _of(self)
        name = known.read_as or known.label
        label = f"{known.label}({'...' if args or kwargs else ''})"
        made = name.isidentifier() and name.lstrip("_")[:1].isupper()
        plain = known.read_as in _PLAIN_METHODS and not known.owner_made
        if plain and (args or kwargs or name.startswith("is") or name in ("all", "any")) and name not in _CHANGES:
            known.judge.refuse_method(known.label[: -len(name) - 1], name)
        found = known.judge.ask("call", [self, *args], kwargs, label=label, made=made, ends=known.read_as == "__next__")
        if plain and name in _CHANGES and found is not None and not _is_object(found):
            known.judge.refuse_method(known.label[: -len(name) - 1], name)
        return found


# They are given what is to be in the object, and tell nothing.
_CHANGES = ("append", "appendleft", "extend", "extendleft", "insert", "add", "update")
_classes = {}


def _class_of(name, callable):
    """A class of the judge's with the name of the program's class, as type(obj).__name__ tells it."""
    if (name, callable) not in _classes:
        base = _Callable if callable else _Object
        _classes[name, callable] = type(name, (base,), {"__slots__": (), "__module__": "program"})
    return _classes[name, callable]


def _is_object(value):
    return issubclass(type(value), _Object)


def _is_class_name(name):
    return name.lstrip("_")[:1].isupper() and not (name.isupper() and len(name) > 1)


def _bool(value, asked):
    if type(value) is not bool:
        _of(asked).refuse("a truth value", "It gave something else than True or False.")
    return value


def _refuse(one, other, sign):
    name = _NAMES[sign]
    _of(one).refuse(sign, f"Compare its attributes; if its own {name} is what is tested, call that by name.")


_NAMES = {"==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}


def _order(sign):
    return lambda self, other: _refuse(self, other, sign)


def _binary(name, sign, reflected):
    """Between two objects that the test made of the program's classes the operator is a method under test."""

    def method(self, other, *modulus):
        known = _of(self)
        if modulus or not (known.made and _is_object(other) and _of(other).made):
            known.refuse(sign, f"If its own __{name}__ is what is tested, call that by name.")
        pair = [other, self] if reflected else [self, other]
        return known.judge.ask(name, pair, label=f"({_of(pair[0]).label} {sign} {_of(pair[1]).label})")

    return method


def _asked(name, kinds, what):
    """What sends nothing but the object: its answer is data, of a kind that Python expects."""

    def method(self, *args):
        known = _of(self)
        value = known.judge.ask(name, [self, *args], label=f"{what} of {known.label}")
        if kinds is not None and type(value) not in kinds:
            known.refuse(what, f"It gave {type(value).__name__}.")
        return value

    return method


for _sign, _name in _NAMES.items():
    if _sign not in ("==", "!="):
        setattr(_Object, _name, _order(_sign))

for _name, _sign in {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>", "divmod": "divmod()",
}.items():  # fmt: skip
    setattr(_Object, f"__{_name}__", _binary(_name, _sign, False))
    setattr(_Object, f"__r{_name}__", _binary(_name, _sign, True))

for _name, _kinds in {
    "len": (int,), "str": (str,), "repr": (str,), "format": (str,), "int": (int,), "float": (float,),
    "complex": (complex,), "index": (int,), "bytes": (bytes,), "iter": None, "reversed": None,
    "round": None, "abs": None, "neg": None, "pos": None, "invert": None, "trunc": None, "floor": None, "ceil": None,
    "copy": None, "deepcopy": None, "setitem": None, "delitem": None,
}.items():  # fmt: skip
    setattr(_Object, f"__{_name}__", _asked(_name, _kinds, f"{_name}()"))
