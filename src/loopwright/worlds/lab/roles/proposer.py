"""Who proposes rules of lists (the world ``rules``) from cases, proposes again after cases that were not met, and follows rules.

``PROPOSE`` asks for a rule after a question; ``REFINE`` and ``MISTAKE`` tell a rule and what it does not explain; ``FOLLOW`` asks
for what a rule makes of one list. They are to be given to ``hypothesis-refinement`` as its prompts, ``WORLD`` to ``rules``: it
leaves out the steps that are hardly ever missed, ``append`` and ``repeat``. Rules have one step, lists one number or two: of
rules of two steps as well it states a quarter at best.
"""

from __future__ import annotations

import random

from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.worlds.lab.dialogues import Said, part_of
from loopwright.worlds.lab.roles.role import Task
from loopwright.worlds.rules import draw, list_of, run

PROPOSE = "Explain."
REFINE = "Wrong.\n{rule}\n{mistakes}"
MISTAKE = "{input} -> {output} not {given}"
FOLLOW = "{rule}\n{input}"
SUMS = (*(f"add {n}" for n in range(1, 10)), *(f"times {n}" for n in range(2, 7)))
AMONG = (*SUMS, *(f"append {n}" for n in range(10)), "repeat")
LENGTH = (1, 2)
SEEN, ASKED = 3, 2
WORLD: dict[str, JsonValue] = {
    "steps": 1, "seen": SEEN, "asked": ASKED, "among": list(SUMS), "length": list(LENGTH), "told": False, "unseen": True,
}  # fmt: skip


def cases_of(question: str) -> list[tuple[str, str]]:
    pairs = (line.split(" -> ") for line in question.split("\n")[1:])
    return [(a, b) for a, b in pairs if b != "?"]


def output(rule: str, given: str) -> str:
    """What a rule makes of a list, as text; "" where it is no rule."""
    try:
        return str(run(rule, list_of(given) or []))
    except InputError:
        return ""


def unexplained(rule: str, question: str) -> list[tuple[str, str, str]]:
    """(input, output, what the rule gave) of the cases that it does not explain."""
    return [(a, b, c) for a, b in cases_of(question) if (c := output(rule, a)) != b]


class Proposer:
    name = "proposer"
    shares = (0.25, 0.4)

    def draw(self, rng: random.Random, *, taught: bool = True, done: float = 1.0) -> Task:
        while True:
            rule = rng.choice(AMONG)
            drawn = draw(rng, rule, SEEN, ASKED, told=False, among=AMONG, length=LENGTH)
            if drawn is not None and (part_of(drawn[0]) == "teach") is taught:
                return Task(drawn[0], rule)

    def ask(self, task: Task) -> list[Said]:
        return [Said("user", task.question), Said("user", PROPOSE)]

    def again(self, task: Task, attempt: str) -> list[Said] | None:
        wrong = unexplained(attempt, task.question)
        if not wrong:
            return None
        told = "\n".join(MISTAKE.format(input=a, output=b, given=c or "nothing") for a, b, c in wrong)
        return [Said("user", task.question), Said("user", REFINE.format(rule=attempt, mistakes=told))]

    def right(self, task: Task, attempt: str) -> bool:
        asked = [line.split(" -> ")[0] for line in task.question.split("\n")[1:]]
        return all(output(attempt, a) == output(task.target, a) for a in asked)

    def solution(self, task: Task) -> str:
        return task.target

    def spoil(self, task: Task, rng: random.Random) -> str:
        """A rule that is near: of the same kind, with another number, or any other."""
        kind = [step for step in AMONG if step.split()[0] == task.target.split()[0]]
        while True:
            rule = rng.choice(kind if rng.random() < 0.7 else AMONG)
            if unexplained(rule, task.question):
                return rule

    def other(self, rng: random.Random, *, taught: bool = True) -> tuple[str, list[Said], str]:
        """What a rule makes of a list."""
        while True:
            rule = rng.choice(AMONG)
            given = str([rng.randint(0, 9) for _ in range(rng.randint(*LENGTH))])
            asked = FOLLOW.format(rule=rule, input=given)
            if (part_of(asked) == "teach") is taught:
                return "applies a rule", [Said("user", asked)], output(rule, given)
