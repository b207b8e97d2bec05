"""An artifact that is damaged, made by hand or of another version: each way says what was expected, what arrived, what to do."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.cli.main import execute
from loopwright.core.errors import LoopwrightError
from loopwright.improve.answering import answer_with
from loopwright.improve.artifact import read_artifact
from loopwright.store.memory import MemoryStore

GOOD: dict[str, Any] = {
    "format": 2, "task": "t", "run": "r", "candidate": "c", "parents": [], "model": "embedded",
    "sampling": {"max_tokens": 8}, "parts": ["prompt"],
}  # fmt: skip
HASH = "0" * 64


def write(folder: Path, manifest: object = None, **files: str | bytes) -> Path:
    """An artifact; a manifest that is text or bytes is written as it is.

    files: by name, with __ for a slash, _ for a dot and + for _.
    """
    folder.mkdir(exist_ok=True)
    text = manifest if isinstance(manifest, str | bytes) else json.dumps(GOOD if manifest is None else manifest)
    (folder / "artifact.json").write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    if "prompt_json" not in files:
        (folder / "prompt.json").write_text("{}")
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".").replace("+", "_")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def but(**changes: Any) -> dict[str, Any]:
    """The good manifest with changes; None removes a field."""
    return {k: v for k, v in {**GOOD, **changes}.items() if v is not None}


def solved(toml: str, **more: Any) -> tuple[Any, dict[str, str | bytes]]:
    return but(parts=["prompt", "solver"], **more), {"solver_toml": toml}


def adapter(config: str, weights: bytes | None = None) -> tuple[Any, dict[str, str | bytes]]:
    header = {
        f"base_model.model.model.layers.0.self_attn.q_proj.lora_{part}.weight": {
            "dtype": "F32", "shape": [1, 1], "data_offsets": [4 * i, 4 * i + 4],
        } for i, part in enumerate("AB")
    }  # fmt: skip
    text = json.dumps(header).encode()
    made = len(text).to_bytes(8, "little") + text + bytes(8) if weights is None else weights
    files: dict[str, str | bytes] = {"adapter__adapter+config_json": config, "adapter__adapter+model_safetensors": made}
    return but(parts=["adapter", "prompt"]), files


# What was wrong, the manifest, further files, and what the message says of what was expected and of what arrived.
MANIFESTS: list[tuple[str, Any, str]] = [
    ("empty", "", "artifact.json is empty"),
    ("white space", " \n ", "artifact.json is empty"),
    ("not JSON", "format: 2", "is not JSON"),
    ("cut off", json.dumps(GOOD)[:-20], "is not JSON"),
    ("two documents", json.dumps(GOOD) * 2, "is not JSON"),
    ("binary", bytes(range(128, 256)) * 10, "is no text: byte 0x80 at 0 is not UTF-8"),
    ("a zip file", b"PK\x03\x04\xff\xfe" + bytes(100), "is no text"),
    ("UTF-16", json.dumps(GOOD).encode("utf-16"), "is no text"),
    ("huge", json.dumps({**GOOD, "task": "x" * (17 << 20)}), "more than the 16,777,216 that are read here"),
    ("a list", [GOOD], "expected an object, {...}, got a list"),
    ("a text", '"embedded"', "expected an object, {...}, got text"),
    ("null", "null", "expected an object, {...}, got null"),
    ("repeated field", json.dumps(GOOD)[:-1] + ', "model": "openai:m"}', "model"),
    ("NaN", json.dumps(but(sampling={"temperature": float("nan")})), "NaN"),
    ("infinite", json.dumps(GOOD)[:-1] + ', "left_out": [1e999]}', "left_out: expected a list of texts"),
    ("ten thousand digits", json.dumps(GOOD)[:-1] + f', "unproven": {{"n": {"9" * 10_000}}}}}', "is not JSON"),
    ("nested deep", json.dumps(GOOD)[:-1] + ', "unproven": ' + '{"a":' * 200 + "1" + "}" * 200 + "}", "nested 2"),
    ("nested too deep to read", "[" * 100_000, "nested too deeply"),
    ("half a character", json.dumps(GOOD)[:-1] + r', "run": "\ud800"}', "run"),
    ("no format", but(format=None), "format: expected 1 or 2, got none"),
    ("a newer format", but(format=3), "newer version of Loopwright: pip install --upgrade loopwright"),
    ("an unknown format", but(format=0), "format: expected 1 or 2, got 0"),
    ("format as text", but(format="2"), "format: expected 1 or 2, got '2'"),
    ("format as true", but(format=True), "format: expected 1 or 2, got True"),
    ("no task", but(task=None), "task: missing; expected text in quotes"),
    ("task as number", but(task=3), "task: expected text in quotes, got a whole number 3"),
    ("no model", but(model=None), "model: missing; expected what the run's model is called"),
    ("model as number", but(model=7), "expected a model's name, text or a table, got a whole number 7"),
    ("empty model", but(model=""), "expected a model's name"),
    ("unknown kind of model", but(model="opnai:gpt-4o"), "openai"),
    ("an unknown scheme", but(model="https://evil.example/v1"), "kind of model 'https'"),
    ("model of no backend", but(model={"base_url": "http://h/v1"}), "expected a 'name' or a 'backend'"),
    ("an address without scheme", but(model="openai:m@127.0.0.1:8000/v1"), "the address has no scheme"),
    ("a key in the model", but(model={"name": "openai:m", "api_key": "sk-1234567890abcdefghij"}), "no key may stand there"),
    ("a very long model", but(model="openai:" + "m" * 5000), "expected a model's name, got 5,007 characters"),
    ("others as list", but(others=["embedded"]), "others: expected a table, got a list"),
    ("unknown role", but(others={"jugde": "embedded"}), "unknown role 'jugde'; did you mean judge?"),
    ("others' kind", but(others={"judge": "nope:x"}), "kind of model 'nope'"),
    ("no sampling", but(sampling=None), "sampling: missing; expected a table"),
    ("sampling as text", but(sampling="greedy"), "sampling: expected a table, got text 'greedy'"),
    ("unknown sampling", but(sampling={"temprature": 1}), "did you mean temperature?"),
    ("sampling out of range", but(sampling={"max_tokens": 0}), "sampling max_tokens"),
    ("sampling of another type", but(sampling={"temperature": "hot"}), "sampling temperature"),
    ("no parts", but(parts=None), "parts: missing"),
    ("parts as text", but(parts="prompt"), "parts: expected a list of texts"),
    ("parts of numbers", but(parts=[1]), "parts: expected a list of texts"),
    ("parts twice", but(parts=["prompt", "prompt"]), "'prompt' is named twice"),
    ("a part that is not there", but(parts=["prompt", "solver"]), "solver is missing"),
    ("an adapter that is not there", but(parts=["prompt", "adapter"]), "adapter is missing"),
    ("an unknown field", but(modle="embedded"), "did you mean model?"),
    ("parents as text", but(parents="abc"), "parents: expected a list of texts"),
    ("files as list", but(files=["prompt.json"]), "files: expected a table, got a list"),
    ("files with a wrong digest", but(files={"prompt.json": "abc"}), "expected a SHA-256 of 64 hex digits, got 'abc'"),
    ("files above the folder", but(files={"../x": HASH}), "is no path in the artifact's own folder"),
    ("files at a path", but(files={"/etc/passwd": HASH}), "is no path in the artifact's own folder"),
    ("files that are missing", but(files={"adapter/a.safetensors": HASH}), "a.safetensors is missing, which artifact.json lists"),
    ("files that were changed", but(files={"prompt.json": HASH}), "prompt.json is not as the run wrote it"),
]
OTHERS: list[tuple[str, Any, dict[str, str | bytes], str]] = [
    ("prompt not JSON", None, {"prompt_json": "Say it."}, "prompt.json is not JSON"),
    ("prompt empty", None, {"prompt_json": ""}, "prompt.json is empty"),
    ("prompt a list", None, {"prompt_json": "[]"}, "expected an object, {...}, got a list"),
    ("prompt without a place", None, {"prompt_json": '{"template": "Answer!"}'}, "must contain {question}"),
    ("prompt of another type", None, {"prompt_json": '{"instruction": 3}'}, "instruction"),
    ("prompt with an unknown field", None, {"prompt_json": '{"instructon": "x"}'}, "did you mean instruction?"),
    ("shots of another kind", None, {"prompt_json": '{"shots": [{"question": "x"}]}'}, "shots"),
    ("tools of another kind", None, {"prompt_json": '{"tools": ["x"]}'}, "tools"),
    ("solver not TOML", *solved("recipe = best-of-n"), "solver.toml is not TOML"),
    ("solver nested deep", *solved("a = " + "[" * 50_000), "solver.toml is not TOML"),
    ("solver without recipe", *solved("options = {}"), 'recipe: missing; expected text in quotes. Add recipe = "best-of-n"'),
    ("solver of another type", *solved("recipe = 3"), "recipe: expected text in quotes, got a whole number 3"),
    ("solver with unknown field", *solved('recipe = "best-of-n"\noption = {}'), "did you mean options?"),
    ("options of another type", *solved('recipe = "best-of-n"\noptions = 3'), "options: expected a table"),
    ("unknown recipe", *solved('recipe = "bst-of-n"'), "best-of-n"),
    ("a recipe of another shape", *solved('recipe = "few-shot"'), "expected a solver"),
    ("unknown option", *solved('recipe = "best-of-n"\noptions = {m = 3}'), "option of best-of-n"),
    ("option of another type", *solved('recipe = "best-of-n"\noptions = {n = "x"}'), "option n of best-of-n"),
    ("unknown world", *solved('recipe = "best-of-n"', world="sms"), "sums"),
    ("a part in the wrong file", None, {"parts_json": '{"solver": {"recipe": "x"}}'}, "solver has a file of its own"),
    ("further part not named", None, {"parts_json": '{"library": []}'}, "library is there, and the manifest does not name it"),
    ("critics of another kind", *solved('recipe = "best-of-n"'), "critics"),
    ("two solvers", but(parts=["prompt", "solver"]), {"solver_toml": 'recipe = "x"', "solver_json": "{}"}, "expected one solver"),
    ("task nested deep", *solved('recipe = "best-of-n"'), "nested too deeply"),
    ("task binary", *solved('recipe = "best-of-n"'), "not UTF-8"),
    ("an address that is none", but(model="openai:m@http://[::1,api_key_env="), {}, "got no address"),
    ("a port that is none", but(model="openai:m@https://api.openai.com:99999999/v1"), {}, "got no address"),
    ("weights of a world", but(parts=["adapter", "prompt"]), {"adapter__weights_bin": b"x" * 99}, "belongs to a world's model"),
    ("adapter of a list", *adapter("[]"), "expected an object"),
    ("adapter nested deep", *adapter("[" * 50_000), "not a PEFT adapter"),
    ("adapter's modules", *adapter('{"r": 1, "lora_alpha": 1, "target_modules": 5}'), "target_modules is a list of names"),
    ("adapter's tokens", *adapter('{"r": 1, "lora_alpha": 1, "trainable_token_indices": ["x"]}'), "is a list of token ids"),
    ("adapter's weights", *adapter("{}", b"\xff" * 100), "not a PEFT adapter"),
    ("adapter without weights", but(parts=["adapter", "prompt"]), {"adapter__adapter+config_json": "{}"}, "PEFT adapter"),
]  # fmt: skip


def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    code = execute(["answer", "--artifact", str(folder), "question", "--trust"])
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err and "unexpected" not in said.err, said.err
    assert code == 2, said.err
    assert len(said.err) < 1500, "an artifact must not fill the terminal"
    return said.err


@pytest.mark.fault(45)
@pytest.mark.parametrize(("what", "manifest", "said"), MANIFESTS, ids=[case[0] for case in MANIFESTS])
def test_each_malformed_manifest_is_named(
    what: str, manifest: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], seen: Callable[[str], None]
) -> None:
    message = told(write(tmp_path / "a", manifest), capsys)
    assert said in message, message
    assert any(todo in message for todo in ("copy the whole folder again", "opy the whole folder again", "pip install")), message
    seen(f"{len(MANIFESTS) + len(OTHERS)} malformed artifacts: each named, none unexpected")


@pytest.mark.parametrize(("what", "manifest", "files", "said"), OTHERS, ids=[case[0] for case in OTHERS])
def test_each_malformed_part_is_named(
    what: str, manifest: Any, files: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "a", manifest, **files)
    if "adapter" in what:
        pytest.importorskip("torch")
    critics = b'name = "t"\ncritics = "none"\n'
    tasks = {"critics": critics, "task nested": b"a = " + b"[" * 50_000, "task binary": bytes(range(256))}
    for begins, text in tasks.items():
        if what.startswith(begins):
            (folder / "task").mkdir()
            (folder / "task" / "task.toml").write_bytes(text)
    message = told(folder, capsys)
    assert said in message and "loopwright-artifact-" not in message, message


def test_a_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "is not an artifact: artifact.json expected in it" in told(tmp_path / "empty", capsys)
    folder = write(tmp_path / "a")
    os.rename(folder / "artifact.json", folder / "unproven.json")
    assert "--unproven" in told(folder, capsys)
    folder = write(tmp_path / "b")
    (folder / "prompt.json").unlink()
    assert "prompt.json cannot be read: No such file" in told(folder, capsys)
    deep = write(tmp_path / "c")
    place = deep
    for _ in range(30):
        place = place / "d"
        place.mkdir()
    assert "folders more than 20 deep" in told(deep, capsys)
    many = write(tmp_path / "e")
    (many / "m").mkdir()
    for i in range(20_010):
        (many / "m" / str(i)).touch()
    assert "more than 20,000 files" in told(many, capsys)


def test_compare_names_them_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from loopwright.store import SqliteStore

    SqliteStore(tmp_path / "s.db").close()
    folder = write(tmp_path / "a", "[1, 2")
    assert execute(["compare", str(folder), str(folder), "--store", str(tmp_path / "s.db")]) == 2
    assert "artifact.json is not JSON" in capsys.readouterr().err


def test_an_artifact_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Format 1: a whole task folder lies in it; its checker and generator are not looked at."""
    folder = write(tmp_path / "a", but(format=1, parts=["prompt", "solver"]), solver_toml='recipe = "self-consistency"\n')
    (folder / "task").mkdir()
    text = 'name = "t"\n[checker]\nkind = "nothing"\n[examples]\ngenerator = "make.py:generate"\n[tools]\ncalculator = true\n'
    (folder / "task" / "task.toml").write_text(text)
    candidate, manifest = read_artifact(folder, MemoryStore().blobs)
    assert candidate.parts == {"solver": {"recipe": "self-consistency"}} and manifest["format"] == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6,
)  # fmt: skip


@settings(max_examples=150)
@given(field=st.sampled_from([*GOOD, "files", "others", "world", "base", "unproven", "taken"]), value=values, part=values)
def test_no_value_of_any_field_is_an_unexpected_error(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object, part: object
) -> None:
    folder = write(tmp_path_factory.mktemp("a"), {**GOOD, field: value}, prompt_json=json.dumps({"instruction": part}))
    try:
        read_artifact(folder, MemoryStore().blobs)
        asyncio.run(answer_with(folder, "question", model="scripted:no_such_module:answer"))
    except LoopwrightError:
        pass
