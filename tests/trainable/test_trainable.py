"""Programs that can be improved: their parameters, traces, failures, and what a resumed run holds them to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.blocks.graph import Graph, graph_of, shown
from loopwright.blocks.parameters import parameters_of, with_values
from loopwright.core.budget import Ledger
from loopwright.core.context import Context, solve
from loopwright.core.engine import Engine
from loopwright.core.errors import BadOutput, Diverged, InputError, LoopwrightError, SandboxMissing, UnknownName
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate, Example, Rollout
from loopwright.models.scripted import ScriptedModel
from loopwright.sandbox import Sandbox
from loopwright.store import MemoryStore
from loopwright.trainable import Choice, Code, Number, Tape, Text, Value, trainable
from loopwright.trainable.values import describe
from loopwright.worlds.single import Single

EXAMPLE = Example(id="1", input="q", target="9")


async def echo(text: str, ctx: Any) -> str:
    return f"<{text}>"


class Runs:
    """A store that runs may be resumed from."""

    def __init__(self, model: Any = " 4. ", sandbox: Any = None) -> None:
        self.store = MemoryStore()
        self.row = self.store.create_run({"x": 1}, seed=0, budget={}, code_version="test")
        self.model = ScriptedModel(model)
        self.sandbox = sandbox

    def __call__(self, program: str, example: Example = EXAMPLE, **values: Any) -> Rollout:
        engine = Engine(
            store=self.store, run=self.row, ledger=Ledger(Budget()), models={"policy": self.model}, sandbox=self.sandbox
        )
        world: Any = Single("one", sampling=Sampling(), tools={"echo": echo})
        candidate = version(program, **values)

        async def go() -> Rollout:
            rollout = await solve(candidate, example, Context(engine, "run", world=world, policy=candidate))
            engine.past.finish()
            return rollout

        return asyncio.run(go())


def version(program: str, **values: Any) -> Candidate:
    parts: dict[str, Any] = {
        "solver": {"recipe": f"programs:{program}", "options": values},
        "prompt": Prompt(instruction="own").model_dump(mode="json", exclude_defaults=True),
    }
    return Candidate(parts=parts)


@pytest.fixture(scope="module")
def sandbox() -> Any:
    made = Sandbox()
    yield made
    made.close()


def test_a_program_is_a_solver_whose_options_are_its_parameters() -> None:
    recipe = get_recipe("programs:numbers")
    assert recipe.card.shape == "solver" and recipe.card.needs == ("model", "sandbox")
    assert recipe.card.summary == "Asks for a number and multiplies it."
    assert recipe.check({"times": "3"}) == {"times": 3}
    with pytest.raises(InputError, match=r"option times of numbers.*at least 0 and at most 9"):
        recipe.check({"times": 10})
    found = parameters_of(version("numbers", times=5))
    assert {n: p.kind for n, p in found.items()} == {
        "instruction": "text", "times": "number", "style": "choice", "parse": "code",
    }  # fmt: skip
    assert found["times"].value == 5 and found["parse"].takes == ("text",) and found["parse"].about == "The number in a text."


def test_a_run_answers_and_traces(sandbox: Any) -> None:
    rollout = Runs(sandbox=sandbox)("numbers")
    assert rollout.output == "9" and rollout.status == "ok"
    graph = graph_of(rollout.trace)
    assert graph.by_name["tidy_1"].inputs == {"text": "ask_1"}
    assert graph.by_name["multiply_1"].inputs.items() >= {"x": "parse_1", "y": "times"}.items()
    assert graph.reached() == ["instruction", "times", "style", "parse"]  # style, since an "if" looked at it
    told = shown(graph)
    assert "ask_1 = ask(prompt=add_2) ->  4." in told and "tidy_1 = tidy(text=ask_1) -> 4  # Without white space" in told


def test_feedback_does_not_reach_what_the_output_does_not_depend_on() -> None:
    rollout = Runs()("line", Example(id="x", input=3))
    graph = graph_of(rollout.trace)
    assert rollout.output == "3.0" and graph.reached() == ["a", "b"]
    part = graph.subgraph(["b"])
    assert {n.name: n.what for n in part.nodes} == {"b": "parameter", "multiply_1": "input", "add_1": "operation"}


def test_plain_python_in_between_counts_as_read() -> None:
    rollout = Runs(model="yes")("reads")
    graph = graph_of(rollout.trace)
    assert rollout.output == '{"found": "<a b>", "own": "yes"}'
    tool = graph.by_name["tool echo_1"]
    assert tool.constants == {"text": "a b"} and {"words", "cut"} <= graph.before(tool.name)
    assert "reads " in shown(graph)


def test_a_value_is_found_where_its_data_is() -> None:
    rollout = Runs(model="billing")("routed")
    assert rollout.output == '["B", true, 1, 3, 1]', rollout.error
    assert graph_of(rollout.trace).reached() == ["a"]  # the lookup was by the label, which came of a


@given(key=st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), st.tuples(st.text())))
def test_a_value_hashes_as_its_data(key: Any) -> None:
    tape = Tape.__new__(Tape)
    tape._read = {}
    assert hash(Value(key, "n", tape)) == hash(key) and "n" in tape._read


def test_what_cannot_be_a_key_says_so() -> None:
    tape = Tape.__new__(Tape)
    tape._read = {}
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        hash(Value([1], "n", tape))


@pytest.mark.parametrize(
    ("question", "output"),
    [
        ("a", '[["str"], "text"]'),
        (3, '[["int"], "other"]'),
        (2.5, '[["float"], "other"]'),
        ({"kind": "k", "b": [1]}, '[["dict"], "mapping", "k", {"b": [1]}]'),
        ({"other": 1}, '[["dict"], "other"]'),
        (["a", "b", "c"], '[["list"], "sequence", "a", ["b", "c"]]'),
        ([], '[["list"], "other"]'),
    ],
)
def test_a_value_is_of_the_kind_of_its_data(question: Any, output: str) -> None:
    rollout = Runs()("kinds", Example(id="x", input=question))
    assert rollout.output == output, rollout.error


def test_views_and_sets_are_gone_through() -> None:
    rollout = Runs()("looped", Example(id="x", input={"n": 3, "m": 4}))
    assert rollout.output == '[["n=3", "m=4"], [3, 4], "{x, z}", ["x", 1], 2, 1, 8]', rollout.error
    assert "a" in graph_of(rollout.trace).reached()


@pytest.mark.parametrize(
    ("how", "output"),
    [
        ("append", [None, ["s", "t", "x"], {"m": 1}]),
        ("extend", [None, ["s", "t", "x", "k"], {"m": 1}]),
        ("insert", [None, ["x", "s", "t"], {"m": 1}]),
        ("number", [None, ["x", "t"], {"m": 1}]),
        ("set", [None, ["s", "t"], {"m": 1, "k": "x"}]),
        ("update", [None, ["s", "t"], {"m": 1, "k": "x"}]),
        ("setdefault", ["x", ["s", "t"], {"m": 1, "k": "x"}]),
        ("pop", ["s", ["t"], {"m": 1}]),
        ("delete", [None, ["t"], {"m": 1}]),
    ],
)
def test_what_is_changed_in_place_came_of_what_changed_it(how: str, output: Any) -> None:
    example = Example(id="x", input={"how": how, "tags": ["s", "t"], "table": {"m": 1}})
    before = example.model_dump()
    rollout = Runs()("changing", example)
    assert json.loads(rollout.output) == output, rollout.error
    assert graph_of(rollout.trace).reached() == ["a"]  # and neither b, c nor d
    assert example.model_dump() == before  # the program has a copy


def test_operations_get_collections_as_they_are() -> None:
    rollout = Runs()("handed")
    assert rollout.output == "x2xstr", rollout.error
    assert graph_of(rollout.trace).reached() == ["a"]


PLAIN = ["json.loads", "re.search", "join", "dumps", "in", "path", "pydantic", "starts", "replace", "named"]


@pytest.mark.parametrize("do", PLAIN)
def test_code_that_takes_plain_data_alone_says_what_to_write(do: str) -> None:
    rollout = Runs()("raw", Example(id="x", input={"do": do, "q": "[1]"}))
    assert rollout.output == "" and ("TypeError: " in rollout.error or do == "pydantic")
    assert "write str(x), int(x), float(x) or x.data" in rollout.error


@pytest.mark.parametrize("says", ["Value must be positive", "expected a Value", "no Value given", "NoneType", ""])
def test_messages_of_ones_own_get_no_hint(says: str) -> None:
    assert describe(TypeError(says)) == f"TypeError: {says}" and describe(ValueError(says)) == f"ValueError: {says}"


def test_other_errors_of_type_are_left_as_they_are() -> None:
    rollout = Runs()("raw", Example(id="x", input={"do": "plain", "q": "a"}))
    assert rollout.error.endswith("TypeError: unsupported operand type(s) for +: 'int' and 'str'")


def test_a_program_that_raises_gives_an_empty_answer_with_its_stack_trace(sandbox: Any) -> None:
    runs = Runs(model="four", sandbox=sandbox)
    rollout = runs("numbers")
    assert rollout.status == "ok" and rollout.output == "" and rollout.turns[-1].role == "assistant"
    assert "programs.py, line" in rollout.error and "ValueError: invalid literal for int() with base 10: 'four'" in rollout.error
    graph = graph_of(rollout.trace)
    assert graph.by_name[graph.output].what == "error" and "parse" in graph.reached() and "instruction" in graph.reached()
    assert "raised CodeFailed" in shown(graph)
    assert Runs()("line", Example(id="x", input="three")).error.endswith("can't multiply sequence by non-int of type 'float'")


def test_code_runs_in_the_sandbox_or_not_at_all(sandbox: Any) -> None:
    with pytest.raises(SandboxMissing, match="no code is run"):
        Runs()("numbers")
    spy = "def parse(text):\n    import os\n    return os.path.exists('/etc/passwd') or len(os.environ)\n"
    assert int(Runs(sandbox=sandbox)("numbers", parse=spy, times=1).output) < 9
    rollout = Runs(sandbox=sandbox)("numbers", parse="def parse(text):\n    return {1, 2}\n")
    assert "not JSON serializable" in rollout.error
    rollout = Runs(sandbox=sandbox)("numbers", parse="def parse(text):\n    raise SystemExit(0)\n")
    assert "CodeFailed" in rollout.error


def test_a_silent_model_is_the_programs_to_deal_with() -> None:
    def nothing(request: Any, index: int) -> str:
        raise BadOutput("empty", kind="empty")

    assert Runs(model=nothing)("careful").output == "nothing"
    silent = Runs(model=nothing)("wandering")
    assert silent.status == "failed" and "NoAnswer" in silent.error


def test_a_resumed_run_gives_the_same(sandbox: Any) -> None:
    runs = Runs(sandbox=sandbox)
    first = runs("numbers")
    assert runs("numbers") == first and runs.model.calls == 1
    kept = Runs()
    assert kept("recorded") == kept("recorded")


@pytest.mark.parametrize("program", ["wavering", "wandering"])
def test_a_program_that_differs_when_resumed_is_told_so(program: str) -> None:
    runs = Runs()
    runs(program)
    with pytest.raises(Diverged, match=f"program programs:{program}.*not deterministic.*tape.effect"):
        runs(program)


def test_cyclic_traces_are_refused() -> None:
    with pytest.raises(InputError, match="cyclic trace: a list or dict that holds itself"):
        Runs()("holds_itself")
    nodes = [
        {"name": "a", "what": "operation", "inputs": {"x": "b"}},
        {"name": "b", "what": "operation", "inputs": {"x": "c"}},
        {"name": "c", "what": "operation", "inputs": {"x": "a"}},
    ]
    with pytest.raises(InputError, match="cyclic trace: a <- b <- c <- a; a value cannot be made of itself"):
        graph_of({"nodes": nodes, "output": "a"})
    with pytest.raises(InputError, match="made of 'c', which is none of its values"):
        graph_of({"nodes": nodes[:2], "output": "a"})
    with pytest.raises(InputError, match="two values are called 'a'"):
        graph_of({"nodes": [nodes[0], nodes[0]], "output": "a"})


def test_values_of_another_run_are_refused() -> None:
    runs = Runs()
    runs("remembers")
    with pytest.raises(InputError, match="a value of another run"):
        runs("remembers")


def test_long_traces_have_no_depth_limit() -> None:
    nodes = [{"name": "n0", "what": "parameter"}]
    nodes += [{"name": f"n{i}", "what": "operation", "inputs": {"x": f"n{i - 1}"}} for i in range(1, 5000)]  # type: ignore[dict-item]
    graph = Graph.model_validate({"nodes": nodes[::-1], "output": "n4999"})
    assert [n.name for n in graph.ordered()][:2] == ["n0", "n1"] and graph.reached() == ["n0"]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"times": "2.5"}, "expected a whole number and at least 0"),
        ({"times": True}, "a whole number"),
        ({"style": "quiet"}, "expected one of 'plain', 'loud'"),
        ({"instruction": " "}, "expected a text"),
        ({"parse": "def parse(x): return 1"}, r"Python that defines parse\(text\) with these very parameters, got \(x\)"),
        ({"parse": "def other(text): return 1"}, "defines no such function"),
        ({"parse": "def parse(text) return"}, "expected Python, got text that is none"),
    ],
)
def test_values_are_checked(values: dict[str, Any], error: str) -> None:
    with pytest.raises(InputError, match=error):
        with_values(version("numbers"), values)


def test_versions_are_candidates() -> None:
    base = version("numbers")
    made = with_values(base, {"times": "3", "style": "loud"}, by="me")
    assert made.parts["solver"] == {"recipe": "programs:numbers", "options": {"times": 3, "style": "loud"}}
    assert made.parents == (base.hash,) and made.parts["prompt"] == base.parts["prompt"]
    with pytest.raises(UnknownName, match="times"):
        with_values(base, {"timess": 1})
    plain = Candidate(parts={"prompt": {"instruction": "a", "system": "b", "tools": {"t": "c"}}})
    assert list(parameters_of(plain)) == ["instruction", "system", "tools.t"]
    new = with_values(plain, {"tools.t": "d", "instruction": "e"})
    assert new.parts["prompt"] == {"instruction": "e", "system": "b", "tools": {"t": "d"}}
    assert Prompt.model_validate(new.parts["prompt"]).told() == "b\n\nt: d"
    with pytest.raises(InputError, match="best-of-n has no parameters to improve"):
        parameters_of(Candidate(parts={"solver": {"recipe": "best-of-n", "options": {}}}))


@pytest.mark.parametrize(
    "make",
    [
        lambda: trainable(lambda question: question),
        lambda: trainable(lambda question, tape, *, a=1: question),
        lambda: trainable(lambda question, tape, a=Number(1): question),
        lambda: Number(5, high=4),
        lambda: Choice("c", ("a", "b")),
        lambda: Code("x = 1"),
        lambda: Code("def f(:"),
        lambda: Code(len),
    ],
)
def test_what_is_no_program_or_parameter_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(LoopwrightError):
        make()


def test_fixed_parameters_stay() -> None:
    assert Text("a", fixed=True).fixed
    base = version("line")
    assert with_values(base, {"a": 1.0}).parts["solver"]["options"] == {"a": 1.0}  # type: ignore[index,call-overload]


def test_importing_loopwright_loads_none_of_it() -> None:
    code = "import sys, loopwright; assert not any(m.startswith('loopwright.trainable') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
