"""The application: global options, the commands, and what the user sees when something goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from loopwright import __version__
from loopwright.cli import catalogue, doctor, judging, keeping, pruning, using, watching, working
from loopwright.cli.interrupts import own_process
from loopwright.cli.shared import State, StoreOption, emit, say
from loopwright.cli.streams import forgive, let_go, open_streams
from loopwright.core.errors import LoopwrightError
from loopwright.core.extras import of as missing_extra
from loopwright.core.secrets import mask
from loopwright.core.visible import visible

app = typer.Typer(
    name="loopwright",
    help="Improve anything you can score, compare or criticise, and prove it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"loopwright {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    store: StoreOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    ctx.obj = State(store=store)


app.command("improve", rich_help_panel="Improve")(working.improve)
app.command("run", rich_help_panel="Improve")(working.run)
app.command("resume", rich_help_panel="Improve")(working.resume)
app.command("answer", rich_help_panel="Use")(using.answer)
app.command("compare", rich_help_panel="Use")(using.compare)
app.command("export", rich_help_panel="Use")(keeping.export)
app.command("runs", rich_help_panel="Look")(keeping.runs)
app.command("report", rich_help_panel="Look")(keeping.report)
app.command("prune", rich_help_panel="Look")(pruning.prune)
app.command("vacuum", rich_help_panel="Look")(pruning.vacuum)
app.command("judge-report", rich_help_panel="Look")(judging.judge_report)
app.command("doctor", rich_help_panel="Look")(doctor.doctor)
app.command("watch", rich_help_panel="Methods")(watching.watch)
app.command("list", rich_help_panel="Methods")(catalogue.list_recipes)
app.command("show", rich_help_panel="Methods")(catalogue.show)
app.command("check", rich_help_panel="Methods")(catalogue.check)
app.command("reproduce", rich_help_panel="Methods")(catalogue.reproduce)
app.add_typer(using.model, name="model", rich_help_panel="Use")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command in a process of its own and exit with its code."""
    open_streams()
    with own_process() as ending:
        try:
            code = execute(arguments)
        except KeyboardInterrupt:  # while the message about another end was written
            code = 130
    ending(code)


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Errors that we know are one message, others one line and a file."""
    forgive(sys.stdout, sys.stderr)
    words = list(sys.argv[1:] if arguments is None else arguments)
    json = "--json" in words
    try:
        code = app(words, prog_name="loopwright", standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # typer turns Ctrl-C into this
            return _fail(KeyboardInterrupt(), "stopped", 130, json)
        return code if isinstance(code, int) else 0
    except LoopwrightError as error:
        return _fail(error, str(error), error.exit_code, json)
    except BrokenPipeError:
        let_go(sys.stdout)  # whoever read us has gone, as in "| head"
        return 141
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error)) is not None:
            return _fail(missing, str(missing), missing.exit_code, json)
        # Typer carries its own copy of click, so its usage errors are known by their shape.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return _usage(error, json)
        if type(error).__name__ == "Abort":
            return _fail(error, "stopped", 130, json)
        if isinstance(error, OSError):
            from loopwright.store.faults import disk_fault

            if (fault := disk_fault(error, error.filename or "the output")) is not None:
                return _fail(fault, str(fault), fault.exit_code, json)
        return _fail(error, f"unexpected {type(error).__name__}: {error}\nThe traceback is in {_saved(error)}", 70, json)


def _fail(error: BaseException, message: str, code: int, json: bool) -> int:
    message = mask(message)
    if json and not getattr(sys.stdout, "gone", False):
        emit({"error": {"type": type(error).__name__, "message": message}})
    else:
        say(f"loopwright: {message}", style="bold red", first_line_only=True)
    return code


def _usage(error: Exception, json: bool) -> int:
    message = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return 2
    if context is not None and not json:
        message += f"\nTry: {context.command_path} --help"
    return _fail(error, message, error.exit_code, json)  # type: ignore[attr-defined]


def _saved(error: BaseException) -> str:
    import tempfile
    import traceback

    from loopwright.store.redaction import redact

    text = redact("".join(traceback.format_exception(error)))
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="loopwright-", suffix=".log", delete=False) as file:
            file.write(visible(text).encode())
    except OSError as refused:
        return f"no file: {refused.strerror} in {tempfile.gettempdir()}"
    return file.name
