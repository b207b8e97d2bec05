"""Who writes stories of neighbours (the world ``spatial``) as facts for clingo, and again after what clingo says of them.

``PROGRAM`` asks for the facts, ``ANSWER`` for the answer itself after facts that could not be solved; a question alone is
answered with a relation. It was shown its own slips and made-up ones with clingo's words, and the facts put right.
"""

from __future__ import annotations

import random
import re

from loopwright.critics.asp import Solved, solve_facts
from loopwright.worlds.lab.dialogues import Said, part_of
from loopwright.worlds.lab.roles.role import Task
from loopwright.worlds.spatial import KNOWLEDGE, WORDINGS, draw

PROGRAM = "Program."
ANSWER = "Answer only."
HOPS = (1, 2, 3, 4, 5)
_SHARES = (0.1, 0.25, 0.3, 0.2, 0.15)
_PLAIN = {wording: name.replace("-", "_") for name, wordings in WORDINGS.items() for wording in wordings}
_THINGS = re.compile(r"\b[A-Z]\b")
_UNKNOWN = ("top", "upper", "lower", "over", "under", "at", "in", "same")


def formalised(question: str) -> str:
    """The facts of a question, a line each in the order of the story, and the query."""
    story, asked = question.split("\n")
    lines = []
    for sentence in re.findall(r"[A-Z][^.]+\.", story):
        a, b = _THINGS.findall(sentence)
        wording = re.sub(rf"\b{b}\b", "{b}", re.sub(rf"\b{a}\b", "{a}", sentence))
        lines.append(f"is({a.lower()},{_PLAIN[wording]},{b.lower()}).")
    a, b = _THINGS.findall(asked)
    return "\n".join([*lines, f"query({a.lower()},{b.lower()})."])


def solved(attempt: str) -> Solved | None:
    return solve_facts(attempt, KNOWLEDGE)


class Formaliser:
    name = "formaliser"

    def draw(self, rng: random.Random, *, taught: bool = True, done: float = 1.0) -> Task:
        while True:
            hops = rng.choices(HOPS, _SHARES)[0] if rng.random() < 0.3 + done else rng.choice((1, 2))
            question, answer = draw(rng, hops, rng.choice((0, 0, 1)), 2)
            if (part_of(question) == "teach") is taught:
                return Task(question, answer)

    def ask(self, task: Task) -> list[Said]:
        return [Said("user", task.question), Said("user", PROGRAM)]

    def again(self, task: Task, attempt: str) -> list[Said] | None:
        found = solved(attempt)
        if found is None or found.verdict.passed:
            return None
        return [*self.ask(task), Said("assistant", attempt), Said("user", found.verdict.text)]

    def right(self, task: Task, attempt: str) -> bool:
        found = solved(attempt)
        return found is not None and found.verdict.passed and found.sets[0] == (f"answer({task.target.replace('-', '_')})",)

    def solution(self, task: Task) -> str:
        return formalised(task.question)

    def spoil(self, task: Task, rng: random.Random) -> str:
        while True:
            facts = self.solution(task)
            for _ in range(rng.choice((1, 1, 2))):
                facts = _slip(facts, rng)
            found = solved(facts)
            if found is not None and not found.verdict.passed:
                return facts

    def other(self, rng: random.Random, *, taught: bool = True) -> tuple[str, list[Said], str]:
        """The answer itself: at once, or, now and then, after facts that clingo could not solve."""
        task = self.draw(rng, taught=taught)
        if not taught or rng.random() < 0.9:
            return "answers without a program", [Said("user", task.question)], task.target
        told = self.again(task, self.spoil(task, rng)) or []
        return "answers after a program", [*told[:-1], Said("user", ANSWER)], task.target


def _slip(facts: str, rng: random.Random) -> str:
    """One thing wrong, as somebody who writes in a hurry has it."""
    lines = facts.split("\n")
    at = rng.randrange(len(lines))
    line = lines[at]
    kind = rng.choice(("name", "name", "name", "relation", "capital", "stop", "bracket", "comma", "hyphen", "missing"))
    names = [m.start() for m in re.finditer(r"(?<=[(,])[a-z](?=[,)])", line)]
    if kind in ("name", "capital") and names:
        place = rng.choice(names)
        new = line[place].upper() if kind == "capital" else rng.choice("abcdefghijklmnopqrstuvwxyz")
        lines[at] = line[:place] + new + line[place + 1 :]
    elif kind == "relation":
        lines[at] = re.sub(r",[a-z_]{2,},", f",{rng.choice(_UNKNOWN)},", line)
    elif kind == "hyphen":
        lines[at] = line.replace("_", "-")
    elif kind == "missing":
        del lines[at]
    else:
        mark = {"stop": ".", "bracket": rng.choice("()"), "comma": ","}.get(kind, ".")
        lines[at] = line.replace(mark, mark * 2 if mark == "," else "", 1)
    return "\n".join(lines)
