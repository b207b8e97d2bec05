"""Questions about capitals whose answers stand in documents alone, among many that are alike.

The documents tell made-up things of each city (the colour of its archive's door, its bell's metal, ...), one each, and name no
country. A question names the country ("the capital of Peru"), so who wants the right document must know the capital; or the city
itself (``named`` "city"), and then the words of the question find it. Without documents only guessing is left.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.feedback import CODE, Feedback, Verdict
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout, digest
from loopwright.worlds.small import Small
from loopwright.worlds.tools import searcher

CAPITALS: Mapping[str, str] = dict(
    pair.split("=")
    for pair in (
        "France=Paris,Italy=Rome,Spain=Madrid,Germany=Berlin,Austria=Vienna,Portugal=Lisbon,Greece=Athens,Ireland=Dublin,"
        "Norway=Oslo,Sweden=Stockholm,Finland=Helsinki,Denmark=Copenhagen,Poland=Warsaw,Hungary=Budapest,Russia=Moscow,Turkey=Ankara,"
        "Egypt=Cairo,Kenya=Nairobi,Japan=Tokyo,Thailand=Bangkok,Cuba=Havana,Peru=Lima,Chile=Santiago,Canada=Ottawa,Belgium=Brussels,"
        "Bulgaria=Sofia,Romania=Bucharest,Croatia=Zagreb,Iran=Tehran,Iraq=Baghdad,Syria=Damascus,Indonesia=Jakarta,Vietnam=Hanoi,"
        "Philippines=Manila,Nepal=Kathmandu,Ukraine=Kyiv,Venezuela=Caracas,Ecuador=Quito,Iceland=Reykjavik,Serbia=Belgrade"
    ).split(",")
)
# What is told of a city: the question's words, the document's sentence, and what the answer may be.
FACTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("colour of the archive's door", "The door of the city archive of {city} is {value}.",
     ("red", "green", "blue", "yellow", "white", "black", "brown", "grey")),
    ("animal on the guild's banner", "The banner of the guild of {city} shows a {value}.",
     ("lion", "bear", "heron", "stag", "wolf", "hare", "swan", "fox")),
    ("metal of the great bell", "The great bell of {city} is made of {value}.",
     ("iron", "bronze", "silver", "brass", "steel", "copper", "tin", "lead")),
    ("day of the flower market", "The flower market of {city} is held on a {value}.",
     ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")),
)  # fmt: skip


def last_named(text: str, among: Sequence[str]) -> str:
    """Which of the words a text names last; "" where it names none."""
    found: list[str] = re.findall(rf"\b({'|'.join(among)})s?\b", text, re.IGNORECASE)
    return next((word for word in among if found and word.lower() == found[-1].lower()), "")


async def _check(rollout: Rollout, ctx: Context) -> Feedback:
    among = FACTS[int(str(rollout.example.meta["fact"]))][2]
    return Verdict(passed=last_named(rollout.output, among) == rollout.example.target, by=CODE)


def city_archive(*, named: Literal["country", "city"] = "country", top: int = 3, seed: int = 0) -> Small:
    """A question of each city and fact, and a ``search`` tool with a document for each. The last value an answer names counts.

    top: documents that one search gives. seed: of what is told. Raises InputError for another ``named`` or ``top`` below 1.
    """
    if named not in ("country", "city") or top < 1:
        raise InputError(f'city-archive: expected named "country" or "city" and top of at least 1, got {named!r} and {top!r}')
    rng = random.Random(digest(["city-archive", seed]))
    passages: list[tuple[str, str]] = []
    items: list[Example] = []
    for country, city in CAPITALS.items():
        for number, (asked, sentence, values) in enumerate(FACTS):
            value = rng.choice(values)
            passages.append((f"{city} {number + 1}", sentence.format(city=city, value=value)))
            place = f"the capital of {country}" if named == "country" else city
            question = f"What is the {asked} in {place}: {', '.join(values[:-1])} or {values[-1]}?"
            items.append(Example(id=digest(question)[:12], input=question, target=value, meta={"fact": number}))
    rng.shuffle(passages)
    prompt = Prompt(instruction="Answer in one short sentence that names the city and one of these.")
    sampling = Sampling(temperature=0.0, max_tokens=40)
    return Small("city-archive", items, _check, prompt, sampling, tools={"search": searcher(passages, top=top)})
