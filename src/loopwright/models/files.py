"""Which files of a Hugging Face folder hold its weights: the same that transformers takes, and no copies that lie beside them."""

from __future__ import annotations

import json
from pathlib import Path

from loopwright.core.errors import ModelError

KINDS = ("model.safetensors", "pytorch_model.bin")  # the second where there is none of the first
INDEX = ".index.json"  # after either: which of several files holds which tensor


def weights(folder: Path) -> dict[Path, frozenset[str] | None]:
    """The files of a model's weights.

    Args:
        folder: a Hugging Face folder.

    Returns: by file, the names of the tensors to take from it; None for all, where one file holds the model.

    Raises:
        ModelError: where there are no weights, a file that the index names is missing, the index is damaged, or an index and
            a whole file say different things.
    """
    for name in KINDS:
        whole, index = folder / name, folder / (name + INDEX)
        if not index.is_file():
            if whole.is_file():
                return {whole: None}
            continue
        shards = _shards(index)
        if whole.is_file() and whole not in shards:
            raise ModelError(
                f"{folder} has both {whole.name} and {index.name}, which names other files: it cannot be told which of them is "
                "the model; remove the one that is not"
            )
        missing = sorted(path.name for path in shards if not path.is_file())
        if missing:
            raise ModelError(
                f"{folder} has no {missing[0]}, which {index.name} names ({len(missing)} missing): fetch it again"
            )
        return shards
    others = sorted(path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".bin"))
    raise ModelError(
        f"{folder} has no {KINDS[0]}: save the model with save_pretrained first"
        + (f"; {', '.join(others[:3])} there is not what the weights are called" if others else "")
    )


def _shards(index: Path) -> dict[Path, frozenset[str] | None]:
    try:
        where = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        by_file: dict[str, set[str]] = {}
        for tensor, file in where.items():
            by_file.setdefault(file, set()).add(tensor)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index} is damaged: expected a weight_map of tensors and files ({error!r})") from error
    if not by_file:
        raise ModelError(f"{index} names no tensors")
    if wrong := sorted(file for file in by_file if Path(file).name != file):
        raise ModelError(f"{index} names {wrong[0]!r}: expected files beside it")
    return {index.parent / file: frozenset(names) for file, names in sorted(by_file.items())}
