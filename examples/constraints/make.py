"""Three families of requests, each for an answer of a form that a program can check."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

TOPICS = (
    "the sea", "a winter morning", "old books", "a busy market", "a quiet library", "the first day of school", "rain",
    "a long train ride", "fresh bread", "a mountain path", "night in the city", "a garden in spring", "a small boat",
    "an empty theatre", "a birthday party", "the desert", "a football match", "a lost key", "music in the street",
    "a sleeping cat",
)  # fmt: skip
PEOPLE = ("a baker", "a pilot", "a teacher", "a farmer", "a nurse", "a painter", "a sailor", "a judge", "a cook", "a guide")
KEYS = ("name", "age", "city", "job", "hobby", "year", "colour", "price")
WORDS = ("Describe {} in exactly three words.", "Give a title for a story about {} in exactly three words.",
         "Say how {} feels in exactly three words.")  # fmt: skip
CAPITALS = ("Write one short sentence about {} in upper case letters only.",
            "Shout one sentence about {}: use capital letters only.",
            "Give a newspaper headline about {} in capital letters only.")  # fmt: skip
JSON = "Describe {} as a JSON object with the keys {}. Answer with the JSON object only."


def generate(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """``count`` items, the three families in turn."""
    rng = random.Random(seed)
    families = [
        [(form.format(topic), {"form": "three words"}) for form in WORDS for topic in TOPICS],
        [(form.format(topic), {"form": "upper case"}) for form in CAPITALS for topic in TOPICS],
        [
            (JSON.format(person, ", ".join(f'"{key}"' for key in keys)), {"form": "json", "keys": list(keys)})
            for person in PEOPLE
            for keys in itertools.combinations(KEYS, 2)
        ],
    ]
    for family in families:
        rng.shuffle(family)
    for question, meta in itertools.islice(itertools.chain.from_iterable(zip(*families, strict=False)), count):
        yield {"input": question, "meta": meta}
