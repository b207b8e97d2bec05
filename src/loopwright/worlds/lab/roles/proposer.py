"""Who proposes rules of lists (the world ``rules``) from cases, proposes again after cases that were not met, and follows rules.

``PROPOSE`` asks for a rule after a question; ``REFINE`` and ``MISTAKE`` tell a rule and what it does not explain; ``FOLLOW`` asks
for what a rule makes of one list. They are to be given to ``hypothesis-refinement`` as its prompts.
"""

from __future__ import annotations

import random

from loopwright.core.errors import InputError
from loopwright.worlds.lab.dialogues import Said, part_of
from loopwright.worlds.lab.roles.role import Task
from loopwright.worlds.rules import all_steps, draw, list_of, run

PROPOSE = "Explain."
REFINE = "Wrong.\n{rule}\n{mistakes}"
MISTAKE = "{input} not {given}"
FOLLOW = "{rule}\n{input}"
SEEN, ASKED = 4, 2
_MOST = 9  # numbers of the lists that a rule is to be applied to are below 10, as in the world


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

    def draw(self, rng: random.Random, *, taught: bool = True, done: float = 1.0) -> Task:
        while True:
            steps = rng.randint(1, 2) if rng.random() < 0.2 + done else 1
            rule = ", ".join(rng.choice(all_steps()) for _ in range(steps))
            drawn = draw(rng, rule, SEEN, ASKED, told=False)
            if drawn is not None and (part_of(drawn[0]) == "teach") is taught:
                return Task(drawn[0], _settled(rule, drawn[0]))

    def ask(self, task: Task) -> list[Said]:
        return [Said("user", task.question), Said("user", PROPOSE)]

    def again(self, task: Task, attempt: str) -> list[Said] | None:
        wrong = unexplained(attempt, task.question)
        if not wrong:
            return None
        told = "\n".join(MISTAKE.format(input=a, given=c or "nothing") for a, _, c in wrong)
        return [Said("user", task.question), Said("user", REFINE.format(rule=attempt, mistakes=told))]

    def right(self, task: Task, attempt: str) -> bool:
        asked = [line.split(" -> ")[0] for line in task.question.split("\n")[1:]]
        return all(output(attempt, a) == output(task.target, a) for a in asked)

    def solution(self, task: Task) -> str:
        return task.target

    def spoil(self, task: Task, rng: random.Random) -> str:
        """A rule that is near: one step is another, missing or too many."""
        while True:
            steps = task.target.split(", ")
            at, kind = rng.randrange(len(steps)), rng.random()
            if kind < 0.6:
                steps[at] = rng.choice(all_steps())
            elif kind < 0.8 and len(steps) > 1:
                del steps[at]
            elif len(steps) == 1:
                steps.insert(rng.randrange(2), rng.choice(all_steps()))
            rule = ", ".join(steps)
            if unexplained(rule, task.question):
                return rule

    def other(self, rng: random.Random, *, taught: bool = True) -> tuple[str, list[Said], str]:
        """What a rule makes of a list."""
        while True:
            rule = ", ".join(rng.choice(all_steps()) for _ in range(rng.randint(1, 2)))
            given = str([rng.randint(0, _MOST) for _ in range(rng.randint(3, 6))])
            asked = FOLLOW.format(rule=rule, input=given)
            if (part_of(asked) == "teach") is taught:
                return "applies a rule", [Said("user", asked)], output(rule, given)


def _settled(rule: str, question: str) -> str:
    """Where the order of two steps does not matter to the cases, one order, so that there is one thing to learn."""
    turned = ", ".join(sorted(rule.split(", ")))
    return turned if not unexplained(turned, question) else rule
