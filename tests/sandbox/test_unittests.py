# ruff: noqa: E501
"""Tests of programs: each reported by itself."""

from __future__ import annotations

import asyncio
import collections
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.sandbox import Limits, Sandbox, TestReport, _wire, run_tests


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(limits=Limits(seconds=20))
    yield sandbox
    sandbox.close()


def judge(box: Sandbox, program: str, tests: str | list[str], **limits: float) -> TestReport:
    return asyncio.run(run_tests(box, program, tests, limits=Limits(**{"seconds": 20, **limits})))


def test_asserts_with_preparation(box: Sandbox) -> None:
    report = judge(box, "def add(a, b): return a - b", "x = 0\nassert add(x, x) == 0\nx = 1\nassert add(x, 2) == 3")
    assert (report.passed, report.total, report.status, report.ok) == (1, 2, "ok", False)
    assert report.failures == (("assert add(x, 2) == 3", "assert add(x, 2) == 3: left was -1, right was 3"),)


def test_functions(box: Sandbox) -> None:
    tests = "def test_a():\n    assert f(1) == 1\ndef test_b():\n    f(0)\ndef helper(): pass"
    report = judge(box, "def f(x):\n    return 1 // x", tests)
    assert report.failures == (("test_b", "ZeroDivisionError: integer division or modulo by zero"),)


PROGRAM = """
import asyncio, collections, dataclasses, datetime, decimal, enum, fractions, functools, json
LIMIT = 7
def sort(x): x.sort()
def bubble(x):
    x.sort()
    return x
def compact(x):
    x[:] = sorted(set(x))
    return len(x)
def deep(m):
    for row in m: row.sort()
def drop(d, key): del d[key]
def add_to(s, x): s.add(x)
def fill(*, target): target.append(1)
def apply(f, xs): return [f(x) for x in xs]
def echo(x): return x
def raises(kind):
    def inner(*a, **k): raise kind('inner')
    return inner
def guarded(f):
    try: return f()
    except ValueError as error: return 'caught ' + str(error)
def own_guarded(f):
    try: return f()
    except Bad as error: return 'own ' + str(error)
def once(f):
    @functools.cache
    def inner(x): return f(x)
    return inner
class Stack:
    kind = 'lifo'
    def __init__(self, items=()): self.items = list(items)
    def push(self, x):
        self.items.append(x)
        return self
    def pop(self):
        if not self.items: raise IndexError('empty')
        return self.items.pop()
    def get(self, at, default=None): return self.items[at] if at < len(self.items) else default
    def startswith(self, x): return self.items[:1] == [x]
    def copy(self): return Stack(self.items)
    @classmethod
    def of(cls, *items): return cls(items)
    @staticmethod
    def name(): return 'stack'
    @property
    def top(self): return self.items[-1]
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __getitem__(self, at): return self.items[at]
    def __setitem__(self, at, x): self.items[at] = x
    def __delitem__(self, at): del self.items[at]
    def __reversed__(self): return reversed(self.items)
    def __repr__(self): return f'Stack({self.items})'
    def __eq__(self, other): return self.items == other.items
    def __add__(self, other): return Stack(self.items + other.items)
    def __mul__(self, n): return Stack(self.items * n)
    def __abs__(self): return len(self.items)
    def __float__(self): return 2.5
    def __contains__(self, x): return x in self.items
    def __call__(self, x): return x + len(self.items)
    def __enter__(self): return self
    def __exit__(self, kind, error, trace): return kind is KeyError
class Empty:
    def __bool__(self): return False
class Node:
    def __init__(self, value, next=None): self.value, self.next = value, next
def chain(xs): return Node(xs[0], chain(xs[1:])) if xs else None
def backwards(node):
    before = None
    while node: node.next, before, node = before, node, node.next
    return before
class Bad(ValueError):
    def __init__(self, text, code=5):
        super().__init__(text)
        self.code = code
class Worse(Bad): pass
class Odd(KeyError, AttributeError):
    def __str__(self): return 'odd'
def bad(kind='Bad'): raise globals()[kind]('no')
def leaves(code): raise SystemExit(code)
class Single:
    one = None
    def __new__(cls):
        cls.one = cls.one or super().__new__(cls)
        return cls.one
class Countdown:
    def __init__(self, n): self.n = n
    def __iter__(self): return self
    def __next__(self):
        if self.n == 0: raise StopIteration
        self.n -= 1
        return self.n
def numbers():
    n = 0
    while True:
        yield n
        n += 1
def adder():
    total = 0
    while True: total += yield total
def pairs(xs): return zip(xs, xs[1:])
Point = collections.namedtuple('Point', 'x y')
def point(): return Point(1, 2)
@dataclasses.dataclass(order=True)
class Item:
    name: str
    price: float = 1.0
def items(): return [Item('a'), Item('b', 2.0)]
class Color(enum.Enum):
    RED = 1
    BLUE = 2
    @property
    def label(self): return self.name.lower()
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2
def color(x): return Color(x)
def mix(a): return Color.BLUE if a is Color.RED else Color.RED
def level(): return Level.HIGH
def count(text): return collections.Counter(text)
def groups(xs):
    found = collections.defaultdict(list)
    for x in xs: found[len(x)].append(x)
    return found
def queue(): return collections.deque([1, 2], maxlen=3)
def day(): return datetime.date(2024, 2, 29)
def hour(): return datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)
def span(): return datetime.timedelta(hours=1.5)
def half(): return fractions.Fraction(1, 2)
def cent(): return decimal.Decimal('0.01')
def kind(x): return type(x)
def keys(d): return d.keys()
def write(path):
    with open(path, 'w') as file: file.write('written')
class Int(int): pass
class Text(str): pass
"""


@pytest.mark.parametrize(
    "test",
    [
        # in place
        "x = [3, 1]\nsort(x)\nassert x == [1, 3]",
        "x = [3, 1]\nassert sort(x) is None and x == [1, 3]",
        "x = [3, 1]\nassert (sort(x), x) == (None, [1, 3])",
        "x = [3, 1]\nassert bubble(x) == [1, 3] and x == [1, 3]",
        "x = [3, 1]\nassert bubble(x) is x\ny = bubble(x)\nassert y is x",
        "x = [1, 3]\nassert echo(x) is x and echo(list(x)) is not x",
        "x = [3, 1]\nassert bubble(x) == sorted(x)",
        "x = [2, 1, 2]\nassert compact(x) == 2 and x[:2] == [1, 2]",
        "x = [2, 1, 2]\nk = compact(x)\nassert x[:k] == [1, 2]",
        "x = [3, 1, 2]\nassert [compact(x), compact(x)] == [3, 3]",
        "row = [2, 1]\nm = [row, [4, 3]]\ndeep(m)\nassert m == [[1, 2], [3, 4]] and row == [1, 2]",
        "x = {'a': 1, 'b': 2}\ndrop(x, 'a')\nassert x == {'b': 2}",
        "x = {1}\nadd_to(x, 2)\nassert x == {1, 2}",
        "x = []\nfill(target=x)\nassert x == [1]",
        "x = bytearray(b'ab')\nx2 = echo(x)\nassert x2 == b'ab'",
        # functions given to the program
        "k = 4\nassert apply(lambda i: i + k, [1, 2]) == [5, 6]",
        "seen = []\napply(seen.append, [1, 2])\nassert seen == [1, 2]",
        "def f():\n    raise ValueError('mine')\nassert guarded(f) == 'caught mine'",
        "def f():\n    raise Bad('mine')\nassert own_guarded(f) == 'own mine'",
        "def f():\n    raise KeyError('mine')\ntry:\n    guarded(f)\nexcept KeyError:\n    pass\nelse:\n    assert False",
        "calls = []\n@once\ndef f(x):\n    calls.append(x)\n    return x * 2\nassert f(2) == 4 and f(2) == 4 and calls == [2]",
        "fs = [len, str.upper]\nassert echo(fs) == fs",
        "import functools\nassert functools.reduce(echo(lambda a, b: a + b), [1, 2]) == 3",
        # objects
        "s = Stack()\ns.push(3)\nassert len(s) == 1 and s.items == [3] and list(s) == [3] and isinstance(s, Stack)",
        "s = Stack().push(1).push(2)\nassert s.pop() == 2 and s.top == 1 and s[0] == 1 and s[-1] == 1 and s[:1] == [1]",
        "s = Stack([1, 2])\ns[0] = 5\ndel s[1]\ns.items.append(3)\nassert s.items == [5] and 5 in s and 6 not in s",
        "s = Stack([1])\nassert s.get(0) == 1 and s.get(9, -1) == -1 and s.startswith(1) and not s.startswith(2)",
        "s = Stack([1])\nassert s and not Stack() and s.copy().pop() == 1 and len(s) == 1 and s.copy() is not None",
        "s = Stack([1, 2])\nassert repr(s) == 'Stack([1, 2])' == str(s) and f'{s}' == 'Stack([1, 2])'",
        "assert (Stack([1]) + Stack([2])).items == [1, 2] and Stack([1]).__mul__(2).items == [1, 1]",
        "assert Stack([1]).__eq__(Stack([1])) is True and Stack([1]).__contains__(1) and abs(Stack([1])) == 1",
        "assert float(Stack()) == 2.5 and list(reversed(Stack([1, 2]))) == [2, 1] and Stack([1])(4) == 5",
        "assert Stack.kind == 'lifo' and Stack.name() == 'stack' and Stack.of(1, 2).items == [1, 2]",
        "s = Stack()\ns.mark = 4\nassert s.mark == 4 and hasattr(s, 'mark') and not hasattr(s, 'other')",
        "s = Stack()\ntry:\n    s.pop()\nexcept IndexError as error:\n    assert str(error) == 'empty'\nelse:\n    assert False",
        "with Stack([1]) as s:\n    assert s.items == [1]\n    {}['a'] if False else None",
        "with Stack([1]) as s:\n    raises(KeyError)()",
        "assert not Empty() and Single() is Single() and Stack() is not Stack()",
        "n = chain([1, 2])\nassert n.value == 1 and n.next.value == 2 and n.next.next is None and n.next.next == None and n != None",
        "n, out = backwards(chain([1, 2, 3])), []\nwhile n:\n    out.append(n.value)\n    n = n.next\nassert out == [3, 2, 1]",
        "import copy\ns = Stack([1])\nt = copy.deepcopy(s)\nt.push(2)\nassert len(s) == 1 and len(t) == 2",
        "assert [i.name for i in items()] == ['a', 'b'] and items()[1].price == 2.0 and vars(items()[0]) == {'name': 'a', 'price': 1.0}",
        "assert callable(once(len)) and callable(Stack) and not callable(Node(1)) and Stack.__name__ == 'Stack'",
        # errors
        "try:\n    bad()\nexcept Bad as error:\n    assert str(error) == 'no' and error.code == 5 and error.args == ('no',)\nelse:\n    assert False",
        "try:\n    bad()\nexcept ValueError:\n    pass\nelse:\n    assert False",
        "try:\n    bad('Worse')\nexcept Bad as error:\n    assert type(error).__name__ == 'Worse' and isinstance(error, Worse)\nelse:\n    assert False",
        "for kind in (KeyError, AttributeError, Odd):\n    try:\n        bad('Odd')\n    except kind as error:\n        assert str(error) == 'odd'\n    else:\n        assert False",
        "assert issubclass(Worse, Bad) and issubclass(Bad, ValueError)",
        "try:\n    leaves(3)\nexcept SystemExit as end:\n    assert end.code == 3\nelse:\n    assert False",
        "import unittest\nwith unittest.TestCase().assertRaisesRegex(ValueError, 'n.'):\n    bad()",
        "try:\n    raises(KeyError)(1)\nexcept KeyError as error:\n    assert error.args == ('inner',)\nelse:\n    assert False",
        # iterators
        "g = numbers()\nassert next(g) == 0 and next(g) == 1",
        "import itertools, inspect\nassert list(itertools.islice(numbers(), 3)) == [0, 1, 2] and inspect.isgenerator(numbers())",
        "a = adder()\nnext(a)\nassert a.send(3) == 3 and a.send(4) == 7",
        "assert list(pairs([1, 2, 3])) == [(1, 2), (2, 3)] and dict(pairs([1, 2])) == {1: 2}",
        "assert list(Countdown(3)) == [2, 1, 0] and next(Countdown(0), 'end') == 'end' and sum(Countdown(4)) == 6 and 2 in Countdown(3)",
        "c = Countdown(1)\nnext(c)\ntry:\n    next(c)\nexcept StopIteration:\n    pass\nelse:\n    assert False",
        "first, *rest = Countdown(3)\nassert first == 2 and rest == [1, 0] and [*Stack([4])] == [4]",
        # plain data
        "assert echo({'a': (1, 2.5, None, True, b'x', {1}, 10**5000, 2j)}) "
        "== {'a': (1, 2.5, None, True, b'x', {1}, 10**5000, 2j)}",
        "assert echo(float('inf')) > 0 and echo('\\ud800') == '\\ud800' and repr(echo(-0.0)) == '-0.0' and echo(2**62) == 2**62",
        "import math\nassert math.isnan(echo(math.nan))",
        "assert echo(range(3)) == range(3) and echo(frozenset({1})) == frozenset({1}) and echo(bytearray(b'a')) == bytearray(b'a')",
        "assert type(echo(True)) is bool and type(echo(1)) is int and type(echo(1.0)) is float and echo(()) == () and echo([]) == []",
        "assert type(Int(3)) is int and Int(3) + 1 == 4 and type(Text('a')) is str and 'a' in Text('ab')",
        "assert point() == (1, 2) and point().x == 1 and Point(3, 4).y == 4 and point()._replace(x=5) == (5, 2)",
        "assert count('aab') == {'a': 2, 'b': 1} and count('aab')['z'] == 0 and count('aab').most_common(1) == [('a', 2)]",
        "assert groups(['a', 'bb', 'c']) == {1: ['a', 'c'], 2: ['bb']} and groups([])[3] == []",
        "import collections\nassert queue() == collections.deque([1, 2]) and queue().maxlen == 3",
        "import datetime\nassert day() == datetime.date(2024, 2, 29) and hour().hour == 12 and span().total_seconds() == 5400",
        "import datetime\nassert hour() == datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc) and echo(day()) == day()",
        "from decimal import Decimal\nfrom fractions import Fraction\nassert cent() == Decimal('0.01') and half() == Fraction(1, 2) == echo(0.5)",
        "assert kind(3) is int and kind('') == str and keys({'a': 1}) == {'a'} and list(keys({'a': 1})) == ['a']",
        "assert color(1) == Color.RED and color(1) is Color.RED and color(2) != Color.RED and mix(Color.RED) is Color.BLUE",
        "assert Color.RED.value == 1 and Color['BLUE'].name == 'BLUE' and [c.name for c in Color] == ['RED', 'BLUE'] and Color(1) == color(1)",
        "assert level() == 2 and level() == Level.HIGH and level() > Level.LOW and {Color.RED: 1}[color(1)] == 1",
        "assert Color.RED.label == 'red'",
        "write('out.txt')\nassert open('out.txt').read() == 'written'",
        '"""What it is about."""\nfrom __future__ import annotations\nassert LIMIT == 7',
        "n = chain(list(range(300)))\ntotal = 0\nwhile n is not None:\n    total += n.value\n    n = n.next\nassert total == 44850",
        "import dataclasses\n@dataclasses.dataclass\nclass Box:\n    held: object\nassert Box(echo(3)) == Box(3)",
        "assert LIMIT == 7",
        "import math\nassert echo(math.pi) == math.pi",
    ],
)
def test_what_tests_may_do(box: Sandbox, test: str) -> None:
    assert judge(box, PROGRAM, [test]).failures == ()


class Side:
    """One end of the wire."""

    def __init__(self) -> None:
        self.objects: list[Any] = []

    def export(self, value: object) -> dict[str, Any]:
        self.objects.append(value)
        return {"o": len(self.objects) - 1}

    def resolve(self, body: int) -> Any:
        return self.objects[body]

    def saw_nan(self) -> None: ...
    def saw_fields(self, fields: list[str], items: list[Any]) -> None: ...
    def saw_type(self, kind: type) -> type:
        return kind


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 4000), 1 << 4000), st.floats(allow_nan=False), st.text(), st.binary(),
    st.complex_numbers(allow_nan=False), st.fractions(), st.decimals(allow_nan=False), st.dates(), st.times(), st.datetimes(), st.timedeltas(),
    st.characters(categories=["Cs"]), st.builds(range, st.integers(-9, 9), st.integers(-9, 9)), st.sampled_from([int, str, slice(1, None)]),
)  # fmt: skip
HASHABLE = PLAIN.filter(lambda value: not isinstance(value, slice))
NESTED = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.sets(HASHABLE), st.frozensets(HASHABLE), st.dictionaries(HASHABLE, inner),
        st.lists(inner).map(collections.deque), st.lists(HASHABLE).map(collections.Counter), st.binary().map(bytearray),
        st.dictionaries(HASHABLE, inner).map(collections.OrderedDict),
        st.dictionaries(HASHABLE, inner).map(lambda value: collections.defaultdict(list, value)),
    ),
    max_leaves=8,
)  # fmt: skip


@given(NESTED)
def test_plain_data_crosses_unchanged(value: object) -> None:
    side = Side()
    crossed = _wire.unpack(json.loads(json.dumps(_wire.pack(value, side))), side)
    assert crossed == value and type(crossed) is type(value) and sorted(repr(crossed)) == sorted(repr(value)) and not side.objects


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_answer_makes_anything_but_data(answer: object) -> None:
    side = Side()
    side.objects.append("an object of the program")
    try:
        value = _wire.unpack(answer, side)
    except Exception:
        return  # the judge takes it for an answer that cannot be read
    assert "loopwright" not in type(value).__module__


def test_one_endless_loop_fails_one_test(box: Sandbox) -> None:
    program = "def f(x):\n    while x == 1: pass\n    return x"
    report = judge(box, program, ["assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2"], seconds=6)
    assert [name for name, _ in report.failures] == ["assert f(1) == 1"]


def test_a_program_that_ends_itself_fails_where_it_did(box: Sandbox) -> None:
    program = "import os\ndef f(x):\n    if x == 1: os._exit(0)\n    return x"
    report = judge(box, program, ["assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2"])
    assert report.failures == (("assert f(1) == 1", "the program ended its process"),)


def test_a_program_that_does_not_load(box: Sandbox) -> None:
    report = judge(box, "def f(:", ["assert f(1)", "assert f(2)"])
    assert report.passed == 0 and all("SyntaxError" in message for _, message in report.failures)


def test_a_flood_is_named(box: Sandbox) -> None:
    report = judge(box, "def f():\n    while True: print('x' * 1000)", ["assert f()"])
    assert (report.passed, report.status) == (0, "output")


@pytest.mark.parametrize("tests", ["", [], "x = 1", "def f(:"])
def test_tests_that_are_none(box: Sandbox, tests: str | list[str]) -> None:
    with pytest.raises(InputError):
        judge(box, "x = 1", tests)
