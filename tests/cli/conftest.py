"""Runs commands in this process, with the errors that `sottovoce.cli.main` would print."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from tests import served

from sottovoce.cli import cli
from sottovoce.errors import SottovoceError


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


@pytest.fixture
def run() -> Callable[..., Outcome]:
    """Give ``run("check", path)``: any exception that is no sentence for the user is raised."""

    def invoke(*arguments: object) -> Outcome:
        result = CliRunner().invoke(cli, [str(each) for each in arguments])
        error = result.exception
        if error is None or isinstance(error, SystemExit):
            return Outcome(result.exit_code, result.stdout, result.stderr)
        if not isinstance(error, SottovoceError):
            raise error
        return Outcome(1, result.stdout, f"{result.stderr}Error: {error}\n")

    return invoke


@pytest.fixture(scope="session")
def serving(tmp_path_factory):
    """Run `sottovoce serve` without a worker, on an embedded PostgreSQL of its own."""
    with served.serve(tmp_path_factory.mktemp("served"), "--no-worker") as running:
        yield running


@pytest.fixture
def operate(run, serving, monkeypatch):
    """Give ``operate("keys", "list")``: a command beside the service that runs."""
    monkeypatch.setenv("SOTTOVOCE_DATA_DIR", str(serving.folder))
    return run
