"""Notes of several kinds, each to be written in a style of the house that nobody has written down; and the clerk who writes them.

A note holds some facts (the day, the price, ...), and the house wants each of them in a form of its own, most kinds in a common
one and some in another. The start says nothing of this; feedback on a note names the facts whose form is wrong, and the form
that is wanted. So instructions are learned rule by rule, and no few examples show them all. A rule may be for one kind or for
every note, and of two rules on one fact the first that fits is obeyed: one that is too broad helps at once and bars the way to
exceptions after it.

``clerk`` is a program (``worlds.lab.actor``) that plays both who writes notes, by the rules of its prompt and else as worked
examples do it, and who rewrites the instruction.
"""

from __future__ import annotations

import random
import re

from loopwright.core.context import Context
from loopwright.core.feedback import CODE, Feedback, Score
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout, digest
from loopwright.worlds.lab.actor import Sent, cast
from loopwright.worlds.lab.manuals import FORMS, facts, stated, written
from loopwright.worlds.lab.reader import read_facts
from loopwright.worlds.small import Small

KINDS = ("booking", "invoice", "delivery", "report", "complaint", "reminder", "offer", "receipt")
EVERY = "note"
FORGETS = 0.03  # of the facts, the rule
OVERLOOKED = 0.25  # of what feedback names
BROAD = 0.3  # of the new rules, written for every note though it was one kind that was spoken of
LOST = 0.2  # of the rewrites, an old rule

_ASKED = re.compile(r"^Write an? (\w+)\. (.*)$", re.MULTILINE)
_RULE = re.compile(r"^In (?:an?|every) (\w+) (?:write )?the (\w+) (?:is wanted )?as (.+?)\.?$", re.MULTILINE)

Rule = tuple[str, str, str]  # kind or EVERY, fact, form


def rule(kind: str, fact: str, form: str) -> str:
    return f"In {'every' if kind == EVERY else _a(kind)} {kind} write the {fact} as {form}."


def _a(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"


def rules_in(text: str) -> list[Rule]:
    """In their order; what is no rule of this house is not understood."""
    return [(kind, fact, form) for kind, fact, form in _RULE.findall(text) if form in FORMS.get(fact, ())]


def lab_notes(seed: int = 0, kinds: int = 6, each: int = 3, common: float = 0.6, count: int = 240) -> Small:
    """``kinds`` of notes (2 to 8) with ``each`` facts (1 to 6); ``common``: how often a kind wants a fact as most do."""
    rng = random.Random(f"notes {seed}")
    usual = {fact: rng.choice(forms) for fact, forms in FORMS.items()}
    wanted: dict[str, dict[str, str]] = {}
    for kind in rng.sample(KINDS, kinds):
        held = rng.sample(sorted(FORMS), each)
        wanted[kind] = {f: usual[f] if rng.random() < common else rng.choice(FORMS[f]) for f in held}
    examples: dict[str, Example] = {}
    while len(examples) < count:
        kind = rng.choice(sorted(wanted))
        given = facts(rng)
        question = f"Write {_a(kind)} {kind}. {stated({f: given[f] for f in wanted[kind]})}"
        target = {f: str(written(f, given[f], form)) for f, form in wanted[kind].items()}
        shown = "; ".join(f"{f}: {value}" for f, value in target.items())
        examples[question] = Example(id=digest(question)[:12], input=question, target=shown, meta={"kind": kind})

    async def check(rollout: Rollout, ctx: Context) -> Feedback:
        kind = str(rollout.example.meta["kind"])
        target, found = (dict(_parts(text)) for text in (str(rollout.example.target), rollout.output))
        wrong = [f for f in target if found.get(f) != target[f]]
        said = "\n".join(f"In {_a(kind)} {kind} the {f} is wanted as {wanted[kind][f]}." for f in wrong)
        return Score(value=1 - len(wrong) / len(target), message=said, by=CODE)

    return Small(
        f"lab-notes-{seed}", list(examples.values()), check, Prompt(instruction="Write the note, fact by fact."),
        Sampling(temperature=0.0, max_tokens=128),
    )  # fmt: skip


def _parts(text: str) -> list[tuple[str, str]]:
    return [(name.strip(), value.strip()) for name, _, value in (part.partition(":") for part in text.split(";"))]


def write(sent: Sent) -> str:
    """A note: each fact in the form of the first rule that fits, else as a worked example has it, else as it was told."""
    asked = _ASKED.search(sent.last)
    if asked is None:
        return ""
    kind = asked[1]
    rules = [*rules_in(f"{sent.system}\n{sent.last}"), *_shown(sent, kind)]
    told = []
    for fact, value in read_facts(asked[2]).items():
        plain = FORMS[fact][0]
        form = next((form for k, f, form in rules if f == fact and k in (kind, EVERY)), plain)
        told.append(f"{fact}: {written(fact, value, plain if sent.slips(FORGETS) else form)}")
    return "; ".join(told)


def _shown(sent: Sent, kind: str) -> list[Rule]:
    """The forms of worked examples as rules: those of its own kind first, then, where it takes them for broad, the others'."""
    own, others = [], []
    for asked, said in zip(sent.told, sent.own, strict=False):
        example = _ASKED.search(asked)
        if example is None:
            continue
        given, parts = read_facts(example[2]), dict(_parts(said))
        forms = {f: [form for form in FORMS[f] if str(written(f, v, form)) == parts.get(f)] for f, v in given.items()}
        found = [(EVERY, fact, fits[0]) for fact, fits in forms.items() if fits]
        if example[1] == kind:
            own += found
        elif sent.slips(BROAD):
            others += found
    return own + others


def rewrite(sent: Sent) -> str:
    """The instruction with what the feedback says of wrong forms, at its end."""
    text, _, attempts = sent.last.partition("<text>\n")[2].partition("\n</text>")
    lines = text.splitlines()
    rules = rules_in(text)
    if rules and sent.slips(LOST):
        lines.remove(rule(*sent.rng.choice(rules)))
    said = [r for feedback in re.findall(r"Feedback: ((?:.+\n?)+)", attempts) for r in rules_in(feedback)]
    for kind, fact, form in sent.noticed(list(dict.fromkeys(said)), OVERLOOKED):
        scope = EVERY if sent.slips(BROAD) else kind
        old = [line for line in lines if any(r[:2] == (scope, fact) for r in rules_in(line))]
        if old:
            lines[lines.index(old[0])] = rule(scope, fact, form)
        else:
            lines.append(rule(scope, fact, form))
    return "```\n" + "\n".join(lines) + "\n```"


clerk = cast("clerk", 1, {"<text>": rewrite, "": write})
