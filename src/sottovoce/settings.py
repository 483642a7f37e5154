"""Everything that decides an estimator besides the data, as plain records with their defaults.

Owns the settings of backbone, probe and estimator. Does not know how they are written in a recipe
(`recipe`) nor what is done with them (`estimator`).
"""

from dataclasses import dataclass, field

from sottovoce.cohort import WindowRules
from sottovoce.features import Pooling
from sottovoce.model_input import Rendering
from sottovoce.probe import ProbeSearch


@dataclass(frozen=True, slots=True)
class BackboneSettings:
    """Which backbone: its name, revision on the hub, and number type (`load_backbone`)."""

    name: str = "smollm2-135m"
    revision: str | None = None
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What the probe may choose from, by cross-validation over people.

    Parameters
    ----------
    poolings, layers
        Candidates; no layers means all of them.
    search
        Penalties to try, and how many of the best candidates are averaged.
    n_folds
        Folds of people, stratified by total.
    """

    poolings: tuple[Pooling, ...] = ("mean", "message_mean")
    layers: tuple[int, ...] = ()
    search: ProbeSearch = field(default_factory=ProbeSearch)
    n_folds: int = 5


@dataclass(frozen=True, slots=True)
class EstimatorSettings:
    """Everything that decides an estimator besides the data."""

    instrument: str = "phq-9"
    rules: WindowRules = field(default_factory=WindowRules)
    rendering: Rendering = field(default_factory=Rendering)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    coverage: float = 0.9
    seed: int = 0
