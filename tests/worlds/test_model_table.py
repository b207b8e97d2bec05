"""``[model]`` of task.toml: what it may say, and how its mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import TaskError
from loopwright.core.types import digest
from loopwright.models import load
from loopwright.worlds.files import load_task

HEAD = 'name = "t"\n'
REST = '[examples]\nfile = "e.jsonl"\n[checker]\nkind = "exact"\n'
KEY = "sesame-opens-0042"


def task(folder: Path, model: str, *, top: str = "") -> Any:
    (folder / "e.jsonl").write_text("".join(f'{{"input": "q{i}", "target": "{i}"}}\n' for i in range(80)))
    (folder / "task.toml").write_text(HEAD + top + model + REST)
    return load_task(folder)


def test_a_name_alone_is_as_before(tmp_path: Path) -> None:
    made = task(tmp_path, "", top='model = "embedded:lab"\n')
    assert (made.model, made.others) == ("embedded:lab", {})
    assert task(tmp_path, "").model == "" and "others" not in task(tmp_path, "").spec()


def test_all_that_a_table_may_say(tmp_path: Path) -> None:
    made = task(
        tmp_path,
        '[model]\nname = "qwen"\nbase_url = "http://127.0.0.1:8000/v1"\napi_key_env = "A_KEY"\nomit = ["seed"]\n'
        'price = [0.1, 2]\n'
        'options = {top_k = 5}\nheaders = {X-Team = "env:TEAM", api-key = "env:B_KEY"}\ntrust_env = true\ntimeout = 5\n'
        'concurrency = 2\n'
        '[model.judge]\nname = "judge"\nbase_url = "https://api.example.com/v1"\napi_key_env = "J_KEY"\n'
        '[model.proposer]\nname = "openai:gpt-4o-mini"\n',
    )
    assert made.model == {
        "name": "qwen", "base_url": "http://127.0.0.1:8000/v1", "api_key_env": "A_KEY", "omit": ["seed"], "price": [0.1, 2],
        "options": {"top_k": 5}, "headers": {"X-Team": "env:TEAM", "api-key": "env:B_KEY"}, "trust_env": True, "timeout": 5,
        "concurrency": 2,
    }  # fmt: skip
    assert made.others["judge"]["api_key_env"] == "J_KEY" and made.others["proposer"] == "openai:gpt-4o-mini"
    models = [load(made.model), load(made.others["judge"]), load(made.others["proposer"])]
    assert [m.name for m in models] == ["qwen", "judge", "gpt-4o-mini"]
    assert made.spec()["others"] == made.others and digest(made.spec())


def test_only_the_judge_may_be_another(tmp_path: Path) -> None:
    made = task(tmp_path, '[model.judge]\nname = "gpt-4o-mini"\n')
    assert made.model == "" and made.others == {"judge": {"name": "gpt-4o-mini"}}
    assert task(tmp_path, '[model]\nname = "embedded"\njudge = "openai:gpt-4o-mini"\n').others == {
        "judge": "openai:gpt-4o-mini"
    }


@pytest.mark.parametrize(
    ("model", "line", "words"),
    [
        ('[model]\nname = "m"\nbase_ulr = "http://127.0.0.1/v1"\n', 4, ["base_ulr", "did you mean base_url"]),
        ('[model]\nbase_url = "http://127.0.0.1/v1"\n', 2, ["name: missing"]),
        ('[model]\nname = 3\n', 3, ["name: expected text"]),
        ('[model]\nname = "m"\nbase_url = "127.0.0.1:8000/v1"\n', 4, ["base_url", "http://host:port/v1"]),
        ('[model]\nname = "m"\nbase_url = "https://api.example.com/v1"\n', 2, ["api_key_env = \"NAME\""]),
        ('[model]\nname = "openai:m@127.0.0.1:8000/v1"\n', 3, ["openai:MODEL@http://127.0.0.1:8000/v1"]),
        ('[model]\nname = "opnai:m"\n', 3, ["Did you mean openai"]),
        (f'[model]\nname = "m"\napi_key = "{KEY}"\n', 4, ["api_key_env"]),
        (f'[model]\nname = "m"\napi_key_env = "{KEY}"\n', 4, ["name of an environment variable"]),
        (f'[model]\nname = "m"\nheaders = {{Authorization = "Bearer {KEY}"}}\n', 4, ["headers", "env:NAME"]),
        ('[model]\nname = "m"\nheaders = {X-Team = 3}\n', 4, ["headers", "expected text"]),
        ('[model]\nname = "m"\nomit = ["temprature"]\n', 2, ["Did you mean temperature"]),
        ('[model]\nname = "m"\nomit = "seed"\n', 4, ["omit: expected a list"]),
        ('[model]\nname = "m"\noptions = {temperature = 1}\n', 4, ["options", "temperature"]),
        ('[model]\nname = "m"\nprice = 3\n', 4, ["two prices"]),
        ('[model]\nname = "m"\nprice = [1, -1]\n', 4, ["two prices"]),
        ('[model]\nname = "m"\ntrust_env = "yes"\n', 4, ["true or false"]),
        ('[model]\nname = "m"\nconcurrency = 0\n', 4, ["at least 1"]),
        ('[model]\nname = "m"\ntimeout = true\n', 4, ["a number"]),
        ('[model]\nname = "m"\n[model.juge]\nname = "x"\n', 4, ["juge", "did you mean judge"]),
        ('[model]\nname = "m"\n[model.judge]\nnam = "x"\n', 4, ["name: missing", "Rename nam"]),
        ('[model]\nname = "m"\njudge = 3\n', 4, ["[model.judge]"]),
        ('[[model]]\nname = "m"\n', 2, ["a table"]),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line_and_without_a_key(
    tmp_path: Path, model: str, line: int, words: list[str]
) -> None:
    with pytest.raises(TaskError) as caught:
        task(tmp_path, model)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert KEY not in str(caught.value)
    assert f"task.toml:{line}" in str(caught.value), str(caught.value)
