"""`sottovoce restore`: the service's database from a file. Owns the command."""

from pathlib import Path

import click

from sottovoce.cli.console import data_dir_option, example, force_option, stderr
from sottovoce.errors import require


@click.command(
    epilog=example("sottovoce restore monday.dump", "sottovoce restore monday.dump --force")
)
@click.argument("file", type=click.Path(path_type=Path))
@data_dir_option
@force_option
def restore(file: Path, data_dir: Path | None, force: bool) -> None:
    """Bring the service's database back from FILE, into an empty one unless --force is given.

    Stop the service and its workers first. The schema is brought forward, and people who were
    erased since FILE was made are erased again (SOTTOVOCE_ERASED_FILE). Consent that was given or
    withdrawn since is not in FILE: let the app send it again before messages go on.
    """
    require("sqlalchemy", what="The monitoring service", extra="service")
    from sottovoce.service.backup import Afterwards
    from sottovoce.service.backup import restore as bring_back
    from sottovoce.service.running import served
    from sottovoce.service.settings import ServiceSettings
    from sottovoce.service.tombstones import erase_again, tombstones

    settings = ServiceSettings.from_environment(data_dir=data_dir)
    erased: list[int] = []
    with served(settings) as (database, embedded):
        after = Afterwards(
            database.migrate,
            lambda: erased.append(erase_again(database, tombstones(settings))),
        )
        programs = None if embedded is None else embedded.programs
        made = bring_back(file, database.conninfo, after, programs, force=force)
    stderr().print(
        f"Brought back {made.size} bytes; {sum(erased)} people erased since were erased again.\n"
        "Next: sottovoce audit verify",
        soft_wrap=True,
    )
