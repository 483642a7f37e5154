import numpy as np
from tests import made, tiny

from sottovoce.evidence import Grounds
from sottovoce.explanation import LEAST_LEVEL, Explained, explanation_record

WINDOW = tiny.window("ada", ["I lie awake.", "Work was fine."])
ESTIMATE = made.estimate("ada", 11.0, window_start=WINDOW.start, window_end=WINDOW.end)


def test_each_item_has_its_strongest_message_as_it_was_said():
    levels = np.array([[1.23456, 0.1], [0.9, 0.2]])
    grounds = Grounds(np.array([1.5, 0.0]), np.array([0, 2]), levels)
    assert explanation_record(Explained(ESTIMATE, WINDOW, grounds)) == {
        "user_id": "ada",
        "instrument": "phq-9",
        "window_start": "2025-02-28T12:00:00Z",
        "window_end": "2025-03-14T12:00:00Z",
        "model_id": "made-up",
        "profile": [1.5, 0.0],
        "evidence": [
            {
                "item": 1,
                "level": 1.2346,
                "timestamp": "2025-03-14T07:00:00Z",
                "quote": "I lie awake.",
            }
        ],
    }


def test_a_message_is_quoted_from_half_a_point_on():
    levels = np.array([[LEAST_LEVEL - 1e-6, LEAST_LEVEL]])
    grounds = Grounds(np.array([0.0, 1.0]), np.array([2]), levels)
    (found,) = explanation_record(Explained(ESTIMATE, WINDOW, grounds))["evidence"]
    assert (found["item"], found["quote"]) == (2, "Work was fine.")


def test_an_estimate_without_grounds_has_no_record():
    assert explanation_record(Explained(ESTIMATE, WINDOW)) is None
    assert explanation_record(Explained(made.estimate("ada", None))) is None
