"""Each critic on good, bad and odd answers; a judgement that failed is Missing, never a zero."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from loopwright.blocks.programs import program_of
from loopwright.core.errors import BadOutput, CheckerError, SandboxMissing, TaskError, UnknownName
from loopwright.core.feedback import Missing, Rater, Score, Verdict
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics import build_critic, match
from loopwright.critics.python import PATIENCE, read_value


class Ctx:
    """The part of a context that critics use; ``external`` remembers, as the engine's record does."""

    def __init__(self, reply="", sandbox=None):
        self.engine = SimpleNamespace(sandbox=sandbox)
        self.record = {}
        self.reply = reply
        self.asked = ""

    async def external(self, kind, content, call, *, summary=""):
        key = json.dumps([kind, content])
        if key not in self.record:
            self.record[key] = await call()
        return self.record[key]

    async def generate(self, prompt, **options):
        self.asked, self.options = prompt, options
        if isinstance(self.reply, Exception):
            raise self.reply
        said = self.reply(prompt) if callable(self.reply) else self.reply
        return [Turn(role="assistant", text=text) for text in (said if isinstance(said, list) else [said])]

    def at(self, name):
        return self

    async def map(self, function, items):
        return [await function(item, self) for item in items]


def say(critic, output, target=None, ctx=None, **meta):
    example = Example(id="e1", input="q", target=target, meta=meta)
    rollout = Rollout(id="r", example=example, turns=(Turn(role="assistant", text=output),))
    return asyncio.run(critic(rollout, ctx or Ctx()))


def build(kind, folder=".", role="checker", **options):
    return build_critic(kind, options, folder, "task.toml", role=role)


@pytest.mark.parametrize(
    ("kind", "options", "output", "target", "passed"),
    [
        ("exact", {}, " 7\n", "7", True),
        ("exact", {}, "7", 7, True),
        ("exact", {}, "yes", ["yes", "y"], True),
        ("exact", {}, "Yes", "yes", False),
        ("exact", {"casefold": True}, "Yes", "yes", True),
        ("exact", {"strip": False}, " 7", "7", False),
        ("number", {}, "5 - 9 = -4.", "-4", True),
        ("number", {}, "1,234 in all", 1234, True),
        ("number", {}, "5-9", 9, True),
        ("number", {}, "\u22124", -4, True),
        ("number", {}, "none", 3, False),
        ("number", {}, "1e999999999999999999999", 3, False),
        ("number", {"tolerance": 0.1}, "3.05", 3, True),
        ("number", {"strict": True}, "3", 3, True),
        ("number", {"strict": True}, "It is 3", 3, False),
        ("number", {"which": "only"}, "2 or 3", 3, False),
        ("regex", {"pattern": "[a-z]+"}, "abc", None, True),
        ("regex", {"pattern": "[a-z]+"}, "abc!", None, False),
        ("regex", {"pattern": "ab", "flags": ["ignorecase"]}, "AB", None, True),
        ("regex", {}, "abc", "a.c", True),
    ],
)
def test_matching(kind, options, output, target, passed):
    said = say(build(kind, **options), output, target)
    assert isinstance(said, Verdict) and said.passed is passed and bool(said.message) is not passed


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ('{"a": [1, 2]}', ""),
        ('{"a": [1, "x"]}', "$.a[1]: 'x' is not of type 'integer'"),
        ("{}", "$: 'a' is a required property"),
        ('Sure: {"a": []}', "not JSON"),
        ('{"a": [NaN]}', "NaN is not JSON"),
        ('{"a": [], "a": []}', "the key 'a' stands twice"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_schema(output, message):
    wanted = {"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "items": {"type": "integer"}}}}
    said = say(build("schema", schema=wanted), output)
    assert said.passed is (not message) and message in said.message


def test_schema_fetches_nothing():
    assert isinstance(say(build("schema", schema={"$ref": "http://127.0.0.1:9/x.json"}), "1"), Missing)


CHECKS = """
import os, time
def good(output, example): return {"passed": output == "ok", "message": f"wanted ok for {example['input']}"}
def grade(output, example):
    print("noise on the way")
    return {"half": 0.5, "nan": float("nan"), "high": 2, "none": None, "key": {"pased": True}, "set": {1},
            "two": {"passed": True, "score": 1}, "text": "1"}[output]
def sleepy(output, example):
    if output == "hang": time.sleep(60)
    if output == "die": os._exit(3)
    return True
def broken(output, example): return 1 / 0
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "check.py").write_text(CHECKS)
    return tmp_path


def test_python(folder):
    critic = build("python", folder, function="check.py:good")
    assert say(critic, "ok").passed is True
    assert say(critic, "no").message == "wanted ok for q"


@pytest.mark.parametrize(
    ("output", "reason"),
    [("nan", "returned nan"), ("high", "out of range"), ("none", "NoneType"), ("key", "did you mean passed?"),
     ("set", "not plain data"), ("two", "both passed and score"), ("text", "str '1'"),
     ("gone", "KeyError: 'gone' (check.py line")],
)  # fmt: skip
def test_python_returns_nonsense(folder, output, reason):
    critic = build("python", folder, function="check.py:grade")
    said = say(critic, output)
    assert isinstance(said, Missing) and reason in said.message
    half = say(critic, "half")
    assert isinstance(half, Score) and half.value == 0.5


def test_python_hangs_and_dies_and_goes_on(folder):
    critic = build("python", folder, function="check.py:sleepy", seconds=0.5)
    assert "longer than 0.5 seconds" in say(critic, "hang").message
    assert say(critic, "fine").passed
    assert "exit code 3" in say(critic, "die").message
    assert say(critic, "fine").passed
    assert critic.judge.failures == 2 and critic.judge.successes == 2 and critic.judge._worker.starts == 3


def test_a_check_that_always_fails_stops_the_run(folder):
    critic = build("python", folder, function="check.py:broken")
    for i in range(PATIENCE - 1):
        assert isinstance(say(critic, f"{i}"), Missing)
    with pytest.raises(CheckerError) as caught:
        say(critic, "last")
    for part in ("check.py", "broken", "'e1'", "ZeroDivisionError", f"first {PATIENCE} calls"):
        assert part in str(caught.value)


def test_a_replay_does_not_call_the_check_again(folder):
    ctx = Ctx()
    first = say(build("python", folder, function="check.py:good"), "no", ctx=ctx)
    again = build("python", folder, function="check.py:good")
    assert say(again, "no", ctx=ctx) == first and again.judge._worker.starts == 0


def test_a_critic_never_sees_the_target(tmp_path):
    (tmp_path / "check.py").write_text("def see(output, example): return example['target'] is None\n")
    assert say(build("python", tmp_path, role="critic", function="check.py:see"), "x", target="secret").passed
    for kind in ("exact", "number", "regex"):
        with pytest.raises(TaskError, match="compares with the target"):
            build(kind, role="critic")
    with pytest.raises(TaskError, match=r"remove \{target\}"):
        build("judge", role="critic", rubric="r", prompt="{question} {answer} {target}")


def test_judge():
    critic = build("judge", rubric="Is it kind?")
    ctx = Ctx("It is kind. Score: 7")
    said = say(critic, "Hello {target}", "secret", ctx)
    assert isinstance(said, Score) and said.unit == 0.7 and said.by.kind == "model"
    assert "Is it kind?" in ctx.asked and "Hello {target}" in ctx.asked and "secret" not in ctx.asked
    assert say(critic, "x", ctx=Ctx("8")).value == 8
    for reply in ("fine", "Score: 70", "", BadOutput("empty", kind="empty")):
        assert isinstance(say(critic, "x", ctx=Ctx(reply)), Missing)


def test_programs_in_answers():
    assert program_of("def f(): pass") == "def f(): pass"
    assert program_of("Run:\n```\nf()\n```\nCode:\n```python\ndef f():\n    pass\n```\n") == "def f():\n    pass"
    assert program_of("```python\ndef f():\n    ret") == "def f():\n    ret"


def test_tests_in_the_sandbox():
    from loopwright.sandbox import Sandbox, probe

    if not probe().isolated:
        pytest.skip(probe().problem)
    sandbox = Sandbox(pool=0)
    try:
        wanted = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]
        wrong = "def add(a, b): return 3"
        said = say(build("tests"), wrong, wanted, Ctx(sandbox=sandbox))
        assert said.passed is False and "1 of 2 tests passed" in said.message and "add(2, 2)" in said.message
        assert say(build("tests", score="share"), wrong, wanted, Ctx(sandbox=sandbox)).value == 0.5
        assert say(build("tests", role="critic"), wrong, wanted, Ctx(sandbox=sandbox), visible=wanted[:1]).passed
    finally:
        sandbox.close()
    with pytest.raises(SandboxMissing):
        say(build("tests"), "x", wanted)


def test_tests_are_checked_before_anything_runs():
    critic = build("tests")
    wrong = [(None, "missing"), ([], "expects a list"), (["assert ("], "not Python"), (["f()"], "asserts nothing")]
    for target, problem in wrong:
        assert problem in critic.problem(Example(id="e", input="q", target=target))
    assert critic.problem(Example(id="e", input="q", target="assert f() == 1")) == ""


def test_unknown_kinds():
    with pytest.raises(UnknownName, match="Did you mean number"):
        build("numbr")


def test_a_pattern_that_takes_for_ever_is_a_missing_judgement(monkeypatch):
    monkeypatch.setattr("loopwright.critics.match.SECONDS", 0.05)
    critic = match.regex(r"(a|aa)+(b|c)(\1x)?d")
    turns = (Turn(role="assistant", text="a" * 5000 + "e"),)
    said = asyncio.run(critic(Rollout(id="r", example=Example(id="e", input="q"), turns=turns), SimpleNamespace()))
    assert isinstance(said, Missing) and "took longer than 0.05 s" in said.message


def test_judge_reads_json_and_several_replies():
    assert say(build("judge", rubric="r"), "x", ctx=Ctx("```json\n{'score': 6,}\n```")).value == 6
    three = Ctx(["Score: 4", "no idea", "{score: 8}"])
    said = say(build("judge", rubric="r", repeats=3), "x", ctx=three)
    assert said.value == 6 and said.readings == (0.4, 0.8) and not said.contradicts
    assert three.options["n"] == 3 and three.options["temperature"] > 0
    with pytest.raises(TaskError, match="says the same"):
        build("judge", rubric="r", repeats=3, temperature=0)


def test_aspects_are_scored_one_by_one():
    critic = build("judge", aspects={"tone": "Is it kind?", "length": "Is it short?"})
    mean, tone, length = say(critic, "x", ctx=Ctx("Score: 4"))
    assert (mean.unit, tone.aspect, length.aspect) == (0.4, "tone", "length")
    assert isinstance(say(critic, "x", ctx=Ctx("fine"))[0], Missing)
    with pytest.raises(TaskError, match="one of them"):
        build("judge", aspects={"tone": "r"}, rubric="r")


def test_calibration(tmp_path):
    from loopwright.critics.judges import judge_name

    plain = build("judge", rubric="r")
    (tmp_path / "judge.json").write_text(json.dumps({judge_name(plain.options): [[0.5, 0.1], [0.9, 0.7]]}))
    said = say(build("judge", tmp_path, rubric="r", calibration="judge.json"), "x", ctx=Ctx("Score: 7"))
    assert said.value == pytest.approx(0.4) and (said.low, said.high) == (0, 1)
    for wrong in ({"rubric": "another", "calibration": "judge.json"}, {"rubric": "r", "calibration": "gone.json"}):
        with pytest.raises(TaskError, match="judge-report"):
            build("judge", tmp_path, **wrong)


def test_checklist_of_ones_own():
    critic = build("checklist", questions=["Is it kind?", "Is it short?"], weights=[3, 1])
    said = say(critic, "x", ctx=Ctx("1. yes\n2. no"))
    assert [(i.answer, i.weight) for i in said.items] == [(True, 3), (False, 1)]
    assert isinstance(say(critic, "x", ctx=Ctx("fine")), Missing)
    with pytest.raises(TaskError, match="2 numbers"):
        build("checklist", questions=["a?", "b?"], weights=[1])


def compare(reply, **options):
    def at(id, text):
        return Rollout(id=id, example=Example(id="e", input="q"), turns=(Turn(role="assistant", text=text),))

    from loopwright.critics import pairwise

    return asyncio.run(pairwise("r", **options)(at("r1", "good"), at("r2", "bad"), Ctx(reply)))


def test_two_orders_cancel_a_judge_that_prefers_the_first():
    said = compare("A")
    assert said.tie and said.readings == (1.0, 0.0) and said.contradicts
    once = compare("A", swap=False)
    assert once.chosen == "r1" and once.shown == ("r1", "r2") and not once.contradicts
    right = compare(lambda text: "A" if text.index("good") < text.index("bad") else "Better: B")
    assert right.chosen == "r1" and right.strength == 1.0 and not right.contradicts
    assert isinstance(compare("neither"), Missing)


def test_failing_on_answers_that_were_not_given_says_nothing_of_a_check(folder):
    critic = build("python", folder, function="check.py:broken")
    for i in range(2 * PATIENCE):
        assert isinstance(say(critic, " " * (i % 3)), Missing)


@pytest.mark.parametrize("value", [10**400, -(10**400), 2, -1, 1.5, float("nan"), float("inf"), {"score": 10**400}])
def test_a_number_that_is_no_share_is_refused_in_words(value: object) -> None:
    with pytest.raises(ValueError, match=r"returned .*expected True, False, a number from 0 to 1"):
        read_value(value, Rater(kind="code", name="check"))
