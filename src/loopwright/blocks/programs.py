"""Python in a model's reply: the program, and the tests."""

from __future__ import annotations

import ast
import builtins
import re
import textwrap

from loopwright.core.fences import Fence, code_in, fences, split_thinking, without_thinking
from loopwright.core.source import parse_python

_DEFINES = re.compile(r"^\s*(?:async\s+def|def|class)\s", re.MULTILINE)
_WARNS = re.compile(  # a lead that what follows is not to be written
    r"(?i)\b(?:don(?:'|\u2019)?t|do not|never|avoid|beware|not)\b[^.;!?]*\b(?:this|it|so|such|following|like|way|version)\b|"
    r"\b(?:wrong|incorrect|bad|buggy|broken|faulty|flawed|naive|na\u00efve|mistaken|tempting|failing)\b"
    r"(?:\s+\w+){0,2}?\s+(?:way|version|approach|solution|code|implementation|example|attempt|variant|one|idea|program|"
    r"function)\b|"
    r"\b(?:common mistake|pitfall|anti-?pattern|counter-?example)\b|"
    r"\b(?:this|the following|what follows)\b[^.;!?]*\b(?:is|would be|are)\s+(?:\w+\s+)?(?:wrong|incorrect|bad|buggy|broken)\b|"
    r"^\W*(?:wrong|bad|incorrect|buggy|broken|not recommended|don(?:'|\u2019)t|do not|avoid)\W*$|\u274c|\u2717|\u26a0"
)
_MENDS = re.compile(
    r"(?i)\b(?:above|previous|earlier|fix(?:ed|es)?|corrected|correct|right|better|improved|revised|final|"
    r"instead(?! of)|should|now|"
    r"use|let me|here(?:'|\u2019)?s the (?!wrong|bad|buggy|naive|incorrect)|was|were|my)\b"
)
_WARNED_INSIDE = re.compile(r"(?i)\A\s*#\W*(?:wrong|bad|incorrect|buggy|broken|don(?:'|\u2019)?t|do not|avoid|never)\b")
_PYTHON = frozenset({"", "python", "py", "python3", "py3", "ipython", "ipython3"})


def program_of(output: str) -> str:
    """The program in an answer: its fenced block that defines something; a later block that defines the same anew counts instead.

    What that block uses and does not define is taken from the other blocks, where they import or define it. A block that is shown
    as a warning ("don't write it like this:") counts only where there is no other.

    Args:
        output: A whole reply; thinking before it is left out. Of thinking that never ended the last block counts.

    Returns:
        The program; where no block defines anything the last block in Python, else all of the answer. A fence that the end of the
        answer cut off counts. Fences inside the program, as in a docstring, belong to it.
    """
    said = split_thinking(output)
    answer = said.thinking if said.unended else said.answer
    found = _blocks(answer)
    blocks = [block for block, warned in found if not warned]
    if not any(_DEFINES.search(block) for block in blocks):
        blocks = [block for block, _ in found]
    chosen, names = -1, set[str]()
    for i, block in enumerate(blocks):
        if not _DEFINES.search(block):
            continue
        defined = _defined(block)
        anew = bool(defined) and (names <= defined or not names)
        if chosen < 0 or (said.unended and defined) or anew or _goes_on(block, defined, names):
            chosen, names = i, defined
    if chosen < 0:
        return code_in(output, tuple(_PYTHON - {""}))
    return _with_what_it_uses(blocks, chosen)


def _goes_on(block: str, defined: set[str], names: set[str]) -> bool:
    """Whether a block is the rest of a program whose helpers the names are: it uses them, and is no test or example."""
    shown = all(re.match(r"(?i)_*(?:test|main|demo|example|check)", name) for name in defined)
    return bool(defined) and not shown and not defined & names and bool(_unbound(block) & names)


def _with_what_it_uses(blocks: list[str], chosen: int) -> str:
    """A block, behind the imports and definitions in the other blocks that it needs; of those of one name the last one."""
    program = blocks[chosen]
    others = [i for i in range(len(blocks) - 1, -1, -1) if i != chosen]
    tops = [_top(block) for block in blocks]
    wanted, taken = list(_unbound(program)), dict[tuple[bool, int, int], str]()
    known = set(wanted)
    while wanted:
        name = wanted.pop()
        for i in others:
            made = [node for node in tops[i] if name in _binds(node)]
            if not made and name != "*":
                continue
            for node in made:
                source = _source(blocks[i], node)
                taken[not isinstance(node, ast.Import | ast.ImportFrom), i, node.lineno] = source
                more = _unbound(source) - known
                known |= more
                wanted += more
            if made and name != "*":
                break
        else:
            if "*" not in known:  # perhaps "from math import *" brings it
                known.add("*")
                wanted.append("*")
    if not taken:
        return program
    first = "\n".join(taken[place] for place in sorted(taken))
    future = max(
        (n.end_lineno or 0 for n in _top(program) if isinstance(n, ast.ImportFrom) and n.module == "__future__"),
        default=0,
    )
    lines = program.split("\n")
    return "\n".join([*lines[:future], first, "", *lines[future:]])


def _top(text: str) -> list[ast.stmt]:
    tree = _parsed(text)
    return tree.body if tree else []


def _source(text: str, node: ast.stmt) -> str:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else []
    begin = min([node.lineno, *(d.lineno for d in decorators)])
    return "\n".join(text.split("\n")[begin - 1 : node.end_lineno])


def _binds(node: ast.stmt) -> set[str]:
    """The names that a statement brings: of an import, a definition, or an assignment of a constant."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return set()


def _unbound(text: str) -> set[str]:
    """The names that a program uses and binds nowhere, those that Python brings left out."""
    tree = _parsed(text)
    if tree is None:
        return set()
    used, bound = set[str](), set(dir(builtins)) | {"__name__", "__file__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            bound |= _binds(node)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
    return used - bound


def _blocks(answer: str) -> list[tuple[str, bool]]:
    """The blocks of an answer that may be Python, each as long as it must be to be a whole program; whether it is a warning."""
    found: list[tuple[str, bool]] = []
    until = 0
    for block in fences(answer):
        if block.start < until or (block.language not in _PYTHON and _parsed(block.text) is None):
            continue
        text = block.text
        if block.closed and _parsed(text) is None:
            longer = _longer(answer, block)
            if longer is not None:
                text, until = longer
        warned = bool(_WARNED_INSIDE.search(text)) or _warned(answer[: block.start])
        found.append((textwrap.dedent(text) if _parsed(text) is None else text, warned))
    return found


def _warned(before: str) -> bool:
    """Whether the last sentence before a block says that it is not to be written."""
    line = next((line for line in reversed(before.splitlines()) if line.strip(" \t*_#>-")), "")
    sentences = [s for s in re.split(r"(?<=[.!?;])\s+", line.strip(" \t*_#>-:")) if s.strip()]
    last = sentences[-1] if sentences and not re.match(r"\s*(?:`{3,}|~{3,})", line) else ""
    return bool(_WARNS.search(last)) and not _MENDS.search(last)


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
        return parse_python(text)
    except SyntaxError:
        return None
