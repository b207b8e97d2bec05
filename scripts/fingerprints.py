"""Stores what every recipe gives on its bench, and compares: for changes of the code that are to change no result.

    python scripts/fingerprints.py write FILE [SLUG ...]
    python scripts/fingerprints.py check FILE [SLUG ...]    the exit status is 1 where one differs

A fingerprint is exact to the last bit, so FILE belongs to one machine and its packages.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from loopwright.checks.bench import Bench, fingerprint
from loopwright.core.registry import all_recipes, get_recipe


def taken(slug: str) -> str:
    """The fingerprint of one run of a recipe; of an error, its class and message."""
    try:
        return fingerprint(Bench(get_recipe(slug), seed=3).run())
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("do", choices=["write", "check"])
    parser.add_argument("file", type=Path)
    parser.add_argument("slug", nargs="*", help="recipes; all where none is named")
    options = parser.parse_args()
    slugs = options.slug or sorted(all_recipes())
    found = {}
    for slug in slugs:
        found[slug] = taken(slug)
        print(f"{slug}: {found[slug]}", file=sys.stderr, flush=True)
    if options.do == "write":
        part = options.file.with_name(f"{options.file.name}.part")
        part.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        os.replace(part, options.file)
        return 0
    before = json.loads(options.file.read_text())
    differ = [slug for slug, value in found.items() if before.get(slug) != value]
    for slug in differ:
        print(f"{slug}: was {before.get(slug, 'not there')}, is {found[slug]}")
    print(f"{len(found) - len(differ)} of {len(found)} as before")
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
