"""`sottovoce audit`: the audit log. Owns the commands; the work is `service`'s."""

import json
from pathlib import Path

import click

from sottovoce.cli.console import (
    EXISTING_FILE,
    data_dir_option,
    example,
    json_option,
    print_json,
    stderr,
)
from sottovoce.errors import ServiceError, require


@click.group(
    epilog=example(
        "sottovoce audit verify",
        "sottovoce audit verify --json",
        "sottovoce audit verify --since heads.json",
    )
)
def audit() -> None:
    """Look after the log of who did what to whom."""
    require("sqlalchemy", what="The monitoring service", extra="service")


@audit.command(epilog=example("sottovoce audit verify --json > heads.json"))
@click.option(
    "--since",
    type=EXISTING_FILE,
    help="What --json printed before: nothing known then may be gone now.",
)
@data_dir_option
@json_option
def verify(since: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Verify every chain of the audit log from its beginning.

    A changed, removed or inserted entry breaks a chain. Entries cut off at the end together with
    the chain's head are found only with --since: keep what --json prints on another machine.
    """
    from sottovoce.service.audit import read_anchors
    from sottovoce.service.running import running
    from sottovoce.service.settings import ServiceSettings

    anchors = None
    if since is not None:
        try:
            record = json.loads(since.read_text("utf-8"))
        except (OSError, ValueError):
            raise ServiceError(f"{since}: it cannot be read as JSON; name another file") from None
        anchors = read_anchors(record.get("heads") if isinstance(record, dict) else None)
    with running(ServiceSettings.from_environment(data_dir=data_dir)) as service:
        verdict = service.gate.verify(anchors)
    if as_json:
        heads = {str(lane): list(head) for lane, head in verdict.heads.items()}
        print_json({"entries": verdict.entries, "problem": verdict.problem, "heads": heads})
    if verdict.problem is not None:
        raise ServiceError(f"{verdict.problem}; compare with a backup")
    stderr().print(f"{verdict.entries} entries, every chain holds.")
