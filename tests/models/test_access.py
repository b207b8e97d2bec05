"""Keys go where they belong and nowhere else; addresses are what they say."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loopwright.core.errors import InputError, ModelUnavailable, UnknownName
from loopwright.core.model import Reply, Request
from loopwright.core.types import Turn
from loopwright.models import load
from loopwright.models.access import Access, is_official
from loopwright.models.names import recorded, shown_model, split_name
from loopwright.models.openai import OpenAIModel

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, fails, serving

KEY = "sesame-opens-0042"
OTHER = "another-key-0077"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", OTHER)
    with serving() as server:
        yield server


def answer(model: Any) -> Reply:
    async def main() -> Reply:
        try:
            (reply,) = await model.generate([Request(turns=(Turn(role="user", text="hello"),))])
            return reply
        finally:
            await model.close()

    return asyncio.run(main())


def sent(server: Server, **options: Any) -> str:
    answer(OpenAIModel("tiny", base_url=server.url, **options))
    return server.headers[-1].get("Authorization", "")


def test_a_server_on_this_machine_gets_a_placeholder_unless_a_key_is_named(server: Server) -> None:
    assert KEY not in sent(server) and sent(server).startswith("Bearer ")
    assert sent(server, api_key_env="OTHER_KEY") == f"Bearer {OTHER}"
    assert sent(server, api_key_env="OPENAI_API_KEY") == f"Bearer {KEY}"
    assert sent(server, api_key_env="") == ""
    assert sent(server, headers={"authorization": "Basic x"}) == "Basic x"
    assert sent(server, headers={"Authorization": "env:OTHER_KEY"}) == OTHER


@pytest.mark.parametrize(
    ("url", "official"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com:443/v1", True),
        ("https://API.OpenAI.com/v1", True),
        ("http://api.openai.com/v1", False),
        ("https://api.openai.com:8443/v1", False),
        ("https://eu.api.openai.com/v1", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("https://evil.example/api.openai.com/v1", False),
        ("https://api.openai.com@evil.example/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_openais_key_goes_by_itself_to_openai_alone(monkeypatch: pytest.MonkeyPatch, url: str, official: bool) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert is_official(url) == official
    try:
        headers = Access(url).headers()
    except InputError:
        assert not official
        return
    assert (headers.get("Authorization") == f"Bearer {KEY}") == official


@pytest.mark.parametrize(
    "url",
    ["https://api.mistral.ai/v1", "http://192.168.1.5:8000/v1", "http://gpu:8000/v1", "http://127.0.0.1.nip.io/v1"],
)
def test_another_server_needs_its_key_named_and_says_what_to_type(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(InputError, match="api_key_env") as caught:
        load(f"openai:m@{url}")
    assert f"--model openai:MODEL@{url},api_key_env=NAME" in str(caught.value) and KEY not in str(caught.value)
    assert load(f"openai:m@{url},api_key_env=OTHER_KEY")
    assert load(f"openai:m@{url},api_key_env=")
    assert OpenAIModel("m", base_url=url, headers={"api-key": "env:OTHER_KEY"})


def test_a_key_that_is_not_there_is_named_with_what_to_type(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTHER_KEY")
    for options in ({"api_key_env": "OTHER_KEY"}, {"headers": {"api-key": "env:OTHER_KEY"}}):
        with pytest.raises(InputError, match="export OTHER_KEY="):
            sent(server, **options)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="export OPENAI_API_KEY="):
        answer(OpenAIModel("gpt-4o-mini"))


@pytest.mark.parametrize("key", ["sk-proj-0123456789", "my key", "a-b-c"])
def test_a_key_where_its_variable_belongs_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(InputError, match="name of an environment variable") as caught:
        OpenAIModel("m", api_key_env=key)
    assert key not in str(caught.value)


def test_no_error_repeats_a_key(server: Server) -> None:
    server.will(fails(401, f"bad key {OTHER} and {KEY}"))
    model = OpenAIModel("tiny", base_url=server.url, api_key_env="OTHER_KEY", headers={"X-Extra": "env:OPENAI_API_KEY"})
    with pytest.raises(ModelUnavailable, match=r"\[secret\]") as caught:
        answer(model)
    assert OTHER not in f"{caught.value} {model!r}" and KEY not in str(caught.value)


def test_proxies_are_used_where_that_is_asked_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def main(trust: bool) -> str:
        async def proxy(request: web.Request) -> web.StreamResponse:
            seen.append(str(request.url))
            return completion(await request.json(), ["through the proxy"])

        runner = web.ServerRunner(web.Server(proxy))  # type: ignore[arg-type]
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{runner.addresses[0][1]}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{runner.addresses[0][1]}")
        model = OpenAIModel("tiny", base_url=server.url, trust_env=trust)
        (reply,) = await model.generate([Request(turns=(Turn(role="user", text="hello"),), seed=5)])
        await model.close()
        await runner.cleanup()
        return reply.choices[0].text

    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert asyncio.run(main(False)) == "answer 5.0" and not seen
    assert asyncio.run(main(True)) == "through the proxy" and len(seen) == 1


@pytest.mark.parametrize(
    "tail",
    [
        "127.0.0.1:8000/v1", "127.0.0.1", "localhost:8000/v1", "localhost", "[::1]:8000/v1", "api.mistral.ai/v1", "gpu:8000",
        "gpu-box:8000/v1", "//127.0.0.1:8000/v1", "gpu/v1", "api.mistral.ai", "htp://127.0.0.1/v1", "ws://127.0.0.1/v1", "",
    ],
)  # fmt: skip
def test_an_address_without_a_scheme_is_an_error_that_names_what_to_type(tail: str) -> None:
    """It was sent to the public service, as a part of the model's name."""
    with pytest.raises(InputError, match="openai:MODEL@http://") as caught:
        split_name(f"openai:org/m:8b@{tail}")
    assert "://http" not in str(caught.value) and "http:////" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["gpt-4o-mini", "org/name:tag@v2", "text@001", "m@2024-08-06", "a@b", "claude@20240620", "llama3:8b"]
)
def test_names_with_an_at_sign_stay_names(name: str) -> None:
    assert split_name(f"openai:{name}") == ("openai", {"model": name})
    assert split_name(f"openai:{name}@https://h/v1")[1] == {"model": name, "base_url": "https://h/v1"}
    assert split_name(f"openai:{name}@HTTP://h:1/v1,api_key_env=A_B,trust_env=true,timeout=5,omit=[]")[1] == {
        "model": name, "base_url": "http://h:1/v1", "api_key_env": "A_B", "trust_env": True, "timeout": 5, "omit": [],
    }  # fmt: skip


def test_a_table_names_the_same_model_as_a_text(server: Server) -> None:
    text = load(f"openai:tiny@{server.url}")
    tables: list[dict[str, Any]] = [
        {"name": "tiny", "base_url": server.url}, {"name": "openai:tiny", "base_url": server.url},
        {"name": f"openai:tiny@{server.url}"}, {"backend": "openai", "model": "tiny", "base_url": server.url},
        {"backend": "openai", "name": "tiny", "base_url": server.url},
    ]  # fmt: skip
    assert {load(table).fingerprint for table in tables} == {text.fingerprint}
    assert {shown_model(table) for table in tables} == {f"openai:tiny@{server.url}"}
    assert load({"name": "llama3:8b", "base_url": server.url}).name == "llama3:8b"
    assert load({"name": "gpt-4o-mini"}).name == "gpt-4o-mini"
    with pytest.raises(InputError, match="base_url is given twice"):
        load({"name": f"openai:tiny@{server.url}", "base_url": server.url})
    with pytest.raises(UnknownName, match="Did you mean openai"):
        load({"name": "opnai:tiny"})
    with pytest.raises(UnknownName, match="Did you mean api_key_env"):
        load({"name": "tiny", "base_url": server.url, "api_key_evn": "X"})
    with pytest.raises(UnknownName, match="Did you mean timeout"):
        load(f"openai:tiny@{server.url},timeuot=3")
    with pytest.raises(InputError, match="'name' or a 'backend'"):
        load({"model": "tiny"})


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "m", "api_key": KEY},
        {"name": "m", "headers": {"Authorization": f"Bearer {KEY}"}},
        {"name": "m", "headers": {"api-key": KEY}},
        {"name": "m", "headers": {"X-Auth-Token": KEY}},
        {"name": "m", "headers": {"X-Plain": "sk-0123456789abcdef"}},
        {"name": "m", "headers": {"X-Plain": "0123456789 nobody knows what this opens"}},
        {"name": f'openai:m@http://127.0.0.1/v1,headers={{"X-Plain": "{KEY}"}}'},
        f'openai:m@http://127.0.0.1/v1,headers={{"X-Plain": "{KEY}"}}',
        {"name": "m", "options": {"user": "sk-0123456789abcdef"}},
        "openai:m@http://127.0.0.1/v1,api_key_env=sk-0123456789abcdef",
        {"name": "m", "token": KEY},
    ],
)
def test_no_secret_is_ever_recorded(spec: Any) -> None:
    with pytest.raises(InputError, match="environment") as caught:
        recorded(spec)
    assert KEY not in str(caught.value) and "0123456789" not in str(caught.value)


def test_what_is_no_secret_is_recorded_as_it_is() -> None:
    spec = {"name": "m", "api_key_env": "MY_KEY", "headers": {"X-Team": "env:TEAM", "api-key": "env:MY_KEY"}, "omit": ["seed"],
            "price": [0.1, 0.2], "options": {"top_k": 5}}  # fmt: skip
    assert recorded(spec) == json.loads(json.dumps(spec))
    assert recorded("openai:m@http://127.0.0.1/v1,api_key_env=MY_KEY").endswith("MY_KEY")  # type: ignore[union-attr]
    with pytest.raises(InputError, match="plain data"):
        recorded({"name": "m", "options": {"x": object()}})
