"""Programs that the tests run."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from loopwright.trainable import Choice, Code, NoAnswer, Number, Text, operation, trainable

COUNTER = itertools.count()


@operation
def tidy(text: str) -> str:
    """Without white space and full stop."""
    return text.strip().rstrip(".")


@operation
async def slowly(text: str) -> str:
    return tidy(text)  # inside an operation others are plain functions


def parse(text: str) -> int:
    """The number in a text."""
    return int(text)


@trainable
async def numbers(
    question: Any,
    tape: Any,
    *,
    instruction: Any = Text("Say a number."),
    times: Any = Number(2, whole=True, low=0, high=9, about="how often"),
    style: Any = Choice("plain", ("plain", "loud")),
    parse: Any = Code(parse),
) -> Any:
    """Asks for a number and multiplies it."""
    said = tidy(await tape.ask(instruction + "\n" + question))
    if style == "loud":
        said = said.upper()
    return (await parse(said)) * times + 1


@trainable(needs=())
def line(question: Any, tape: Any, *, a: Any = Number(1.0), b: Any = Number(0.0), unused: Any = Text("x")) -> Any:
    """A straight line, without a model."""
    return a * question + b


@trainable(needs=())
def wavering(question: Any, tape: Any, *, a: Any = Number(1.0)) -> Any:
    """Differs every time it is run."""
    return a + next(COUNTER)


@trainable(needs=())
async def recorded(question: Any, tape: Any, *, a: Any = Number(1.0)) -> Any:
    """What differs is an effect, so a resumed run is given it again."""
    return a + await tape.effect("count", lambda: next(COUNTER)) + await tape.effect("chance", lambda x: x, x=tape.rng.random())


@trainable
async def wandering(question: Any, tape: Any, *, a: Any = Number(1.0)) -> Any:
    """Asks for something else every time."""
    return await tape.ask(f"question {next(COUNTER)}")


@trainable
async def careful(question: Any, tape: Any, *, instruction: Any = Text("x")) -> Any:
    """Lives with a model that says nothing."""
    try:
        return await tape.ask(instruction)
    except NoAnswer:
        return "nothing"


@trainable(needs=())
def holds_itself(question: Any, tape: Any, *, a: Any = Number(1.0)) -> Any:
    inside: list[Any] = [a]
    inside.append(inside)
    return tidy(inside)


KEPT: list[Any] = []


@trainable(needs=())
def remembers(question: Any, tape: Any, *, a: Any = Number(1.0)) -> Any:
    """Uses a value of the run before it."""
    KEPT.append(a)
    return a + KEPT[0]


@trainable(needs=("model", "tools"))
async def reads(question: Any, tape: Any, *, words: Any = Text("a b c"), cut: Any = Number(2, whole=True)) -> Any:
    """Plain Python between operations."""
    first = [str(word) for word in words.split()][: int(cut)]
    found = await tape.tool("echo", " ".join(first))
    return {"found": found, "own": await tape.answer()}


@trainable(needs=("model",))
async def routed(question: Any, tape: Any, *, a: Any = Text("x"), unused: Any = Text("y")) -> Any:
    """A label looked up in plain containers."""
    label = await tape.ask(a)
    table = {"billing": "B", 3: "three", None: "none"}
    seen = Counter([label, label, "billing"])
    return [table.get(label), label in {"billing", "other"}, {label: 1}.get("billing"), seen["billing"], len({label, "billing"})]


@trainable(needs=())
async def kinds(question: Any, tape: Any, *, a: Any = Text("x")) -> Any:
    """Asks what its question is, in every way that Python has."""
    found = [k.__name__ for k in (str, bool, int, float, list, dict) if isinstance(question, k)]
    match question:
        case {"kind": kind, **rest}:
            return [found, "mapping", kind, rest]
        case {"absent": _}:
            return [found, "absent"]
        case [first, *more]:
            return [found, "sequence", first, more]
        case str():
            return [found, "text"]
        case _:
            return [found, "other"]


@trainable(needs=())
def looped(question: Any, tape: Any, *, a: Any = Text("x")) -> Any:
    """Goes through what has no items by number."""
    pairs = [f"{k}={v}" for k, v in question.items()]
    return [pairs, list(question.values()), {a, "x", "z"}, Pair(a, 1), 7 // question["n"], 7 % question["n"], 2 ** question["n"]]


@trainable(needs=())
def changing(question: Any, tape: Any, *, a: Any = Text("x"), b: Any = Text("y"), c: Any = Text("z"), d: Any = Text("w")) -> Any:
    """Changes values in place."""
    how = question["how"]
    tags, table = question["tags"], question["table"]
    made = None
    if how == "append":
        made = tags.append(a)
    if how == "extend":
        tags.extend([a, "k"])
    if how == "insert":
        tags.insert(0, a)
    if how == "set":
        table["k"] = a
    if how == "number":
        tags[0] = a
    if how == "update":
        table.update({"k": a})
    if how == "setdefault":
        made = table.setdefault("k", a)
    if how == "pop":
        made = tags.pop(a.count("x") - 1)
    if how == "delete":
        del tags[a.count("x") - 1]
    return [made, tags, table]


class Pair(NamedTuple):
    left: Any
    right: Any


@operation
def pair_of(pair: Pair, seen: Counter[str]) -> str:
    return f"{pair.left}{pair.right}{seen.most_common(1)[0][0]}{type(pair.left).__name__}"


@trainable(needs=())
def handed(question: Any, tape: Any, *, a: Any = Text("x")) -> Any:
    """Hands collections of values to an operation."""
    return pair_of(Pair(a, 2), Counter([a, a, "b"]))


@trainable(needs=())
def raw(question: Any, tape: Any, *, a: Any = Text("x")) -> Any:
    """Hands its question to C code."""
    doing: dict[str, Any] = {
        "json.loads": lambda q: json.loads(q), "re.search": lambda q: re.search("a", q), "join": lambda q: ",".join([q]),
        "dumps": lambda q: json.dumps({"a": q}), "in": lambda q: q in "abc", "path": lambda q: Path(q),
        "pydantic": lambda q: TypeAdapter(str).validate_python(q), "starts": lambda q: "abc".startswith(q),
        "replace": lambda q: "abc".replace("a", q), "named": lambda q: getattr("abc", q),
        "plain": lambda q: 1 + "a",  # type: ignore[operator]
    }  # fmt: skip
    return doing[question["do"]](question["q"])
