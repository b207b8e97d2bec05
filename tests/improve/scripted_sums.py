"""What a scripted model says to sums: right to a share of them that the instruction decides, by a hash of the question."""

from __future__ import annotations

import hashlib
import re

from loopwright.core.model import Request

CHANCES = {"Reply with the answer only.": 0.95, "Be brief.": 0.45}  # of a right answer; 0.3 otherwise


def answer(request: Request, index: int) -> str:
    text = "\n".join(turn.text for turn in request.turns)
    a, b = re.findall(r"(\d+) \+ (\d+)", text)[-1]
    chance = next((c for words, c in CHANCES.items() if words in text), 0.3)
    drawn = int(hashlib.sha256(f"{a} {b}".encode()).hexdigest()[:8], 16) / 2**32
    return str(int(a) + int(b)) if drawn < chance else "I do not know"
