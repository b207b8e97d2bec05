"""Every mistake in a task folder is named: file, line, field, what was expected, what arrived, what to type."""

import json
import math
import re

import pytest

from loopwright.core.errors import TaskError, UnknownName
from loopwright.core.world import start
from loopwright.worlds import load_task

GOOD = """name = "t"
[prompt]
instruction = "Answer."
[examples]
file = "e.jsonl"
[checker]
kind = "exact"
"""


def lines(count=80):
    return [{"input": f"{i} + 1", "target": str(i + 1)} for i in range(count)]


def write(folder, toml=GOOD, examples=None, **files):
    (folder / "task.toml").write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    examples = lines() if examples is None else examples
    raw = examples if isinstance(examples, bytes) else "".join(json.dumps(e) + "\n" for e in examples).encode()
    (folder / "e.jsonl").write_bytes(raw)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def refused(folder, *parts):
    with pytest.raises(TaskError) as caught:
        load_task(folder)
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    return message


def test_a_good_folder(tmp_path):
    task = load_task(write(tmp_path))
    assert task.sampling.temperature == 0 and task.prompt.instruction == "Answer."
    assert sum(len(task.examples(s)) for s in ("train", "gate", "test")) == 80
    assert json.loads(json.dumps(task.spec())) == task.spec()
    assert load_task(tmp_path / "task.toml").fingerprint == task.fingerprint
    with pytest.raises(UnknownName, match="train"):
        task.examples("trian")


def test_critiques_may_be_longer_than_answers(tmp_path):
    for toml, most in (("", 256), ("[answer]\nmax_tokens = 9\n", 256), ("[answer]\nmax_tokens = 999\n", 999)):
        assert load_task(write(tmp_path, GOOD + toml)).text_tokens == most
    task = load_task(write(tmp_path, GOOD + "[answer]\nmax_tokens = 9\n[texts]\nmax_tokens = 40\n"))
    assert (task.text_tokens, task.sampling.max_tokens) == (40, 9)


def test_the_fingerprint_is_of_the_work_alone(tmp_path):
    first = load_task(write(tmp_path)).fingerprint
    assert load_task(write(tmp_path, GOOD.replace('"t"', '"other"') + "[budget]\ncalls = 5\n")).fingerprint == first
    assert load_task(write(tmp_path, GOOD.replace("Answer.", "Say."))).fingerprint != first
    assert load_task(write(tmp_path, GOOD + "casefold = true\n")).fingerprint != first
    assert load_task(write(tmp_path, GOOD + "[texts]\nmax_tokens = 40\n")).fingerprint != first
    assert load_task(write(tmp_path, examples=lines(81))).fingerprint != first


def test_a_group_stands_beside_the_input_or_in_meta(tmp_path):
    given = [{**e, **({"group": f"g{i // 2}"} if i % 4 < 2 else {"meta": {"group": i // 2}})} for i, e in enumerate(lines())]
    task = load_task(write(tmp_path, examples=given))
    homes = {e.group: split for split, part in task.splits.items() for e in part}
    assert len(homes) == 40 and all(e.group in homes and homes[e.group] == s for s, part in task.splits.items() for e in part)
    for wrong in (None, True, 1.5, ["a"], {"a": 1}, " "):
        refused(write(tmp_path, examples=[*lines(), {"input": "q", "group": wrong}]), "e.jsonl:81", "group: expected the name")
        refused(write(tmp_path, examples=[*lines(), {"input": "q", "meta": {"group": wrong}}]), "e.jsonl:81", "meta.group")
    refused(write(tmp_path, examples=[*lines(), {"input": "q", "group": "a", "meta": {"group": "b"}}]), "keep one")


def test_a_run_sees_train_without_the_screen(tmp_path):
    task = load_task(write(tmp_path, examples=lines(300)))
    for weights in (True, False):
        divided = task.divided(weights=weights)
        parts = [divided.examples(s) for s in ("train", "screen", "gate", "test")]
        assert len(parts[1]) >= 20 and sorted(e.id for part in parts for e in part) == sorted(e.id for e in task.pool)
        assert divided.questions == task.questions and divided.fingerprint != task.fingerprint
    assert tuple(task.divided(fresh=1).examples("test")) == task.examples("test")
    for share in (0, 0.1):
        own = load_task(write(tmp_path, GOOD + f"[split]\nscreen = {share}\n", examples=lines(300))).divided()
        assert len(own.examples("screen")) == math.ceil(share * len(task.examples("train")))
    refused(write(tmp_path, GOOD + "[split]\nscren = 0.1\n"), "did you mean screen?")


TOML_MISTAKES = [
    (GOOD.replace('name = "t"\n', ""), ["task.toml", "name: missing", 'name = "']),
    (GOOD.replace('"t"', "5"), ["task.toml:1", "name: expected text", "a whole number 5"]),
    ("descripton = 'x'\n" + GOOD, ["task.toml:1", "descripton: unknown field", "did you mean description?"]),
    (GOOD + "[promt]\n", ["promt: unknown field", "did you mean prompt?"]),
    ("name = t\n", ["task.toml:1", "not TOML"]),
    (b'name = "\xff"\n', ["task.toml:1", "not UTF-8: byte 0xff"]),
    (GOOD.replace("instruction", "instrution"), ["task.toml:3", "[prompt] instrution", "did you mean instruction?"]),
    (GOOD.replace('"Answer."', "3"), ["task.toml:3", "[prompt] instruction"]),
    (GOOD + '[answer]\nmax_tokens = "9"\n', ["[answer] max_tokens", "integer", "text '9'"]),
    (GOOD + '[answer]\nschema = {type = "town"}\n', ["task.toml:9", "[answer] schema", "not a JSON schema", "'town'"]),
    (GOOD + "[texts]\nmax_tokens = 0\n", ["task.toml:9", "[texts] max_tokens", "at least 1, got 0"]),
    (GOOD + "[texts]\nmax_token = 9\n", ["task.toml:9", "[texts] max_token", "max_tokens"]),
    (GOOD + "[answer]\nmax_tokens = 0\n", ["task.toml:9", "[answer] max_tokens", "greater than 0"]),
    (GOOD + "[answer]\ntemperature = nan\n", ["[answer] temperature", "finite number, got nan"]),
    (GOOD + "[budget]\ncalls = true\n", ["task.toml:9", "[budget] calls", "true or false True"]),
    (GOOD + "[budget]\nseconds = inf\n", ["[budget] seconds", "finite number, got inf"]),
    (GOOD + "[budget]\ndollars = 1\n", ["[budget] dollars: unknown field"]),
    (GOOD + "[gate]\nalpha = 2.0\n", ["task.toml:9", "[gate] alpha", "got 2.0"]),
    (GOOD + "[gate]\nalpha = nan\n", ["[gate] alpha", "finite"]),
    (GOOD + "[gate]\ngoal = 'not worse'\n", ["[gate] goal", "better, not-worse", "not-worse"]),
    (GOOD + "[gate]\nmargin = 0.1\n", ["[gate] margin", 'goal = "not-worse"']),
    (GOOD + "[gate]\ngoal = 'not-worse'\nmargin = 0\n", ["[gate] margin", "at least 0.001"]),
    (GOOD + "[errors]\nfail_on_eror = 1\n", ["[errors] fail_on_eror: unknown field", "did you mean fail_on_error?"]),
    (GOOD + "[errors]\nfail_on_error = 1.5\n", ["[errors] fail_on_error", "a share such as 0.2", "got 1.5"]),
    (GOOD + "[errors]\nretry_on_error = -1\n", ["[errors] retry_on_error", "a whole number from 0 to 100"]),
    (GOOD + "[gate]\nmargins = 0.1\n", ["[gate] margins: unknown field", "margin"]),
    (GOOD + "[split]\ntrain = 0.9\n", ["[split]", "sum to 1", "gate = 0.25 (default)"]),
    (GOOD + "[split]\ntrain = 0.6\ngate = 0.399\ntest = 0.001\n", ["[split] test", "empty", "0.001 of 80 examples"]),
    (GOOD.split("[checker]")[0], ["no [checker]", 'kind = "exact"']),
    (GOOD.replace('kind = "exact"', ""), ["[checker] kind: missing"]),
    (GOOD.replace('"exact"', '"exat"'), ["task.toml:7", "unknown kind 'exat'", "did you mean exact?"]),
    (GOOD + "stripp = true\n", ["task.toml:8", "[checker] stripp: unknown field", "did you mean strip?"]),
    (GOOD.replace('"exact"', '"regex"\npattern = "("'), ["[checker] pattern", "not a regular expression"]),
    (GOOD.replace('"exact"', '"schema"\nschema = {type = "strin"}'), ["[checker] schema", "not a JSON schema"]),
    (GOOD.replace('"exact"', '"python"\nfunction = "no.py:check"'), ["task.toml:8", "no.py", "no such file"]),
    (GOOD + '[[critics]]\nkind = "regex"\npattern = "a"\n[[critics]]\nkind = "number"\n',
     ["task.toml:12", "[[critics]] kind", "compares with the target", "Move it to [checker]"]),
    (GOOD + '[[critics]]\nkind = "tests"\n', ["e.jsonl:1", "meta.visible: missing"]),
    (GOOD.replace('"e.jsonl"', '"f.jsonl"'), ["f.jsonl", "no such file"]),
    (GOOD.replace('file = "e.jsonl"', ""), ["[examples]", "got neither"]),
    (GOOD.replace('file = "e.jsonl"', 'file = "e.jsonl"\ngenerator = "a.py:b"'), ["task.toml:5", "got both"]),
    (GOOD + '[tools]\nsearch = "docs"\n', ["[tools] search", "no such folder"]),
    (GOOD + "[methods.few-shoot]\n", ["task.toml:8", "few-shot"]),
]  # fmt: skip


@pytest.mark.parametrize(("toml", "parts"), TOML_MISTAKES, ids=lambda v: None if isinstance(v, list) else "")
def test_mistakes_in_the_toml(tmp_path, toml, parts):
    refused(write(tmp_path, toml), *parts)


BAD_LINES = [
    (b"{'input': 1}", ["not JSON", "column 2"]),
    (b'{"input": "x", "target": NaN}', ["NaN is not JSON"]),
    (b'{"input": "x", "target": 1e999}', ["target: expected a finite number, got inf"]),
    (b'{"input": "x\xff"}', ["not UTF-8: byte 0xff"]),
    (b'{"input": "\\ud800", "target": "1"}', ["input: holds a lone surrogate (\\ud800)"]),
    (b"[1]", ["expected an object", "got a list"]),
    (b'{"target": "1"}', ["input: missing"]),
    (b'{"input": "  ", "target": "1"}', ["input: expected a question"]),
    (b'{"input": "x", "tarjet": "1"}', ["tarjet: unknown field (what is extra goes into meta); did you mean target?"]),
    (b'{"input": "x", "target": "1", "meta": 3}', ["meta: expected an object", "a whole number 3"]),
    (b'{"id": 7, "input": "x", "target": "1"}', ["id: expected text", "a whole number 7"]),
    (b'{"input": "x", "input": "y"}', ["input: stands twice"]),
    (b'{"input": "0  + 1", "target": "1"}', ["the same question as in line 1", "Remove line 81"]),
    (b'{"id": "a", "input": "x", "target": "1"}\n{"id": "a", "input": "y", "target": "1"}', ["'a' is already the id of line 81"]),
    (b'{"input": "x"}', ["checker exact expects text", "got None"]),
    (b"[" * 100_000, ["nested too deeply"]),
]


@pytest.mark.parametrize(("raw", "parts"), BAD_LINES)
def test_mistakes_in_the_examples(tmp_path, raw, parts):
    good = "".join(json.dumps(e) + "\n" for e in lines()).encode()
    message = refused(write(tmp_path, examples=good + raw), *parts)
    assert re.search(r"e\.jsonl:8[12]: ", message)


def test_no_folder_no_file_no_example(tmp_path):
    refused(tmp_path / "nowhere", "no such folder")
    refused(tmp_path, "task.toml", "no such file")
    refused(write(tmp_path, examples=b"\n\n"), "holds no example")


def test_a_gate_that_could_never_accept(tmp_path):
    refused(write(tmp_path, examples=lines(20)), "[split]", "of 20 examples", "needs at least 6")


GENERATED = GOOD.replace('file = "e.jsonl"', 'generator = "make.py:generate"\ncount = 60')
GENERATORS = [
    ("def generate(count, seed):\n    raise KeyError('k')", ["task.toml:5", "KeyError: 'k' (make.py line 2)"]),
    ("def generate(count, seed): return 3", ["not iterable"]),
    ("def generate(count, seed): return [3] * count", ["make.py: generate, item 1", "expected an object"]),
    ("def generate(count, seed): return [{'input': 'a'}]", ["task.toml:6", "made 1 examples", "count = 1"]),
    ("def generate(count, seed): return [{'input': set()}] * count", ["returned a set"]),
    ("def generate(count, seed): return [{'input': str(i), 'target': float('nan')} for i in range(count)]", ["finite"]),
    ("def generate(): return []", ["unexpected keyword argument"]),
    ("import nothing_of_that_name\ndef generate(): return []", ["could not be imported", "line 1"]),
    ("def generat(count, seed): return []", ["has no function 'generate'", "did you mean generat?"]),
    ("def generate(:", ["make.py:1", "not Python"]),
    ("async def generate(count, seed): return []", ["is async"]),
]


@pytest.mark.parametrize(("source", "parts"), GENERATORS)
def test_mistakes_of_generators(tmp_path, source, parts):
    refused(write(tmp_path, GENERATED, make=source), *parts)


def test_a_generator(tmp_path):
    source = """
def generate(count, seed, start):
    print("noise")
    i = start
    while True:
        yield {"input": f"q{i}", "target": seed}
        i += 1
"""
    toml = GENERATED.replace("count = 60", "count = 60\nseed = 4\noptions = {start = 7}")
    task = load_task(write(tmp_path, toml, make=source))
    everything = [e for s in ("train", "gate", "test") for e in task.examples(s)]
    assert {e.input for e in everything} == {f"q{i}" for i in range(7, 67)} and everything[0].target == 4


def test_methods(tmp_path):
    task = load_task(write(tmp_path, GOOD + "[methods.few-shot]\n[methods.rest-em]\nenabled = false\n"))
    assert task.methods == {"few-shot": {}}
    refused(write(tmp_path, GOOD + "[methods.few-shot]\nshotz = 3\n"), "task.toml:9", "shotz")


def test_a_task_may_begin_with_a_solver(tmp_path):
    task = load_task(write(tmp_path, GOOD + '[solver]\nrecipe = "best-of-n"\noptions = {n = 3}\n'))
    assert task.solver == {"recipe": "best-of-n", "options": {"n": 3}}
    assert start(task).parts["solver"] == task.solver and task.spec()["solver"] == task.solver
    refused(write(tmp_path, GOOD + '[solver]\nrecipe = "few-shot"\n'), "task.toml:9", "expected a Solver")
    refused(write(tmp_path, GOOD + '[solver]\nrecipe = "best-of-n"\noptions = {m = 3}\n'), "task.toml:9", "option of best-of-n")
