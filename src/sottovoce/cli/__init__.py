"""The command line: parses, calls the layers on the left, prints.

Owns the list of commands and the exit codes: 0 ok, 1 a data or run problem, 2 wrong usage. Each
command lives in the module of its name and is imported only when it runs, so that `--help` is
quick. Knows no arithmetic.
"""

import os
import sys
from importlib import import_module

import click

from sottovoce import __version__
from sottovoce.errors import SottovoceError

COMMANDS = {
    "demo": "Score the bundled test people, compare with baselines, write a report.",
    "check": "Say what would go wrong with a chat file before anything runs.",
    "convert": "Turn other formats into the canonical chats.jsonl or labels.jsonl.",
    "deidentify": "Replace what tells who somebody is in a chat file by surrogates.",
    "annotate": "Ask a reasoning model for pseudolabels: whom to send, what it costs, a store.",
    "train": "Train an estimator from a recipe and keep the run in a folder.",
    "select": "Choose whom to label next, so that every severity is well represented.",
    "self-train": "Train in stages: questionnaires, an annotator's labels, relabelling, ensemble.",
    "plan": "Work out what a recipe takes in memory, hours and cost before it runs.",
    "score": "Estimate severity from a chat file.",
    "evaluate": "Compare scores with questionnaires: metrics with intervals, a report.",
    "benchmark": "Judge saved models on a data set: baselines, leaks, groups, a report.",
    "export": "Write a fine-tuned estimator as a classifier that other servers load.",
    "serve": "Run the monitoring service: messages in, estimates kept up to date.",
    "worker": "Score people of the monitoring service when something new was said.",
    "keys": "Make, list and revoke API keys; make and rotate the master key.",
    "audit": "Verify the log of who did what to whom.",
    "backup": "Copy the service's database into a file.",
    "restore": "Bring the service's database back from a file.",
}
"""Command name, which with _ for - is also the name of its module and function here, to its
one-line help."""


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Give the names in the order of the work, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import the one command that is asked for."""
        if name not in COMMANDS:
            return None
        module = name.replace("-", "_")
        command = getattr(import_module(f"sottovoce.cli.{module}"), module)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: sottovoce demo",
)
@click.version_option(__version__, prog_name="sottovoce")
def cli() -> None:
    """Estimate how severe a person's depression is from ordinary conversation.

    Chats go in, a PHQ-9 total (0-27) with an honest interval comes out. It supports clinicians
    and researchers; it never diagnoses.
    """


def main() -> None:
    """Run the command line; a known error is one sentence on stderr and exit code 1."""
    status = _run()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from sottovoce.parallel import leave

        leave(status)
    sys.exit(status)


def _run() -> int:
    """Give the exit code of the command that is asked for."""
    try:
        cli()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except SottovoceError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
