"""How a benchmark tells what it measured."""

from __future__ import annotations

import json
from typing import Any


def tell(result: dict[str, Any], as_json: bool) -> None:
    """One JSON object, or a line for each figure: of who did what, where a figure is of several."""
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if isinstance(value, dict):
            for who, row in value.items():
                print(f"{name} {who}: {row}")
        else:
            print(f"{name}: {value}")
