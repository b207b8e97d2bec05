"""MAI-DxO: a panel of roles debates what to ask, which tests to order and when to commit, mindful of what findings cost.

Nori et al., "Sequential Diagnosis with Language Models", arXiv:2506.22405, section on the orchestrator; no code was published.
In each round five roles speak in turn: one ranks what it may be, one picks up to ``tests`` tests that tell the leading ideas
apart, one looks for what speaks against the first, one objects to what is dear and tells little, one checks form and
consistency. Then the panel as one asks, orders or commits. ``mode`` is one of the paper's variants: "instant" answers from
what is known at the start, "questions" may only ask, "budget" is shown, before an order, what was spent and what it would cost,
and may take it back, "free" keeps no account. ``panels`` of more than one work apart, and one more reads all they found and
decides: the paper's ensemble.

The world must have a ``gatekeeper`` tool that reveals findings only when asked for them and charges for them (world
``diagnosis``); without one the panel answers at once. Use it where information has a price. It costs six model calls a round, in
"budget" one more for each order, and what the gatekeeper charges, all ``panels`` together. With ``roles`` empty it is the
paper's baseline, the same model with nobody to talk to.

How this differs: roles are calls of their own, one after the other, where the paper has one model play all of them; in "budget"
an order beyond ``budget`` is not placed; requests are lines ("ASK: ...", "TEST: ...", "DIAGNOSIS: ...") of names that the case
lists; a panel that has not committed after ``rounds`` rounds is made to.
"""

import json
import re
from collections.abc import Sequence
from typing import Literal

from loopwright.core.context import Context
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

ROLES = (
    ("Hypothesis", "List the three most likely causes with their probabilities, updated by every finding so far."),
    ("Test-Chooser", "Name up to {tests} tests or questions that best tell the leading causes apart, and say how."),
    ("Challenger", "Be the devil's advocate: what speaks against the leading cause, and what finding would refute it?"),
    ("Stewardship", "Guard the money: object to what is dear and tells little, and name a cheaper way to the same finding."),
    ("Checklist", "Check the others: are all names listed in the case, is anything asked twice, do they contradict a finding?"),
)
SPEAK = (
    "You are Dr. {role} on a panel that looks for the cause in this case.\n\nCase:\n{case}\n\nFindings so far:\n{findings}\n\n"
    "The panel so far:\n{notes}\n\n{duty} Answer in at most three sentences."
)
ACT = (
    "{notes}Findings so far:\n{findings}\n\nDecide what is done now. Write exactly one line, in one of these forms:\n{forms}\n"
    "Commit as soon as one cause is clearly the likeliest."
)
ACCOUNT = (
    "So far ${spent} of ${budget} were spent. {price} Keep to the order, or choose something else? Write exactly one line, in "
    "one of these forms:\n{forms}"
)
COMMIT = "{notes}Findings so far:\n{findings}\n\nNo more can be asked. Name the likeliest cause in one line: DIAGNOSIS: name"
FORMS = ("ASK: question, question, ...", "TEST: test, test, ...", "DIAGNOSIS: name of the cause")
ACTION = re.compile(r"(?im)^[\s*#>`-]*(ask|test|diagnos(?:e|is))[\s*]*:[\s*]*(\S.*?)[\s*`.]*$")
MONEY = re.compile(r"\$(\d+)\.?\s*$")


@solver(paper="arXiv:2506.22405", needs=("model", "tools"))
async def mai_dxo(
    example: Example,
    ctx: Context,
    *,
    mode: Literal["instant", "questions", "budget", "free"] = "budget",
    rounds: int = 10,
    tests: int = 3,
    budget: int = 3000,
    panels: int = 1,
    temperature: float = 0.7,
    tool: str = "gatekeeper",
    roles: tuple[tuple[str, str], ...] = ROLES,
    speak: str = SPEAK,
    act: str = ACT,
    account: str = ACCOUNT,
    commit: str = COMMIT,
) -> Rollout:
    """rounds: before the panel must commit. tests: in one order, at most. budget: in dollars, for each panel in "budget"."""
    forms = FORMS if mode in ("budget", "free") else (FORMS[0], FORMS[2])
    rounds = rounds if mode != "instant" and tool in ctx.world.tools else 0

    async def ask_gatekeeper(kind: str, names: Sequence[str], ctx: Context) -> str:
        return await ctx.tool(tool, json.dumps({"case": example.question, kind: list(names)}))

    async def debate(findings: str, ctx: Context) -> str:
        notes: list[str] = []
        for role, duty in roles:
            asked = filled(speak, {
                "role": role, "case": example.question, "findings": findings, "duty": filled(duty, {"tests": str(tests)}),
                "notes": "\n".join(notes) or "(nothing yet)",
            })  # fmt: skip
            said = await ctx.ask(asked, role="proposer", temperature=temperature)
            notes.append(f"Dr. {role}: {said or '(nothing)'}")
        return "What the panel said:\n" + "\n".join(notes) + "\n\n" if notes else ""

    async def panel(number: int, ctx: Context) -> tuple[Rollout, str]:
        """How one panel ends: its answer and all it found."""
        findings, new, spent = "", "(nothing yet)", 0
        turn: Rollout | None = None
        for _ in range(rounds):
            notes = await debate(findings or new, ctx)
            message = filled(act, {"notes": notes, "findings": new, "forms": "\n".join(forms)})
            turn = await ctx.answer(example, message, after=turn, temperature=temperature)
            kind, names = action_of(turn.output, mode != "questions")
            if kind == "order" and mode == "budget":
                price = await ask_gatekeeper("price", names[:tests], ctx)
                asked = filled(
                    account, {"spent": str(spent), "budget": str(budget), "price": price, "forms": "\n".join(forms)}
                )
                turn = await ctx.answer(example, asked, after=turn, temperature=temperature)
                kind, names = action_of(turn.output, True)
                if kind == "order" and spent + dollars(await ask_gatekeeper("price", names[:tests], ctx)) > budget:
                    kind, new = "", f"That order would go beyond the budget of ${budget}; nothing was done."
            if turn.status != "ok" or kind == "diagnosis":
                break
            if kind:
                new = await ask_gatekeeper(kind, names[:tests] if kind == "order" else names, ctx)
                spent += dollars(new)
                findings += f"{new}\n"
            elif not new.startswith("That order"):
                new = "That line was in none of the forms; nothing was done."
        if turn is None or turn.status != "ok" or action_of(turn.output, True)[0] != "diagnosis":
            notes = await debate(findings or "(nothing yet)", ctx)
            after = turn if turn is not None and turn.status == "ok" else None
            # What was found last has been shown nowhere yet where the conversation ends before it.
            message = filled(commit, {"notes": notes, "findings": new if after else findings or "(nothing)"})
            turn = await ctx.answer(example, message, after=after, temperature=temperature)
        return turn, findings

    ends = await ctx.map(panel, range(max(panels, 1)))
    if len(ends) == 1:
        return ends[0][0]
    told = "".join(f"Panel {i} found:\n{found}and says: {end.output}\n\n" for i, (end, found) in enumerate(ends, 1))
    message = filled(commit, {"notes": await debate(told, ctx), "findings": told})
    return await ctx.answer(example, message, temperature=temperature)


def action_of(text: str, may_test: bool) -> tuple[str, list[str]]:
    """("ask" | "order" | "diagnosis", names) of the last line that is an action; ("", []) where there is none."""
    found = [(kind.lower(), rest) for kind, rest in ACTION.findall(text)]
    if not found:
        return "", []
    kind, rest = found[-1]
    if kind.startswith("diagnos"):
        return "diagnosis", [rest]
    names = [re.sub(r"\s*\(\$\d+\)", "", name).strip(" \"'.?") for name in re.split(r"[,;]", rest)]
    return ("ask" if kind == "ask" else "order" if may_test else ""), [name for name in names if name]


def dollars(said: str) -> int:
    """The sum in the last line of what a gatekeeper said."""
    found = MONEY.search(said.strip())
    return int(found[1]) if found else 0
