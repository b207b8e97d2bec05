"""Python source that a model or a user wrote: parsed, never run."""

from __future__ import annotations

import ast


def parse_python(text: str) -> ast.Module:
    """The syntax tree of a text.

    Args:
        text: Python source.

    Returns:
        Its tree.

    Raises:
        SyntaxError: It is not Python, or nested so deeply that the parser gives up, for which Python itself has four errors.
    """
    try:
        return ast.parse(text)
    except SyntaxError:
        raise
    except (RecursionError, MemoryError):
        raise SyntaxError("nested too deeply") from None
    except ValueError as error:
        raise SyntaxError(str(error)) from None
