"""Answer-set programs through clingo, in the sandbox: what they derive, or at which stage they fail and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from loopwright.core.errors import InputError
from loopwright.core.feedback import Frozen, Rater, Verdict
from loopwright.core.lazy import lazy

Stage = Literal["parse", "ground", "solve", "ok"]

PROGRAM = "program.lp"
# Runs where nothing of ours is: clingo is a guest there. Whatever a program may do (#include, endless grounding) ends inside.
# A line of stdout is an answer set, its shown atoms parted by tabs; the first line of stderr is the stage that failed.
HARNESS = """import sys
sys.path.append("/guests")
said, stage, found = [], "import", 0
try:
    import clingo
    stage = "parse"
    control = clingo.Control(["3"], logger=lambda code, text: said.append(text.strip()), message_limit=8)
    control.add("base", [], open("program.lp", encoding="utf-8").read())
    stage = "ground"
    control.ground([("base", [])])
    stage = "solve"
    with control.solve(yield_=True) as models:
        for model in models:
            print("\\t".join(sorted(str(atom) for atom in model.symbols(shown=True))))
            found += 1
except Exception as error:
    said = said or [str(error)]
print("ok" if found else stage, *said, sep="\\n", file=sys.stderr)
sys.exit(not found)
"""
_WORDS: Mapping[str, str] = {
    "parse": "The program could not be parsed.",
    "ground": "The program was parsed, but could not be grounded.",
    "solve": "The program was grounded, but it has no answer set: its rules contradict each other.",
}


class Solved(Frozen):
    """What came of a program.

    stage: where it ended, ``ok`` where it has an answer set. said: clingo's own messages. sets: the shown atoms of up to three
    answer sets.
    """

    stage: Stage
    said: tuple[str, ...] = ()
    sets: tuple[tuple[str, ...], ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Passed where there is one answer set and it shows something. ``by`` tells what failed: ``clingo/parse``,
        ``clingo/ground``, ``clingo/solve`` (none, or several), ``clingo/answer`` (nothing shown)."""
        stage, words = str(self.stage), _WORDS.get(self.stage, "")
        if self.stage == "ok" and len(self.sets) > 1:
            stage, words = "solve", "The program has several answer sets, so it does not determine the answer."
        elif self.stage == "ok" and not any(self.sets):
            stage, words = "answer", "The program was solved, but it shows no atom, so the answer does not follow from it."
        if not words:
            return Verdict(passed=True, by=Rater(kind="code", name="clingo"))
        return Verdict(passed=False, message="\n".join([words, *self.said]), by=Rater(kind="code", name=f"clingo/{stage}"))


_FACTS = re.compile(r"(?:[A-Za-z_(),\s-]|\.(?!\.))*")


def solve_facts(facts: str, knowledge: str) -> Solved | None:
    """What the harness gives of ``knowledge`` and, below it, ``facts``, without a sandbox and in a millisecond.

    None where the text could be more than facts about names (a rule, a directive, numbers), which may run for ever or read
    files. The knowledge is trusted. Raises InputError where clingo is not installed.
    """
    if not _FACTS.fullmatch(facts):
        return None
    clingo: Any = lazy("clingo")
    said: list[str] = []
    sets: list[tuple[str, ...]] = []
    stage: Stage = "parse"
    try:
        control = clingo.Control(["3"], logger=lambda code, text: said.append(text.strip()), message_limit=8)
        control.add("base", [], f"{knowledge}\n{facts}\n")
        stage = "ground"
        control.ground([("base", [])])
        stage = "solve"
        with control.solve(yield_=True) as models:
            sets = [tuple(sorted(str(atom) for atom in model.symbols(shown=True))) for model in models]
    except RuntimeError as error:
        said = said or [str(error)]
    return Solved(stage="ok" if sets else stage, said=tuple(said), sets=tuple(sets))


def read_outcome(outcome: Mapping[str, Any]) -> Solved:
    """What ``ctx.run(HARNESS, files={PROGRAM: text})`` gave. Raises InputError where clingo is not to be had."""
    first, *said = str(outcome["stderr"]).strip().splitlines() or [""]
    if first == "import":
        raise InputError(
            f"clingo cannot be loaded in the sandbox ({' '.join(said)}); type: pip install 'loopwright[asp]'. Where the sandbox "
            "is started by root, clingo must lie where every user may read"
        )
    if outcome["status"] == "ok":
        sets = tuple(tuple(filter(None, line.split("\t"))) for line in str(outcome["stdout"]).split("\n")[:-1] or [""])
        return Solved(stage="ok", said=tuple(said), sets=sets)
    stages: dict[str, Stage] = {"parse": "parse", "ground": "ground", "solve": "solve"}
    if first in stages:
        return Solved(stage=stages[first], said=tuple(said))
    ended = f"It was stopped ({outcome['status']}); a rule may go on for ever." if outcome["status"] != "error" else first
    return Solved(stage="ground", said=(ended,))
