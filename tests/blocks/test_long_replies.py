"""Replies that a broken or hostile model could write: read in bounded time, and never an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from loopwright.blocks.json_text import read_json
from loopwright.blocks.parameters import Parameter
from loopwright.blocks.programs import program_of
from loopwright.blocks.replies import read_answers, read_letter, read_list, read_number, read_text, read_yes
from loopwright.blocks.text.choices import choice_in
from loopwright.core.errors import InputError
from loopwright.core.source import parse_python
from loopwright.trainable.agent import defines

NINES = "9" * 5000
ODD = [
    NINES, f"{NINES}. yes", f"1. {NINES}", f"Score: {NINES}", f"Score: 1/{NINES}", f"Score: 1e{NINES}", f'{{"score": {NINES}}}',
    f'{{"{NINES}": true}}', '{"score": 1e999}', f"[{NINES}]", f"Better: {NINES}", f"<score>{NINES}</score>", "\u00b2. yes",
    "Score: \u0663/\u0665",
]  # fmt: skip
READERS: dict[str, Callable[[str], object]] = {
    "choice": choice_in, "letter": read_letter, "list": read_list, "number": read_number, "yes": read_yes, "text": read_text,
    "json": read_json, "answers": lambda text: read_answers(text, 2),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_numbers_without_end_are_no_error(reader: str) -> None:
    for text in ODD:
        READERS[reader](text)


def test_a_number_of_a_program_may_be_too_large() -> None:
    for value in (10**400, "1e400", NINES):
        with pytest.raises(InputError, match="number"):
            Parameter(kind="number", value=1.0).accept(value)


# Each took between 4 and 60 s before, at a length that grows with the square: the limit below is far from what it takes.
_READ = """
import sys
from loopwright.blocks.replies import read_list
from loopwright.blocks.text.choices import choice_in
from loopwright.store.redaction import redact
for part in ("`'", '* "', '" ', "[", " ", "sk-", "\\t", "(", "*", "{<", "- "):
    text = part * (60_000 // len(part))
    for read in (choice_in, read_list, redact):
        read(text + "!x")
        read(text)
print("read")
"""


@pytest.mark.fault(91)
def test_runs_of_marks_block_nothing(seen: Callable[[str], None]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _READ], capture_output=True, text=True, timeout=200,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "read\n", done.stderr
    seen("66 replies of 60,000 marks: read")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        (f"{'*' * 90} Better: A {'*' * 90}", "A"), (f"Verdict:{' ' * 90}[[B]]", "B"), (f"{'-' * 90}\nBetter: B\n{'=' * 90}", "B"),
        (f"Better: {'`' * 99}A", "A"), (f"{'(' * 99}", None),
    ],
)  # fmt: skip
def test_a_long_run_changes_no_choice(text: str, choice: str | None) -> None:
    assert choice_in(text).value == choice


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. one  \n 2)\ttwo\nq 3: three\nStep 4. four\n-   five\n* six", ["one", "two", "three", "four", "five", "six"]),
        (f"- a{' ' * 500}b{' ' * 500}\n-{' ' * 500}c", [f"a{' ' * 500}b", "c"]), ("-  \n1.\t\n", []),
    ],
)  # fmt: skip
def test_lists_are_read_as_before(text: str, items: list[str]) -> None:
    assert read_list(text) == items


DEEP = [
    "-" * 50_000 + "1", "not " * 50_000 + "x", "(" * 50_000, "x" + "[0]" * 50_000, "1 + " * 50_000 + "1", "\0",
    "lambda: " * 9000 + "1",
]  # fmt: skip


@pytest.mark.fault(91)
@pytest.mark.parametrize("text", DEEP, ids=range(len(DEEP)))
def test_programs_nested_without_end_are_none(text: str) -> None:
    with pytest.raises(SyntaxError):
        parse_python(text)
    assert isinstance(program_of(f"```python\n{text}\n```"), str)
    assert not defines(text, "f")
    with pytest.raises(InputError, match="none"):
        Parameter(kind="code", value="def f(): pass", function="f").accept(text)
