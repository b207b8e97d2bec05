"""What a model, a server, a task or a file name writes is shown on a terminal and not obeyed by it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from children import on_terminal, piped, task_folder
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from fakes.openai_server import Server, completion, fails, serving
from loopwright.cli.consoles import SafeConsole
from loopwright.core.visible import visible, visible_json, visible_line

Seen = Callable[[str], None]
# Clipboard, title, hyperlink, cursor, clear, colours, bell, C1 controls, line start, direction, no width, hidden text.
ATTACKS = {
    "clipboard": "\x1b]52;c;cHduZWQ=\x07", "title": "\x1b]0;pwned\x1b\\", "link": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "cursor": "\x1b[1A\x1b[2K", "clear": "\x1b[2J\x1b[H", "colour": "\x1b[8m", "bell": "\x07", "c1": "\x9b2J\x9d52;c;eA==\x9c",
    "return": "hidden\rshown", "backspace": "abc\b\b\b", "direction": "\u202ecod\u2066", "zero-width": "a\u200bb\ufeffc\u00ad",
    "tags": "\U000e0041\U000e0042", "markup": "[bold red]x[/] [link=http://evil.example]y[/link] :smile:", "delete": "\x7f",
    "surrogate": "\udce9", "device": "\x1bP+q544e\x1b\\", "reset": "\x1bc",
}  # fmt: skip
EVIL = "".join(text for name, text in ATTACKS.items() if name not in ("surrogate", "return")) + "end"
# What rich itself writes: colours, and the few moves of its progress bar.
_OURS = re.compile(rb"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r")
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff\U000e0000-\U000e007f]")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def obeyed(said: bytes) -> list[str]:
    """What a terminal would obey in an output, but for what rich writes."""
    text = _OURS.sub(b"", said.replace(b"\r\n", b"\n")).decode("utf-8")
    return _OBEYED.findall(text)


# ---- the one place ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(ATTACKS))
def test_an_attack_is_written_out(name: str) -> None:
    shown = visible(ATTACKS[name])
    assert not _OBEYED.search(shown) and shown.encode("utf-8") and visible(shown) == shown
    assert ("\\" in shown) == (name != "markup")


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_shown_and_read_back(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown and shown.encode("utf-8") is not None
    assert not _OBEYED.search(shown) and "\n" not in visible_line(text)
    document = json.dumps([text, {text: text}], ensure_ascii=False)
    assert json.loads(visible_json(document)) == json.loads(document) and not _OBEYED.search(visible_json(document))


@pytest.mark.parametrize(
    "text",
    ["plain [x] é ☃ 😀", "é e\u0301", "👨‍👩‍👧 🏳️‍🌈 1️⃣ ❤️", "نمی‌خواهم", "क्‍ष", "line\nline\tcolumn", "שלום עולם", "日本語\u3000全角"],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(("text", "shown"), [("a\r\nb", "a\nb"), ("ad\u200dmin", "ad\\u200dmin"), ("x\ufe0fy", "x\\ufe0fy")])
def test_what_only_hides_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_console_shows_a_text_however_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    out, table = SafeConsole(wraps=True), Table(EVIL, title=EVIL, caption=EVIL)
    table.add_row(EVIL)
    table.add_row(Text(EVIL))
    for what in (EVIL, Text(EVIL), table, Text.from_markup("[link=http://evil.example]y[/link]"), Text.from_ansi(EVIL), [EVIL]):
        out.print(what)
        out.log(what)
    said = capsys.readouterr().out
    assert not obeyed(said.encode()) and "pwned" in said and "\x1b]8" not in said


OTHERS = """
import asyncio, logging, sys, threading, warnings
from loopwright.cli.streams import open_streams
open_streams()
evil = EVIL
logging.getLogger("somewhere").warning("said %s", evil)
warnings.warn(evil)
def fail(): raise ValueError(evil)
thread = threading.Thread(target=fail); thread.start(); thread.join()
async def main():
    async def fails(): raise ValueError(evil)
    task = asyncio.create_task(fails())
    await asyncio.sleep(.01)
asyncio.run(main())
print(evil, file=sys.stderr)
fail()
"""


@pytest.mark.fault(68)
def test_what_others_write_to_standard_error_is_shown(tmp_path: Path, seen: Seen) -> None:
    """Log lines, warnings, tracebacks and last words of threads do not pass through a console."""
    with on_terminal(tmp_path, code=OTHERS.replace("EVIL", ascii(EVIL))) as child:
        assert child.ended()[0] == 1
    assert not obeyed(child.said)
    assert child.said.count(b"0;pwned") >= 6
    seen("log, warning, print, tracebacks of a thread, of a task and of the program: shown")


# ---- whole commands, on a terminal ------------------------------------------------------------------------------------


@pytest.mark.fault(68)
def test_commands_show_what_they_are_given(tmp_path: Path, server: Server, seen: Seen) -> None:
    """A task, a server and a model that attack the terminal in everything that they may write."""
    folder = task_folder(tmp_path, name=EVIL, examples=80)
    lines = [json.dumps({"id": f"{EVIL}{i}", "input": f"{EVIL} {i}", "target": EVIL}) + "\n" for i in range(80)]
    (folder / "examples.jsonl").write_text("".join(lines))
    asked = iter(range(10**6))

    def attack(body: dict[str, object]) -> object:
        number = next(asked)
        if number % 7 == 3:
            return fails(400, f"{EVIL} max_tokens", EVIL)(body)  # type: ignore[operator]
        says = EVIL if number % 2 else "no" + EVIL
        return completion(body, [says], top={"model": EVIL, "system_fingerprint": f"{EVIL}{number % 5}"})

    server.will(attack)  # type: ignore[arg-type]
    spec = f"openai:\x1b[2J\x9b2J\u202e0;pwned\x07@{server.url}"
    commands = [
        ("improve", "echo", "--method", "few-shot", "--model", spec, "--out", "out"),
        ("runs",), ("runs", "--json"), ("report", "last", "--out", "page.html"), ("report", "last", "--json"),
        ("export", "last", "--threshold", "0"), ("compare", "last", "last"), ("answer", "-a", "out/artifact", "-m", spec, "why?"),
        ("answer", "-a", "out/artifact", "-m", spec, "--json", "why?"), ("resume", EVIL), ("improve", EVIL), ("show", EVIL),
        ("list", "--family", EVIL), (EVIL,), ("improve", "echo", "--budget", EVIL), ("watch", EVIL),
        ("run", "few-shot", "--set", EVIL, "--task", "echo"),
    ]  # fmt: skip
    shown = 0
    for words in commands:
        with on_terminal(tmp_path, *words) as child:
            code, _ = child.ended()
        assert not obeyed(child.said), (words[0], code, obeyed(child.said), child.said[-1500:])
        assert b"Traceback" not in child.said and b"unexpected" not in child.said, (words, child.said[-1500:])
        shown += rb"\x1b]52" in child.said or rb"\u001b]52" in child.said
    assert shown >= len(commands) - 3, shown
    seen(f"{len(ATTACKS)} kinds of codes in task, ids, answers, errors, names: {len(commands)} commands showed them, none obeyed")


@pytest.mark.fault(68)
def test_an_answer_in_a_pipe_is_exact_and_on_a_terminal_visible(tmp_path: Path, server: Server, seen: Seen) -> None:
    task_folder(tmp_path, examples=80)
    server.will(lambda body: completion(body, [EVIL]))
    spec = f"openai:m@{server.url}"
    assert piped(tmp_path, "improve", "echo", "--method", "few-shot", "--model", spec, "--out", "out").returncode == 0
    words = ("answer", "-a", "out/artifact", "-m", spec, "why?")
    assert piped(tmp_path, *words, PYTHONIOENCODING="utf-8").stdout.decode() == EVIL + "\n"
    document = piped(tmp_path, *words, "--json", PYTHONIOENCODING="utf-8").stdout
    assert json.loads(document)["answer"] == EVIL and not obeyed(document)
    with on_terminal(tmp_path, *words) as child:
        assert child.ended()[0] == 0
    assert child.said.decode().replace("\r\n", "\n") == visible(EVIL) + "\n"
    seen("answer: the exact bytes in a pipe, the same data in JSON, escapes on a terminal")


# ---- pages ------------------------------------------------------------------------------------------------------------

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg onload=alert(1)>]]></style></pre>&lt;b&gt;=cmd|' /c'!A1"


class _Page(HTMLParser):
    """What a browser would take for markup."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.wrong += [f"{tag} {name}" for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]
        self.wrong += [tag] if tag in ("script", "iframe", "object", "embed", "link", "base", "form") else []
        self.wrong += [f"{tag} {value}" for name, value in attrs if name == "src" and not (value or "").startswith("data:")]


@pytest.mark.fault(26)
def test_a_report_runs_nothing(tmp_path: Path, server: Server, seen: Seen) -> None:
    """Script in names, inputs, targets, answers, errors and ids; a spreadsheet's formula is text in JSON and on the page."""
    evil = SCRIPT + "\x1b[2J\u202e"
    folder = task_folder(tmp_path, name=evil, examples=80)
    lines = [json.dumps({"id": f"{evil}{i}", "input": f"{evil} {i}", "target": f"{evil}{i % 2}"}) + "\n" for i in range(80)]
    (folder / "examples.jsonl").write_text("".join(lines))
    asked = iter(range(10**6))

    def answers(body: dict[str, object]) -> object:
        number = next(asked)
        shots = len(body["messages"]) > 3  # type: ignore[arg-type]
        text = body["messages"][-1]["content"]  # type: ignore[index]
        right = evil + str(int(str(text).rsplit(" ", 1)[-1]) % 2) if str(text)[-1].isdigit() else evil
        if number % 9 == 4:
            return fails(400, evil, evil)(body)  # type: ignore[operator]
        return completion(body, [right if shots or number % 3 == 0 else evil], top={"model": evil, "system_fingerprint": evil})

    server.will(answers)  # type: ignore[arg-type]
    spec = f"openai:m@{server.url}"
    done = piped(tmp_path, "improve", "echo", "--method", "few-shot", "--model", spec, "--out", "out", PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr[-2000:].decode()
    assert piped(tmp_path, "report", "last", "--out", "page.html").returncode == 0
    raw = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for text in (raw, (tmp_path / "page.html").read_text(encoding="utf-8")):
        page = _Page()
        page.feed(text)
        assert not page.wrong and "default-src 'none'" in text and not _OBEYED.search(text)
        assert "&lt;script&gt;" in text and "\\u202e" in text
    for figure in tmp_path.rglob("*.svg"):
        ET.fromstring(figure.read_text(encoding="utf-8"))
        assert b"<script" not in figure.read_bytes()
    tables = [path for path in tmp_path.rglob("*") if path.suffix in (".csv", ".tsv", ".xls", ".xlsx")]
    assert not tables  # there is no export that a spreadsheet would open and compute
    seen(f"2 pages, {raw.count('&lt;script')} scripts escaped, none live, policy default-src 'none'; no CSV is written at all")


