"""Principles: what an answer can be asked by yes or no, taken from what was said of it; and a model that answers them.

Wang et al., "RLBFF", arXiv:2509.21319: a comment is turned into principles with yes or no, each with the words it
rests on; what is only partly so, what rests on words that were not said, and what other raters do not speak of is left out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, NamedTuple

from loopwright.blocks.json_text import read_json
from loopwright.core.model import FitOptions
from loopwright.core.policy import Prompt, prompt_of
from loopwright.core.templates import filled, literal
from loopwright.core.types import Candidate, Rollout

if TYPE_CHECKING:
    from loopwright.core.context import Context

_LINE = re.compile(r"^[ \t]*(?:[-*\u2022]|\d+[.)])?[ \t]*(.+?)[ \t]*[:\u2013-][ \t]*(yes|no)\b[.!]?[ \t]*$", re.I | re.M)
_SAID = {"yes": True, "no": False, "true": True, "false": False}


class Principle(NamedTuple):
    """Whether an answer keeps it. ``evidence`` is what it was taken from, "" where nothing was quoted."""

    text: str
    met: bool
    evidence: str = ""


class Labelled(NamedTuple):
    """An answer and one thing that is known of it."""

    rollout: Rollout
    principle: str
    met: bool


def read_principles(text: str) -> list[Principle]:
    """Principles in a reply: JSON objects with principle, answer and evidence, or lines "principle: yes"; "partially" is none."""
    data = read_json(text) if "[" in text or "{" in text else None
    items: list[Any] = data if isinstance(data, list) else [data] if isinstance(data, dict) else []
    if len(items) == 1 and isinstance(items[0], dict) and "principle" not in items[0]:
        items = next((v for v in items[0].values() if isinstance(v, list)), [])
    found = []
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("principle"), str):
            met = _SAID.get(str(item.get("answer", item.get("met", ""))).strip().casefold())
            if met is not None:
                found.append(Principle(item["principle"].strip(), met, str(item.get("evidence") or "")))
    if not items:
        found = [Principle(name.strip(), word.casefold() == "yes") for name, word in _LINE.findall(text)]
    return list({p.text.casefold(): p for p in found if p.text}.values())


def supported(principle: Principle, comment: str, least: float = 0.6) -> bool:
    """Whether its evidence was said, as far as typing goes: the best match of its length in the comment, of 1."""
    quote, text = principle.evidence.casefold(), comment.casefold()
    if not quote:
        return True
    blocks = SequenceMatcher(None, quote, text, autojunk=False).get_matching_blocks()
    starts = {max(0, b.b - b.a) for b in blocks}
    return max(SequenceMatcher(None, quote, text[s : s + len(quote)], autojunk=False).ratio() for s in starts) > least


def similarity(first: str, second: str) -> float:
    """Cosine of the counts of three letters in a row, in [0, 1]; 1 for the same words."""
    a, b = (Counter(f"  {t.casefold()} "[i : i + 3] for i in range(len(t) + 1)) for t in (first, second))
    dot = sum(n * b[key] for key, n in a.items())
    return dot / math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))


def consensus(raters: Sequence[Sequence[Principle]], least: float = 0.8) -> list[Principle]:
    """Principles for which every other rater has a like one with the same answer; all of a single rater's."""

    def shared(one: Principle, others: Sequence[Sequence[Principle]]) -> bool:
        return all(any(p.met == one.met and similarity(p.text, one.text) > least for p in other) for other in others)

    kept = [p for i, own in enumerate(raters) for p in own if shared(p, [*raters[:i], *raters[i + 1 :]])]
    return list({p.text.casefold(): p for p in kept}.values())


# ---- the model --------------------------------------------------------------------------------------------------------


def _asking(base: Candidate, principle: str, statement: str) -> Prompt:
    prompt = prompt_of(base)
    # What a rater wrote is no template: whatever stands in braces there is shown as it is.
    said = filled(statement, {"principle": literal(principle), "question": "", "instruction": ""})
    return prompt.model_copy(update={"template": f"{said}\n{prompt.template}"})


async def fit_entailment(
    ctx: Context, base: Candidate, data: Sequence[Labelled], statement: str, options: FitOptions | None = None, **more: Any
) -> Candidate:
    """A model of whether an answer keeps a principle, made from ``base``'s weights and a scalar head whose value is the log-odds.

    The principle stands before the question, in the words of ``statement`` ({principle}).
    """
    shown = ctx.under([d.rollout for d in data], [_asking(base, d.principle, statement) for d in data])
    labels = [float(d.met) for d in data]
    return await ctx.fit(base, shown, options, loss="outcome-reward", head=1, last_turn=True, values={"label": labels}, **more)


async def entailed(
    ctx: Context, base: Candidate, model: Candidate, asked: Sequence[tuple[Rollout, str]], statement: str
) -> list[float]:
    """log p(yes) - log p(no) of each answer and principle; every answer must hold tokens that the policy wrote."""
    if not asked:
        return []
    shown = ctx.under([r for r, _ in asked], [_asking(base, principle, statement) for _, principle in asked])
    return [scores[-1] for scores in await ctx.forward(model, shown, "scores")]
