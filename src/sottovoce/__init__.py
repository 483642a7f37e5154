"""Sottovoce: a questionnaire score, with an honest interval, from ordinary conversation.

Owns the public names and the version. Importing it is light: a name's module is loaded when the
name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Conversation": "conversations",
    "Message": "conversations",
    "QuestionnaireResponse": "conversations",
    "Cohort": "cohort",
    "Window": "cohort",
    "WindowRules": "cohort",
    "Estimate": "estimates",
    "Estimator": "estimator",
    "Ensemble": "ensemble",
    "SottovoceError": "errors",
    "instrument": "instruments",
    "evaluate": "evaluation",
    "open_dataset": "datasets",
}

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604 - names resolved lazily below

if TYPE_CHECKING:
    from sottovoce.cohort import Cohort as Cohort
    from sottovoce.cohort import Window as Window
    from sottovoce.cohort import WindowRules as WindowRules
    from sottovoce.conversations import Conversation as Conversation
    from sottovoce.conversations import Message as Message
    from sottovoce.conversations import QuestionnaireResponse as QuestionnaireResponse
    from sottovoce.datasets import open_dataset as open_dataset
    from sottovoce.ensemble import Ensemble as Ensemble
    from sottovoce.errors import SottovoceError as SottovoceError
    from sottovoce.estimates import Estimate as Estimate
    from sottovoce.estimator import Estimator as Estimator
    from sottovoce.evaluation import evaluate as evaluate
    from sottovoce.instruments import instrument as instrument


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"sottovoce.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sottovoce' has no attribute {name!r}")
