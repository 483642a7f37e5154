"""`sottovoce keys`: API keys and the master key. Owns the commands; the work is `service`'s."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import click

from sottovoce.cli.console import (
    data_dir_option,
    example,
    force_option,
    free_path,
    json_option,
    print_json,
    stderr,
)
from sottovoce.errors import ServiceError, require
from sottovoce.service.principals import ROLES


@click.group(
    epilog=example(
        "sottovoce keys create --role app --name my-app",
        "sottovoce keys list",
        "sottovoce keys revoke 3f6c1b1e-0d7e-4f7f-8d51-0f8a2f3f6a10",
        "sottovoce keys master --out /etc/sottovoce/master.key",
        "sottovoce keys rotate",
    )
)
def keys() -> None:
    """Make, list and revoke API keys, and make and rotate the master key.

    These commands work on the service's database directly, for whoever operates it; over HTTP an
    administrator's key does the same.
    """
    require("sqlalchemy", what="The monitoring service", extra="service")


@keys.command(epilog=example("sottovoce keys create --role app --name my-app"))
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the key is for.")
@click.option("--name", required=True, help="Account; made where there is none of this name.")
@click.option("--days", type=float, default=90.0, show_default=True, help="How long it lives.")
@click.option("--subject", help="Who it is for an identity provider, on a new account.")
@click.option("--scope", "scopes", multiple=True, help="Limit it to an action; may be repeated.")
@data_dir_option
@json_option
def create(  # noqa: PLR0913, PLR0917 - one parameter an option, as click passes them
    role: str,
    name: str,
    days: float,
    subject: str | None,
    scopes: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Make an API key and print it, this once."""
    from sottovoce.service import accounts
    from sottovoce.service.principals import Principal
    from sottovoce.service.running import running
    from sottovoce.service.settings import ServiceSettings

    with running(ServiceSettings.from_environment(data_dir=data_dir)) as service:
        at = service.gate.clock()
        with service.gate.work(Principal("admin"), "accounts.manage") as connection:
            known = next((a for a in accounts.list_accounts(connection) if a.name == name), None)
            account = known or accounts.add_account(connection, name, role, at, subject)
            if account.role != role:
                raise ServiceError(f"the account has the role {account.role}; name another one")
            key, secret = accounts.add_key(
                connection, account.id, at, lifetime=_lifetime(days), scopes=scopes
            )
    if as_json:
        said = {"account": str(account.id), "id": str(key.id), "secret": secret}
        print_json({**said, "role": role, "expires_at": key.expires_at.isoformat()})
    else:
        click.echo(secret)
    stderr().print(
        f"Key {key.id} of {name} ({role}), good until {key.expires_at:%Y-%m-%d}. It is shown this "
        "once; the service keeps only a hash.",
        soft_wrap=True,
    )


def _lifetime(days: float) -> timedelta:
    try:
        return timedelta(days=days)
    except (ValueError, OverflowError):
        raise ServiceError("--days is no number of days; give one up to 365") from None


@keys.command("list", epilog=example("sottovoce keys list"))
@data_dir_option
@json_option
def list_(data_dir: Path | None, as_json: bool) -> None:
    """List accounts and their keys, without secrets."""
    from rich.table import Table

    from sottovoce.cli.console import stdout
    from sottovoce.service import accounts
    from sottovoce.service.principals import Principal
    from sottovoce.service.running import running
    from sottovoce.service.settings import ServiceSettings

    rows = []
    with (
        running(ServiceSettings.from_environment(data_dir=data_dir)) as service,
        service.gate.work(Principal("admin"), "accounts.manage") as connection,
    ):
        now = service.gate.clock()
        for account in accounts.list_accounts(connection):
            for key in accounts.list_keys(connection, account.id):
                state = "revoked" if key.revoked_at else "expired" if key.expires_at <= now else ""
                state = "disabled" if account.disabled_at else state or "good"
                rows.append((str(key.id), account.name, account.role, state, key.expires_at))
    if as_json:
        names = ("id", "account", "role", "state", "expires_at")
        listed = [dict(zip(names, (*row[:4], row[4].isoformat()), strict=True)) for row in rows]
        print_json({"keys": listed})
        return
    table = Table("key", "account", "role", "state", "until", box=None)
    for row in rows:
        table.add_row(*row[:4], f"{row[4]:%Y-%m-%d}")
    stdout().print(table)


@keys.command(epilog=example("sottovoce keys revoke 3f6c1b1e-0d7e-4f7f-8d51-0f8a2f3f6a10"))
@click.argument("key", type=click.UUID)
@data_dir_option
def revoke(key: UUID, data_dir: Path | None) -> None:
    """Let a key open nothing from now on."""
    from sottovoce.service import accounts
    from sottovoce.service.principals import Principal
    from sottovoce.service.running import running
    from sottovoce.service.settings import ServiceSettings

    with (
        running(ServiceSettings.from_environment(data_dir=data_dir)) as service,
        service.gate.work(Principal("admin"), "accounts.manage") as connection,
    ):
        accounts.revoke_key(connection, key, service.gate.clock())
    stderr().print("Revoked.")


@keys.command(epilog=example("sottovoce keys master --out /etc/sottovoce/master.key"))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@force_option
def master(out: Path, force: bool) -> None:
    """Make a master key in a file that only its owner reads."""
    from sottovoce.service.masterkeys import new_master_keys, write_master_keys

    write_master_keys(free_path(out, force=force), new_master_keys())
    stderr().print(
        f"Keep a copy of {out} apart from the backups: without it nothing of them can be read.\n"
        f"Next: SOTTOVOCE_MASTER_KEY_FILE={out} sottovoce serve",
        soft_wrap=True,
    )


@keys.command(
    epilog=example(
        "sottovoce keys rotate",
        "sottovoce keys rotate --rewrap",
        "sottovoce keys rotate --forget-old",
    )
)
@click.option("--rewrap", is_flag=True, help="Make no new key: wrap by the newest that is there.")
@click.option(
    "--forget-old", is_flag=True, help="The same, and drop all from the file but the newest."
)
@data_dir_option
def rotate(rewrap: bool, forget_old: bool, data_dir: Path | None) -> None:
    """Put a new master key before the old ones and wrap every person's key by it.

    The service goes on meanwhile: it reads the file again when it changes. Run it once more with
    --forget-old when the new file is everywhere: what was wrapped by an old key only, in copies of
    the database and of people erased since, cannot be read any more.

    Where the master key is in SOTTOVOCE_MASTER_KEY or behind SOTTOVOCE_KMS, put a new one before
    the old there, start the service again, and use --rewrap.
    """
    from sottovoce.service.masterkeys import (
        key_file,
        open_keeper,
        read_master_keys,
        write_master_keys,
    )
    from sottovoce.service.opening import rewrap as wrap_anew
    from sottovoce.service.running import running
    from sottovoce.service.settings import ServiceSettings

    settings = ServiceSettings.from_environment(data_dir=data_dir)
    path = key_file(settings)
    if path is None and (forget_old or not rewrap):
        raise ServiceError(
            "the master key is not in a file: put a new one before the old where it is kept, then "
            "run sottovoce keys rotate --rewrap"
        )
    with running(settings) as service:
        if path is not None and not rewrap and not forget_old:
            write_master_keys(path, read_master_keys(path).newer())
        keeper = open_keeper(settings)
        count = wrap_anew(service.database, keeper)
        if path is not None and forget_old:
            write_master_keys(path, read_master_keys(path).without_old())
    stderr().print(f"{count} keys wrapped anew by {keeper.current}.")
