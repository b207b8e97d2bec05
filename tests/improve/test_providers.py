"""Several providers in one run, each with its own key; what a run leaves holds none of them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import Diverged, InputError, NotAllowed
from loopwright.improve.allowing import _model
from loopwright.improve.answering import answer_with
from loopwright.improve.job import resume_improve, run_improve
from loopwright.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, fails, serving

KEYS = {
    "POLICY_KEY": "policy-opens-0042",
    "JUDGE_KEY": "judge-opens-0077",
    "TEAM_KEY": "team-opens-0099",
    "OPENAI_API_KEY": "sk-mine-0123456789",
}


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with serving() as policy, serving() as judge:
        policy.will(
            lambda body: completion(body, [f"an answer to {body['messages'][-1]['content'][:9]}"] * body.get("n", 1))
        )
        judge.will(lambda body: completion(body, ["Score: 7"] * body.get("n", 1)))
        yield policy, judge


@pytest.fixture
def task(tmp_path: Path, servers: tuple[Server, Server]) -> Path:
    policy, judge = servers
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "e.jsonl").write_text(
        "".join(json.dumps({"input": f"question {i}", "target": f"t{i}"}) + "\n" for i in range(80))
    )
    (folder / "task.toml").write_text(
        f'name = "t"\n[model]\nname = "small"\nbase_url = "{policy.url}"\napi_key_env = "POLICY_KEY"\n'
        f'[model.judge]\nname = "large"\nbase_url = "{judge.url}"\napi_key_env = "JUDGE_KEY"\nomit = ["seed"]\n'
        'headers = {x-api-key = "env:TEAM_KEY"}\n'
        '[examples]\nfile = "e.jsonl"\n[checker]\nkind = "judge"\nrubric = "Is it good?"\n[methods.few-shot]\nsizes = [2]\n'
    )
    return folder


def improve(task: Path, **more: Any) -> dict[str, Any]:
    return asyncio.run(
        run_improve(
            task,
            change=["prompt"],
            only=["few-shot"],
            out=task.parent / "out",
            store_path=task.parent / "store",
            **more,
        )
    )


def left(folder: Path) -> list[bytes]:
    """All bytes that a run left, those of its store unpacked too."""
    with open_store(f"{folder / 'store'}/") as store:  # type: ignore[attr-defined]
        rows = [
            repr((r, list(store.effects(r.id)), store.events(r.id), list(store.rollouts(r.id)))) for r in store.runs()
        ]
    files = [path.read_bytes() for part in ("store", "out") for path in (folder / part).rglob("*") if path.is_file()]
    return [*files, *(row.encode() for row in rows)]


def test_each_server_gets_its_own_key_and_nothing_keeps_one(servers: tuple[Server, Server], task: Path) -> None:
    policy, judge = servers
    result = improve(task)
    assert {h["Authorization"] for h in policy.headers} == {f"Bearer {KEYS['POLICY_KEY']}"}
    assert {h["Authorization"] for h in judge.headers} == {f"Bearer {KEYS['JUDGE_KEY']}"}
    assert {h["x-api-key"] for h in judge.headers} == {KEYS["TEAM_KEY"]} and not any(
        "x-api-key" in h for h in policy.headers
    )
    assert {b["model"] for b in policy.bodies} == {"small"} and {b["model"] for b in judge.bodies} == {"large"}
    assert all("seed" in b for b in policy.bodies) and not any("seed" in b for b in judge.bodies)
    assert not [key for key in KEYS.values() if any(key.encode() in found for found in left(task.parent))]
    manifest = json.loads((Path(result["artifact"]) / "artifact.json").read_text())
    assert manifest["model"]["api_key_env"] == "POLICY_KEY" and manifest["others"]["judge"]["name"] == "large"
    before = len(policy.bodies)
    with pytest.raises(NotAllowed, match="POLICY_KEY goes to"):
        asyncio.run(answer_with(Path(result["artifact"]), "question 99"))
    assert len(policy.bodies) == before
    assert asyncio.run(answer_with(Path(result["artifact"]), "question 99", trust=True)).startswith("an answer to")
    assert len(policy.bodies) == before + 1


def test_what_a_server_repeats_of_a_key_is_not_kept_either(servers: tuple[Server, Server], task: Path) -> None:
    policy, _ = servers
    policy.will(fails(401, f"no such key {KEYS['POLICY_KEY']}"))
    with pytest.raises(Exception, match=r"\[secret\]") as caught:
        improve(task)
    assert KEYS["POLICY_KEY"] not in str(caught.value)
    assert not any(KEYS["POLICY_KEY"].encode() in found for found in left(task.parent))


def test_the_same_from_python_and_over_the_tasks_own(servers: tuple[Server, Server], task: Path) -> None:
    policy, judge = servers
    policy.will(judge.steps[0])
    improve(
        task, model={"name": "other", "base_url": judge.url, "api_key_env": "JUDGE_KEY"},
        others={"judge": {"name": "judge", "base_url": policy.url, "api_key_env": ""}},
    )  # fmt: skip
    assert {b["model"] for b in judge.bodies} == {"other"} and {b["model"] for b in policy.bodies} == {"judge"}
    assert not any("Authorization" in h for h in policy.headers)
    with pytest.raises(InputError, match="env:NAME"):
        improve(
            task,
            model={"name": "m", "base_url": judge.url, "headers": {"Authorization": f"Bearer {KEYS['JUDGE_KEY']}"}},
        )


def test_a_run_is_gone_on_with_by_the_models_it_names(servers: tuple[Server, Server], task: Path) -> None:
    policy, _ = servers
    good, asked = policy.steps[0], len(policy.bodies)

    def dies(body: dict[str, Any]) -> Any:
        return good(body) if len(policy.bodies) < asked + 30 else fails(402, "no money left")(body)  # type: ignore[operator]

    policy.will(dies)
    with pytest.raises(Exception, match="no money"):
        improve(task)
    policy.will(good)
    policy_url = policy.url
    with pytest.raises(Diverged, match="not the one"):
        asyncio.run(resume_improve("last", store_path=task.parent / "store", model=f"openai:other@{policy_url}"))
    before = len(policy.headers)
    moved = f"openai:small@{policy_url},api_key_env=TEAM_KEY"
    result = asyncio.run(resume_improve("last", store_path=task.parent / "store", model=moved))
    assert result["status"] == "done"
    assert {h["Authorization"] for h in policy.headers[before:]} == {f"Bearer {KEYS['TEAM_KEY']}"}
    text = (task / "task.toml").read_text()
    (task / "task.toml").write_text(text.replace('"large"', '"larger"'))
    with pytest.raises(Diverged):
        asyncio.run(resume_improve(result["run"], store_path=task.parent / "store"))


@pytest.mark.parametrize("proxied", [True, False])
def test_what_an_artifact_asks_for_says_whether_proxies_come_between(proxied: bool) -> None:
    table = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "trust_env": proxied}
    (use,) = _model("the model", table, "--model")
    assert ("HTTPS_PROXY" in str(use)) == proxied
