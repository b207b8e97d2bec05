"""Trace with OptoPrime: show a model how the output came about and what was said of it, and have it set the parameters anew.

Cheng, Nie, Swaminathan, "Trace is the Next AutoDiff", arXiv:2406.16218; the optimiser is their OptoPrime.

Of a program (``loopwright.trainable``) every run records a trace: a graph of values, operations and parameters. Feedback on the
output, or the stack trace of what was raised, propagates back through it. A model is shown the part of the graph that leads from
the parameters to the output, like a program of single steps with the value of each, the feedback, and what each parameter may be,
and suggests new values for any of them: texts, numbers, choices, code. Without a program the parameters are the prompt's texts,
and the graph has two steps. Code is only ever run in the sandbox.

``memory`` shows the last so many versions with what was said of them. ``trace`` False hides the graph, the paper's ablation.
``go_on`` "last" starts each round from the last suggestion, as the authors do, "best" from the best one.

How this differs: a round shows the runs of several examples with a graph each (their batches join into one output); values that a
parameter may not have are refused, and the model is told why in the next round; a text that gives away answers of train examples
is refused (``blocks.copies``). Each version is tried on ``held`` train examples, and offered to the gate where it is the best so
far; the authors keep the last one. A reply without a table of values counts where there is only one parameter to write.

Cost: one call to suggest, ``examples`` and ``held`` attempts a round. It wants a model that can read code.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from loopwright.blocks.copies import Answers
from loopwright.blocks.graph import Graph, cut, graph_of, prompt_graph, shown
from loopwright.blocks.json_text import read_json
from loopwright.blocks.parameters import Parameter, parameters_of, with_values
from loopwright.blocks.replies import read_rewrite
from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, InputError, NoReply, UnknownName
from loopwright.core.registry import improver
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, Example, Rollout, Turn

OBJECTIVE = "Change the parameters so that the feedback on the outputs gets better, also for inputs that are not shown here."
ASK = (
    "You improve a program by setting its parameters. Below are the parameters, then some runs: each line is one operation, with "
    "the values that went into it and the value that came out, and at the end what was said of the output.\n\n"
    "# What to do\n{objective}\n\n# Parameters\n{parameters}\n\n# Runs\n{runs}\n{memory}\n"
    "# Reply\nThink about which parameter has led to what the feedback complains of, by way of which operations. Then write new "
    'values for the parameters that should change, as JSON: {"reasoning": "...", "suggestion": {"name of a parameter": value}}. '
    "Of code give the whole function. Leave out what should stay as it is."
)


@improver(paper="arXiv:2406.16218", improves="prompt", needs=("model", "critic"), learns_from=("verdict", "score"))
async def trace_opto(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 10,
    examples: int = 4,
    held: int = 16,
    memory: int = 0,
    trace: bool = True,
    go_on: Literal["last", "best"] = "last",
    frozen: tuple[str, ...] = (),
    objective: str = OBJECTIVE,
    ask: str = ASK,
    limit: int = 400,
    temperature: float = 1.0,
    max_tokens: int = 2048,
) -> AsyncGenerator[Candidate, bool]:
    if unknown := sorted(set(frozen) - set(parameters_of(base))):
        raise UnknownName("parameter to freeze", unknown[0], parameters_of(base))
    if all(p.fixed or n in frozen for n, p in parameters_of(base).items()):
        raise InputError("trace-opto has nothing to change: every parameter is frozen or fixed")
    pool = list(ctx.world.examples("train"))
    watched, answers = ctx.rng.sample(pool, min(held, len(pool))), Answers(pool)
    version = best = base
    top = await _mean(ctx, base, watched)
    past: list[str] = []
    refused: list[str] = []
    async for batch in ctx.batches(examples, rounds=rounds):
        runs = await ctx.evaluate(version, batch)
        if all(r.score == 1.0 for r in runs):
            version = best
            continue
        known = parameters_of(version)
        graphs = [_graph(r, known) for r in runs]
        reached = {n for graph in graphs for n in graph.reached()}
        free = {n: p for n, p in known.items() if n in reached and not p.fixed and n not in frozen}
        if not free:  # these outputs, or errors, depend on nothing that may change
            continue
        said = [_said(r, limit, trace) for r in runs]
        told = [_run(i, graph, free, words, limit, trace) for i, (graph, words) in enumerate(zip(graphs, said, strict=True), 1)]
        asked = filled(ask, {
            "objective": objective, "parameters": _described(free), "memory": _memory(past, memory, refused),
            "runs": "\n\n".join(told),
        })  # fmt: skip
        past.append(_values(free, limit) + "\n" + "\n".join(said))
        try:
            (reply,) = await ctx.generate(asked, temperature=temperature, max_tokens=max_tokens)
        except (BadOutput, NoReply) as error:
            await ctx.unused(str(error))
            continue
        values, refused = _suggested(reply, free, answers)
        for reason in refused or ([] if values else ["the reply suggests no new value"]):
            await ctx.unused(reason)
        if not values:
            continue
        version = with_values(version, values, by="trace-opto", note=f"{', '.join(values)} set anew")
        score = await _mean(ctx, version, watched)
        if score > top:
            best, top = version, score
            yield version
        if go_on == "best":
            version = best


async def _mean(ctx: Context, candidate: Candidate, examples: Sequence[Example]) -> float:
    """Over what was judged."""
    scores = [r.score for r in await ctx.evaluate(candidate, examples) if r.score is not None]
    return sum(scores) / len(scores) if scores else 0.0


def _graph(rollout: Rollout, known: Mapping[str, Parameter]) -> Graph:
    if rollout.trace is not None:
        return graph_of(rollout.trace)
    return prompt_graph(known, rollout.example.question, rollout.output, failed=rollout.error)


def _said(rollout: Rollout, limit: int, trace: bool) -> str:
    """The feedback on one output, in words; a stack trace, where the trace has not shown it."""
    if rollout.error:
        return f"It failed: {rollout.error.splitlines()[-1] if trace else rollout.error}"
    words = " ".join(f.text for f in rollout.feedback if f.text and f.kind != "missing")
    score = "not judged" if rollout.score is None else f"{rollout.score:.2g} of 1"
    return cut(f"{score}. {words}".strip(), 2 * limit)


def _run(number: int, graph: Graph, free: Mapping[str, Parameter], said: str, limit: int, trace: bool) -> str:
    part = graph.subgraph(free)
    if trace:
        steps = shown(part, limit=limit, leave_out=tuple(free))
    else:
        steps = f"output = {cut(part.by_name[part.output].value, limit)}"
    return f"## Run {number}\n{steps}\nFeedback: {said}"


def _described(free: Mapping[str, Parameter]) -> str:
    lines = []
    for name, p in free.items():
        must = "; ".join(filter(None, (p.about, f"must be {p.constraint}" if p.constraint else "")))
        lines.append(f"{name} ({p.kind}{'; ' + must if must else ''}) =\n{p.value}")
    return "\n".join(lines)


def _values(free: Mapping[str, Parameter], limit: int) -> str:
    return "\n".join(f"{name} = {cut(str(p.value), limit)}" for name, p in free.items())


def _memory(past: Sequence[str], memory: int, refused: Sequence[str]) -> str:
    shown = past[-memory:] if memory else []
    parts = ["\n# Earlier values, and what was said of the outputs\n" + "\n\n".join(shown) + "\n"] if shown else []
    parts += ["\n# Refused the last time\n" + "\n".join(refused) + "\n"] if refused else []
    return "".join(parts)


def _suggested(reply: Turn, free: Mapping[str, Parameter], answers: Answers) -> tuple[dict[str, Any], list[str]]:
    """New values by name, and why others were refused."""
    if reply.finish == "length":
        return {}, ["The last reply was cut off at its limit of tokens, so none of its values were taken; write a shorter one"]
    table = read_json(reply.text)
    found: Any = table.get("suggestion", table) if isinstance(table, dict) else None
    if not isinstance(found, dict):
        texts = [name for name, p in free.items() if p.kind in ("text", "code")]
        try:
            alone = len(free) == len(texts) == 1 and table is None
            found = {name: read_rewrite(reply, free[name].kind) for name in texts} if alone else {}
        except BadOutput as error:
            return {}, [str(error)]
    values: dict[str, Any] = {}
    refused = []
    for name, value in found.items():
        if name not in free:
            continue
        try:
            accepted = free[name].accept(value)
        except InputError as error:
            refused.append(f"{name}: {error}")
            continue
        if isinstance(accepted, str) and answers.copied(accepted, str(free[name].value)):
            refused.append(f"{name}: it gave away the answers of examples; write what holds for others")
        elif accepted != free[name].value:
            values[name] = accepted
    return values, refused
