"""Exports: the shapes that TRL reads, what is left out, and files that are whole or not there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from loopwright.core.errors import UnknownName
from loopwright.core.feedback import Edit, Feedback, Preference, Rater
from loopwright.core.store import FeedbackRow, RunRow
from loopwright.improve.export import Counts, export_lines
from loopwright.store import MemoryStore

Learned = tuple[MemoryStore, RunRow]
PROMPT = [{"role": "user", "content": "question t0"}]
RIGHT = [{"role": "assistant", "content": "right"}]
WRONG = [{"role": "assistant", "content": "wrong"}]
PERSON = Rater(kind="human", name="ada")


def rows(learned: Learned, format: str, **more: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export_lines(learned[0], learned[1].id, format, **more)]


def tell(learned: Learned, target: str, feedback: Feedback) -> None:
    row = FeedbackRow(
        run=learned[1].id, idempotency=f"{target}/{feedback.kind}", target=target, kind=feedback.kind, rater="ada",
        rater_kind="human", data=feedback.model_dump_json().encode(),
    )  # fmt: skip
    asyncio.run(learned[0].write([row]))


def test_sft_keeps_accepted_answers_once(learned: Learned) -> None:
    counts = Counts()
    assert rows(learned, "sft", counts=counts) == [{"prompt": PROMPT, "completion": RIGHT, "cut": False}]
    assert (counts.read, counts.written, counts.missing, counts.cut) == (5, 1, 1, 0)
    assert rows(learned, "messages") == [{"messages": PROMPT + RIGHT, "cut": False}]


def test_dpo_and_reward_come_from_score_differences(learned: Learned) -> None:
    pair = {"prompt": PROMPT, "chosen": RIGHT, "rejected": WRONG, "cut": False}
    assert rows(learned, "dpo") == [pair]
    assert rows(learned, "reward") == [{**pair, "margin": 1.0}]


def test_kto_labels_every_scored_answer_and_no_missing_one(learned: Learned) -> None:
    assert [(r["completion"], r["label"]) for r in rows(learned, "kto")] == [(RIGHT, True), (WRONG, False), (WRONG, False)]


def test_grpo_has_every_prompt_once_with_its_example(learned: Learned) -> None:
    found = rows(learned, "grpo")
    assert [r["id"] for r in found] == ["t0", "t1", "t2"]
    assert found[0] == {"prompt": PROMPT, "id": "t0", "question": "question t0", "target": "right", "level": "2"}


def test_what_people_said_is_used(learned: Learned) -> None:
    tell(learned, "t4", Edit(before="wrong", after="better", by=PERSON))
    tell(learned, "t1", Preference(chosen="t1", rejected="t2", by=PERSON))
    better = [{"role": "assistant", "content": "better"}]
    assert [r["completion"] for r in rows(learned, "sft")] == [RIGHT, better]
    assert [(r["chosen"], r["rejected"]) for r in rows(learned, "dpo")] == [(RIGHT, WRONG), (WRONG, RIGHT), (better, WRONG)]


def test_other_splits_only_when_asked(learned: Learned) -> None:
    assert {r["prompt"][0]["content"] for r in rows(learned, "kto", split="test")} == {f"question e{i}" for i in range(4)}
    assert rows(learned, "kto", split="gate") == []


@pytest.mark.parametrize(("format", "split"), [("spo", "train"), ("sft", "trian")])
def test_unknown_names_suggest_the_near_one(learned: Learned, format: str, split: str) -> None:
    with pytest.raises(UnknownName, match="Did you mean"):
        export_lines(learned[0], learned[1].id, format, split=split)
