"""Inputs that are objects are shown by their fields; conversations and images are refused by name until they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import TaskError
from loopwright.worlds import load_task
from loopwright.worlds.inputs import unread

CHAT = [{"role": "user", "content": "Hello"}]
PNG = "data:image/png;base64,iVBORw0KGgo="


def folder(path: Path, template: str, inputs: list[Any], prompt: str = "") -> Path:
    head = f'name = "t"\n[prompt]\ntemplate = {json.dumps(template)}\n{prompt}'
    (path / "task.toml").write_text(f'{head}[examples]\nfile = "e.jsonl"\n[checker]\nkind = "exact"\n')
    given = [{"input": i, "target": "x"} for i in inputs]
    (path / "e.jsonl").write_text("".join(json.dumps(e) + "\n" for e in given))
    return path


def objects(count: int = 80) -> list[Any]:
    return [{"title": f"T{i}", "body": f"B{i}", "stars": i} for i in range(count)]


def test_fields_are_shown(tmp_path: Path) -> None:
    task = load_task(folder(tmp_path, "{title}: {body} ({stars})\n{instruction}", objects(), 'instruction = "Good?"\n'))
    example = task.examples("train")[0]
    given: Any = example.input
    said = f"{given['title']}: {given['body']} ({given['stars']})\nGood?"
    assert [t.text for t in task.prompt.render(example)] == [said]


def test_braces_that_are_no_field_stay(tmp_path: Path) -> None:
    task = load_task(folder(tmp_path, "{question}\nAnswer in \\boxed{answer} or {\"a\": 1}.", [f"q{i}" for i in range(80)]))
    assert task.prompt.ask("Q") == 'Q\nAnswer in \\boxed{answer} or {"a": 1}.'


@pytest.mark.parametrize(
    ("template", "inputs", "says"),
    [
        ("{titel}: {body}", objects(), "task.toml:3: [prompt] template: {titel} is no field"),
        ("{titel}: {body}", objects(), "did you mean {title}?"),
        ("{question} {instructions}", ["a"], "did you mean {instruction}?"),
        ("{queston}", ["a"], "did you mean {question}?"),
        ("{what}", ["a"], "must contain {question}, or {name} of a field of the inputs (the inputs are text"),
        ("{what}", objects(), "or {name} of a field of the inputs; known: body, stars, title"),
        ("{title}", [*objects(3), {"titles": 1}], "e.jsonl:4: input: has no field 'title'"),
        ("{title}", [*objects(3), {"titles": 1}], "did you mean titles?"),
        ("{title}", [*objects(3), "text"], "e.jsonl:4: input: expected an object with the fields title"),
        ("{title} {question}", [{"title": "a", "question": "a"}, {"title": "z"}], "has no field 'question'"),
        ("{title} {instruction}", [{"title": "a", "instruction": "b"}], "{instruction} is what [prompt] instruction says"),
        ("Say something.", ["a"], "must contain {question}"),
    ],
)  # fmt: skip
def test_a_template_that_does_not_fit_is_refused(tmp_path: Path, template: str, inputs: list[Any], says: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_task(folder(tmp_path, template, inputs))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (CHAT, "a list of 1 chat messages"),
        ([{"role": "system", "content": "s"}, *CHAT], "a list of 2 chat messages"),
        ({"messages": CHAT}, "chat messages"),
        ({"messages": CHAT, "tools": []}, "chat messages"),
        ([{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}], "chat messages"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}], "image"),
        ([{"type": "text", "text": "What is this?"}, {"type": "image", "source": {}}], "image"),
        ({"image": "cats/1.PNG", "text": "What is it?"}, "image"),
        ({"images": ["a.jpg", "b.jpeg"]}, "image"),
        ({"image_url": "https://host/cat.webp?size=1"}, "image"),
        (PNG, "image"),
        ({"a": {"b": [PNG]}}, "image"),
    ],
)
def test_conversations_and_images_are_refused_by_name(tmp_path: Path, given: Any, says: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_task(folder(tmp_path, "{question}", [given]))
    assert says in str(caught.value) and "e.jsonl:1: input: " in str(caught.value) and "not read yet" in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "What does data:image/png mean?", "cat.png", {"file": "cat.png"}, {"image": "of the town"}, [{"role": "user"}], [],
        {"role": "user", "content": "c"}, [{"role": "baker", "content": "c"}], {"messages": []}, {"messages": ["a"]}, [1, 2],
        3, {"type": "sentence"},
    ],
)  # fmt: skip
def test_what_is_neither_is_taken(given: Any) -> None:
    assert unread(given) == ""
