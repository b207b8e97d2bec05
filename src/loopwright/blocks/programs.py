"""Python in a model's reply: the program, and the tests."""

from __future__ import annotations

import ast
import builtins
import re
import textwrap

from loopwright.core.fences import Fence, code_in, fences, split_thinking, without_thinking

_DEFINES = re.compile(r"^\s*(?:async\s+def|def|class)\s", re.MULTILINE)
_PYTHON = frozenset({"", "python", "py", "python3", "py3", "ipython", "ipython3"})


def program_of(output: str) -> str:
    """The program in an answer: its fenced block that defines something; a later block that defines the same anew counts instead.

    Args:
        output: A whole reply; thinking before it is left out. Of thinking that never ended the last block counts.

    Returns:
        The program; where no block defines anything the last block in Python, else all of the answer. A fence that the end of the
        answer cut off counts. Fences inside the program, as in a docstring, belong to it.
    """
    said = split_thinking(output)
    answer = said.thinking if said.unended else said.answer
    chosen, names = "", set[str]()
    for block in _blocks(answer):
        if not _DEFINES.search(block):
            continue
        defined = _defined(block)
        if not chosen or (said.unended and defined) or (defined and (names <= defined or not names)):
            chosen, names = block, defined
    return chosen or code_in(output, tuple(_PYTHON - {""}))


def _blocks(answer: str) -> list[str]:
    """The blocks of an answer that may be Python, each as long as it must be to be a whole program."""
    found: list[str] = []
    until = 0
    for block in fences(answer):
        if block.start < until or (block.language not in _PYTHON and _parsed(block.text) is None):
            continue
        text = block.text
        if block.closed and _parsed(text) is None:
            longer = _longer(answer, block)
            if longer is not None:
                text, until = longer
        found.append(textwrap.dedent(text) if _parsed(text) is None else text)
    return found


def _longer(answer: str, block: Fence) -> tuple[str, int] | None:
    """The program that goes on behind a fence which is part of it, as in a docstring, and where it ends."""
    lines = answer[block.start :].replace("\r\n", "\n").split("\n")
    inside = block.text.count("\n") + 1
    for i in range(inside + 2, len(lines)):
        if re.fullmatch(r"[ \t]*(?:`{3,}|~{3,})[ \t]*", lines[i]):
            text = textwrap.dedent("\n".join(lines[1:i]))
            if _parsed(text) is not None:
                return text, block.start + len("\n".join(lines[: i + 1]))
    return None


def _defined(text: str) -> set[str]:
    """The functions and classes that a program defines; none where it is not Python."""
    tree = _parsed(text)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)} if tree else set()


def asserts_in(text: str) -> list[str]:
    """The assert statements of a reply, each once, in order: those of its fenced blocks, or of all of it where it has none.

    Of what is not Python as a whole, each line that is. An assert inside a test function counts where that takes no arguments.
    One that calls nothing, or only what Python brings, tests nobody's program and is left out.
    """
    found: list[str] = []
    answer = without_thinking(text)
    for block in [b.text for b in fences(answer)] or [answer]:
        trees = [_parsed(block)] if _parsed(block) else [_parsed(line.strip()) for line in block.splitlines()]
        for tree in filter(None, trees):
            tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not ast.unparse(node.args)]
            bodies = [tree.body, *(test.body for test in tests)]
            found += [
                ast.unparse(node) for body in bodies for node in body if isinstance(node, ast.Assert) and _calls(node)
            ]
    return list(dict.fromkeys(found))


def _calls(node: ast.Assert) -> bool:
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return any(not isinstance(called, ast.Name) or not hasattr(builtins, called.id) for called in calls)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
