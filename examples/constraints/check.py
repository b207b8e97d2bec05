"""Does the answer have the form that was asked for? Nothing here knows a right answer."""

from __future__ import annotations

import json
from typing import Any


def check(output: str, example: dict[str, Any]) -> dict[str, Any]:
    """``passed``, and a message that says what to change."""
    message = FORMS[example["meta"]["form"]](output.strip(), example["meta"])
    return {"passed": not message, "message": message}


def three_words(answer: str, meta: dict[str, Any]) -> str:
    count = len(answer.split())
    return "" if count == 3 else f"Write exactly three words and nothing else; the answer has {count}."


def upper_case(answer: str, meta: dict[str, Any]) -> str:
    if not any(c.isalpha() for c in answer):
        return "Write a sentence; the answer holds no letter."
    small = [word for word in answer.split() if word != word.upper()]
    return f"Use upper case letters only; these words are not: {' '.join(small[:5])}." if small else ""


def json_object(answer: str, meta: dict[str, Any]) -> str:
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError) as error:
        return f"Write a JSON object and nothing else; the answer is not JSON: {error}."
    if not isinstance(value, dict):
        return "Write a JSON object, in braces."
    missing = [key for key in meta["keys"] if key not in value]
    extra = [key for key in value if key not in meta["keys"]]
    parts = [f"add the keys {', '.join(missing)}"] * bool(missing) + [f"remove the keys {', '.join(extra)}"] * bool(extra)
    return f"In the JSON object, {' and '.join(parts)}." if parts else ""


FORMS = {"three words": three_words, "upper case": upper_case, "json": json_object}
