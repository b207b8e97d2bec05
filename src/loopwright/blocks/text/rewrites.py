"""The new version of a text in a model's reply, where it was asked for between fences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from loopwright.blocks.json_text import read_json
from loopwright.blocks.text.reading import Reading
from loopwright.core.fences import Fence, fences, split_thinking

_QUOTES = (
    ('"""', '"""'),
    ("'''", "'''"),
    ('"', '"'),
    ("'", "'"),
    ("\u201c", "\u201d"),
    ("\u2018", "\u2019"),
    ("\u00ab", "\u00bb"),
)
_NEW = re.compile(
    r"(?i)\b(?:new|improved?|better|revised|updated|rewritten|rewrite|final|finished|corrected|instead|version|result|"
    r"(?:the|my|this|here\W{1,2}(?:s|is)(?: the)?) (?:prompt|instructions?|text))\b"
)
_OLD = re.compile(
    r"(?i)\b(?:examples?|for instance|e\.g|such as|like (?:this|so)|looks? like|format|forms?|old|original(?:ly)?|"
    r"previous(?:ly)?|before|current(?:ly)?|draft|first|attempt|inputs?|outputs?|questions?|case|because|would|error|failed|"
    r"answers?|replies|reply|returns?|prints?|usage)\b"
)
_NAMES = r"(?:(?:new|improved|revised|updated|final)[_ -]?)?(?:prompt|instructions?|text|documentation)"
_INSIDE = r"((?:(?!</?\1>).)*)</\1>"
_TAG = re.compile(rf"^[ \t]*<((?!text|doc){_NAMES})>{_INSIDE}[ \t]*$", re.DOTALL | re.IGNORECASE | re.MULTILINE)
_WHOLE_TAG = re.compile(
    rf"\s*<({_NAMES}|answer|output|result|response|rewrite|start|new)>{_INSIDE}\s*", re.DOTALL | re.IGNORECASE
)
_REFUSES = re.compile(
    r"(?i)\A\W*(?:i(?:(?:'|\u2019)?| a)m (?:very |so |truly )?(?:sorry|unable|afraid)|sorry, (?:but )?i\b|"
    r"i (?:can(?:'|\u2019)t|cannot|won(?:'|\u2019)t|am unable to) "
    r"(?:help|assist|do|comply|provide|rewrite|fulfil)|as an ai\b)"
)
_HERE = re.compile(r"(?i)(?:(?:sure|certainly|of course|okay|ok|here)\b.*|(?:the )?(?:new|improved|revised) \w+):")
_ADJECTIVE = r"(?:new|improved|revised|updated|rewritten|final|better|optimi[sz]ed)"
_LABEL = re.compile(  # "New prompt:", in front of the text or on its line
    rf"(?i)[\s*_#>-]*(?:here(?:'|\u2019)?s? (?:is )?)?(?:(?:the|my|your|a)\s+)?{_ADJECTIVE}\s+(?:(?:system|full|complete)\s+)?"
    r"(?:prompt|instructions?|version|text|documentation|description)(?:\s+(?:is|reads|text))?[*_ \t]*(?::[*_]*|"
    r"(?<=[*_])(?=\n))|"
    rf"[ \t]*#+[ \t*_]*(?:(?:the|my)\s+)?{_ADJECTIVE}\s+(?:system\s+)?(?:prompt|instructions?|version|text)[*_: \t]*(?=\n)"
)
_LABEL_LINE = re.compile(
    rf"(?im)^[ \t*_#>-]*(?:(?:the|my)\s+)?{_ADJECTIVE}\s+(?:system\s+)?(?:prompt|instructions?)\b[*_ \t]*:"
)
_HISTORY = re.compile(
    r"(?im)^[ \t*_#>-]*(?:(?:the|your)\s+)?(?:old|original|previous|current)\s+(?:prompt|instructions?|version)[*_ \t]*:"
)
_REMARK = re.compile(  # a paragraph that speaks of the rewrite, whatever the text is about
    r"(?i)[\s*_#>-]*(?:"
    r"i(?:'|\u2019)?(?:ve| have)? (?:also )?made (?:\w+ ){0,4}?(?:changes|edits|improvements|modifications|adjustments)\b|"
    r"(?:summary of |list of |specific )*(?:key|main) (?:changes|improvements|modifications|edits)\b|"
    r"(?:summary of )?(?:the )?(?:changes|improvements|modifications|edits)(?: (?:i|that i))? (?:made|explained)\b|"
    r"(?:changes|improvements) (?:from|to|over|compared (?:to|with)) the (?:original|old|previous)\b|"
    r"what(?:(?:'|\u2019)s (?:new|changed)| i changed| changed)\b|"
    r"why (?:this|the) (?:new |revised |improved )?(?:prompt|version|rewrite) )"
)
_PERHAPS = re.compile(  # behind a line of dashes a remark; else it may belong to the text
    r"(?i)[\s*_#>-]*(?:(?:brief )?(?:explanation|rationale|reasoning|notes?|comments?|justification|analysis|why|"
    r"changes|improvements|"
    r"edits)\b[^:\n]{0,40}:|note that\b|i(?:'|\u2019)?(?:ve| have)? (?:also )?(?:made|changed|added|removed|rewrote|"
    r"rewritten|revised|"
    r"clarified|shortened|simplified|restructured|kept|tried|included|emphasi[sz]ed|updated|improved|addressed)\b|"
    r"this (?:\w+ )?(?:prompt|version|revision|rewrite|instruction)\b|these (?:changes|edits|improvements)\b|"
    r"let me know\b|feel free to\b|i hope\b|hope (?:this|it) helps|would you like me\b)"
)
_OF_THE_PROMPT = re.compile(
    r"(?i)\b(?:(?:old|original|previous|new|revised|improved|updated|this|the) (?:prompt|version|instructions?|rewrite|"
    r"revision|wording)|"
    r"chang(?:ed|es)|rewrot?e|rewritten|clarity|(?:adjust|tweak|refine)\w*|i (?:added|removed|kept|clarified|shortened|"
    r"simplified|made) "
    r"(?:it|this|the)\b|(?:this|it) helps)\b"
)
_RULE = re.compile(r"[ \t]*(?:-[ \t]*){3,}|[ \t]*(?:\*[ \t]*){3,}|[ \t]*(?:_[ \t]*){3,}|[ \t]*(?:={3,})[ \t]*")
_EXAMPLE = re.compile(
    r"(?i)\b(?:for example|examples?|for instance|e\.g|such as|like (?:this|so)|in this form(?:at)?)\b\W*$"
)
_LANGUAGES = frozenset(
    "text txt plain plaintext markdown md prompt instruction none python py python3 json yaml toml html xml sql bash sh".split()
)


def text_in(text: str, *, cut: bool = False) -> Reading[str]:
    """The text that a model was asked to write between fences: a new instruction, a documentation.

    Args:
        text: The reply; thinking before it is left out.
        cut: Whether the reply was cut off at its limit of tokens. What is missing cannot be known, so it is then refused.

    Returns:
        The one fenced text, exactly as it stands there but for white space around it; without any, the whole reply without
        quotation marks around it, a line such as "New prompt:" before it, and remarks on the changes behind it. Of several it is
        the one that is introduced as the new text, and not as an example, a draft or what was there before. Where that does not
        tell, the reason why none was taken.
    """
    if cut:
        return Reading(
            None, "the reply was cut off at its limit of tokens, so the text may lack its end; allow more max_tokens"
        )
    said = split_thinking(text)
    if said.unended:
        return Reading(None, "the thinking was never ended, so there is no text")
    answer = said.answer
    blocks = [block for block in fences(answer) if _whole(block).strip()]
    if not blocks:
        if _REFUSES.match(answer):
            return Reading(None, f"the model refused: {' '.join(answer.split())[:80]}")
        return Reading("") if fences(answer) else _unfenced(answer)
    outer = _outermost(answer, blocks)
    if outer is not None:
        return outer
    texts = list(dict.fromkeys(_whole(block).strip() for block in blocks))
    if len(texts) == 1:
        return _single(answer, blocks)
    leads = [_lead(answer, blocks, i) for i in range(len(blocks))]
    new = [t for t, lead in zip(map(_whole, blocks), leads, strict=True) if _NEW.search(lead)]
    other = [t for t, lead in zip(map(_whole, blocks), leads, strict=True) if not _OLD.search(lead)]
    for found in (new[-1:], other if len({t.strip() for t in other}) == 1 else []):
        if found:
            return Reading(found[0].strip())
    return Reading(None, f"there are {len(texts)} fenced texts, and nothing says which is the new one; expected one")


def _single(answer: str, blocks: Sequence[Fence]) -> Reading[str]:
    lead = _lead(answer, blocks, 0)
    around = answer[: blocks[0].start] + answer[blocks[0].end :]
    if _EXAMPLE.search(lead) and not _NEW.search(lead) and len(around.split()) > len(lead.split()):
        return Reading(
            None, "the only fenced text is introduced as an example; expected the new text, whole, between fences"
        )
    return Reading(_whole(blocks[0]).strip())


def _whole(block: Fence) -> str:
    """The text of a block, with what stands behind the opening fence where those are words of the text."""
    words = block.info.split()
    attributes = any(sign in block.info for sign in "={}:")
    if len(words) > 1 and words[0].casefold() not in _LANGUAGES and not attributes:
        return f"{block.info}\n{block.text}"
    return block.text


def _lead(answer: str, blocks: Sequence[Fence], at: int) -> str:
    """The last line of words before a block."""
    before = answer[blocks[at - 1].end if at else 0 : blocks[at].start]
    return next((line for line in reversed(before.splitlines()) if line.strip(" \t#*>-_")), "")


def _outermost(answer: str, blocks: Sequence[Fence]) -> Reading[str] | None:
    """What stands between the first fence and the last, where a text with fences of the same length inside was fenced.

    The sign of it: a block that ends with a colon or a heading, so that what it announces stands behind the fence that closed it;
    or an empty block, where the fence that ends what is inside and the one that ends all meet. Where the last fence does not end
    the reply, or is one too many or too few, nothing tells which fence ends the text.
    """
    found = fences(answer)
    ending = (blocks[0].text.rstrip().splitlines() or [""])[-1]
    sign = ending.endswith(":") or re.match(r"#{1,6} ", ending) or any(not block.text.strip() for block in found[1:])
    if len(found) < 2 or not sign or any(block.info for block in found[1:]):
        return None
    if not found[-1].closed:
        return Reading(
            None, "the fences in the text cannot be told from the one that ends it; expected a longer fence around it"
        )
    if answer[found[-1].end :].strip():
        return None
    return Reading("\n".join(answer[blocks[0].start :].replace("\r\n", "\n").strip().split("\n")[1:-1]).strip())


def _unfenced(answer: str) -> Reading[str]:
    """A reply without fences, less what is clearly no part of the text; where that cannot be told, the reason."""
    found = _unquoted(answer)
    if found != answer.strip() and not _HERE.fullmatch(answer.strip().partition("\n")[0].strip(" *_#")):
        return Reading(found)  # it stood in a tag, a field or quotation marks
    label = _LABEL.match(found)
    introduced = label is not None or found != answer.strip()
    text = found[label.end() :].strip() if label else found
    lines = text.strip("\n").split("\n")
    rules = [i for i, line in enumerate(lines) if _RULE.fullmatch(line)]
    wrapped = len(rules) == 2 and rules == [0, len(lines) - 1]
    if (introduced or wrapped) and rules and not "".join(lines[: rules[0]]).strip():  # between two lines of dashes
        lines = lines[rules[0] + 1 :]
        rules = [i - rules[0] - 1 for i in rules[1:]]
        if rules and not "".join(lines[rules[-1] + 1 :]).strip():
            lines, rules = lines[: rules[-1]], rules[:-1]
    above, rules_at = -1, set(rules)  # the last line before that is not empty
    for i in range(len(lines)):
        follows_rule = above in rules_at
        above = i if lines[i].strip() else above
        if i and not follows_rule and lines[i - 1].strip():
            continue  # within a paragraph
        sure = bool(_REMARK.match(lines[i]))
        perhaps = not sure and bool(_PERHAPS.match(lines[i]))
        if not (sure or perhaps):
            continue
        of_it = bool(_OF_THE_PROMPT.search("\n".join(lines[i : i + 2])))
        if perhaps and not follows_rule and not of_it:
            continue
        if not "".join(lines[:i]).strip(" \n-*_=") or (perhaps and not (follows_rule and of_it)):
            return Reading(
                None,
                f"{lines[i].strip()[:60]!r} may be no part of the new text; expected the text alone, between fences",
            )
        lines = lines[:i]
        while lines and (not lines[-1].strip() or _RULE.fullmatch(lines[-1])):
            lines.pop()
        break
    text = "\n".join(lines).strip()
    other = _LABEL_LINE.search(text) or (_HISTORY.match(text) if not introduced else None)
    if other is not None:
        return Reading(
            None,
            f"it cannot be told what belongs to the new text: {other[0].strip()!r} stands in it; expected it between fences",
        )
    again = _unquoted(text) if text != found else text
    return Reading(again)


def _unquoted(answer: str) -> str:
    """A reply without fences: what is in its tag ``<prompt>`` or its one JSON field, else without the marks of quotation.

    These stand around it, or around all that follows a line such as "Here it is:".
    """
    tagged = list(_TAG.finditer(answer))
    whole = tagged[0] if len(tagged) == 1 else _WHOLE_TAG.fullmatch(answer)
    if whole is not None:
        return whole[2].strip()
    if answer.lstrip().startswith("{"):
        data = read_json(answer)
        said = (
            [value for key, value in data.items() if re.fullmatch(_NAMES, key, re.I)] if isinstance(data, dict) else []
        )
        if len(said) == 1 and isinstance(said[0], str):
            return said[0].strip()
    found = re.sub(r"\A(`+)(?!`)(.*?)(?<!`)\1\Z", r"\2", answer.strip(), flags=re.DOTALL).strip()
    first, _, rest = found.partition("\n")
    if rest.strip() and _HERE.fullmatch(first.strip(" *_#")):
        found = rest.strip()
    for plain in (found, rest.strip() if first.rstrip().endswith(":") else ""):
        for opening, closing in _QUOTES:
            inside = plain[len(opening) : -len(closing)]
            quoted = len(plain) > len(opening + closing) and plain.startswith(opening) and plain.endswith(closing)
            if quoted and opening not in inside and closing not in inside:
                return inside.strip()
    return found
