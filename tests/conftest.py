"""No test reaches the network, and tiny backbones are made once a session."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from tests import annotating, recipes, tiny

# Read when torch is first imported. With two threads the small batched triangular solves of
# Qwen3.5's linear attention take 3 s instead of 0.02 s on a CPU.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")  # a busy machine is no reason to fail


LONG = ("test_demo.py", "test_bundled_estimator.py")
"""Modules that take minutes each."""


def pytest_collection_modifyitems(items):
    """Begin with what takes minutes, or one worker would end alone with it."""
    items.sort(key=lambda item: item.path.name not in LONG)


_connect = socket.socket.connect


def _only_here(self, address):
    host = address[0] if isinstance(address, tuple) else "127.0.0.1"
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError("a test tried to reach the network")
    return _connect(self, address)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", _only_here)


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory) -> Path:
    return tiny.save_qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="session")
def tiny_composite_qwen(tmp_path_factory) -> Path:
    return tiny.save_composite_qwen(tmp_path_factory.mktemp("composite"))


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    return tiny.save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_qwen) -> Path:
    """A run folder trained by the real command's code, beside the files it was trained on.

    Tests read it and never change it: `shutil.copytree` gives one to break.
    """
    from sottovoce.train import train

    folder = tmp_path_factory.mktemp("trained")
    recipes.write_people(folder)
    recipe = recipes.write_recipe(folder, tiny_qwen)
    return train(recipe, folder / "run").folder


@pytest.fixture(scope="session")
def tuned_run(tmp_path_factory, tiny_bert) -> Path:
    """A run folder of a fine-tuning, as `tiny_run`."""
    from sottovoce.train import train

    folder = tmp_path_factory.mktemp("tuned")
    recipes.write_people(folder)
    body = {"probe": None, "finetune": recipes.FINETUNE, "input": recipes.TURNS}
    recipe = recipes.write_recipe(folder, tiny_bert, **body)
    return train(recipe, folder / "run").folder


@pytest.fixture(scope="session")
def threads() -> int:
    """Threads for what a real backbone reads: every core, unless other tests run beside it."""
    return 1 if "PYTEST_XDIST_WORKER" in os.environ else os.cpu_count() or 1


@pytest.fixture(scope="session")
def running():
    """Run a scripted annotation service over HTTP; tests that change it ask for `service`."""
    with annotating.serving() as service:
        yield service


@pytest.fixture
def service(running):
    """Give the annotation service as if nobody had called it."""
    running.forget()
    return running


@pytest.fixture
def service_keys(monkeypatch):
    """Put keys of the annotation services into the environment."""
    annotating.set_keys(monkeypatch)


@dataclass(frozen=True)
class DemoRun:
    out: Path
    stdout: str
    stderr: str
    result: dict


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory, threads) -> DemoRun:
    """Run `sottovoce demo` once, in a process of its own, and keep what it printed."""
    out = tmp_path_factory.mktemp("run") / "demo"
    command = [sys.executable, "-m", "sottovoce.cli", "demo", "--out", str(out)]
    chosen = os.environ | {"OMP_NUM_THREADS": str(threads)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=chosen)
    assert run.returncode == 0, run.stderr
    result = json.loads((out / "benchmark.json").read_text("utf-8"))
    return DemoRun(out, run.stdout, run.stderr, result)


@pytest.fixture
def quick_figures(monkeypatch):
    """Draw PDF files with matplotlib's own fonts: embedding whole ones takes 0.2 s a figure."""
    from sottovoce.report import canvas

    monkeypatch.setitem(canvas.STYLE, "pdf.fonttype", 3)


@pytest.fixture
def quick_reading(monkeypatch):
    """Score by the length of the text and leave MiniLM out; everything after that is real."""
    from sottovoce import ladder
    from sottovoce.estimator import Estimator
    from sottovoce.scorer import Judged, Reading

    def read(_self, windows):
        return [Reading(each.reason, each.user_messages) for each in windows]

    def judge(self, readings, _advance=None):
        words = [sum(len(said.content.split()) for said in each.content) for each in readings]
        return [Judged(min(count / 40, 24.0), self.distribution) for count in words]

    def counted(windows, *_rest):
        return np.array([len(each.user_messages) for each in windows], dtype=float)[:, None, None]

    monkeypatch.setattr(Estimator, "read", read)
    monkeypatch.setattr(Estimator, "judge", judge)
    monkeypatch.setattr(ladder, "load_backbone", lambda name: name)
    monkeypatch.setattr(ladder, "embeddings", counted)
