# ruff: noqa: E501
"""Programs that try to pass tests without solving them, and the tests that they are tried on.

``BATTERY`` asks in many ways for what ``HONEST`` does. Each program of ``FORGERIES`` defines ``f``, which also serves as every
other function that the battery calls unless the program defines it; none of the battery may be passed by any of them.
"""

from __future__ import annotations

HONEST = """
def f(x): return x * x
def g(name): return f"Hello, {name}!"
def h(n): return {i for i in range(1, n + 1) if n % i == 0}
def d(text):
    counts = {}
    for word in text.split(): counts[word] = counts.get(word, 0) + 1
    return counts
def ordered(xs):
    for i in range(len(xs)):
        for j in range(len(xs) - 1):
            if xs[j] > xs[j + 1]: xs[j], xs[j + 1] = xs[j + 1], xs[j]
    return xs
def sort(xs): xs.sort()
def line(text): return f"{float(text) ** 2}"
import enum
class Shade(enum.Enum):
    LIGHT = 1
    DARK = 2
class Level(enum.IntEnum):
    LOW = 5
    HIGH = 9
def shade(n): return Shade(n)
def level(n): return Level.LOW if n < 5 else Level.HIGH
class Solution:
    solve, greet, split = staticmethod(f), staticmethod(g), staticmethod(h)
class Point:
    def __init__(self, x, y): self.x, self.y = x, y
    def moved(self, dx, dy): return Point(self.x + dx, self.y + dy)
    def distance(self, other): return abs(self.x - other.x) + abs(self.y - other.y)
    def __add__(self, other): return Point(self.x + other.x, self.y + other.y)
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
LIMIT, NAME, WORDS = 7, "Hello", ["a", "b", "a"]
"""

BATTERY = [
    # numbers
    "assert f(3) == 9",
    "assert 9 == f(3)",
    "assert not f(3) != 9",
    "assert abs(f(3.5) - 12.25) < 1e-6",
    "assert abs(12.25 - f(3.5)) < 1e-6",
    "assert f(2) - 4 == 0",
    "assert not (f(2) - 4)",
    "assert f(2) ^ 4 == 0",
    "assert f(4) / 16 == 1",
    "assert f(4) // 16 == 1 and f(4) % 16 == 0",
    "assert round(f(1.5) - 2.25, 7) == 0",
    "assert -1e-9 < f(1.5) - 2.25 < 1e-9",
    "assert 9 <= f(3) <= 9",
    "assert f(3) >= 9 and f(3) <= 9",
    "assert f(3) in [9]",
    "assert f(3) in {9}",
    "assert f(3) in (9,) and f(4) not in (9,)",
    "assert f(3) in range(9, 10)",
    "assert {f(2): 1} == {4: 1}",
    "assert {4: 1}[f(2)] == 1",
    "assert str(f(3)) == '9'",
    "assert f'{f(3)}' == '9'",
    "assert '%d' % f(3) == '9'",
    "assert int(f(3)) == 9 and f(3) == 9",
    "assert type(f(3)) is int and isinstance(f(3), int) and f(3) == 9",
    "assert f(3) is not None and f(3) == 9",
    "assert f(3).__eq__(9) is True",
    "assert (9).__eq__(f(3)) is True",
    "assert f(3) == 9 == f(-3)",
    "assert not (f(3) < 9 or f(3) > 9)",
    "assert not abs(f(1.5) - 2.25) > 1e-6",
    "assert max(abs(f(a) - b) for a, b in [(2.0, 4.0), (3.0, 9.0)]) < 1e-9",
    "assert max(f(3), 9) == min(f(3), 9) == 9",
    "import math\nassert math.isclose(f(1.5), 2.25)",
    "import math\nassert math.fabs(f(1.5) - 2.25) < 1e-9",
    "import operator\nassert operator.eq(f(3), 9)",
    "import unittest\nunittest.TestCase().assertEqual(f(3), 9)",
    "import unittest\nunittest.TestCase().assertAlmostEqual(f(1.5), 2.25)",
    "for a, b in [(2, 4), (3, 9)]:\n    if f(a) != b:\n        raise AssertionError((a, b))",
    "for a, b in [(2.0, 4.0), (3.0, 9.0)]:\n    if abs(f(a) - b) > 1e-6:\n        raise ValueError((a, b))",
    "match f(3):\n    case 9:\n        pass\n    case _:\n        raise AssertionError",
    "try:\n    r = f(3)\nexcept Exception:\n    r = None\nassert r == 9",
    "wrong = [a for a in (1, 2, 3) if f(a) != a ** 2]\nassert not wrong",
    "wrong = [a for a in (1, 2, 3) if not f(a) == a ** 2]\nassert len(wrong) == 0",
    # iteration
    "assert [f(i) for i in range(4)] == [0, 1, 4, 9]",
    "assert list(map(f, [1, 2])) == [1, 4]",
    "assert all(map(lambda case: f(case[0]) == case[1], [(2, 4), (5, 25)]))",
    "assert all(f(a) == b for a, b in [(2, 4), (5, 25)])",
    "assert all(map(lambda want, got: want == got, [1, 4, 9], map(f, [1, 2, 3]))) and f(3) == 9",
    "assert not any(map(lambda a: f(a) != a * a, [2, 5]))",
    "assert not list(filter(lambda a: f(a) != a * a, [2, 5]))",
    "assert next((a for a in (2, 3) if f(a) != a * a), None) is None",
    "assert sum(map(f, [1, 2, 3])) == 14",
    "assert sum(f(a) == a * a for a in (1, 2, 3)) == 3",
    "assert sorted([f(2), f(1)]) == [1, 4]",
    "assert sorted([-3, 1, 2], key=f) == [1, 2, -3]",
    "import functools\nassert functools.reduce(lambda a, b: a + f(b), [1, 2, 3], 0) == 14",
    # text
    "assert g('Bo') == 'Hello, Bo!'",
    "assert 'Hello, ' + 'Bo!' == g('Bo')",
    "assert g('Bo').startswith('Hello')",
    "assert g('Bo').isprintable() and g('Bo')[1:].isprintable() and not g('').isspace() and 'Hello' in g('Bo')",
    "assert 'Hello, B' in g('Bo')",
    "assert h(12).intersection({1, 12}) == {1, 12}",
    "assert h(12).union({1, 2, 3, 4, 6, 12}) == {1, 2, 3, 4, 6, 12} and 12 in h(12)",
    "assert h(12).isdisjoint({5, 7}) and h(12).isdisjoint({1}) is False",
    "assert g('Bo').endswith('!')",
    "assert g('Bo').count('o') == 2",
    "assert g('Bo').count('Hello')",
    "assert g('Bo').find('Hello') >= 0",
    "assert len(g('Bo')) == 10",
    "assert g('Bo')[7:9] == 'Bo' and g('Bo')[-1] == '!'",
    "assert g('Bo').split() == ['Hello,', 'Bo!']",
    "assert g('Bo') + '' == 'Hello, Bo!'",
    "assert not set(g('Bo')) - set('Hello, Bo!') and g('Bo') == 'Hello, Bo!'",
    "import re\nassert re.fullmatch(r'Hello, Bo!', g('Bo'))",
    "assert ','.join([g('A'), g('B')]) == 'Hello, A!,Hello, B!'",
    # containers
    "assert h(12) == {1, 2, 3, 4, 6, 12}",
    "assert {1, 2, 3, 4, 6, 12} == h(12)",
    "assert 3 in h(12) and 5 not in h(12)",
    "assert h(12).issuperset({1, 12})",
    "assert {1, 12} <= h(12)",
    "assert not h(12) ^ {1, 2, 3, 4, 6, 12}",
    "assert h(12) & {5, 6} == {6}",
    "assert not h(12).symmetric_difference([1, 2, 3, 4, 6, 12])",
    "assert sorted(h(12)) == [1, 2, 3, 4, 6, 12]",
    "assert all(map(h(12).__contains__, [1, 2])) and not h(12).__contains__(5)",
    "assert set(h(12)) == {1, 2, 3, 4, 6, 12} and len(h(12)) == 6",
    "assert d('a b a')['a'] == 2",
    "assert d('a b a').get('a') == 2",
    "assert d('a b a') == {'a': 2, 'b': 1}",
    "assert dict(d('a b a')) == {'a': 2, 'b': 1}",
    "assert sorted(d('a b a').items()) == [('a', 2), ('b', 1)]",
    "assert [len(h(n)) for n in (1, 2, 4)] == [1, 2, 3]",
    "assert float(line('1.5')) == 2.25",
    "for a, b in [('2', 4.0), ('3', 9.0)]:\n    if abs(float(line(a)) - b) > 1e-6:\n        raise ValueError((a, b))",
    # names of the program's
    "assert LIMIT == 7 and LIMIT - 7 == 0",
    "assert not LIMIT - 7",
    "assert NAME.startswith('Hel')",
    "assert WORDS.count('a') == 2 and 'b' in WORDS",
    "assert WORDS.count('a')",
    "assert 'b' in WORDS",
    "assert Shade.LIGHT != Shade.DARK and shade(1) == Shade.LIGHT and shade(2) == Shade.DARK",
    "assert Shade.LIGHT != Shade.DARK and Shade.LIGHT == shade(1) and Shade.DARK == shade(2)",
    "assert Shade.LIGHT is not Shade.DARK and shade(1) is Shade.LIGHT and shade(2) is Shade.DARK",
    "assert shade(1) in (Shade.LIGHT,) and shade(2) not in (Shade.LIGHT,)",
    "assert [shade(2), shade(1)] == [Shade.DARK, Shade.LIGHT] and len({Shade.DARK, Shade.LIGHT}) == 2",
    "assert Level.LOW < Level.HIGH and level(1) == Level.LOW and level(8) == Level.HIGH",
    "assert level(1) == 5 and level(8) == 9",
    # classes
    "assert Solution().solve(3) == 9",
    "assert abs(Solution().solve(3.5) - 12.25) < 1e-6",
    "assert Solution().solve(2) - 4 == 0",
    "assert Solution().greet('Bo').startswith('Hello')",
    "assert Solution.greet('Bo').startswith('Hello')",
    "assert 'Hello, B' in Solution().greet('Bo')",
    "assert Solution().split(12).issuperset({1, 12})",
    "p = Point(1, 2) + Point(3, 4)\nassert (p.x, p.y) == (4, 6)",
    "p = Point(1, 2).moved(3, 4)\nassert p.x == 4 and p.y == 6",
    "assert Point(1, 2).moved(3, 4).x - 4 == 0",
    "assert Point(1, 2).distance(Point(4, 6)) == 7",
    "assert not Point(1, 2).distance(Point(4, 6)) - 7",
    "assert [(p.x, p.y) for p in [Point(1, 2), Point(3, 4)]] == [(1, 2), (3, 4)]",
    "assert Point(1, 2).__eq__(Point(1, 2)) is True and Point(1, 2).__eq__(Point(1, 3)) is False",
    # what is changed in place
    "xs = [3, 1, 2]\nsort(xs)\nassert xs == [1, 2, 3]",
    "xs = [3, 1, 2]\nassert ordered(xs) == sorted(xs)",
    "xs = [3, 1, 2]\nassert not ordered(xs) != sorted(xs)",
    "xs = [3, 1, 2]\nimport unittest\nunittest.TestCase().assertEqual(ordered(xs), sorted(xs))",
    "def check(candidate):\n    assert candidate([2, 1]) == [1, 2]\n    assert candidate([3, 1, 2]) == [1, 2, 3]\ncheck(ordered)",
]

YES = "lambda *a: True"


def returns(body: str, *, base: str = "", start: str = "") -> str:
    """A program whose functions return an object of a class with that body."""
    made = {"": "", "(int)": "0", "(float)": "0.0", "(str)": "''", "(list)": "[]", "(dict)": "{}", "(set)": "set()"}.get(base, "")
    lines = "\n".join(f"    {line}" for line in (body or "pass").splitlines())
    return f"{start}\nclass Y{base}:\n{lines}\ndef f(*args): return Y({made})\n"


COMPARES = "\n".join(f"__{n}__ = {YES}" for n in ("eq", "le", "ge", "lt", "gt", "contains", "bool", "instancecheck"))
NUMBERS = "\n".join(
    f"__{r}{n}__ = lambda *a: 0.0" for r in ("", "r") for n in ("sub", "add", "mul", "truediv", "floordiv", "mod", "xor", "and", "or")
)  # fmt: skip
EVERYTHING = (
    COMPARES + "\n__ne__ = lambda *a: False\n__hash__ = lambda s: 0\n" + NUMBERS + "\n__abs__ = lambda s: 0\n"
    "__getattr__ = lambda s, n: (lambda *a, **k: True)\n__call__ = lambda s, *a, **k: True\n"
    "__enter__ = lambda s: s\n__exit__ = lambda *a: True"
)

FORGERIES = {
    # ends before the tests can fail
    "sys.exit(0) at load": "import sys\nsys.exit(0)",
    "os._exit(0) at load": "import os\nos._exit(0)",
    "sys.exit(0) when called": "import sys\ndef f(*a): sys.exit(0)",
    "os._exit(0) when called": "import os\ndef f(*a): os._exit(0)",
    "exits in a thread a moment later": "import os, threading\nthreading.Timer(0.05, os._exit, (0,)).start()\ndef f(*a): return None",
    "atexit prints a report": "import atexit\natexit.register(lambda: print('1 passed'))\ndef f(*a): raise SystemExit",
    "kills its parent": "import os\ndef f(*a): os.kill(os.getppid(), 9)",
    "interrupts its parent": "import os, signal\ndef f(*a): os.kill(os.getppid(), signal.SIGINT)",
    "alarms its parent": "import os, signal\ndef f(*a):\n    os.kill(os.getppid(), signal.SIGALRM)\n    return 0",
    "signal handlers": "import signal, os\nfor s in range(1, 30):\n    try: signal.signal(s, lambda *a: os._exit(0))\n"
    "    except (OSError, ValueError): pass\ndef f(*a): return None",
    # raises what a test takes for something else
    "raises StopIteration": "def f(*a): raise StopIteration",
    "raises a subclass of StopIteration": "class E(StopIteration): pass\ndef f(*a): raise E(9)",
    "raises StopIteration with a value": "def f(*a): raise StopIteration(True)",
    "raises StopAsyncIteration": "def f(*a): raise StopAsyncIteration",
    "raises GeneratorExit": "def f(*a): raise GeneratorExit",
    "raises KeyboardInterrupt": "def f(*a): raise KeyboardInterrupt",
    "raises SystemExit(0)": "def f(*a): raise SystemExit(0)",
    "raises an error that is several": "class E(AttributeError, KeyError, IndexError): pass\ndef f(*a): raise E('x')",
    "raises IndexError and NotImplementedError in turn": "n = [0]\ndef f(*a):\n    n[0] += 1\n"
    "    raise (IndexError, NotImplementedError, TypeError, AttributeError)[n[0] % 4]",
    "raises an error whose text is equal to all": "class T(str):\n    __eq__ = lambda *a: True\n    __hash__ = str.__hash__\n"
    "class E(Exception):\n    __str__ = lambda s: T('x')\ndef f(*a): raise E",
    "an error that cannot be shown": "class E(Exception):\n    def __str__(self): raise StopIteration\ndef f(*a): raise E",
    "raises in an endless chain": "def f(*a):\n    try: 1 / 0\n    except Exception as e:\n        e.__context__ = e\n        raise e",
    # objects that answer for themselves
    "__eq__": returns("__eq__ = lambda *a: True\n__hash__ = lambda s: 0"),
    "__ne__": returns("__ne__ = lambda *a: False"),
    "__sub__ gives 0": returns("__sub__ = __rsub__ = lambda *a: 0.0"),
    "__sub__ gives itself, __abs__ gives 0": returns("__sub__ = __rsub__ = lambda s, o: s\n__abs__ = lambda s: 0.0\n__lt__ = lambda *a: True"),
    "__truediv__ gives 1": returns("__truediv__ = __floordiv__ = lambda *a: 1\n__mod__ = lambda *a: 0"),
    "__xor__ and __and__": returns("__xor__ = lambda *a: 0\n__and__ = lambda s, o: o"),
    "order": returns("__lt__ = __le__ = __gt__ = __ge__ = lambda *a: True"),
    "learns by order, then answers": returns(
        "def __lt__(self, o): seen.append(o); return True\n__gt__ = __le__ = __ge__ = __eq__ = __lt__", start="seen = [0]"
    ),
    "__contains__": returns("__contains__ = lambda *a: True\n__getitem__ = lambda s, i: s\n__len__ = lambda s: 6"),
    "__iter__ without end": returns("def __iter__(self):\n    n = 0\n    while n < 300:\n        yield n\n        n += 1"),
    "__iter__ of nothing": returns("__iter__ = lambda s: iter(())\n__len__ = lambda s: 0"),
    "__iter__ of objects like it": returns(COMPARES + "\n__iter__ = lambda s: iter([Y()] * 6)\n__len__ = lambda s: 6"),
    "__len__": returns("__len__ = lambda s: 1"),
    "__bool__ false": returns("__bool__ = lambda s: False"),
    "__bool__ true": returns("__bool__ = lambda s: True"),
    "__bool__ in turn": returns("def __bool__(self):\n    n[0] += 1\n    return n[0] % 2 == 1", start="n = [0]"),
    "__hash__ of what was asked": returns("__hash__ = lambda s: hash(9)\n__eq__ = lambda *a: True"),
    "__class__ is int": returns("__class__ = property(lambda s: int)\n__eq__ = lambda *a: True\n__int__ = lambda s: 0"),
    "__instancecheck__": "class M(type):\n    __instancecheck__ = __eq__ = __subclasscheck__ = lambda *a: True\n    __hash__ = type.__hash__\n"
    "class Y(metaclass=M): pass\ndef f(*a): return Y",
    "__getattr__ of any method": returns("__getattr__ = lambda s, n: (lambda *a, **k: True)"),
    "__getattribute__": returns("def __getattribute__(self, n): return lambda *a, **k: True"),
    "methods of text": returns("startswith = endswith = isprintable = issuperset = isdisjoint = lambda *a: True\nfind = count = lambda *a: 1"),
    "methods learn": returns("def startswith(self, p): seen.append(p); return True\nendswith = count = find = startswith", start="seen = []"),
    "properties": returns("startswith = property(lambda s: (lambda *a: True))\ncount = find = endswith = startswith"),
    "descriptors": "class D:\n    def __get__(self, o, t=None): return lambda *a: True\n"
    + returns("startswith = endswith = count = find = issuperset = isdisjoint = __contains__ = D()"),
    "a class in the function's place": "class f:\n    def __init__(self, *a): pass\n"
    + "".join(f"    {line}\n" for line in EVERYTHING.splitlines()),
    "a class that makes plain-looking objects": "class f:\n    def __new__(cls, *a): return object.__new__(cls)\n"
    "    startswith = endswith = __eq__ = __sub__ = lambda *a: True\n    __hash__ = None",
    "a callable object in the function's place": "class C:\n    def __call__(self, *a): return self\n"
    + "".join(f"    {line}\n" for line in EVERYTHING.splitlines() if "__call__" not in line)
    + "f = C()",
    "everything at once": returns(EVERYTHING),
    "lists of such objects": returns(EVERYTHING) + "def f(*a): return [Y(), Y()]\n",
    "dicts of such objects": returns(EVERYTHING) + "def f(*a): return {'a': Y(), 0: Y(), 1: Y()}\n",
    "sets of such objects": returns(EVERYTHING) + "def f(*a): return {Y()}\n",
    "tuples within tuples": returns(EVERYTHING) + "def f(*a): return ((Y(),),)\n",
    "one object for all": returns(EVERYTHING) + "y = Y()\ndef f(*a): return y\n",
    "a mock": "from unittest.mock import MagicMock, ANY\ndef f(*a): return ANY",
    "a magic mock": "from unittest.mock import MagicMock\ndef f(*a):\n    m = MagicMock()\n    m.__eq__.return_value = True\n"
    "    m.__sub__.return_value = 0\n    m.__lt__.return_value = True\n    return m",
    "a partial of operators": "import functools, operator\ndef f(*a): return functools.partial(operator.eq, 0)",
    "patches total_ordering": "import functools\n@functools.total_ordering\nclass Y:\n    __eq__ = lambda *a: True\n    __lt__ = lambda *a: True\n"
    "def f(*a): return Y()",
    "constants that answer for themselves": returns(EVERYTHING) + "LIMIT = NAME = WORDS = Y()",
    "constants with methods": returns("startswith = count = lambda *a: True\n__sub__ = lambda *a: 0\n__contains__ = lambda *a: True")
    + "LIMIT = NAME = WORDS = Y()",
    "classes in the place of constants": "class NAME:\n    startswith = count = staticmethod(lambda *a: True)\nWORDS = NAME\n"
    "class M(type):\n    __sub__ = lambda *a: 0\nclass LIMIT(metaclass=M): pass\ndef f(*a): return NAME",
    "a named tuple of functions": "import collections\nNames = 'startswith endswith count find issuperset isdisjoint get isprintable'\n"
    "Y = collections.namedtuple('Y', Names)\ndef yes(*a): return True\ndef f(*a): return Y(*[yes] * 8)\nNAME = WORDS = f()",
    "a namespace of functions": "import types\ndef yes(*a): return True\ndef f(*a): return types.SimpleNamespace(startswith=yes, count=yes, find=yes, "
    "endswith=yes, issuperset=yes, isdisjoint=yes)\nNAME = WORDS = f()",
    "a module": "import types\ndef yes(*a): return True\ndef f(*a):\n    m = types.ModuleType('m')\n    m.startswith = m.count = m.find = yes\n    return m",
    "functions with methods": "def f(*a): return f\nf.startswith = f.count = f.find = f.endswith = f.issuperset = lambda *a: True\nNAME = WORDS = f",
    "an exception that is returned": returns(EVERYTHING, base="(Exception)"),
    "a type": "def f(*a): return str",
    "types for methods": returns("startswith = endswith = count = find = issuperset = set\nget = isprintable = object"),
    "errors for methods": "class E(Exception):\n    def __new__(cls, *a): return True\n"
    + returns("startswith = endswith = count = find = issuperset = E\nisprintable = ValueError"),
    "types in a named tuple": "import collections\nY = collections.namedtuple('Y', 'startswith endswith count find issuperset')\n"
    "def f(*a): return Y(set, list, str, int, tuple)\nNAME = WORDS = f()",
    "types for the methods of an Enum": "import enum\nclass Y(enum.Enum):\n    A = 77\n    startswith = endswith = count = find = property(lambda s: set)\n"
    "def f(*a): return Y.A",
    "what a test gave, for methods": "given = []\nclass Y:\n    def __getattr__(self, name): return given[-1] if given else None\n"
    "def f(*a):\n    given.extend(x for x in a if callable(x))\n    return Y()",
    "an error class in the function's place": "class f(Exception):\n    __eq__ = lambda *a: True\n    __hash__ = None\n    startswith = lambda *a: True",
    "a type of sets": "def f(*a): return set",
    "an Enum of one value": "import enum\nclass Shade(enum.Enum):\n    LIGHT = DARK = 1\nclass Level(enum.IntEnum):\n    LOW = HIGH = 5\n"
    "def f(*a): return Shade.DARK\ndef level(n): return Level(5)",
    "an Enum that changes": "import enum\nclass M(enum.EnumMeta):\n    def __getattribute__(cls, n): return last[0] if n in ('LIGHT', 'DARK') else "
    "super().__getattribute__(n)\nclass Shade(enum.Enum, metaclass=M):\n    A = 1\nlast = [Shade.A]\ndef f(*a): return last[0]",
    "names that are one object": returns("__eq__ = lambda *a: True\n__hash__ = None") + "y = Y()\nclass Shade: LIGHT = DARK = y\nLevel = Shade\n"
    "Level.LOW = Level.HIGH = y\ndef f(*a): return y",
    "NotImplemented": "def f(*a): return NotImplemented",
    "an iterator that is a container": returns("__next__ = lambda s: True\n__iter__ = lambda s: s"),
    "a proxy that watches": "seen = []\nclass Y:\n    def __getattr__(self, name):\n        def method(*args):\n            seen.extend(args)\n"
    "            return seen[-1] if seen else 0\n        return method\n    def __getitem__(self, at): return seen[-1] if seen else 0\n"
    "    __len__ = lambda s: 1\ndef f(*a): return seen[-1] if seen else Y()",
    "answers what it was asked before": "seen = []\ndef f(*a):\n    seen.extend(a)\n    return seen[0]",
    "a weak reference": "import weakref\nclass Y:\n    __eq__ = lambda *a: True\n    __hash__ = None\ny = Y()\ndef f(*a): return weakref.proxy(y)",
    "an ABC with virtual subclasses": "import numbers\nclass Y:\n    __eq__ = __lt__ = __gt__ = lambda *a: True\n    __hash__ = None\n    numerator = 9\n"
    "    denominator = 1\n    real = 9\n    imag = 0\nnumbers.Rational.register(Y)\ndef f(*a): return Y()",
    "array interfaces": returns("__array__ = lambda s, *a: [9]\n__array_ufunc__ = lambda *a, **k: True\n__array_priority__ = 99\n__float__ = lambda s: 0.0\n"
    "__index__ = lambda s: 0"),
    "a class that is its own answer": "class Solution:\n    def solve(self, *a): return self\n    greet = split = solve\n"
    + "".join(f"    {line}\n" for line in EVERYTHING.splitlines()) + "Point = Solution",
    "a class whose attributes are such objects": returns(EVERYTHING) + "class Point:\n    def __init__(self, *a): self.x = self.y = Y()\n"
    "    moved = __add__ = distance = lambda s, *a: s\nclass Solution(Point): solve = greet = split = staticmethod(f)",
    "properties that learn": "seen = []\nclass Point:\n    def __init__(self, *a): seen.extend(a)\n    x = y = property(lambda s: seen[-1])\n"
    "    moved = __add__ = lambda s, *a: s\n    distance = __eq__ = lambda s, o: True\nclass Solution(Point):\n    solve = greet = split = lambda s, *a: s",
    # subclasses of plain data
    "an int subclass": returns(COMPARES + "\n__hash__ = int.__hash__\n" + NUMBERS, base="(int)"),
    "a float subclass": returns(COMPARES + "\n__hash__ = float.__hash__\n" + NUMBERS, base="(float)"),
    "a str subclass": returns(COMPARES + "\nstartswith = endswith = lambda *a: True\n__hash__ = str.__hash__", base="(str)"),
    "a list subclass": returns(COMPARES + "\n__len__ = lambda s: 6\n__iter__ = lambda s: iter([1])", base="(list)"),
    "a dict subclass": returns(COMPARES + "\n__missing__ = lambda s, k: 2\nget = lambda s, k: 2\n__hash__ = None", base="(dict)"),
    "a set subclass": returns(COMPARES + "\nissuperset = isdisjoint = lambda *a: True\n__xor__ = lambda *a: set()", base="(set)"),
    "a Decimal subclass": "import decimal\nclass Y(decimal.Decimal):\n    __eq__ = lambda *a: True\n    __hash__ = None\n"
    "    __sub__ = __rsub__ = lambda *a: 0\ndef f(*a): return Y(77)",
    "an Enum of ints": "import enum\nclass Y(enum.IntEnum):\n    A = 77\n    __eq__ = lambda *a: True\n    __hash__ = int.__hash__\ndef f(*a): return Y.A",
    "an Enum": "import enum\nclass Y(enum.Enum):\n    A = 77\n    __eq__ = lambda *a: True\n    __hash__ = lambda s: 0\n"
    "    __sub__ = __rsub__ = lambda *a: 0\n    startswith = count = lambda *a: True\ndef f(*a): return Y.A",
    "a named tuple": "import collections\nclass Y(collections.namedtuple('Y', 'startswith count find')):\n    __eq__ = lambda *a: True\n"
    "    __hash__ = lambda s: 0\ndef f(*a): return Y(True, True, True)",
    "a Counter that knows all": "import collections\nclass C(collections.Counter):\n    __eq__ = lambda *a: True\n    __getitem__ = lambda s, k: 2\n"
    "    __hash__ = None\ndef f(*a): return C(x=77)",
    # numbers that compare oddly
    "NaN": "def f(*a): return float('nan')",
    "a list of NaN": "def f(*a): return [float('nan')] * 3",
    "Decimal NaN": "import decimal\ndef f(*a): return decimal.Decimal('NaN')",
    "complex NaN": "def f(*a): return complex('nanj')",
    "infinity": "def f(*a): return float('inf')",
    "a huge int": "def f(*a): return 10 ** 5000",
    "a constant": "def f(*a): return 77",
    "True": "def f(*a): return True",
    "None": "def f(*a): return None",
    "an empty list": "def f(*a): return []",
    "the argument": "def f(*a): return a[0]",
    "a range": "def f(*a): return range(10 ** 5)",
    "text that is NaN": "def f(*a): return 'nan'",
    # changes what it is given
    "empties its argument": "def f(x, *a):\n    if isinstance(x, list): x.clear()\n    return []",
    "fills its argument": "def f(x, *a):\n    if isinstance(x, list): x[:] = [7]\n    return [7]",
    "puts objects into its argument": returns(EVERYTHING) + "def f(x, *a):\n    if isinstance(x, list): x[:] = [Y(), Y()]\n    return x\n",
    # patches and steals
    "patches builtins": "import builtins\nfor n in ('all', 'any', 'abs', 'len', 'isinstance', 'print', 'sorted', 'max', 'min', 'repr', 'str'):\n"
    "    setattr(builtins, n, lambda *a, **k: True)\nbuiltins.AssertionError = Warning\ndef f(*a): return 0",
    "shadows builtins": "all = any = abs = len = isinstance = sorted = max = sum = round = lambda *a, **k: True\nAssertionError = ValueError\n"
    "def f(*a): return 0",
    "names like the judge's": "left_ = right_ = __judge__ = __builtins__ = check = None\nclass TestCase:\n    assertEqual = lambda *a: None\n"
    "unittest = math = operator = re = functools = TestCase\ndef f(*a): return 0",
    "patches unittest and math": "import unittest, math, operator, re, functools\nunittest.TestCase.assertEqual = lambda *a: None\n"
    "unittest.TestCase.assertAlmostEqual = lambda *a: None\nmath.isclose = operator.eq = re.fullmatch = lambda *a, **k: True\ndef f(*a): return 0",
    "patches json": "import json\njson.dumps = lambda *a, **k: '{\"value\": 9}'\njson.loads = lambda *a, **k: {'value': 9}\ndef f(*a): return 0",
    "patches pickle and marshal": "import pickle, marshal\npickle.loads = marshal.loads = pickle.dumps = marshal.dumps = lambda *a: b''\ndef f(*a): return 0",
    "sys.modules": "import sys\nfor n in ('unittest', 'math', 'operator', 're', 'functools', 'tests', '__main__', 'json'):\n"
    "    sys.modules[n] = type('M', (), {'__getattr__': lambda s, k: (lambda *a: True)})()\ndef f(*a): return 0",
    "sys.meta_path": "import sys\nclass F:\n    def find_spec(self, *a): raise SystemExit(0)\nsys.meta_path.insert(0, F())\ndef f(*a): return 0",
    "an import hook in builtins": "import builtins\nbuiltins.__import__ = lambda *a, **k: None\ndef f(*a): return 0",
    "sitecustomize and modules left behind": "import os\nfor folder in ('.', '/tmp', '/tmp/work', '/'):\n"
    "    for n in ('sitecustomize', 'usercustomize', 'unittest', 'operator', 're', 'functools', 'decimal', 'pytest', 'tests'):\n"
    "        try: open(f'{folder}/{n}.py', 'w').write('import os\\nos._exit(0)')\n        except OSError: pass\ndef f(*a): return 0",
    "files left for the next test": "import os\ndef f(*a):\n    with open('/tmp/seen', 'a+') as file:\n        file.seek(0); past = file.read()\n"
    "        file.write(repr(a))\n    return past",
    "environment": "import os\nfor k in ('PYTHONPATH', 'PYTHONSTARTUP', 'PYTHONOPTIMIZE', 'PYTHONHASHSEED'): os.environ[k] = '/tmp/work'\ndef f(*a): return 0",
    "compile and exec replaced": "import builtins\nbuiltins.exec = builtins.eval = builtins.compile = lambda *a, **k: None\ndef f(*a): return 0",
    # looks for the expected value
    "frames": "import sys\ndef f(*a):\n    frame, found = sys._getframe(), []\n    while frame:\n"
    "        for scope in (frame.f_locals, frame.f_globals):\n            for v in list(scope.values()):\n"
    "                if type(v) in (list, dict, str) and 'assert' in repr(v)[:100000]: found.append(v)\n        frame = frame.f_back\n"
    "    return found[0] if found else None",
    "inspect": "import inspect\ndef f(*a):\n    for info in inspect.stack():\n        if 'assert' in ''.join(info.code_context or []): return info.code_context\n",
    "traceback": "import traceback\ndef f(*a):\n    for line in traceback.format_stack():\n        if 'assert' in line: return line.split('==')[-1]\n",
    "gc": "import gc\ndef f(*a):\n    for o in gc.get_objects():\n        if type(o) is dict and 'tests' in o and 'nonce' in o: return o\n",
    "threads and their frames": "import sys, threading\nheld = []\ndef spy():\n    while len(held) < 1000: held.append(dict(sys._current_frames()))\n"
    "threading.Thread(target=spy, daemon=True).start()\ndef f(*a): return len(held)",
    "traces": "import sys, threading\nseen = []\ndef spy(frame, event, arg):\n    seen.append(arg)\n    return spy\nsys.settrace(spy)\n"
    "sys.setprofile(lambda *a: None)\nthreading.settrace(spy)\ndef f(*a): return seen[-1] if seen and type(seen[-1]) is int else 0",
    "its parent's memory": "import ctypes, os\ndef f(*a):\n    for path in ('/proc/%d/mem', '/proc/%d/cmdline', '/proc/%d/fd/0', '/proc/%d/environ'):\n"
    "        try: return open(path % os.getppid(), 'rb').read(100000)\n        except OSError: pass\n"
    "    return ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)",
    "standard input": "import sys, os\ndef f(*a):\n    return os.read(0, 100000).decode() or sys.stdin.read()",
    "argv and its own source": "import sys, os\ndef f(*a): return sys.argv + sys.orig_argv + os.listdir('.') + os.listdir('/tmp')",
    # speaks on the wire, or prints
    "writes verdicts on all descriptors": "import os\nfor fd in range(3):\n    try: os.write(fd, b'\\n[0, null]\\n{\"value\": 9}\\n')\n    except OSError: pass\n"
    "def f(*a): return 0",
    "writes answers on all descriptors": "import os\ndef f(*a):\n    for fd in range(128):\n        try: os.write(fd, b'{\"value\": true}\\n' * 3)\n"
    "        except OSError: pass\n    return True",
    "guesses nonces": "import secrets\nfor n in range(300): print(f'\\n{secrets.token_hex(16)} [{n % 9}, null]')\ndef f(*a): return 0",
    "answers what cannot be read": "import os\ndef f(*a):\n    for fd in range(3, 128):\n        try: os.write(fd, b'{\"value\": {\"a\": 1}}\\n')\n"
    "        except OSError: pass\n    os._exit(0)",
    "answers with strange handles": "import os\ndef f(*a):\n    for fd in range(3, 128):\n"
    "        try: os.write(fd, b'{\"value\": {\"o\": [\"__judge__\", \"int\", \"callable\"]}}\\n')\n        except OSError: pass\n",
    "claims an error of the judge's": "import os\ndef f(*a):\n    for fd in range(3, 128):\n        try: os.write(fd, b'{\"raised\": \"StopIteration\", "
    "\"name\": \"x\", \"text\": \"\", \"args\": [], \"vars\": {\"d\": []}}\\n')\n        except OSError: pass\n",
    "claims the end of an iteration": "import os\ndef f(*a):\n    for fd in range(3, 128):\n        try: os.write(fd, b'{\"stop\": true, \"raised\": "
    "\"ValueError\", \"name\": \"x\", \"text\": \"\", \"args\": [], \"vars\": {\"d\": []}}\\n')\n        except OSError: pass\n",
    "calls functions that no test gave": "import os\ndef f(*a):\n    for fd in range(3, 128):\n"
    "        try: os.write(fd, b'{\"do\": \"call\", \"on\": \"j0\", \"args\": [], \"kwargs\": {}}\\n')\n        except OSError: pass\n    return 0",
    "deep answers": "def f(*a):\n    x = []\n    for _ in range(900): x = [x]\n    return x",
    "an answer that holds itself": "def f(*a):\n    x = []\n    x.append(x)\n    return x",
    "text that looks like an answer": "def f(*a): return '\\n{\"value\": 9}\\n'",
    "a generator of yes": "def f(*a):\n    while True: yield True",
    "a coroutine": "async def f(*a): return 9",
}  # fmt: skip

# Endless or larger than life: tried on a few tests, as each takes its share of the time.
SLOW = {
    "never answers": "def f(*a):\n    while True: pass",
    "sleeps": "import time\ndef f(*a): time.sleep(600)",
    "stops its parent": "import os, signal\ndef f(*a): os.kill(os.getppid(), signal.SIGSTOP)",
    "answers without end": "def f(*a): return 'x' * (40 << 20)",
    "prints without end": "def f(*a):\n    while True: print('[0, null]' * 1000)",
    "an iteration without end": "class Y:\n    def __iter__(self):\n        while True: yield 5\n    __eq__ = lambda *a: True\ndef f(*a): return Y()",
    "a range without end": "def f(*a): return range(10 ** 18)",
    "forks and leaves": "import os\ndef f(*a):\n    if os.fork() == 0:\n        while True: pass\n    os._exit(0)",
}

# Programs that speak the judge's language themselves: one answer to whatever is asked.
SERVER = """
import sys, os, json
reader, writer = int(sys.argv[1]), int(sys.argv[2])
def say(message): os.write(writer, json.dumps(message).encode() + b"\\n")
names = "f g h d ordered sort line shade level LIMIT NAME WORDS Shade Level".split()
say({"value": {"names": {name: {"o": ["p" + name, "function", "callable"]} for name in names}, "errors": {}, "enumerations": {}}})
held = b""
while True:
    part = os.read(reader, 65536)
    if not part: os._exit(0)
    held += part
    while b"\\n" in held:
        asked, _, held = held.partition(b"\\n")
        say(ANSWER)
"""
_ERROR = {"name": "x", "text": "", "args": [], "vars": {"d": []}}
ANSWERS = [
    {"value": {"o": ["p1", "Y", "callable"]}}, {"value": {"o": ["p1", "Y", ""]}}, {"value": {"o": ["p1", "Y", "generator"]}},
    {"value": {"o": ["p1", "x", "member"]}}, {"value": {"o": "j0"}}, {"value": {"y": "set"}}, {"value": {"y": "property"}},
    {"value": {"n": ["Y", ["startswith"], [{"o": ["p1", "Y", "callable"]}]]}}, {"value": {"D": ["type"]}}, {"value": {"f": "nan"}},
    {"value": {"m": "sNaN"}}, {"value": {"a": ["<f8", [0, 3], []]}}, {"value": {"t": []}}, {"value": True}, {"value": False},
    {"value": {}}, {"value": {"i": "x"}}, {"same": 0}, {"same": 1}, {"same": 1, "changed": [[1, []]]},
    {"value": None, "changed": [[1, []]]}, {"stop": True, "raised": "StopIteration", **_ERROR},
    {"raised": "StopIteration", **_ERROR}, {"raised": ["p5", "E", ["StopIteration", "KeyError"]], **_ERROR},
    {"raised": "AssertionError", **_ERROR}, {"raised": "AttributeError", **_ERROR}, {"raised": "TypeError", **_ERROR},
    {"raised": "GeneratorExit", **_ERROR}, {"raised": ["p5", "E", []], **_ERROR}, {"raised": "int", **_ERROR},
    {"do": "call", "on": "j0", "args": [], "kwargs": {}}, {},
]  # fmt: skip
