"""How the tables of a task file that ask a model are read: judge, checklist and compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from loopwright.blocks.trust import Knots, read_knots
from loopwright.core.errors import InputError
from loopwright.core.types import digest
from loopwright.core.world import Comparator
from loopwright.critics import model_judge
from loopwright.critics.checklist import checklist
from loopwright.critics.parts import Parts
from loopwright.critics.section import Section, kind_of

_WRITE_IT = "write it with: loopwright judge-report TASK --calibrate FILE"


def judge_parts(section: Section, folder: Path, role: str) -> Parts:
    if section.has("rubric") == section.has("aspects"):
        raise section.fail(
            "rubric", 'expected rubric or aspects, one of them; write rubric = "Is it polite?" or '
            'aspects = {tone = "Is it polite?", length = "Is it short?"}'
        )  # fmt: skip
    rubrics = {"": section.text("rubric")} if section.has("rubric") else section.table("aspects")
    for name, rubric in rubrics.items():
        if not isinstance(rubric, str) or not rubric.strip():
            raise section.fail("aspects", f"{name}: expected a rubric, text in quotes, got {kind_of(rubric)} {rubric!r:.60}")
    prompt = _prompt(section, model_judge.PROMPT, ("question", "answer"))
    if role == "critic" and "{target}" in prompt:
        raise section.fail("prompt", "a critic has no target to show its judge; remove {target}")
    low, high = float(section.number("low", 0.0)), float(section.number("high", 10.0))
    if not low < high:
        raise section.fail("high", f"expected low below high, got low = {low:g} and high = {high:g}")
    options: dict[str, JsonValue] = {**_sampled(section), "low": low, "high": high, "prompt": prompt}
    file = section.text("calibration", "")
    knots: dict[str, Knots] = {}
    files: dict[str, str] = {}
    if file:
        knots, files = _calibration(section, folder / file, {n: {**options, "rubric": r} for n, r in rubrics.items()})
    made = {
        name: model_judge.judge(rubric, aspect=name, calibration=knots.get(name), **options)  # type: ignore[arg-type]
        for name, rubric in rubrics.items()
    }
    said: dict[str, JsonValue] = {"aspects": dict(rubrics)} if section.has("aspects") else {"rubric": rubrics[""]}
    judge = model_judge.aspects(made) if section.has("aspects") else made[""]
    return Parts(judge, {**said, **options, **({"calibration": file} if file else {})}, files=files, graded=True)


def _prompt(section: Section, default: str, fields: tuple[str, ...]) -> str:
    prompt: str = section.text("prompt", default)
    for name in fields:
        if f"{{{name}}}" not in prompt:
            raise section.fail("prompt", f"the judge's prompt must hold {{{name}}}")
    return prompt


def _sampled(section: Section) -> dict[str, JsonValue]:
    """How a judge is asked: how often, how warm, how long it may speak."""
    repeats, tokens = section.whole("repeats", 1, low=1), section.whole("max_tokens", 256, low=1)
    temperature = section.number("temperature", None, low=0.0)
    if repeats > 1 and temperature == 0:
        raise section.fail("temperature", f"at 0 the judge says the same {repeats} times; leave temperature out, or repeats = 1")
    return {"repeats": repeats, "max_tokens": tokens, "temperature": None if temperature is None else float(temperature)}


def judge_name(options: Mapping[str, Any]) -> str:
    """By which a calibration knows a judge: another rubric, prompt, range or way of asking is another judge."""
    return digest({k: options[k] for k in ("rubric", "prompt", "low", "high", "repeats", "temperature")})[:12]


def _calibration(
    section: Section, path: Path, judges: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Knots], dict[str, str]]:
    try:
        raw = path.read_bytes()
        known = read_knots(json.loads(raw))
    except (OSError, ValueError, InputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise section.fail("calibration", f"{path}: {reason}; {_WRITE_IT}") from None
    found = {name: known[judge_name(options)] for name, options in judges.items() if judge_name(options) in known}
    if len(found) < len(judges):
        raise section.fail("calibration", f"{path} was made of another judge; {_WRITE_IT}")
    return found, {path.name: hashlib.sha256(raw).hexdigest()}


def checklist_parts(section: Section, folder: Path, role: str) -> Parts:
    questions, weights = section.texts("questions"), section.has("weights") and section.data["weights"]
    if not questions:
        raise section.fail("questions", 'expected questions; write questions = ["Is it polite?", "Is it short?"]')
    if weights:
        good = isinstance(weights, list) and all(type(w) in (int, float) and w > 0 for w in weights)
        if not good or len(weights) != len(questions):
            raise section.fail("weights", f"expected {len(questions)} numbers above 0, one a question, got {weights!r:.80}")
    each, tokens = section.flag("one_by_one", False), section.whole("max_tokens", 256, low=1)
    plain = [float(w) for w in weights or ()]
    return Parts(
        checklist(questions, weights=plain, one_by_one=each, max_tokens=tokens),
        {"questions": questions, "weights": list(plain), "one_by_one": each, "max_tokens": tokens},
        graded=True,
    )


def build_comparator(section: Section) -> tuple[Comparator, dict[str, JsonValue]] | None:
    """Who says which of two answers is better, from the table [compare]; None where it is empty. Raises TaskError."""
    if not section.data:
        return None
    section.choice("kind", ("judge",), "judge")
    rubric, swap = section.text("rubric", hint='rubric = "Which is more polite?"'), section.flag("swap", True)
    prompt = _prompt(section, model_judge.COMPARE, ("question", "first", "second"))
    options: dict[str, JsonValue] = {"rubric": rubric, "prompt": prompt, "swap": swap, **_sampled(section)}
    section.close()
    return model_judge.pairwise(**options), {"kind": "judge", "options": options}  # type: ignore[arg-type]
