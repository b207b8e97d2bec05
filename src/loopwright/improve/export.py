"""A run's attempts as training data in the conversational formats that TRL reads, one JSON object a line.

    sft     {"prompt", "completion"}            answers of at least the threshold, and demonstrations and edits
    dpo     {"prompt", "chosen", "rejected"}    two answers to the same prompt that the feedback tells apart
    reward  the same with "margin"              their difference in score
    kto     {"prompt", "completion", "label"}   every scored answer; the label says whether it reaches the threshold
    grpo    {"prompt", "id", "target", ...}     every prompt once, with its example's fields for reward functions

A prompt is a list of messages, and so are completions. Attempts without a score are left out and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Demonstration, Edit, Feedback, Preference, parse_feedback
from loopwright.core.store import Store
from loopwright.core.types import Rollout, Turn, digest
from loopwright.core.world import Split

FORMATS = ("sft", "dpo", "kto", "reward", "grpo")
Message = dict[str, str]


@dataclass(slots=False)
class Counts:
    """What an export read and wrote; filled while its lines are read."""

    read: int = 0
    written: int = 0
    missing: int = 0

    def why(self, format: str, split: str) -> str:
        """Why nothing was written."""
        if not self.read:
            return f"the run has no attempts on {split} examples"
        if self.read == self.missing:
            return "no attempt has a score"
        return {
            "sft": "no answer reached the threshold",
            "dpo": "no two answers to the same prompt differ in score",
            "reward": "no two answers to the same prompt differ in score",
        }.get(format, "no attempt is usable")


def export_lines(
    store: Store,
    run_id: str,
    format: str,
    *,
    split: str = "train",
    threshold: float = 1.0,
    counts: Counts | None = None,
) -> Iterator[str]:
    """The lines, one at a time. Raises UnknownName for a run, format or split that does not exist, before the first."""
    if format not in FORMATS:
        raise UnknownName("export format", format, FORMATS)
    if split not in get_args(Split):
        raise UnknownName("split", split, get_args(Split))
    if not 0.0 <= threshold <= 1.0:
        raise InputError(f"a threshold is between 0 and 1, got {threshold:g}")
    run = store.run(run_id).id
    counts = Counts() if counts is None else counts
    said: dict[str, list[Feedback]] = {}
    preferences: list[Preference] = []
    for row in store.feedback(run):
        feedback = parse_feedback(row.data)
        if isinstance(feedback, Preference):
            preferences.append(feedback)
        said.setdefault(row.target, []).append(feedback)
    attempts = _attempts(store, run, split, said, counts)
    if format == "sft":
        rows: Iterable[dict[str, Any]] = _sft(attempts, threshold)
    elif format == "kto":
        rows = _kto(attempts, threshold)
    elif format == "grpo":
        rows = _grpo(attempts)
    else:
        rows = _pairs(attempts, preferences, margin=format == "reward")
    return _lines(rows, counts)


def _lines(rows: Iterable[dict[str, Any]], counts: Counts) -> Iterator[str]:
    seen: set[str] = set()
    for row in rows:
        key = digest(row)
        if key not in seen:  # the same answer sampled twice teaches nothing more
            seen.add(key)
            counts.written += 1
            yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _attempts(
    store: Store, run: str, split: str, said: dict[str, list[Feedback]], counts: Counts
) -> Iterator[Rollout]:
    for row in store.rollouts(run, split):
        counts.read += 1
        rollout = Rollout.model_validate_json(row.data)
        # What people said later comes first: it is about this very answer and was meant to correct the record.
        rollout = rollout.model_copy(update={"feedback": (*said.get(rollout.id, ()), *rollout.feedback)})
        if rollout.status != "ok" or rollout.score is None:
            counts.missing += 1
        if rollout.status == "ok":
            yield rollout


def _messages(turns: Iterable[Turn]) -> list[Message]:
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def _said(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def _prompt(rollout: Rollout) -> list[Message]:
    """Up to what the policy wrote. Worked examples are assistant turns too, but have none of the policy's tokens."""
    return _messages(rollout.turns[: _start(rollout)])


def _completion(rollout: Rollout) -> list[Message]:
    return _messages(rollout.turns[_start(rollout) :])


def _start(rollout: Rollout) -> int:
    wrote = [i for i, t in enumerate(rollout.turns) if t.role == "assistant"]
    own = [i for i in wrote if rollout.turns[i].token_ids or rollout.turns[i].finish]
    # A backend without tokens marks nothing: then only the last turn is surely the policy's.
    return own[0] if own else wrote[-1] if wrote else len(rollout.turns)


def _sft(attempts: Iterable[Rollout], threshold: float) -> Iterator[dict[str, Any]]:
    for rollout in attempts:
        prompt = _prompt(rollout)
        taught = [f.output for f in rollout.feedback if isinstance(f, Demonstration)]
        taught += [f.after for f in rollout.feedback if isinstance(f, Edit)]
        for text in taught:
            yield {"prompt": prompt, "completion": _said(text)}
        completion = _completion(rollout)
        if completion and rollout.score is not None and rollout.score >= threshold:
            yield {"prompt": prompt, "completion": completion}


def _kto(attempts: Iterable[Rollout], threshold: float) -> Iterator[dict[str, Any]]:
    for rollout in attempts:
        completion = _completion(rollout)
        if completion and rollout.score is not None:
            yield {"prompt": _prompt(rollout), "completion": completion, "label": rollout.score >= threshold}


def _grpo(attempts: Iterable[Rollout]) -> Iterator[dict[str, Any]]:
    for rollout in attempts:
        example = rollout.example
        row = {"prompt": _prompt(rollout), "id": example.id, "question": example.question, "target": _column(example.target)}
        yield row | {k: _column(v) for k, v in example.meta.items() if k not in row and k not in ("completions", "trainer_state")}


def _column(value: Any) -> str | None:
    """Text in every row: a column of a data set has one type, and targets need not."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    id: str
    score: float | None
    completion: list[Message]
    example: str
    prompt: list[Message]


def _pairs(
    attempts: Iterable[Rollout], preferences: Iterable[Preference], *, margin: bool
) -> Iterator[dict[str, Any]]:
    """Best with worst, second best with second worst, ... of each prompt; then the pairs that somebody compared."""
    groups: dict[str, list[_Answer]] = {}
    by_id: dict[str, _Answer] = {}
    edits: list[dict[str, Any]] = []
    for rollout in attempts:
        answer = _Answer(rollout.id, rollout.score, _completion(rollout), rollout.example.id, _prompt(rollout))
        if not answer.completion:
            continue
        by_id[answer.id] = answer
        if answer.score is not None:
            group = groups.setdefault(digest([answer.example, answer.prompt]), [])
            if all(known.completion != answer.completion for known in group):
                group.append(answer)
        edits += [
            {"prompt": answer.prompt, "chosen": _said(f.after), "rejected": answer.completion}
            for f in rollout.feedback
            if isinstance(f, Edit) and f.after != f.before and not margin
        ]
    for group in groups.values():
        ranked = sorted(group, key=lambda a: -(a.score or 0.0))
        for best, worst in zip(ranked, reversed(ranked), strict=True):
            gap = (best.score or 0.0) - (worst.score or 0.0)
            if gap <= 0:
                break
            row: dict[str, Any] = {"prompt": best.prompt, "chosen": best.completion, "rejected": worst.completion}
            yield row | ({"margin": gap} if margin else {})
    for preference in preferences:
        chosen, rejected = by_id.get(preference.chosen), by_id.get(preference.rejected)
        if chosen and rejected and not preference.tie and chosen.prompt == rejected.prompt:
            row = {"prompt": chosen.prompt, "chosen": chosen.completion, "rejected": rejected.completion}
            yield row | ({"margin": preference.strength} if margin else {})
    yield from edits
