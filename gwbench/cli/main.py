"""The `gwbench` command. A verb is imported when it is used, so that help appears at once."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from importlib import import_module

import click

from gwbench._version import __version__
from gwbench.cli import streams
from gwbench.errors import UserError, did_you_mean
from gwbench.utils.namesake import ADVICE
from gwbench.utils.printable import printable_lines
from gwbench.utils.subprocesses import respect_quota

VERBS = {
    "run": "Pre-train, probe and record one method.",
    "predict": "Score windows of strain by a finished run, as for the challenge's submission.",
    "scan": "Search continuous strain with a finished run: triggers and their false-alarm rates.",
    "suite": "Run a benchmark described in YAML: the runs that are missing.",
    "sweep": "Search for the best settings of a method, on the validation split.",
    "runs": "List, show and remove runs.",
    "leaderboard": "Rank the methods of finished runs.",
    "report": "Write an HTML page about a run: its results and how they were made.",
    "verify": "Prove that runs give what their records say.",
    "submit": "Make finished runs entries of a folder of results.",
    "compare": "Test two runs against each other and show what differs.",
    "export": "Write a finished run as an ONNX, TorchScript or torch.export file.",
    "hub": "Publish a finished run on a Hugging Face hub, and fetch one.",
    "search": "Evaluate searches of continuous strain, gwbench's own and anybody's.",
    "list": "List plugins.",
    "show": "Show one plugin, or the settings of training, evaluation or conditioning.",
    "new": "Write a working plugin and its test, to start your own from.",
    "check": "Check that a plugin keeps its contract.",
    "data": "Make, import, download, plot and remove strain data on this machine.",
    "doctor": "Check this installation.",
}
"""Every verb, with its line in the help. The command `x` is in `gwbench.cli.x`."""

NUMBERS = {
    r"is not a valid integer(?: range)?\.": "is not a whole number.",
    r"is not a valid float(?: range)?\.": "is not a number.",
    r"is not in the range x>=([\d.e+-]+?)\.$": r"is less than \1.",
    r"is not in the range x>([\d.e+-]+?)\.$": r"is not more than \1.",
}
"""What click says of a number, and how a person says it."""

USER_MISTAKE = 2
FAILURE = 1
INTERRUPTED = 130


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"gwbench.cli.{cmd_name}")
        command: click.Command = getattr(module, _attribute(cmd_name))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], VERBS)
            raise click.UsageError(f"There is no verb {args[0]!r}.{hint} Verbs: {', '.join(VERBS)}.", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gwbench")
def gwbench() -> None:
    """Benchmark self-supervised learning on gravitational-wave strain.

    Start with `gwbench run`. `gwbench list` shows what it can combine.
    """


def main() -> None:
    """Run the command line: exit code 0 for success, 1 for a failure, 2 for the user's mistake."""
    streams.take_standard_output()
    os.environ["MPLBACKEND"] = "agg"  # a notebook's own may not be installed here; a verb draws into files alone
    respect_quota()
    if "_HOMES" not in vars(sys.modules["gwbench"]):  # the other package's file lies where ours was
        _say(f"Error: {ADVICE}")
        sys.exit(USER_MISTAKE)
    try:
        code = _run()
        streams.finish()
    except streams.OutputLostError as error:
        streams.give_up()
        code = streams.BROKEN_PIPE if error.reader_gone else FAILURE
        if not error.reader_gone:
            _say(f"Error: Standard output cannot be written: {error.reason}.")
    sys.exit(code)


def _run() -> int:
    try:
        code = gwbench.main(prog_name="gwbench", standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except UserError as error:
        _say(f"Error: {error}")
        code = USER_MISTAKE
    except click.UsageError as error:
        _say(_usage(error))
        code = USER_MISTAKE
    except click.ClickException as error:
        _say(f"Error: {error.format_message()}")
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted. The same command goes on where it stopped.")
        code = INTERRUPTED
    return code if isinstance(code, int) else 0


def _say(message: str) -> None:
    """Print a message to standard error, where that can be written."""
    with suppress(OSError):
        click.echo(printable_lines(message), err=True)


def _usage(error: click.UsageError) -> str:
    """A mistake on the command line as one line; the help where no verb was given."""
    message = error.format_message()
    if error.ctx is None or message == error.ctx.get_help():
        return message
    if isinstance(error, click.BadParameter):
        for theirs, plain in NUMBERS.items():
            message = re.sub(theirs, plain, message)
    message += "" if message.endswith((".", "?", "?)")) else "."
    return f"Error: {message} See `{error.ctx.command_path} --help`."


def _attribute(verb: str) -> str:
    """The command's name in its module; `list` would hide the builtin there."""
    return f"{verb}_plugins" if verb == "list" else verb
