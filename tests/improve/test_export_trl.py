"""Exports of attempts of several turns, cut answers and odd fields, read by TRL's own trainers and by datasets."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_rows import write_run

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Edit, Rater, Score
from loopwright.core.store import RolloutRow, RunRow
from loopwright.core.types import Example, Rollout, Turn
from loopwright.improve.export import FORMATS, TAKEN, Counts, _mixed, export_lines
from loopwright.store import MemoryStore

Said = tuple[str, str]


def turn(role: str, text: str, *, finish: str = "stop") -> Turn:
    return Turn(role=role, text=text, finish=finish if role == "assistant" else "")  # type: ignore[arg-type]


def attempt(name: str, example: str, turns: list[Turn], score: float | None, *feedback: Any, **meta: Any) -> RolloutRow:
    heard = (*feedback, *([] if score is None else [Score(value=score)]))
    about = Example(id=example, input=f"question {example}", target="right", meta=meta)
    whole = Rollout(id=name, example=about, turns=tuple(turns), feedback=heard)
    return RolloutRow(
        run="", id=name, candidate="c", example=example, split="train", round=0, replicate=0, score=whole.score,
        data=whole.model_dump_json().encode(),
    )  # fmt: skip


def exported(rows: list[RolloutRow], format: str, **more: Any) -> list[dict[str, Any]]:
    store = MemoryStore()
    run: RunRow = write_run(store, list(rows))
    return [json.loads(line) for line in export_lines(store, run.id, format, **more)]


def message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


ASK, DRAFT, CRITIQUE, ANSWER = ("user", "2 + 2?"), ("assistant", "5"), ("user", "Look again."), ("assistant", "4")


def refined(name: str, example: str = "e0", last: str = "4", score: float = 1.0, finish: str = "stop") -> RolloutRow:
    turns = [turn(*ASK), turn(*DRAFT), turn(*CRITIQUE), turn("assistant", last, finish=finish)]
    return attempt(name, example, turns, score)


def test_of_several_turns_the_last_is_taught_and_nothing_of_the_user() -> None:
    rows = [refined("a"), refined("b", last="3", score=0.0)]
    before = [message(*ASK), message(*DRAFT), message(*CRITIQUE)]
    right, wrong = [message(*ANSWER)], [message("assistant", "3")]
    assert exported(rows, "sft") == [{"prompt": before, "completion": right, "cut": False}]
    assert exported(rows, "messages") == [{"messages": before + right, "cut": False}]
    assert exported(rows, "dpo") == [{"prompt": before, "chosen": right, "rejected": wrong, "cut": False}]
    assert [(r["prompt"], r["completion"]) for r in exported(rows, "kto")] == [(before, right), (before, wrong)]
    # what there is to sample from is the question, before anything was answered
    assert [r["prompt"] for r in exported(rows, "grpo")] == [[message(*ASK)]]


ROLES = st.sampled_from(["user", "assistant", "tool"])


@given(st.lists(st.tuples(ROLES, st.text("ab?\n", min_size=1, max_size=5).filter(str.strip)), min_size=1, max_size=8))
def test_a_completion_is_one_assistant_turn_and_no_prompt_ends_with_one(turns: list[Said]) -> None:
    conversation = [turn("user", "go"), *(turn(role, text) for role, text in turns)]
    rows = exported([attempt("a", "e0", conversation, 1.0)], "sft")
    wrote = [text for role, text in turns if role == "assistant"]
    assert [r["completion"] for r in rows] == [[message("assistant", text)] for text in wrote[-1:] if text.strip()]
    for row in rows:
        known = [{"role": t.role, "content": t.text} for t in conversation]
        assert row["prompt"] == known[: len(row["prompt"])] and row["prompt"][-1]["role"] != "assistant"


def test_an_answer_that_a_method_put_after_its_drafts_replaces_them() -> None:
    turns = [turn(*ASK), turn(*DRAFT), Turn(role="assistant", text="4")]
    assert exported([attempt("a", "e0", turns, 1.0)], "sft") == [
        {"prompt": [message(*ASK)], "completion": [message(*ANSWER)], "cut": False}
    ]


def test_a_worked_example_is_no_answer() -> None:
    turns = [turn("user", "1 + 1?"), Turn(role="assistant", text="2"), turn(*ASK)]
    rows = [attempt("a", "e0", turns, 1.0)]
    assert exported(rows, "sft") == exported(rows, "kto") == []
    rows = [attempt("a", "e0", [*turns, turn(*ANSWER)], 1.0)]
    assert [len(r["prompt"]) for f in ("sft", "grpo") for r in exported(rows, f)] == [3, 3]


def test_of_an_attempt_without_an_answer_the_prompt_and_the_correction_are_kept() -> None:
    edit = Edit(before="", after="4", by=Rater(kind="human", name="ada"))
    for last in ([], [turn("assistant", "  ")]):
        rows, counts = [attempt("a", "e0", [turn(*ASK), *last], 0.0, edit), refined("b", "e1")], Counts()
        assert [r["completion"] for r in exported(rows, "sft", counts=counts)] == [[message(*ANSWER)]] * 2
        assert counts.unanswered == 1
        assert [r["id"] for r in exported(rows, "grpo")] == ["e0", "e1"]
        assert len(exported(rows, "kto")) == 1 and exported(rows, "dpo") == []


def test_cut_answers_are_marked_or_left_out() -> None:
    rows = [
        refined("a"),
        refined("b", last="4 because", finish="length"),
        refined("c", last="3", score=0.0, finish="length"),
    ]
    counts = Counts()
    assert [r["cut"] for r in exported(rows, "sft", counts=counts)] == [False, True]
    assert counts.cut == 2
    assert [r["cut"] for r in exported(rows, "kto")].count(True) == 2
    assert [r["cut"] for r in exported(rows, "dpo")] == [True]
    counts = Counts()
    assert [r["completion"][0]["content"] for r in exported(rows, "sft", without_cut=True, counts=counts)] == ["4"]
    assert counts.cut == 2 and counts.written == 1
    assert exported(rows, "dpo", without_cut=True) == []
    # what a person wrote instead is whole
    edit = Edit(before="4 be", after="4", by=Rater(kind="human", name="ada"))
    mended = attempt("d", "e0", [turn(*ASK), turn("assistant", "4 be", finish="length")], 1.0, edit)
    assert [r["completion"][0]["content"] for r in exported([mended], "sft", without_cut=True)] == ["4"]
    # a draft that was cut is part of the prompt, and the answer is whole
    draft = [turn(*ASK), turn("assistant", "5", finish="length"), turn(*CRITIQUE), turn(*ANSWER)]
    assert [r["cut"] for r in exported([attempt("a", "e0", draft, 1.0)], "sft")] == [False]


@settings(max_examples=50)
@given(st.integers(1, 30), st.integers(1, 30))
def test_kto_batches_hold_good_and_bad_answers_of_several_prompts(good: int, bad: int) -> None:
    # as a store gives them: example by example, and within it what was accepted first
    rows = [{"label": True, "prompt": i // 4, "n": i} for i in range(good)]
    rows += [{"label": False, "prompt": i // 4, "n": 100 + i} for i in range(bad)]
    mixed = list(_mixed(rows))
    assert sorted(r["n"] for r in mixed) == sorted(r["n"] for r in rows)
    for end in range(1, len(mixed) + 1):  # every beginning holds its share, so every batch does
        placed = sum(r["label"] for r in mixed[:end])
        assert abs(placed - end * good / (good + bad)) <= 1
    if min(good, bad) >= 8:
        same = sum(a["prompt"] == b["prompt"] for a, b in itertools.pairwise(mixed))
        assert same <= 2  # at the end there may be no other left


def test_train_and_eval_share_no_question() -> None:
    rows = [refined(f"{i}{j}", f"e{i % 9}", last=str(j), score=float(j == 0)) for i in range(9) for j in range(3)]
    # the same question under another id
    again = attempt("x", "other", [turn(*ASK), turn(*ANSWER)], 1.0)
    twin = Rollout.model_validate_json(again.data)
    twin = twin.model_copy(update={"example": twin.example.model_copy(update={"input": " question  e3"})})
    rows.append(
        RolloutRow(
            **{f: getattr(again, f) for f in again.__slots__ if f != "data"}, data=twin.model_dump_json().encode()
        )
    )
    for share, expected in ((0.01, 1), (0.33, 3), (0.99, 8)):
        parts = {part: exported(rows, "grpo", part=part, eval_share=share) for part in ("all", "train", "eval")}
        questions = {part: {" ".join(r["question"].split()) for r in found} for part, found in parts.items()}
        assert not questions["train"] & questions["eval"]
        assert questions["train"] | questions["eval"] == questions["all"]
        assert len(questions["eval"]) == expected
        assert len(parts["train"]) + len(parts["eval"]) == len(parts["all"])
    with pytest.raises(InputError, match="one train question"):
        exported([refined("a")], "sft", part="eval")
    with pytest.raises(InputError, match="between 0 and 1"):
        exported(rows, "sft", part="eval", eval_share=0.0)
    with pytest.raises(UnknownName, match="Did you mean"):
        exported(rows, "sft", part="evaal")


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_train_and_eval_share_no_group(share: float) -> None:
    rows = [
        attempt(f"{i}", f"e{i}", [turn(*ASK), turn(*ANSWER)], 1.0, **({"group": f"customer {i % 7}"} if i % 5 else {}))
        for i in range(40)
    ]
    parts = {part: exported(rows, "grpo", part=part, eval_share=share) for part in ("all", "train", "eval")}
    groups = {part: {r["group"] for r in found if "group" in r} for part, found in parts.items()}
    assert not groups["train"] & groups["eval"] and groups["train"] | groups["eval"] == groups["all"] and len(groups["all"]) == 7
    assert parts["eval"] and parts["train"] and len(parts["train"]) + len(parts["eval"]) == 40
    largest = 6  # questions of one group
    assert len(parts["eval"]) < share * 40 + largest
    one = [attempt(f"{i}", f"e{i}", [turn(*ASK), turn(*ANSWER)], 1.0, group="one") for i in range(3)]
    with pytest.raises(InputError, match="one train group only"):
        exported(one, "sft", part="eval")


def test_fields_that_trl_reads_itself_are_nested() -> None:
    meta = dict.fromkeys(sorted(TAKEN), "mine") | {"level": 2, "id": "theirs", "target": "other"}
    (row,) = exported([attempt("a", "e0", [turn(*ASK), turn(*ANSWER)], 1.0, **meta)], "grpo")
    assert set(row) == {"prompt", "id", "question", "target", "level", "meta"}
    assert (row["id"], row["target"], row["level"]) == ("e0", "right", "2")
    assert row["meta"] == dict.fromkeys(TAKEN, "mine") | {"id": "theirs", "target": "other"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    pytest.importorskip("trl", reason="TRL is in the dev extra")
    from tiny_llama import save
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("tiny")
    save(folder)  # TRL reads the reference from the folder that the model names
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def prepared(tiny: tuple[Any, Any], format: str, rows: list[RolloutRow], folder: Path) -> tuple[Any, Any]:
    """TRL's trainer for a format, made of the exported file alone, and the data as it was read."""
    import trl
    from datasets import load_dataset

    path = folder / f"{format}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in exported(rows, format)))
    data = load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    name = {"sft": "SFT", "messages": "SFT", "dpo": "DPO", "reward": "Reward", "kto": "KTO", "grpo": "GRPO"}[format]
    options = {"output_dir": str(folder / "out"), "report_to": [], "use_cpu": True, "bf16": False}
    options |= {"per_device_train_batch_size": 2, "num_generations": 2} if format == "grpo" else {}
    args = getattr(trl, f"{name}Config")(**options)
    model, words = tiny
    if format == "reward":
        from transformers import LlamaConfig, LlamaForSequenceClassification

        model = LlamaForSequenceClassification(LlamaConfig(**{**model.config.to_dict(), "num_labels": 1}))
    more = {"reward_funcs": lambda completions, **_: [1.0] * len(completions)} if format == "grpo" else {}
    trainer = getattr(trl, f"{name}Trainer")(model=model, args=args, train_dataset=data, processing_class=words, **more)
    return trainer, data


@pytest.mark.parametrize("format", FORMATS)
def test_trl_reads_what_is_exported(tiny: tuple[Any, Any], format: str, tmp_path: Path) -> None:
    person = Rater(kind="human", name="ada")
    rows = [refined(f"{i}", f"e{i}", last=f"{i}", score=1.0) for i in range(3)]
    rows += [refined(f"w{i}", f"e{i}", last="no", score=0.0) for i in range(3)]
    rows.append(attempt("p", "e9", [turn(*ASK), turn(*DRAFT)], 0.0, Edit(before="5", after="4", by=person)))
    odd = {
        "prompts": "p",
        "images": ["x.png"],
        "completion": "c",
        "messages": [1],
        "label": True,
        "completion_ids": [1],
    }
    rows.append(attempt("q", "e8", [turn(*ASK), turn(*ANSWER)], 1.0, level=1, **odd))
    trainer, data = prepared(tiny, format, rows, tmp_path)
    words = tiny[1]
    made = list(trainer.train_dataset)
    if format in ("sft", "messages"):
        for row, source in zip(made, exported(rows, format), strict=True):
            whole = source.get("messages") or source["prompt"] + source["completion"]
            assert words.decode(row["input_ids"]) == words.apply_chat_template(whole, tokenize=False)
        if format == "sft":
            taught = [words.decode([t for t in row["labels"] if t >= 0]) for row in made]
            assert [t.split("<|end|>")[0] for t in taught] == ["0", "1", "2", "4"]  # the edit is what another said
    elif format == "dpo":
        assert {words.decode(r["rejected_ids"]).split("<|end|>")[0] for r in made} == {"no", "5"}
        assert all("Look again." not in words.decode(r["chosen_ids"]) for r in made)
    elif format == "kto":
        assert [r["label"] for r in made] == [True, False, True, True, False, True]
        assert all("Look again." not in words.decode(r["completion_ids"]) for r in made)
    elif format == "reward":
        assert {float(r["margin"]) for r in made} == {1.0}
    else:
        inputs = list(data)
        replies = [[message("assistant", "4")]] * len(inputs)
        rewards = trainer._calculate_rewards(inputs, [r["prompt"] for r in inputs], replies, [[1]] * len(inputs))
        assert rewards.flatten().tolist() == [1.0] * len(inputs)
        assert inputs[-1]["meta"]["prompts"] == "p"
