"""Fenced blocks and thinking in what a model wrote.

Fences are paired as CommonMark 0.31.2 does (section 4.5, https://spec.commonmark.org/0.31.2/#fenced-code-blocks): three or
more backticks or tildes open a block; a line of at least as many of the same character, with nothing after it, closes it; the
end of the text closes it too. Beyond CommonMark, for what models write: a fence may be indented by any amount and stand after a
list marker or a quotation mark, as a block inside a list item does, and where the strict pairing leaves a block open at the end
of the text, a fence with a language inside a block is tried as a nested block, and a fence at the end of a line of text as a
closing one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_OPEN = re.compile(r"((?:[ \t]|>|[-*+][ \t]|\d{1,9}[.)][ \t])*)(`{3,}|~{3,})(.*)")
_END_OF_LINE = re.compile(r"(`{3,}|~{3,})[ \t]*$")
_TAG = re.compile(r"<(/?)(think|thinking|thought)>|\[(/?)(THINK)\]|\u25c1(/?)(think)\u25b7", re.IGNORECASE)
_MOST = 32  # thoughts that begin after some words; more of them are text
_DEEPER = 3  # columns by which a closing fence may be indented more than its opening one


# ---- thinking ---------------------------------------------------------------------------------------------------------


class Thinking(NamedTuple):
    """A reply taken apart: the answer, the thinking that came before it, and whether that thinking was never ended."""

    answer: str
    thinking: str = ""
    unended: bool = False


def split_thinking(text: str) -> Thinking:
    """Separate the answer from the reasoning that a model wrote in ``<think>`` tags before it.

    Args:
        text: A whole reply. Also read: ``<thinking>``, ``<thought>``, ``[THINK]``, and a closing tag without an opening one, as
            servers send whose chat template holds the opening tag.

    Returns:
        The answer is "" where the thinking was never ended. A tag in the middle of a sentence, or inside a fenced block, is part
        of the answer: somebody may write about such tags.
    """
    tags = list(_TAG.finditer(text)) if any(sign in text for sign in ("<", "[", "\u25c1")) else []
    thoughts: list[str] = []
    at = i = 0  # what is read so far, of the text and of its tags
    while i < len(tags) and not _closes(tags[i]) and not text[at : tags[i].start()].strip():
        end = _ending(tags, i)
        if end is None:
            return Thinking("", "\n".join([*thoughts, text[tags[i].end() :]]), unended=True)
        thoughts.append(text[tags[i].end() : tags[end].start()])
        at, i = tags[end].end(), end + 1
    if (
        i < len(tags)
        and _closes(tags[i])
        and not thoughts
        and (_alone(text, tags[i]) or not _within(tags[i], _places(text, 0)))
    ):
        thoughts.append(text[: tags[i].start()])
        at, i = tags[i].end(), i + 1
    answer: list[str] = []
    for _ in range(_MOST if i < len(tags) else 0):  # thinking that began after some words
        places = _places(text, at)
        opening = next(
            (k for k in range(i, len(tags)) if _opens_line(text, tags[k]) and not _within(tags[k], places)), None
        )
        if opening is None:
            break
        answer.append(text[at : tags[opening].start()])
        end = _ending(tags, opening)
        at = len(text) if end is None else tags[end].end()
        thoughts.append(text[tags[opening].end() : len(text) if end is None else tags[end].start()])
        if end is None:
            break
        i = end + 1
    said = "".join([*answer, text[at:]])
    return Thinking(said.strip("\r\n") if thoughts else said, "\n".join(thoughts))


def without_thinking(text: str) -> str:
    """The answer in a reply, without the reasoning in ``<think>`` tags before it; "" where that never ended."""
    return split_thinking(text).answer


def _closes(tag: re.Match[str]) -> bool:
    return bool(tag[1] or tag[3] or tag[5])


def _ending(tags: Sequence[re.Match[str]], first: int) -> int | None:
    """Which tag closes this one: the balanced one, else the last closing one."""
    depth = 0
    for i in range(first, len(tags)):
        depth += -1 if _closes(tags[i]) else 1
        if depth == 0:
            return i
    return next((i for i in range(len(tags) - 1, first, -1) if _closes(tags[i])), None)


def _begins_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _opens_line(text: str, tag: re.Match[str]) -> bool:
    return not _closes(tag) and _begins_line(text, tag.start())


def _alone(text: str, tag: re.Match[str]) -> bool:
    return _begins_line(text, tag.start()) and not text[tag.end() :].split("\n", 1)[0].strip()


def _places(text: str, at: int) -> list[tuple[int, int]]:
    """Where the fenced blocks stand that begin behind a place."""
    return [(at + block.start, at + block.end) for block in fences(text[at:])]


def _within(tag: re.Match[str], places: Sequence[tuple[int, int]]) -> bool:
    return any(start <= tag.start() < end for start, end in places)


# ---- fences -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: what stands between two fences.

    info: what follows the opening fence on its line. text: the lines between, without the opening fence's indentation.
    closed: whether a closing fence was found. start, end: where the block begins and ends in the text, fences included.
    """

    info: str
    text: str
    closed: bool
    start: int
    end: int

    @property
    def language(self) -> str:
        """The first word of the info string in lower case, as of ``python title="x"``, ``{.python}`` or ``python{1,3}``."""
        words = self.info.strip().lstrip("{").lstrip(".").split()
        return re.split(r"[{,:;}]", words[0])[0].casefold() if words else ""


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int  # of the text, without the line's end
    after: int
    text: str
    indent: int  # columns before the fence; of a line that is no fence, before its first letter
    mark: str  # the fence, "" where this is none
    info: str

    @property
    def bare(self) -> bool:
        return bool(self.mark) and not self.info

    def closes(self, opening: _Line) -> bool:
        same = (
            self.mark[:1] == opening.mark[0] and len(self.mark) >= len(opening.mark) and self.quoted == opening.quoted
        )
        return self.bare and same and self.indent <= opening.indent + _DEEPER

    @property
    def before(self) -> str:
        """What stands before the fence: white space, list markers, quotation marks."""
        return self.text[: self.text.index(self.mark)]

    @property
    def quoted(self) -> int:
        return self.before.count(">")


def fences(text: str) -> list[Fence]:
    """All fenced blocks of a text, in order, those inside another one left out.

    Args:
        text: Any text, with line ends of any kind.

    Returns:
        The blocks. One that the end of the text cut off is the last, and is not ``closed``.
    """
    if "```" not in text and "~~~" not in text:
        return []
    lines = _lines(text)
    found = _paired(lines, nested=False)
    if found and not found[-1].closed:
        nested = _paired(lines, nested=True)
        if nested and nested[-1].closed:
            return nested
        ended = _ended_in_line(text, found)
        if ended:
            return ended
    return found


def _lines(text: str) -> list[_Line]:
    found, at = [], 0
    for raw in re.split(r"(?<=\n)|(?<=\r)(?!\n)", text):
        plain = raw.rstrip("\r\n")
        opening = _OPEN.fullmatch(plain)
        info = opening[3].strip() if opening else ""
        if opening is None or (opening[2][0] == "`" and "`" in info):  # backticks in a line of text are inline code
            indent = len(plain.expandtabs(4)) - len(plain.expandtabs(4).lstrip())
            found.append(_Line(at, at + len(plain), at + len(raw), plain, indent, "", ""))
        else:
            indent = len(opening[1].expandtabs(4))
            found.append(_Line(at, at + len(plain), at + len(raw), plain, indent, opening[2], info))
        at += len(raw)
    return found


def _marker(line: _Line) -> bool:
    """Whether a list marker stands before the fence: such a line opens a block and closes none."""
    return bool(line.before.strip(" \t>"))


def _paired(lines: Sequence[_Line], *, nested: bool) -> list[Fence]:
    found: list[Fence] = []
    opened: list[_Line] = []
    first = 0
    for i, line in enumerate(lines):
        if not line.mark:
            continue
        if not opened:
            opened, first = [line], i
        elif line.closes(opened[-1]) and not _marker(line):
            opened.pop()
            if not opened:
                found.append(_block(lines, first, i))
        elif nested and not line.bare and line.mark[0] == opened[0].mark[0] and len(line.mark) >= len(opened[0].mark):
            opened.append(line)
    if opened:
        found.append(_block(lines, first, None))
    return found


def _block(lines: Sequence[_Line], first: int, last: int | None) -> Fence:
    opening, end = lines[first], len(lines) if last is None else last
    inside = [_dedented(line.text, opening) for line in lines[first + 1 : end]]
    if last is None and inside and not inside[-1]:  # the text ended with a line end
        inside.pop()
    until = lines[end].end if last is not None else lines[-1].after
    return Fence(opening.info, "\n".join(inside), last is not None, opening.start, until)


def _dedented(line: str, opening: _Line) -> str:
    """A line without as much white space as stands before the fence, and without the marks of a quotation."""
    width = opening.indent
    if opening.quoted:
        quoted = re.match(rf"[ \t]*(?:>[ \t]?){{1,{opening.quoted}}}", line)
        return line[quoted.end() :] if quoted else line
    at = column = 0
    while at < len(line) and column < width and line[at] in " \t":
        column += 4 - column % 4 if line[at] == "\t" else 1
        at += 1
    return " " * max(column - width, 0) + line[at:]


def _ended_in_line(text: str, found: Sequence[Fence]) -> list[Fence]:
    """The blocks where the last one's end is a fence at the end of a line of text; none where there is no such line."""
    last = found[-1]
    lines = last.text.split("\n")
    mark = re.search(r"`{3,}|~{3,}", text[last.start :])
    for i, line in enumerate(lines):
        ending = _END_OF_LINE.search(line)
        if mark and ending and ending[1][0] == mark[0][0] and len(ending[1]) >= len(mark[0]):
            before = line[: ending.start()]
            if ending[1] in before:  # inline code
                continue
            inside = "\n".join([*lines[:i], before])
            rest = "\n".join(lines[i + 1 :])
            end = last.end - len(rest)
            more = [Fence(b.info, b.text, b.closed, b.start + end, b.end + end) for b in fences(rest)]
            return [*found[:-1], Fence(last.info, inside, True, last.start, end), *more]
    return []


def fenced(text: str, info: str = "") -> str:
    """The text between fences that are longer than any in it, so that ``fences`` reads it again."""
    mark = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text)), 3)
    return f"{mark}{info}\n{text}\n{mark}"


def code_in(text: str, languages: Sequence[str] = ()) -> str:
    """The code of an answer: its last fenced block in one of the languages, else its last untagged, else its last block.

    Args:
        text: A whole reply; thinking is left out, but for thinking that never ended, in which the last block counts.
        languages: Tags that the block may carry, in lower case.

    Returns:
        The block's text; all of the answer where it holds no block, or an empty one only.
    """
    said = split_thinking(text)
    answer = said.thinking if said.unended else said.answer
    blocks = [b for b in fences(answer) if b.text.strip()]
    for wanted in (set(languages), {""}):
        named = [b for b in blocks if b.language in wanted]
        if named:
            return named[-1].text
    if blocks:
        return blocks[-1].text
    return _inline(answer) if not said.unended else ""


def _inline(answer: str) -> str:
    """The answer without the marks of inline code around all of it."""
    plain = answer.strip()
    found = re.fullmatch(r"(`+)([^`].*[^`]|[^`])\1", plain, re.DOTALL)
    return found[2] if found and found[1] not in found[2] else answer
