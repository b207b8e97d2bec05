"""What a user, a critic or a model wrote is shown to the model as it is, whatever braces it holds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from refine_kit import solve

from loopwright.blocks.principles import _asking
from loopwright.core.feedback import Feedback, Score, Span, Spans, Verdict
from loopwright.core.policy import Prompt
from loopwright.core.types import Candidate, Rollout

NAMES = (
    "question", "answer", "feedback", "evidence", "critique", "steps", "runs", "memory", "objective", "parameters", "errors",
    "severity", "label", "quote", "text", "best", "worst", "contrast", "comment", "instruction", "principle", "tools", "atoms",
)  # fmt: skip


def verdict(mark: str) -> Any:
    return lambda rollout: Verdict(passed=False, message=f"not so: {mark}")


def graded(mark: str) -> Any:
    return lambda rollout: Score(value=0.2, message=f"not so: {mark}")


def spans(mark: str) -> Any:
    def judge(rollout: Rollout) -> Feedback:
        size = len(rollout.output)
        return Spans(spans=(Span(start=0, end=size, text=f"wrong {mark}", label=mark, severity=0.9),), length=size)

    return judge


@pytest.mark.parametrize(
    ("slug", "critic", "options"),
    [
        ("fito", spans, {"rounds": 1}),
        ("iad", graded, {"calls": 4}),
        ("reflexion", verdict, {"trials": 2}),
        ("feedback-loop", verdict, {"rounds": 1}),
        ("self-refine", verdict, {"rounds": 1}),
        ("magicore", graded, {"samples": 3, "rounds": 1, "quality": 1.0, "confidence": 1.0}),
        ("tree-of-thoughts", graded, {}),
        ("swe-search", graded, {}),
        ("hypothesis-refinement", verdict, {}),
    ],
)
def test_texts_stay_as_they_are(slug: str, critic: Any, options: dict[str, Any]) -> None:
    """The question, each answer and what was said of it: wherever one of them is shown, it is shown whole."""
    for name in NAMES:
        mark, count = f"@{{{name}}}@", iter(range(1000))
        _, asked = solve(
            slug, lambda turns, mark=mark, count=count: f"no {next(count)} {mark}", critics=[critic(mark)],
            question=f"Mend {mark}", **options,
        )  # fmt: skip
        shown = [found for turns in asked for text in turns for found in re.findall("@[^@]*@", text)]
        assert set(shown) == {mark} and len(asked) > 1 and len(shown) > len(asked)


def test_a_principle_is_no_template() -> None:
    said = " ".join("{" + name + "}" for name in NAMES)
    base = Candidate(parts={"prompt": {"template": "{instruction}\n{question}", "instruction": "Say."}})
    made = _asking(base, said, "Counts: {principle}")
    assert isinstance(made, Prompt) and made.ask("Q {principle}") == f"Counts: {said}\nSay.\nQ {{principle}}"
