"""A backbone as an estimator's settings want it: loaded, shared out, and which layers are read.

Owns the step from settings to a loaded backbone. Does not know bodies.
"""

from typing import Any

from sottovoce.backbones import Backbone, load_backbone
from sottovoce.errors import ModelError
from sottovoce.parallel import new_mesh, world
from sottovoce.settings import BackboneSettings, EstimatorSettings


def load(settings: BackboneSettings, **changes: Any) -> Backbone:
    """Load a backbone as its settings say; `changes` are further options of `load_backbone`."""
    return load_backbone(
        settings.name,
        revision=settings.revision,
        dtype=settings.dtype,
        quantization=settings.quantization,
        **changes,
    )


def load_to_train(settings: EstimatorSettings) -> Backbone:
    """Load the backbone, several processes one after the other, shared out if so is wanted."""
    used, here = settings.finetune, world()
    mesh = new_mesh() if used is not None and used.sharding == "fsdp" else None
    with here.alike(), here.in_turn():
        return load(settings.backbone, keep_layers=used.layers if used else None, mesh=mesh)


def layers_to_read(settings: EstimatorSettings, backbone: Backbone) -> tuple[int, ...]:
    """Give the layers that a probe may choose from, or that a reader reads.

    Raises
    ------
    ModelError
        If the backbone has no such layer.
    """
    if settings.reader is not None:
        layers, key = settings.reader.layers_of(backbone.n_layers), "reader.layers"
    else:
        layers, key = settings.probe.layers or tuple(range(backbone.n_layers + 1)), "probe.layers"
    if max(layers) > backbone.n_layers or min(layers) < 0:
        raise ModelError(
            f"layer {max(layers)} was asked for, and the backbone has layers 0 to "
            f"{backbone.n_layers}; correct {key}"
        )
    return layers
