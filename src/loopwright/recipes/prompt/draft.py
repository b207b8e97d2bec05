"""DRAFT: call each tool on trial, learn what its documentation gets wrong, rewrite it, until the text settles.

Qu et al., "From Exploration to Mastery: Enabling LLMs to Master Tools via Self-Driven Interactions", arXiv:2410.08197.

For each tool, up to ``episodes`` times: a model makes up a need and a call that would meet it, unlike those before (a call
whose need is as similar as ``similar`` to an earlier one is asked for anew, up to ``tries`` times); the tool is called; the
model is shown the documentation, the call and what came back, says what the documentation should say, rewrites it, and
proposes what to explore next. A tool is done when two versions in a row are nearly the same: the mean of BLEU and similarity
above ``settled``.

The documentation stands in the prompt (``prompt.tools``), from which it starts; a tool without any starts from an empty text.
``tools`` names those to work on, all where it is empty.

How this differs: similarity is the cosine of word counts, where the authors ask an embedding model; BLEU counts words and
signs and is smoothed as NIST's, where theirs counts what stands between spaces and is smoothed by NLTK's fourth method. A call
is JSON, or what the model wrote where that is none. Calls are free to err: an error is what teaches. An episode without a
usable reply is passed over; their program ends. After a tool is done, its documentation is tried on ``screen`` train examples,
and is taken back where they are answered worse than before; the authors keep it unseen (``screen`` 0 does). A tool of theirs
has several functions, each with a documentation of its own and a list of parameters beside it that is shown and never
rewritten, and their last step writes a short description of the tool from those; here a tool is one function with one text, so
that there is nothing to put together. The gate decides on the whole, once.

Cost: up to four calls of the model and one of the tool in an episode. Tools must be safe to call on trial.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from pydantic import JsonValue

from loopwright.blocks.alike import bleu, cosine
from loopwright.blocks.json_text import read_json
from loopwright.blocks.parameters import with_values
from loopwright.blocks.replies import read_text
from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, NoReply, UnknownName
from loopwright.core.fences import without_thinking
from loopwright.core.policy import prompt_of
from loopwright.core.registry import improver
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, Example, Turn

EXPLORE = (
    "Here is the documentation of a tool called {tool}, which may be wrong or incomplete:\n<documentation>\n{documentation}\n"
    "</documentation>\n\nYou are to find out how it really works by calling it. Make up something that a person could need it "
    "for, with all particulars (names, places, dates, amounts), and the call that would meet that need.{tried}{direction}\n\n"
    'Reply as JSON: {"need": "what the person wants, in their words", "arguments": {"name of a parameter": value}}'
)
TRIED = "\n\nThese were tried before; try something that teaches you something new:\n{needs}"
DIRECTION = "\n\nIt was thought worth exploring: {direction}"
AGAIN = '\n\nYou proposed "{need}", which is too close to what was tried. Make up something else.'
ANALYSE = (
    "Here is the documentation of a tool called {tool}:\n<documentation>\n{documentation}\n</documentation>\n\nIt was called on "
    "trial.\nNeed: {need}\nArguments: {arguments}\nWhat came back: {result}\n{history}\nCompare. Where does the documentation "
    "say something other than what the tool does (names and forms of parameters, units, what is required, what comes back), what "
    "does it leave out, what is of no use in it? Say in a few sentences what should be changed."
)
REWRITE = (
    "Here is the documentation of a tool called {tool}:\n<documentation>\n{documentation}\n</documentation>\n\nIt was called on "
    "trial.\nNeed: {need}\nArguments: {arguments}\nWhat came back: {result}\n\nA reader suggests:\n{advice}\n{history}\nWrite "
    "the documentation anew: short, true to what the tool was seen to do, and whole. Also say what to try next to learn more.\n\n"
    'Reply as JSON: {"documentation": "...", "next": "..."}'
)
HISTORY = "\nEarlier versions of the documentation:\n{versions}\n"


@improver(
    paper="arXiv:2410.08197", improves="prompt", needs=("model", "tools", "critic"), learns_from=("verdict", "score")
)
async def draft(
    base: Candidate,
    ctx: Context,
    *,
    tools: tuple[str, ...] = (),
    episodes: int = 5,
    tries: int = 3,
    similar: float = 0.9,
    settled: float = 0.75,
    screen: int = 16,
    explore: str = EXPLORE,
    analyse: str = ANALYSE,
    rewrite: str = REWRITE,
    temperature: float = 0.2,
    max_tokens: int = 2000,
) -> AsyncGenerator[Candidate, bool]:
    for name in tools:
        if name not in ctx.world.tools:
            raise UnknownName("tool", name, ctx.world.tools)
    pool = list(ctx.world.examples("train"))
    watched = ctx.rng.sample(pool, min(screen, len(pool)))
    sampling = {"temperature": temperature, "max_tokens": max_tokens}
    prompts = (explore, analyse, rewrite)
    begun = prompt_of(base)
    names = list(tools or ctx.world.tools)
    plain = begun.model_copy(update={"tools": dict.fromkeys(names, "") | begun.tools})
    version = start = base.child(by="draft", prompt=plain.model_dump(mode="json", exclude_defaults=True))

    async def learn(name: str, ctx: Context) -> str:
        return await _rewritten(ctx, name, plain.tools[name], prompts, episodes, tries, similar, settled, sampling)

    written = await ctx.map(learn, names)
    score = await _mean(ctx, start, watched)
    kept = []
    for name, text in zip(names, written, strict=True):
        if not text or text == plain.tools[name]:
            continue
        changed = with_values(version, {f"tools.{name}": text}, by="draft")
        mean = await _mean(ctx, changed, watched)
        if mean >= score:
            version, score = changed, mean
            kept.append(name)
    if kept:
        yield version.model_copy(update={"parents": (base.hash,), "note": f"documentation of {', '.join(kept)} rewritten"})


async def _mean(ctx: Context, candidate: Candidate, examples: Sequence[Example]) -> float:
    if not examples:
        return 0.0
    known = [r.score for r in await ctx.evaluate(candidate, examples) if r.score is not None]
    return sum(known) / len(known) if known else 0.0


async def _rewritten(
    ctx: Context, tool: str, documentation: str, prompts: tuple[str, str, str], episodes: int, tries: int, similar: float,
    settled: float, sampling: dict[str, Any],
) -> str:  # fmt: skip
    """The documentation of one tool after its trials."""
    explore, analyse, rewrite = prompts
    needs: list[str] = []
    versions = [documentation]
    direction = ""
    for _ in range(episodes):
        fields = {"tool": tool, "documentation": versions[-1]}
        try:
            need, arguments = await _explored(ctx, explore, fields, needs, direction, tries, similar, sampling)
            needs.append(need)
            result = await ctx.tool(tool, arguments)
            fields |= {"need": need, "arguments": arguments, "result": result[:2048]}
            fields["history"] = filled(HISTORY, {"versions": "\n---\n".join(versions)}) if len(versions) > 1 else ""
            (advice,) = await ctx.generate(filled(analyse, fields), **sampling)
            (reply,) = await ctx.generate(filled(rewrite, fields | {"advice": without_thinking(advice.text).strip()}), **sampling)
        except (BadOutput, NoReply) as error:
            await ctx.unused(str(error))
            continue
        text, direction = _read(reply) if reply.finish != "length" else ("", direction)  # a documentation cut off is none
        if not text:
            await ctx.unused("the reply was cut off" if reply.finish == "length" else "no documentation was found in the reply")
            continue
        versions.append(text)
        if (bleu(versions[-2], text) + cosine(versions[-2], text)) / 2 > settled:
            break
    return versions[-1]


async def _explored(
    ctx: Context, explore: str, fields: dict[str, str], needs: Sequence[str], direction: str, tries: int, similar: float,
    sampling: dict[str, Any],
) -> tuple[str, str]:  # fmt: skip
    """A need unlike those before, and the arguments of the call, as text."""
    tried = filled(TRIED, {"needs": "\n".join(f"- {need}" for need in needs)}) if needs else ""
    onward = filled(DIRECTION, {"direction": direction}) if direction and needs else ""
    asked = filled(explore, {**fields, "tried": tried, "direction": onward})
    need, arguments = "", ""
    for _ in range(max(tries, 1)):
        (reply,) = await ctx.generate(asked, **sampling)
        need, arguments = _call(reply)
        if all(cosine(need, old) < similar for old in needs):
            break
        asked += filled(AGAIN, {"need": need})
    return need, arguments


def _call(reply: Turn) -> tuple[str, str]:
    table = read_json(reply.text)
    if not isinstance(table, dict) or "arguments" not in table:
        return reply.text.strip(), read_text(reply.text)
    return str(table.get("need", "")), _text(table["arguments"])


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(reply: Turn) -> tuple[str, str]:
    """The documentation, and what to explore next."""
    table = read_json(reply.text)
    if isinstance(table, dict):
        return str(table.get("documentation") or "").strip(), str(table.get("next") or "").strip()
    return read_text(reply.text), ""
