"""`sottovoce worker`: scores what waits. Owns the command; the work is `service.worker`'s."""

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import click

from sottovoce import __version__
from sottovoce.cli.console import data_dir_option, example, model_option
from sottovoce.errors import require


@click.command(
    epilog=example(
        "sottovoce worker",
        "sottovoce worker --model runs/lora --data-dir /var/lib/sottovoce",
        "sottovoce worker --once",
    )
)
@model_option
@data_dir_option
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="People at the same time: up to 32 are scored together.  [default: 32]",
)
@click.option("--once", is_flag=True, help="End when nothing waits any more.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Port of this machine at which Prometheus reads the worker's metrics.",
)
@click.option(
    "--metrics-host", default="127.0.0.1", show_default=True, help="Where that port is open."
)
@click.option("--until-closed", is_flag=True, help="End when the standard input is closed.")
def worker(  # noqa: PLR0913, PLR0917 - one parameter an option, as click passes them
    model: Path | None,
    data_dir: Path | None,
    concurrency: int | None,
    once: bool,
    metrics_port: int | None,
    metrics_host: str,
    until_closed: bool,
) -> None:
    """Score people of the monitoring service when something new was said.

    sottovoce serve starts one; any number of them share the work. The model is loaded once. The
    settings are those of sottovoce serve: without SOTTOVOCE_DATABASE_URL it works on the embedded
    PostgreSQL of the data folder. The first SIGTERM or SIGINT lets it finish what it has begun, a
    second one ends it at once; what was begun is taken up by another worker.
    """
    require("procrastinate", what="The monitoring service", extra="service")
    from sottovoce.estimator import Estimator
    from sottovoce.service import logs
    from sottovoce.service.running import running
    from sottovoce.service.settings import ServiceSettings
    from sottovoce.service.telemetry import serve, telemetry
    from sottovoce.service.worker import Hooks, Pace, run_worker

    settings = ServiceSettings.from_environment(data_dir=data_dir, model=model)
    logs.configure()
    if until_closed:
        threading.Thread(target=_wait_for_the_end, daemon=True).start()
    scorer = Estimator.from_pretrained(settings.model)
    scorer.warm_up()
    pace = Pace() if concurrency is None else replace(Pace(), concurrency=concurrency)
    measured = telemetry(__version__, scorer.model_id)
    with running(settings) as service:
        if metrics_port is not None:
            serve(measured, metrics_port, metrics_host)
        hooks = Hooks(telemetry=measured)
        if service.embedded is not None:
            hooks = replace(hooks, revive=service.embedded.restart)
        run_worker(service.gate, settings, scorer, pace=pace, hooks=hooks, once=once)


def _wait_for_the_end() -> None:
    """Ask this process to finish when whoever started it is gone, and with it the pipe."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
