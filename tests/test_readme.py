"""The README's commands and its Python run; its output is looked at in `test_demo.py`."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests import served

from sottovoce import bundled
from sottovoce.cli.benchmark import benchmark
from sottovoce.conversations import (
    conversation_record,
    read_chats,
    read_labels,
    response_record,
    write_json_lines,
)
from sottovoce.datasets import NAMES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    return [
        line.removeprefix("$ ")
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the chats and questionnaires of twelve bundled test people."""
    place = tmp_path_factory.mktemp("readme")
    some = sorted(bundled.users("test"))[:12]
    chats = (each for each in read_chats(bundled.CHATS) if each.user_id in some)
    labels = (each for each in read_labels(bundled.LABELS) if each.user_id in some)
    write_json_lines(place / "chats.jsonl", map(conversation_record, chats))
    write_json_lines(place / "labels.jsonl", map(response_record, labels))
    return place


def test_make_targets_that_the_readme_names_exist():
    named = set(re.findall(r"`?make ([a-z]+)`?", README))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named
    assert named <= targets


SERVICE = ("sottovoce serve", "export", "python examples")
"""What is said of the service: it would run until it is ended (tests/cli/test_serve.py)."""


@pytest.mark.parametrize("command", [each for each in commands() if each.startswith(SERVICE)])
def test_every_command_of_the_service_is_understood(command):
    if command.startswith("python"):
        assert (ROOT / shlex.split(command)[1]).is_file()
        return
    words = command.partition("$(")[2].rstrip(")") or command
    assert served.understood(*shlex.split(words)[1:])


OTHERS = [each for each in commands() if "sottovoce" in each and not each.startswith(SERVICE)]


@pytest.mark.parametrize("command", OTHERS)
def test_every_command_of_the_readme_runs(command, folder):
    if "train" in command:  # takes minutes; test_bundled_estimator.py trains by this very recipe
        recipe = shlex.split(command)[2]
        assert (ROOT / recipe).is_file()
        return
    if "benchmark" in command:  # takes minutes; tests/cli/test_benchmark.py runs it with a stand-in
        _, _, name, *rest = shlex.split(command)
        options = {each for each in rest if each.startswith("--")}
        assert name in NAMES
        assert options <= {option for each in benchmark.params for option in each.opts}
        return
    arguments = shlex.split(command)[1:]
    result = subprocess.run(
        [sys.executable, "-m", "sottovoce.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


def test_the_python_of_the_readme_runs(folder):
    (code,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    score, lower, upper, chance = map(float, result.stdout.split())
    assert 0 <= lower <= score <= upper <= 27
    assert 0 < chance < 1


def test_every_file_that_the_readme_links_exists():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links)
