"""`sottovoce backup`: the service's database in a file. Owns the command."""

from pathlib import Path

import click

from sottovoce.cli.console import (
    data_dir_option,
    example,
    force_option,
    json_option,
    print_json,
    stderr,
)
from sottovoce.errors import require


@click.command(
    epilog=example("sottovoce backup monday.dump", "sottovoce backup monday.dump --force --json")
)
@click.argument("file", type=click.Path(path_type=Path))
@data_dir_option
@force_option
@json_option
def backup(file: Path, data_dir: Path | None, force: bool, as_json: bool) -> None:
    """Copy the service's database into FILE, while it is used.

    What people said is in it as it lies in the database: sealed. The master key is not in it; keep
    a copy of it elsewhere, or nothing can be read. FILE is read back whole before it has its name,
    and its checksum stands beside it.
    """
    require("sqlalchemy", what="The monitoring service", extra="service")
    from sottovoce.service.backup import backup as back_up
    from sottovoce.service.running import running
    from sottovoce.service.settings import ServiceSettings

    with running(ServiceSettings.from_environment(data_dir=data_dir)) as service:
        programs = None if service.embedded is None else service.embedded.programs
        made = back_up(service.database.conninfo, file, programs, force=force)
    if as_json:
        print_json({"path": str(made.path), "bytes": made.size, "sha256": made.sha256})
    stderr().print(f"{made.size} bytes in {made.path}, read back whole.", soft_wrap=True)
