"""The repairer: a program that plays a model in ``repair``: who edits, who says what a state is worth, who debates (``actor``).

It does not know what a program should do. It knows what kinds of faults there are (the task says so), reads in the tests' output
which functions fail, and tries out changes there, in the files that it was shown: what it has not tried yet, as far as its
conversation tells, and rather what looks odd beside the rest of the code. An edit that did not help it does not always take
back. Who values a state reads the last action and the tests' output, who debates reads what was said of the solutions.
"""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from loopwright.blocks.repository import Edit, edited, read_edits
from loopwright.worlds.lab.actor import Sent, cast
from loopwright.worlds.repair.faults import faults_of

REPEATS = 0.1  # of the edits: may be one that it knows was tried
KEEPS = 0.5  # of the edits that did not help: are not taken back, unless the tests came to no end
ELSEWHERE = 0.1  # of the edits: not where the tests point
NOSE = 0.5  # how much it goes by what looks odd: 0 not at all
ENDLESS = "The tests ended with"
NOTHING = "notes.txt"  # an edit that shows what fails
MISREADS = 0.1  # of the states: are valued by chance

# What a fault may have been, by what stands there now (see worlds.repair.faults).
_WAS = {
    "<=": ("<",), "<": ("<=",), ">=": (">",), ">": (">=",), "!=": ("==",), "==": ("!=",), "not in": ("in",), "in": ("not in",),
    "-": ("+",), "+": ("-", "*"), "*": ("//",), "//": ("%",), "or": ("and",), "and": ("or",),
}  # fmt: skip
_FILES = re.compile(r"^Files: (.+)\.$", re.MULTILINE)
_COUNT = re.compile(r"(\d+) passed, (\d+) failed")
_ASSERTED = re.compile(r"^ +\S+:\d+: assert (.+)$", re.MULTILINE)
_IMPORTED = re.compile(r"^from ([\w.]+) import (\w+)$", re.MULTILINE)
_PLACED = re.compile(r"^ +(ledger/[\w/]+\.py):(\d+): ", re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+|//|<=|>=|==|!=|\S")
_CALLED = re.compile(r"\b([a-z]\w*)\(")
_POINTS = re.compile(r"The failing tests call ([\w, ]+)\. Try another change there\.(?: One breaks off in (\S+)\.)?")
_SAID = re.compile(r"^Failing: ([\w, ]+)\.$", re.MULTILINE)
_SOLUTION = re.compile(r"^Solution (\d+):\n(.*?)(?=^Solution \d+:|\Z)", re.MULTILINE | re.DOTALL)

Change = tuple[str, int, str]  # path, where in the file, what shall stand there


def _failing(text: str) -> set[str]:
    """Names that the assertions of failed tests call."""
    return {name for line in _ASSERTED.findall(text) for name in _CALLED.findall(line)} - {"list", "sum", "abs", "len"}


def _files(sent: Sent) -> dict[str, str]:
    """The files that the conversation showed, with the edits made in it since."""
    shown: dict[str, str] = {}
    said = [turn for turn in sent.turns if turn.role != "system"]
    for before, after in pairwise(said):
        if before.role != "assistant" or after.role != "user":
            continue
        for edit in read_edits(before.text):
            if edit.path in shown:
                shown, _ = edited(shown, edit)
        if not read_edits(before.text) and (found := re.search(r"^VIEW (\S+)$", before.text, re.MULTILINE)):
            shown[found[1]] = after.text.partition("\n\nOther attempts from")[0]
    return shown


def _inside(text: str, names: set[str]) -> list[tuple[int, int]]:
    """Where the functions of these names begin and end; [] for a file that cannot be read."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    return [(starts[n.lineno - 1], starts[n.end_lineno or n.lineno]) for n in functions if not names or n.name in names]


def _changes(files: Mapping[str, str], names: set[str]) -> dict[Change, Edit]:
    """All single changes that may undo a fault in functions of these names (in all where there are none)."""
    found: dict[Change, Edit] = {}
    for path, text in files.items():
        places = _inside(text, names)
        for fault in faults_of(text) if places else ():
            if not any(first <= fault.start < last for first, last in places):
                continue
            was = _WAS.get(fault.old, ())
            if fault.old.isdigit() and int(fault.old) % 10:  # 100 is what was meant, 101 may not be
                was = (str(int(fault.old) - 1),)
            for old in was:
                after = text[: fault.start] + old + text[fault.end :]
                found[(path, fault.start, old)] = _edit(path, text, after, fault.start)
    return found


def _edit(path: str, before: str, after: str, at: int) -> Edit:
    """One line of a file, and as many before it as make it the only such place."""
    number = before[:at].count("\n")
    old, new = before.splitlines(), after.splitlines()
    for first in range(number, -1, -1):
        block = "\n".join(old[first : number + 1])
        if before.count(block) == 1:
            return Edit(path, block, "\n".join(new[first : number + 1]))
    return Edit(path, before, after)


def _relieved(around: Counter[tuple[str, ...]], change: Edit) -> float:
    """How much less odd files are with a change, by what stands beside what in them, in twos and threes."""
    old, new = _grams(change.old), _grams(change.new)
    changed = [gram for gram in old | new if old[gram] != new[gram]]
    return sum(_seen(around[gram] - old[gram] + new[gram]) - _seen(around[gram]) for gram in changed)


def _seen(times: int) -> float:
    """Log-probability, but for a constant, of a thing that comes so often, each time likelier by the times before."""
    return math.lgamma(times + 0.1) - math.lgamma(0.1) if times > 0 else 0.0


def _grams(*texts: str) -> Counter[tuple[str, ...]]:
    every = [_TOKEN.findall(text) for text in texts]
    return Counter(tuple(tokens[i : i + n]) for tokens in every for n in (2, 3) for i in range(len(tokens) - n + 1))


def act(sent: Sent) -> str:
    """Views what it needs to see, edits where the tests point, hands in when they pass."""
    told = "\n".join(sent.told)
    listed = _FILES.search(told)
    if listed is None:
        return "FINISH"
    modules = [path for path in listed[1].split(", ") if path.startswith("ledger/") and not path.endswith("__init__.py")]
    files = _files(sent)
    counts = [(int(failed), text) for text in sent.told for _, failed in _COUNT.findall(text)]
    if counts and counts[-1][0] == 0:
        return "All tests pass.\nFINISH"
    tried = {edit.text for text in [*sent.own, sent.last] for edit in read_edits(text)}
    mine = read_edits(sent.own[-1]) if sent.own else []
    endless, ran = ENDLESS in sent.last, _COUNT.search(sent.last) is not None
    if mine and mine[-1].path != NOTHING and "Not done" not in sent.last and (endless or (ran and not sent.slips(KEEPS))):
        back = Edit(mine[-1].path, mine[-1].new, mine[-1].old)
        helped = ran and len(counts) > 1 and counts[-1][0] < counts[-2][0]
        if back.text not in tried and not helped:
            return f"That did not help, so I take it back.\n{back.text}"
    names, places = set[str](), set[str]()
    for text in sent.told:
        if _COUNT.search(text):
            names, places = _failing(text) | _inner(files, text), {path for path, _ in _PLACED.findall(text)}
        said = _POINTS.findall(text)
        names |= {name.strip() for one, _ in said for name in one.split(",")}
        places |= {path for _, path in said if path}
    tests = next((path for path in listed[1].split(", ") if path.startswith("tests/")), "")
    if tests and tests not in files and f"VIEW {tests}" not in sent.last:
        return f"I want to see the tests first.\nVIEW {tests}"
    if not names and NOTHING not in "".join([*sent.own, sent.last]):
        return f"This changes nothing, and shows which tests fail.\n{Edit(NOTHING, '', 'Looked at.').text}"
    homes = {name: f"{module.replace('.', '/')}.py" for module, name in _IMPORTED.findall(files.get(tests, ""))}
    unseen = [path for path in modules if path not in files]
    wanted = [p for p in unseen if p in places or p in {homes.get(name) for name in names}]
    if wanted or (unseen and not names):
        wanted = wanted or unseen
        return f"Failing: {', '.join(sorted(names)) or 'unknown'}.\nVIEW {sent.rng.choice(wanted)}"
    seen = {path: text for path, text in files.items() if path in modules}
    changes = _changes(seen, set() if sent.slips(ELSEWHERE) else names)
    fresh = [edit for edit in changes.values() if edit.text not in tried or sent.slips(REPEATS)]
    if fresh:
        around = _grams(*files.values())
        lots = [math.exp(min(NOSE * _relieved(around, edit), 50)) for edit in fresh]
        return f"Perhaps it is this.\n{sent.rng.choices(fresh, lots)[0].text}"
    return f"I want to see more.\nVIEW {sent.rng.choice(unseen)}" if unseen else "I give up.\nFINISH"


def _inner(files: Mapping[str, str], said: str) -> set[str]:
    """Functions, of files that were seen, in which a test broke off."""
    found = set()
    for path, line in _PLACED.findall(said):
        at = sum(len(text) for text in files.get(path, "").splitlines(keepends=True)[: int(line) - 1])
        defined = re.findall(r"^def (\w+)", files.get(path, "")[: at + 1], re.MULTILINE)
        found |= set(defined[-1:])
    return found


def value(sent: Sent) -> str:
    """High where the file that fails has come into view or nothing fails any more, low where an edit left tests failing."""
    before, _, shown = sent.last.rpartition("The last action and what came of it:\n")
    counted = _COUNT.findall(shown)
    names, inside = sorted(_failing(shown)), sorted({path for path, _ in _PLACED.findall(shown)})
    words = "Go on like this."
    if names:
        words = f"The failing tests call {', '.join(names)}. Try another change there."
        words += f" One breaks off in {inside[0]}." if inside else ""
    viewed, wanted = re.findall(r"^VIEW (\S+)$", shown, re.MULTILINE), _SAID.findall(shown)
    if ENDLESS in shown:
        why, worth, words = "The tests no longer come to an end.", -90, "Try another change."
    elif counted:
        failed = int(counted[-1][1])
        why = f"{failed} tests fail." if failed else "All tests pass."
        worth = 100 if not failed else -10 if NOTHING in shown else max(-90, -30 - 10 * failed)
    elif viewed:
        why, again = "A file was shown.", f"VIEW {viewed[0]}" in before
        there = any(f"def {name.strip()}(" in shown for said in wanted for name in said.split(","))
        worth = -60 if again else 60 if there else -20
    else:
        why, worth = "It was handed in.", 90 if "All tests pass" in shown else -90
    if sent.slips(MISREADS):
        worth = sent.rng.randint(-100, 100)
    return f"Explanation: {why}\nFeedback: {words}\nValue: {worth}"


def debate(sent: Sent) -> str:
    """For a solution of which somebody said that its tests pass."""
    solutions = dict(_SOLUTION.findall(sent.last))
    good = [number for number, text in solutions.items() if "ll tests pass" in text] or sorted(solutions) or ["1"]
    return f"It is said to pass.\nID: {sent.rng.choice(good)}"


repairer = cast("repairer", 1, {"How likely is it that the work ends well": value, "ID: its number": debate, "": act})
