"""A run's attempts as training data in the conversational formats that TRL reads, one JSON object a line.

    sft       {"prompt", "completion"}            answers of at least the threshold, and demonstrations and edits
    messages  {"messages"}                        the same as one conversation
    dpo       {"prompt", "chosen", "rejected"}    two answers to the same prompt that the feedback tells apart
    reward    the same with "margin"              their difference in score
    kto       {"prompt", "completion", "label"}   every scored answer; the label says whether it reaches the threshold
    grpo      {"prompt", "id", "target", ...}     every first prompt once, with its example's fields for reward functions

A prompt is a list of messages, and so are completions. Of an attempt of several turns the completion is the last assistant
turn, and the prompt is everything before it. Every row with an answer says by ``cut`` whether one of its answers was cut
off at max_tokens. Fields of an example whose names are taken, by the row or by TRL, lie under ``meta``. Attempts without a
score are left out and counted.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Any, Literal, get_args

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Demonstration, Edit, Feedback, Preference, parse_feedback
from loopwright.core.store import HELD, Store, refuse_pruned
from loopwright.core.types import Example, Rollout, Turn, digest
from loopwright.core.world import Split

FORMATS = ("sft", "messages", "dpo", "kto", "reward", "grpo")
Part = Literal["all", "train", "eval"]
Message = dict[str, str]
META = "meta"  # where fields of an example go whose names are taken
# Columns that TRL's trainers read, or give to reward functions themselves (trl 1.16, data_utils and the trainers' own code).
TAKEN = frozenset(
    """prompt prompts prompt_ids completion completions completion_ids completion_mask chosen chosen_ids rejected rejected_ids
    messages conversations text label labels margin image images tools chat_template_kwargs environment environments
    trainer_state log_extra log_metric input_ids attention_mask position_ids seq_lengths assistant_masks ref_logps ref_KL_logps
    ref_chosen_logps ref_rejected_logps KL_completion_ids meta cut""".split()
)
AHEAD = 32  # how many rows to look through for one of another prompt


@dataclass(slots=False)
class Counts:
    """What an export read and wrote; filled while its lines are read.

    missing: attempts without a score. cut: attempts whose answer was cut off at max_tokens, marked or left out.
    unanswered: attempts in which the policy gave no answer; there is none to export.
    """

    read: int = 0
    written: int = 0
    missing: int = 0
    cut: int = 0
    unanswered: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = astuple(self), astuple(other)
        return Counts(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def why(self, format: str, split: str) -> str:
        """Why nothing was written."""
        if not self.read:
            return f"the run has no attempts on {split} examples"
        if self.read == self.missing:
            return "no attempt has a score"
        if self.read == self.unanswered:
            return "no attempt gave an answer"
        return {
            "sft": "no answer reached the threshold",
            "messages": "no answer reached the threshold",
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
    without_cut: bool = False,
    part: Part = "all",
    eval_share: float = 0.1,
    counts: Counts | None = None,
) -> Iterator[str]:
    """The lines of an export, one at a time.

    Args:
        store: where the run is.
        run_id: the run, or "last".
        format: one of ``FORMATS``.
        split: whose examples' attempts: train, screen, gate or test.
        threshold: least score of a good answer, in [0, 1].
        without_cut: leave out answers that were cut off at max_tokens.
        part: "train" or "eval" give the two sides of a split, with no question and no group on both; "all" does not split.
        eval_share: share of the questions that "eval" holds, at least one; with groups about that share.
        counts: filled while the lines are read.

    Returns: an iterator of JSON objects, each with a line feed.

    Raises:
        UnknownName: before the first line, for a run, format, split or part that does not exist.
        InputError: for a threshold or share out of bounds, or a run with one question or group only, which cannot be split.
    """
    for what, name, known in (
        ("export format", format, FORMATS), ("split", split, get_args(Split)), ("part of an export", part, get_args(Part)),
    ):  # fmt: skip
        if name not in known:
            raise UnknownName(what, name, known)
    if not 0.0 <= threshold <= 1.0:
        raise InputError(f"a threshold is between 0 and 1, got {threshold:g}")
    found = store.run(run_id)
    refuse_pruned(found)
    if split in HELD and found.status != "done":
        raise InputError(
            f"attempts on {split} examples are shown when a run is done, as choosing by them would bias what follows; run "
            f"{found.id[:13]} is {found.status}"
        )
    run = found.id
    wanted = None if part == "all" else _questions(store, run, split, part, eval_share)
    counts = Counts() if counts is None else counts
    said: dict[str, list[Feedback]] = {}
    preferences: list[Preference] = []
    for row in store.feedback(run):
        feedback = parse_feedback(row.data)
        if isinstance(feedback, Preference):
            preferences.append(feedback)
        said.setdefault(row.target, []).append(feedback)
    attempts = _attempts(store, run, split, said, counts, wanted)
    if format == "sft":
        rows: Iterable[dict[str, Any]] = _sft(attempts, threshold, without_cut)
    elif format == "messages":
        rows = ({"messages": r["prompt"] + r["completion"], "cut": r["cut"]} for r in _sft(attempts, threshold, without_cut))
    elif format == "kto":
        rows = _mixed(_once(_kto(attempts, threshold, without_cut)))
    elif format == "grpo":
        rows = _grpo(attempts)
    else:
        rows = _pairs(attempts, preferences, margin=format == "reward", without_cut=without_cut)
    return _lines(_once(rows), counts)


def _lines(rows: Iterable[dict[str, Any]], counts: Counts) -> Iterator[str]:
    for row in rows:
        counts.written += 1
        yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _once(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for row in rows:
        key = digest(row)
        if key not in seen:  # the same answer sampled twice teaches nothing more
            seen.add(key)
            yield row


def _questions(store: Store, run: str, split: str, part: Part, share: float) -> frozenset[str]:
    """Which questions are in this part. By question, not by id: the same one may be in a data set twice. Groups stay together."""
    if not 0.0 < share < 1.0:
        raise InputError(f"the share of examples for evaluation lies between 0 and 1, got {share:g}")
    found: dict[str, str] = {}  # by question: its group, or itself
    for row in store.rollouts(run, split):
        example = Rollout.model_validate_json(row.data).example
        question = _question(example)
        found.setdefault(question, digest(["group", example.group]) if example.group else question)
    together: dict[str, list[str]] = {}
    for question, unit in found.items():
        together.setdefault(unit, []).append(question)
    if len(together) == 1:
        what = "question" if len(found) == 1 else "group"
        raise InputError(
            f"the run has attempts on one {split} {what} only, which cannot be in two files: leave out the evaluation file"
        )
    ranked = sorted(together, key=lambda unit: digest(["evaluation", unit]))
    wanted, chosen = max(1, math.floor(share * len(found) + 0.5)), set[str]()
    for unit in ranked[:-1]:
        if len(chosen) >= wanted:
            break
        chosen.update(together[unit])
    return frozenset(chosen if part == "eval" else found.keys() - chosen)


def _question(example: Example) -> str:
    return digest(" ".join(example.question.split()))


def _attempts(
    store: Store, run: str, split: str, said: dict[str, list[Feedback]], counts: Counts, wanted: frozenset[str] | None
) -> Iterator[Rollout]:  # fmt: skip
    for row in store.rollouts(run, split):
        rollout = Rollout.model_validate_json(row.data)
        if wanted is not None and _question(rollout.example) not in wanted:
            continue
        counts.read += 1
        # What people said later comes first: it is about this very answer and was meant to correct the record.
        rollout = rollout.model_copy(update={"feedback": (*said.get(rollout.id, ()), *rollout.feedback)})
        if rollout.score is None:
            counts.missing += 1
        counts.unanswered += rollout.unanswered
        counts.cut += rollout.cut
        if rollout.status != "lost":
            yield rollout


def _messages(turns: Iterable[Turn]) -> list[Message]:
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def _said(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def _prompt(rollout: Rollout) -> list[Message]:
    """Everything before the answer. An assistant turn right before it is a draft that it replaces."""
    end = len(rollout.turns) if (at := _answer(rollout)) is None else at
    while at is not None and end and rollout.turns[end - 1].role == "assistant":
        end -= 1
    return _messages(rollout.turns[:end])


def _completion(rollout: Rollout, without_cut: bool) -> list[Message]:
    """The answer; empty where none was given, or where it was cut off and such ones are not wanted.

    An attempt without an answer still has a prompt, and what people said should have been answered.
    """
    at = _answer(rollout)
    return [] if at is None or rollout.unanswered or (rollout.cut and without_cut) else _messages([rollout.turns[at]])


def _answer(rollout: Rollout) -> int | None:
    """Which turn is the answer: the last of the assistant's. None where it gave none."""
    turns = rollout.turns
    at = next((i for i in reversed(range(len(turns))) if turns[i].role == "assistant"), None)
    if at is None or at == len(turns) - 1 or turns[at].token_ids or turns[at].finish:
        return at
    return None  # a worked example of the prompt: nobody sampled it, and a question follows


def _opening(rollout: Rollout) -> list[Message]:
    """Everything before the first turn that the policy wrote, worked examples included: what there is to sample from."""
    own = (i for i, turn in enumerate(rollout.turns) if turn.role == "assistant" and (turn.token_ids or turn.finish))
    first = next(own, None)
    return _prompt(rollout) if first is None else _messages(rollout.turns[:first])


def _sft(attempts: Iterable[Rollout], threshold: float, without_cut: bool) -> Iterator[dict[str, Any]]:
    for rollout in attempts:
        prompt = _prompt(rollout)
        taught = [f.output for f in rollout.feedback if isinstance(f, Demonstration)]
        taught += [f.after for f in rollout.feedback if isinstance(f, Edit)]
        for text in taught:
            yield {"prompt": prompt, "completion": _said(text), "cut": False}
        completion = _completion(rollout, without_cut)
        if completion and rollout.score is not None and rollout.score >= threshold:
            yield {"prompt": prompt, "completion": completion, "cut": rollout.cut}


def _kto(attempts: Iterable[Rollout], threshold: float, without_cut: bool) -> Iterator[dict[str, Any]]:
    for rollout in attempts:
        completion = _completion(rollout, without_cut)
        if completion and rollout.score is not None:
            label = rollout.score >= threshold
            yield {"prompt": _prompt(rollout), "completion": completion, "label": label, "cut": rollout.cut}


def _mixed(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Good and bad answers evenly mixed, so that a batch cut from the file holds both, neighbours of different prompts where
    there are any: TRL's KTO estimates its divergence from each prompt with its neighbour's answer.
    """
    times: Counter[tuple[bool, str]] = Counter()
    ranked: list[tuple[int, dict[str, Any]]] = []
    for row in rows:
        whose = row["label"], digest(row["prompt"])
        ranked.append((times[whose], row))
        times[whose] += 1
    queues: dict[bool, deque[dict[str, Any]]] = {True: deque(), False: deque()}
    for _, row in sorted(ranked, key=lambda pair: pair[0]):  # the first answers to all prompts, then the second, ...
        queues[row["label"]].append(row)
    totals = {label: len(queue) for label, queue in queues.items() if queue}
    last: list[Message] | None = None
    while any(queues.values()):
        label = max(
            (name for name in totals if queues[name]), key=lambda name: (len(queues[name]) / totals[name], name)
        )
        queue = queues[label]
        at = next((i for i, row in zip(range(AHEAD), queue, strict=False) if row["prompt"] != last), 0)
        queue.rotate(-at)
        row = queue.popleft()
        queue.rotate(at)
        last = row["prompt"]
        yield row


def _grpo(attempts: Iterable[Rollout]) -> Iterator[dict[str, Any]]:
    for rollout in attempts:
        example = rollout.example
        row: dict[str, Any] = {
            "prompt": _opening(rollout), "id": example.id, "question": example.question, "target": _column(example.target),
        }  # fmt: skip
        columns = {name: _column(value) for name, value in example.meta.items()}
        taken = {name: value for name, value in columns.items() if name in row or name in TAKEN}
        row |= {name: value for name, value in columns.items() if name not in taken}
        yield row | ({META: taken} if taken else {})


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
    cut: bool


def _pair(chosen: _Answer, rejected: _Answer) -> dict[str, Any]:
    cut = chosen.cut or rejected.cut
    return {"prompt": chosen.prompt, "chosen": chosen.completion, "rejected": rejected.completion, "cut": cut}


def _pairs(
    attempts: Iterable[Rollout], preferences: Iterable[Preference], *, margin: bool, without_cut: bool
) -> Iterator[dict[str, Any]]:
    """Best with worst, second best with second worst, ... of each prompt; then the pairs that somebody compared."""
    groups: dict[str, list[_Answer]] = {}
    by_id: dict[str, _Answer] = {}
    edits: list[dict[str, Any]] = []
    for rollout in attempts:
        answer = _Answer(
            rollout.id, rollout.score, _completion(rollout, without_cut), rollout.example.id, _prompt(rollout), rollout.cut
        )
        if not answer.completion:
            continue
        by_id[answer.id] = answer
        if answer.score is not None:
            group = groups.setdefault(digest([answer.example, answer.prompt]), [])
            if all(known.completion != answer.completion for known in group):
                group.append(answer)
        edits += [
            {"prompt": answer.prompt, "chosen": _said(f.after), "rejected": answer.completion, "cut": answer.cut}
            for f in rollout.feedback
            if isinstance(f, Edit) and f.after != f.before and not margin
        ]
    for group in groups.values():
        ranked = sorted(group, key=lambda a: -(a.score or 0.0))
        for best, worst in zip(ranked, reversed(ranked), strict=True):
            gap = (best.score or 0.0) - (worst.score or 0.0)
            if gap <= 0:
                break
            yield _pair(best, worst) | ({"margin": gap} if margin else {})
    for preference in preferences:
        chosen, rejected = by_id.get(preference.chosen), by_id.get(preference.rejected)
        if chosen and rejected and not preference.tie and chosen.prompt == rejected.prompt:
            yield _pair(chosen, rejected) | ({"margin": preference.strength} if margin else {})
    yield from edits
