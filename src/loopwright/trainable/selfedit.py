"""One self-edit: another version of a candidate, made by its own program or by a model, from what it was tried on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import JsonValue

from loopwright.blocks.copies import Answers
from loopwright.blocks.graph import attempts_text
from loopwright.blocks.parameters import Parameter, parameters_of, with_values
from loopwright.blocks.replies import read_rewrite
from loopwright.blocks.repository import patched, read_edits
from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, InputError, NoReply
from loopwright.core.fences import fenced
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, Options, Rollout
from loopwright.trainable.agent import call, defines

DIAGNOSE = (
    "Below is something that solves tasks: a program, or the prompt of a language model. Then comes a task that it did not "
    "solve.\n\n{source}\n\n# The task\n{attempt}\n\nWork out what in the {kind} led to this. Then describe ONE change to it "
    "that would make it better at tasks of this kind in general. Name nothing of this very task: no values, no names, no "
    "answer. Say in a few sentences what to change, in which place, and what the {kind} can do afterwards that it cannot do now. "
    "It must keep all that it can do now."
)
IMPLEMENT = (
    "Below is something that solves tasks: a program, or the prompt of a language model.\n\n{source}\n\n# What is to be changed\n"
    "{plan}\n\nMake this change and no other. {form}"
)
WHOLE = "Write the new version of the prompt, all of it, between ``` marks."
EDITS = (
    "Write edits of this form, as many as it takes, each with lines that are there exactly once, to the letter:\n{path}\n"
    "<<<<<<< SEARCH\nlines as they are\n=======\nlines as they should be\n>>>>>>> REPLACE\nThe functions that the program "
    "has now must still be there, with the same arguments. Write no loop that might not end."
)
_CHANCES = 3


class EditOptions(Options):
    """How a new version is made.

    editor: "agent": by the candidate's own ``improve``, in the sandbox, where its program has one, else by a model; "model":
        always by a model, which is asked what should be changed (``diagnose``, "" leaves that out) and to do it (``implement``).
    edit_seconds: of processor time that ``improve`` has.
    """

    editor: Literal["agent", "model"] = "agent"
    diagnose: str = DIAGNOSE
    implement: str = IMPLEMENT
    temperature: float = 1.0
    max_tokens: int = 2048
    edit_seconds: float = 5.0


def open_parameters(candidate: Candidate) -> dict[str, Parameter]:
    """The code that may be changed, or the texts where there is none. Raises InputError where there is neither."""
    found = {name: p for name, p in parameters_of(candidate).items() if not p.fixed}
    chosen = {n: p for n, p in found.items() if p.kind == "code"} or {n: p for n, p in found.items() if p.kind == "text"}
    if not chosen:
        raise InputError("there is neither code nor a text in the candidate that may be changed; leave one of them open")
    return chosen


def own_editor(candidate: Candidate, options: EditOptions) -> str:
    """The parameter whose program edits itself, "" where none does."""
    if options.editor == "model":
        return ""
    found = open_parameters(candidate)
    return next((n for n, p in found.items() if p.kind == "code" and defines(str(p.value), "improve")), "")


async def edited(
    ctx: Context, candidate: Candidate, attempts: Sequence[Rollout], options: EditOptions, *, by: str
) -> tuple[Candidate | None, str]:
    """(another version, "") or (None, why there is none). attempts: judged ones, the one to learn from first."""
    made, why = await _edited(ctx, candidate, attempts, options, by)
    if made is None:
        await ctx.unused(why)
    return made, why


async def _edited(
    ctx: Context, candidate: Candidate, attempts: Sequence[Rollout], options: EditOptions, by: str
) -> tuple[Candidate | None, str]:
    known = open_parameters(candidate)
    name = own_editor(candidate, options) or ctx.rng.choice(sorted(known))
    spec = known[name]
    why = "the model wrote nothing that could be used"
    if own_editor(candidate, options):
        arguments: list[JsonValue] = [str(spec.value), [_entry(r) for r in attempts], ctx.rng.randrange(2**31)]
        made = await call(ctx, str(spec.value), "improve", arguments, seconds=options.edit_seconds, role="proposer")
        text, why = made.text, _last(made.error) or "it gave nothing back"
    else:
        try:
            text = await _by_model(ctx, name, spec, attempts, options)
        except (BadOutput, NoReply) as error:
            return None, f"no edit: {error}"
    if not text.strip():
        return None, f"no edit: {why}"
    if spec.kind == "text" and Answers([r.example for r in attempts]).copied(text, str(spec.value)):
        return None, "it gave away answers of train examples"
    try:
        child = with_values(candidate, {name: text}, by=by, note=f"{name} edited")
    except InputError as error:
        return None, f"broken: {error}"
    return (None, "nothing was changed") if child.hash == candidate.hash else (child, "")


async def editing_lost(ctx: Context, parent: Candidate, child: Candidate, options: EditOptions) -> str:
    """Why a child cannot edit itself as its parent does, "" where it can: its ``improve`` is run on itself, without a log.

    One of three edits must be a program: luck is part of editing.
    """
    if not own_editor(parent, options):
        return ""
    found = {n: p for n, p in open_parameters(child).items() if p.kind == "code"}
    name = own_editor(child, options)
    if not name:
        return "it has lost its function improve"
    source, why = str(found[name].value), ""
    for seed in range(_CHANCES):
        made = await call(ctx, source, "improve", [source, [], seed], seconds=options.edit_seconds, asks=0)
        if made.waiting:
            return ""
        try:
            found[name].accept(made.text)
        except InputError as error:
            why = f"its edits are broken: {_last(made.error) or error}"
        else:
            return ""
    return why


async def _by_model(
    ctx: Context, name: str, spec: Parameter, attempts: Sequence[Rollout], options: EditOptions
) -> str:
    kind, path = ("program", f"{name}.py") if spec.kind == "code" else ("prompt", f"{name}.txt")
    places = {
        "source": f"# {path}\n{fenced(str(spec.value))}", "kind": kind, "attempt": attempts_text(attempts[:1], name),
        "form": filled(EDITS, {"path": path}) if spec.kind == "code" else WHOLE,
    }  # fmt: skip
    asked: dict[str, Any] = {"temperature": options.temperature, "max_tokens": options.max_tokens, "role": "proposer"}
    places["plan"] = places["attempt"]
    if options.diagnose:
        places["plan"] = await ctx.ask(filled(options.diagnose, places), **asked)
        if not places["plan"]:
            return ""
    (reply,) = await ctx.generate(filled(options.implement, places), **asked)
    if reply.finish != "length" and read_edits(reply.text):
        files, _ = patched({path: str(spec.value)}, reply.text)
        return files[path]
    return read_rewrite(reply, spec.kind)


def _entry(rollout: Rollout) -> JsonValue:
    said = " ".join(f.text for f in rollout.feedback if f.text and f.kind != "missing")
    return {
        "task": rollout.example.input, "answer": rollout.output, "passed": (rollout.score or 0.0) >= 1.0,
        "said": "\n".join(filter(None, (said, _last(rollout.error)))),
    }  # fmt: skip


def _last(error: str) -> str:
    return error.strip().splitlines()[-1] if error.strip() else ""
