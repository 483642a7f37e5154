"""`sottovoce serve`: the monitoring service. Owns the command; the work is `service`'s."""

import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.console import data_dir_option, example, model_option, stderr
from sottovoce.errors import ServiceError, require

if TYPE_CHECKING:
    from sottovoce.service.running import Running
    from sottovoce.service.settings import ServiceSettings


@click.command(
    epilog=example(
        "sottovoce serve",
        "sottovoce serve --data-dir /var/lib/sottovoce --model runs/lora",
        "sottovoce serve --no-worker",
        "sottovoce serve --migrate",
    )
)
@click.option("--host", help="Address to listen at.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 takes one that is free.  [default: 8321]")
@data_dir_option
@model_option
@click.option("--worker/--no-worker", default=True, help="Whether a worker is started beside it.")
@click.option("--migrate", is_flag=True, help="Bring the schema forward, and end.")
def serve(
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    model: Path | None,
    worker: bool,
    migrate: bool,
) -> None:
    """Run the monitoring service.

    Without settings it starts a PostgreSQL of its own in the data folder and a worker that scores,
    and listens on this machine only. SOTTOVOCE_DATABASE_URL names a server of yours instead, whose
    schema --migrate brings forward; every setting is in docs/operations.md. Nobody gets in without
    a key: sottovoce keys create makes one.
    """
    require("fastapi", what="The monitoring service", extra="service")
    from sottovoce.service import logs
    from sottovoce.service.running import running, served
    from sottovoce.service.settings import ServiceSettings

    settings = ServiceSettings.from_environment(
        host=host, port=port, data_dir=data_dir, model=model
    )
    logs.configure()
    for each in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises a signal again when it has ended: by default that would end us at once
        signal.signal(each, _ended)
    if migrate:
        with served(settings) as (database, _):
            database.migrate()
            stderr().print(f"The schema is at step {database.revision()}.")
        return
    with _bound(settings) as listener, running(settings) as service:
        _run(service, settings, listener, worker)


def _run(
    service: "Running", settings: "ServiceSettings", listener: socket.socket, worker: bool
) -> None:
    """Listen until a signal ends it; then let requests and the worker finish."""
    import uvicorn

    from sottovoce.service.api.app import new_app
    from sottovoce.service.supervisor import Supervisor

    supervisor = Supervisor(_command(settings) if worker else (), service.embedded)
    chosen = uvicorn.Config(
        new_app(settings, service.gate),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(chosen)
    supervisor.start()
    try:
        _tell(settings, listener.getsockname()[1])
        server.run(sockets=[listener])
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)  # a second one would leave the worker behind
        supervisor.close()


def _ended(*_: object) -> None:
    """End in order, from wherever we are."""
    sys.exit(0)


def _bound(settings: "ServiceSettings") -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sends without Nagle's delay only where the protocol is named; else every answer, which
    # goes out in two pieces, waits 40 ms for the client's delayed acknowledgement
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ServiceError(
            f"{settings.host}, port {settings.port}: nothing can listen there "
            f"({error.strerror}); name another with --host and --port"
        ) from None
    return listener


def _command(settings: "ServiceSettings") -> list[str]:
    """Give the command of the worker; everything else it reads from the environment as we do."""
    command = [sys.executable, "-m", "sottovoce.cli", "worker"]
    command += ["--data-dir", str(settings.data_dir), "--until-closed"]
    return command + (["--model", str(settings.model)] if settings.model is not None else [])


def _tell(settings: "ServiceSettings", port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    stderr().print(
        f"Listening on http://{host}:{port}. An estimate is not a diagnosis.", soft_wrap=True
    )
    if not settings.production and settings.database_url is None:
        stderr().print(
            f"The database and its master key lie in {settings.data_dir}: good for trying. For "
            "people's words set SOTTOVOCE_PRODUCTION=1 and keep the key elsewhere.",
            soft_wrap=True,
        )
    stderr().print("Next: sottovoce keys create --role app --name my-app", soft_wrap=True)
