"""The toy judge answers in the form that it is asked for, and is right more often than not."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from loopwright.blocks.replies import read_answers, read_yes
from loopwright.blocks.text.choices import choice_in
from loopwright.blocks.text.scores import score_in
from loopwright.checks.toy_judge import ToyJudge
from loopwright.core.model import Request, Sampling
from loopwright.core.types import Turn
from loopwright.store import MemoryStore

JUDGED = "Question: What is {a} + 5?\nWrite the whole equation.\n\nAnswer:\n{a} + 5 = {c}\n\n"
BOTH = "\n\nAnswer A: {a} + 5 = {c}\nAnswer B: {a} + 5 = 1\nWhich is better, A or B?"
SUMS = range(20, 60)


def replies(prompt: str, off: int, **sampling: object) -> list[str]:
    """To forty answers that are off by so much."""
    judge = ToyJudge(1, MemoryStore().blobs)
    asked = [
        Request(
            turns=(Turn(role="user", text=(JUDGED + prompt).replace("{a}", str(a)).replace("{c}", str(a + 5 + off))),),
            sampling=Sampling.model_validate(sampling),
        )
        for a in SUMS
    ]
    return [reply.choices[0].text for reply in asyncio.run(judge.generate(asked))]


@pytest.mark.parametrize(
    ("prompt", "form", "good"),
    [
        ("Is it right? Reply with yes or no.", r"yes|no", r"yes"),
        ("Verdict: [[CORRECT]] or [[INCORRECT]]", r"Verdict: \[\[(IN)?CORRECT\]\]", r".*\[CORRECT.*"),
        ("From 0 (useless) to 10 (perfect)? End with one line: Score: <number>", r"Score: (\d|10)", r"Score: ([6-9]|10)"),
        ("Rate it 1-5, as: Feedback: (your words) [RESULT] (the number)", r".+ \[RESULT\] [1-5]", r".*[3-5]"),
        ("Explanation: <why>\nScore: <1 to 5>", r"Explanation: .+\nScore: [1-5]", r"(?s).*[3-5]"),
        ("<verdict>true or false</verdict> <why>why</why>", r"<verdict>\w+</verdict>\n<why>.+</why>", r"<verdict>t(?s:.)*"),
        ("1. Is the sum right?\n2. Is it whole?\nAnswer Yes or No to each.", r"1\. (Yes|No)\n2\. (Yes|No)", r"1\. Yes(?s:.)*"),
        ("What is wrong with it? Reply 'OK' if nothing is.", r"OK|.+ than \d+\.", r"OK"),
        ("What is the probability that it is right, between 0 and 1?", r"0\.\d\d", r"0\.[5-9]\d"),
        (BOTH, r"A|B|tie", r"A"),
    ],
)  # fmt: skip
def test_it_fills_in_the_form_and_is_mostly_right(prompt: str, form: str, good: str) -> None:
    for off in (0, 2):
        assert all(re.fullmatch(form, said) for said in replies(prompt, off)), replies(prompt, off)[:3]
    right = sum(re.fullmatch(good, said) is not None for said in replies(prompt, 0))
    wrong = sum(re.fullmatch(good, said) is not None for said in replies(prompt, 2))
    assert right >= 22 and right > wrong + 5


def test_what_it_says_is_read() -> None:
    """Every form in which it replies is one that critics read, and mean the same by."""
    for off, good in ((0, True), (2, False)):
        yes = [read_yes(said) for said in replies("Is it right? Reply with yes or no.", off)]
        tagged = [read_yes(s, "true", "false") for s in replies("<verdict>true or false</verdict> <why>why</why>", off)]
        words = [read_yes(said, "CORRECT", "INCORRECT") for said in replies("Verdict: [[CORRECT]] or [[INCORRECT]]", off)]
        questions = "1. Is the sum right?\n2. Is it whole?\nAnswer Yes or No to each."
        ticks = [read_answers(said, 2)[0] for said in replies(questions, off)]
        forms = ("From 0 to 10? End with one line: Score: <number>", "Explanation: <why>\nScore: <1 to 5>",
                 "Rate it 1-5, as: Feedback: (your words) [RESULT] (the number)",
                 'As JSON: {"reason": "...", "score": <1-10>}')  # fmt: skip
        scores = [[score_in(said).value for said in replies(form, off)] for form in forms]
        assert not any(None in said for said in (yes, tagged, words, ticks, *scores))
        for said in (yes, tagged, words, ticks):
            assert (sum(map(bool, said)) > len(SUMS) / 2) is good
    letters = [choice_in(said).value for said in replies(BOTH, 0)]
    assert None not in letters and letters.count("A") > letters.count("B")


def test_json_is_filled_in_by_schema_and_by_example() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "grade": {"enum": ["good", "bad"]}}}
    told = [json.loads(said) for said in replies("Judge it.", 0, schema=schema)]
    assert all((t["grade"] == "good") == t["ok"] for t in told) and sum(t["ok"] for t in told) > 20
    shown = [json.loads(said) for said in replies('As JSON: {"reason": "...", "score": <1-10>, "passed": true or false}', 0)]
    assert all((t["score"] > 5) == t["passed"] and t["reason"] for t in shown)


def test_the_plain_question_is_answered() -> None:
    judge = ToyJudge(1, MemoryStore().blobs)
    question = Turn(role="user", text="What is 71 + 5?\nWrite the whole equation.")
    (reply,) = asyncio.run(judge.generate([Request(turns=(question,))]))
    assert re.fullmatch(r"71 \+ 5 = \d+", reply.choices[0].text)
