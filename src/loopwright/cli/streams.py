"""The process's three streams: always open, never obeying what a text from outside holds, and never why a run ends."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from loopwright.core.errors import LoopwrightError
from loopwright.core.visible import visible


class Told:
    """A stream for people, such as standard error: what cannot be written any more is let go, as nobody reads it.

    A terminal that was closed, or a pipe whose reader has gone, must not end a run that is being paid for.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.stream.flush()

    def isatty(self) -> bool:
        return bool(self.stream) and not self.stream.closed and self.stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Guarded(Told):
    """The same for whatever writes to ``sys.stderr`` by itself (logging, warnings, tracebacks); escape codes are shown.

    ``stream`` is what a console of ours writes to, whose own colours are meant.
    """

    def write(self, text: str) -> int:
        super().write(visible(text.replace("\r\n", "\n").replace("\r", "\n")))
        return len(text)


class Result(Told):
    """Standard output: what cannot be written there is an error with a name. A reader that has gone is BrokenPipeError."""

    gone = False  # nothing more can be written there, errors neither

    def write(self, text: str) -> int:
        with self._named():
            return self.stream.write(text)

    def flush(self) -> None:
        with self._named():
            self.stream.flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            let_go(self.stream)
            self.gone = True
            raise LoopwrightError(f"standard output cannot be written to: {error.strerror}") from error


def raw(stream: Any) -> Any:
    """The stream itself, behind what guards it and what keeps it apart from a progress bar."""
    while (behind := stream.stream if isinstance(stream, Told) else getattr(stream, "rich_proxied_file", None)) is not None:
        stream = behind
    return stream


def open_streams() -> None:
    """Make a process's streams usable: closed ones are empty, and standard error is guarded. For a process of our own alone.

    A file that is opened while 0, 1 or 2 is free would take that number, and be written to by whoever means the stream.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
    if not isinstance(sys.stderr, Guarded):
        forgive(sys.stdout, sys.stderr)
        sys.stderr = Guarded(sys.stderr)
        sys.stdout = Result(sys.stdout)


def forgive(*streams: Any) -> None:
    """What a terminal or file cannot show (its encoding is ASCII, a path is no text) is written as an escape, not an error."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def let_go(stream: Any) -> None:
    """Nothing more is written to a stream that cannot be written to; Python would complain once more when it closes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


__all__ = ["Guarded", "Result", "Told", "forgive", "let_go", "open_streams", "raw"]
