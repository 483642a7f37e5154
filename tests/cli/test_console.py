import io

import pytest
from rich.console import Console

from sottovoce.cli import console

STEP = {"job": "final", "epoch": 1, "step": 1, "loss": 0.5}
EPOCH = {"job": "final", "epoch": 1, "step": 1, "epoch_loss": 0.5, "validation_mae": 4.25}


@pytest.fixture
def shown(monkeypatch):
    """Give what a bar shows on a terminal, or on none, that hears these calls."""

    def show(*heard, terminal):
        said = io.StringIO()
        made = Console(file=said, force_terminal=terminal, width=100, color_system=None)
        monkeypatch.setattr(console, "stderr", lambda: made)
        with console.progress_bar("Training") as advance:
            for each in heard:
                advance(*each)
        return said.getvalue()

    return show


def test_the_bar_of_a_training_shows_its_loss_and_validation_error(shown):
    text = shown((8, 16, STEP), (16, 16, EPOCH), terminal=True)
    assert "Training" in text
    assert "16/16" in text
    assert "final, epoch 1: loss 0.500, validation MAE 4.25" in text


def test_other_work_shows_no_figures(shown):
    text = shown((2, 4), terminal=True)
    assert "2/4" in text
    assert "loss" not in text


def test_without_a_terminal_there_is_no_bar(shown):
    assert not shown((8, 16, STEP), (16, 16, EPOCH), terminal=False).strip()
