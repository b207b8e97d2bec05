"""Fenced blocks, thinking, programs and rewritten texts in what a model wrote."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loopwright.blocks.json_text import read_json
from loopwright.blocks.programs import asserts_in, program_of
from loopwright.blocks.replies import read_text
from loopwright.blocks.text.rewrites import text_in
from loopwright.core.fences import code_in, fences, split_thinking, without_thinking
from loopwright.critics.sql import query_of

CODE = "def add(a, b):\n    return a + b"
DOCUMENTED = 'def add(a, b):\n    """Sum:\n\n    ```python\n    add(1, 2)\n    ```\n    """\n    return a + b'
MODULE = '"""\nSums.\n\n```\nadd(1, 2)\n```\n"""\ndef add(a, b):\n    return a + b'


# ---- pairing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("```\na\n```", ["a"]), ("```\n```", [""]), ("```\n\n```", [""]), ("```\na\nb\n```\nc", ["a\nb"]),
        ("~~~\na\n~~~", ["a"]),
        ("````\n```\na\n```\n````", ["```\na\n```"]), ("~~~\n```\na\n```\n~~~", ["```\na\n```"]), ("```\n~~~\n```", ["~~~"]),
        ("```python title=\"x.py\" {1,3}\na\n```", ["a"]), ("``` python\na\n```  ", ["a"]),
        ("```\r\na\r\nb\r\n```\r\n", ["a\nb"]),
        ("   ```\n   a\n     b\n   ```", ["a\n  b"]), ("1. Do:\n\n    ```\n    a\n    ```\n2. End", ["a"]),
        ("- ```\n  a\n  ```", ["a"]),
        ("\t```\n\ta\n\t```", ["a"]), ("> ```\n> a\n>\n> b\n> ```", ["a\n\nb"]), ("```\na\n> ```\n```", ["a\n> ```"]),
        ("```\na", ["a"]), ("```\na\n", ["a"]), ("```\na\n    ```\nb\n```", ["a\n    ```\nb"]),
        ("```\na\n- ```\n```", ["a\n- ```"]),
        ("```\na\n```\nb\n```\nc\n```", ["a", "c"]), ("`a` ``b`` ```c```", []), ("```c``` is inline", []), ("``\na\n``", []),
        ("```\na\n``\n```", ["a\n``"]), ("````\na\n```\n````", ["a\n```"]), ("```\nBe brief.```\nGood luck!", ["Be brief."]),
        ("```\na```", ["a"]), ("```\nUse `x` and ```y```.\n```", ["Use `x` and ```y```."]),
        ("```markdown\na\n```python\nb\n```\nc\n```", ["a\n```python\nb\n```\nc"]),  # nested with the same fence
        ("", []), ("no fence", []),
    ],
)  # fmt: skip
def test_blocks(text: str, blocks: list[str]) -> None:
    assert [b.text for b in fences(text)] == blocks


def test_languages() -> None:
    infos = ("python", "Python", ' python title="a b"', "{.python .numberLines}", "python{1,3}", "python:app.py", "{python}")
    assert [fences(f"```{info}\na\n```")[0].language for info in infos] == ["python"] * 7
    assert fences("```\na\n```")[0].language == "" and fences("~~~c++\na\n~~~")[0].language == "c++"


ANY = st.characters(exclude_characters="\r", exclude_categories=("Cs",)) | st.sampled_from("`~ \t>-`~")
LINES = st.text(alphabet=ANY, max_size=40)
INFOS = st.sampled_from(("", "python", "text", "markdown"))


@given(LINES, st.sampled_from("`~"), st.integers(0, 3), INFOS, st.sampled_from(("", "Here:\n")), st.booleans())
def test_any_text_between_fences_comes_back(text: str, mark: str, indent: int, info: str, before: str, crlf: bool) -> None:
    fence = _fence(text, mark)
    inside = "\n".join(" " * indent + line for line in text.split("\n"))
    reply = f"{before}{' ' * indent}{fence}{info}\n{inside}\n{' ' * indent}{fence}\nThat is all."
    (block,) = fences(reply.replace("\n", "\r\n") if crlf else reply)
    assert (block.text, block.closed, block.language) == (text, True, info)


def _fence(text: str, mark: str) -> str:
    """A fence longer than any in the text."""
    return mark * max(3, *(len(run) + 1 for run in re.findall(f"{mark}+", text)), 3)


@given(st.text(max_size=60), st.sampled_from(("\n", "\n\n", " ")))
def test_thinking_is_taken_off_and_the_answer_stays(answer: str, between: str) -> None:
    assume("<" not in answer and "[" not in answer and "\u25c1" not in answer)
    for thinking in ("x", "a\n```\nb\n```", "I write <think> and </think>.", "Score: 1\n", "```\nnot closed"):
        said = split_thinking(f"<think>{thinking}</think>{between}{answer}")
        assert said.answer == (between + answer).strip("\r\n") and said.thinking == thinking and not said.unended
    assert split_thinking(answer) == (answer, "", False)
    assert split_thinking(f"<think>{answer}") == ("", answer, True)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think>b", "b"), ("\n<think>\na\n</think>\n\nb", "b"), ("<THINK>a</THINK>b", "b"),
        ("<thinking>a</thinking>b", "b"),
        ("[THINK]a[/THINK]b", "b"), ("\u25c1think\u25b7a\u25c1/think\u25b7b", "b"), ("a, so\n</think>\n\nb", "b"),
        ("a.</think>b", "b"),
        ("<think>a</think><think>c</think>b", "b"), ("<think>a", ""), ("<think>a <think> b</think>c", "c"),
        ("<think></think>b", "b"),
        ("Sure.\n<think>a</think>\nb", "Sure.\n\nb"), ("b", "b"),
        # written about, not thought
        ("Put it in <think> tags.", "Put it in <think> tags."),
        ("Reason in <think></think>, then answer.", "Reason in <think></think>, then answer."),
        ("```\nSo:\n<think>\nwhy\n</think>\nthen the answer\n```", "```\nSo:\n<think>\nwhy\n</think>\nthen the answer\n```"),
        ("<thinker>a</thinker>", "<thinker>a</thinker>"), ("a [1] < b", "a [1] < b"),
    ],
)  # fmt: skip
def test_thinking(text: str, answer: str) -> None:
    assert without_thinking(text) == answer


# ---- programs ---------------------------------------------------------------------------------------------------------

DRAFT = "<think>\nPerhaps\n```python\ndef add(a, b):\n    return a - b\n```\nNo.\n</think>\n"
STYLES = {
    "plain": CODE,
    "python": f"```python\n{CODE}\n```",
    "bare": f"Here:\n```\n{CODE}\n```\nIt adds.",
    "tilde": f"~~~python\n{CODE}\n~~~",
    "longer": f"````python\n{CODE}\n````",
    "crlf": f"```python\n{CODE}\n```\nIt adds.".replace("\n", "\r\n"),
    "attributes": f'```python title="add.py" linenums="1"\n{CODE}\n```',
    "braces": f"```{{.python}}\n{CODE}\n```",
    "indented": "1. The program:\n\n    ```python\n" + "".join(f"    {line}\n" for line in CODE.split("\n")) + "    ```\n",
    "explained": f"```python\n{CODE}\n```\nUse it so:\n```python\nprint(add(1, 2))\n```\nwhich prints\n```\n3\n```",
    "shell first": f"```bash\npip install x\n```\n```python\n{CODE}\n```",
    "cut": f"```python\n{CODE}",
    "thought": f"{DRAFT}```python\n{CODE}\n```",
    "thought, no opening": f"{DRAFT.removeprefix('<think>')}```python\n{CODE}\n```",
    "thought, not ended": f"<think>\nI add them.\n```python\ndef add(a, b):\n    return a - b\n```\nNo:\n```python\n{CODE}\n```",
    "draft and final": f"```python\ndef add(a, b):\n    return a - b\n```\nWait, that subtracts.\n```python\n{CODE}\n```",
    "ended in a line": f"```python\n{CODE}```\nIt adds.",
}


@pytest.mark.parametrize("style", STYLES)
def test_one_program_in_every_style(style: str) -> None:
    assert program_of(STYLES[style]).rstrip() == CODE


@pytest.mark.parametrize("program", [DOCUMENTED, MODULE])
@pytest.mark.parametrize(
    "reply",
    ["```python\n{}\n```", "```\n{}\n```\nUse it so:\n```python\nadd(1, 2)\n```", "````python\n{}\n````", "~~~\n{}\n~~~"],
)
def test_fences_in_a_docstring_belong_to_the_program(program: str, reply: str) -> None:
    assert program_of(reply.format(program)) == program


def test_other_code() -> None:
    assert code_in("```asp\na.\n```\nIt shows\n```text\nb\n```", ("asp",)) == "a."
    assert code_in("`a`") == "a" and code_in("a") == "a" and code_in("") == ""
    assert query_of("```sql\nSELECT 1;\n```\nThis gives\n```\n| 1 |\n```") == "SELECT 1"
    assert query_of("<think>```sql\nSELECT 2\n```</think>SELECT 1") == "SELECT 1"
    assert query_of("~~~sql\nSELECT 1\n~~~") == "SELECT 1"
    assert asserts_in("<think>```\nassert f(1) == 0\n```</think>~~~\nassert f(1) == 2\n~~~") == ["assert f(1) == 2"]
    assert read_json('<think>{"a": 1}</think>\n~~~json title="x"\r\n{"a": 2}\r\n~~~') == {"a": 2}
    assert read_json('{"text": "see\\n```\\n{\\"a\\": 1}\\n```"}') == {"text": 'see\n```\n{"a": 1}\n```'}


# ---- rewritten texts --------------------------------------------------------------------------------------------------

PROMPT = "Answer in one word.\n\nExample:\n```\nQ: 1 + 1?\nA: two\n```\nAlways end with a stop."
REWRITES = {
    "```\nBe brief.\n```": "Be brief.",
    "Be brief.": "Be brief.",
    "```Be brief.```": "Be brief.",
    '"Be brief."': "Be brief.",
    "\u201cBe brief.\u201d": "Be brief.",
    "'''\nBe brief.\n'''": "Be brief.",
    "Here is the new prompt:\n\"Be brief.\"": "Be brief.",
    "```Be brief.\nBe kind.\n```": "Be brief.\nBe kind.",
    "~~~markdown\nBe brief.\n~~~": "Be brief.",
    "Say 'yes' or 'no'": "Say 'yes' or 'no'",
    f"````\n{PROMPT}\n````": PROMPT,
    f"~~~\n{PROMPT}\n~~~": PROMPT,
    f"```\n{PROMPT}\n```": PROMPT,
    f"```markdown\n{PROMPT}\n```": PROMPT,
    "```\nReply in this form:\n```json\n{}\n```\nNothing else.\n```": "Reply in this form:\n```json\n{}\n```\nNothing else.",
    "<think>```\nBe long.\n```</think>\n```\nBe brief.\n```": "Be brief.",
    "```\nBe brief.\n```\nFor example, the input\n```\n1 + 1\n```\nis then answered so.": "Be brief.",
    "The old prompt was\n```\nBe long.\n```\nThe new one:\n```\nBe brief.\n```": "Be brief.",
    "First try:\n```\na\n```\nFinal version:\n```\nb\n```": "b",
    "```\nReason in <think> tags, then answer.\n```": "Reason in <think> tags, then answer.",
    "```\r\nBe brief.\r\nBe kind.\r\n```": "Be brief.\nBe kind.",
    "Here is an example of a better instruction:\n```\nBe brief.\n```": "Be brief.",
    "```\na\n```\nAgain:\n```\na\n```": "a",
    "": "",
    "```\nYou are X.\n\n## Format\n```\n42\n```\n```": "You are X.\n\n## Format\n```\n42\n```",
    "```\nYou are X.\n```\n42\n```\n```": "You are X.\n```\n42\n```",
    "Here's the improved version:\n\nBe brief.": "Be brief.",
    "Rules:\nBe brief.": "Rules:\nBe brief.",
}  # fmt: skip


@pytest.mark.parametrize(("reply", "text"), REWRITES.items())
def test_the_rewritten_text(reply: str, text: str) -> None:
    assert text_in(reply) == (text, "") and read_text(reply) == text


@pytest.mark.parametrize(
    ("reply", "cut", "why"),
    [
        ("```\nReply so:\n```\n42\n```", False, "a longer fence"),
        ("```\nBe brief. Al", True, "cut off"), ("```\nBe brief.\n```\nThis is sh", True, "cut off"), ("Be br", True, "cut off"),
        ("<think>```\nBe brief.\n```", False, "thinking was never ended"),
        ("```\na\n```\n\n```\nb\n```", False, "2 fenced texts"),
        ("Be brief and kind to all.\nReply like this:\n```\n42\n```\nEnd with a stop.", False, "introduced as an example"),
    ],
)  # fmt: skip
def test_what_is_no_rewritten_text_is_refused_by_name(reply: str, cut: bool, why: str) -> None:
    value, problem = text_in(reply, cut=cut)
    assert value is None and why in problem


@given(LINES, st.sampled_from("`~"))
def test_any_rewritten_text_comes_back(text: str, mark: str) -> None:
    fence = _fence(text, mark)
    assume(not text.rstrip().endswith(":"))
    assert text_in(f"Here is the new version:\n{fence}\n{text}\n{fence}\nIt is shorter.").value == text.strip()
