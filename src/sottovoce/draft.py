"""Variants of one recipe, each counted once: what would be needed if this or that were changed.

Owns which changes save memory, and keeping what was counted. Does not know what fits (`plan`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sottovoce.activations import Kept, kept_for_backward
from sottovoce.architecture import Numbers, configuration
from sottovoce.blueprint import Blueprint, blueprint
from sottovoce.errors import DataError
from sottovoce.evidence import reader_size
from sottovoce.features import BATCH_TOKENS
from sottovoce.head import Head, new_parameters
from sottovoce.instruments import instrument
from sottovoce.memory import Device, Memory, reading_memory, training_memory
from sottovoce.settings import FOUR_BITS, FOUR_BITS_FIX, EstimatorSettings


@dataclass(frozen=True, slots=True)
class Case:
    """One way to do it: settings, and what they run on.

    Raises
    ------
    DataError
        If 4-bit weights would have to be trained themselves, or a backbone that is only read
        shared out.
    """

    settings: EstimatorSettings
    device: Device

    def __post_init__(self) -> None:
        if self.device.four_bit and self.method == "full":
            raise DataError(FOUR_BITS, field="four_bit", fix=FOUR_BITS_FIX)

        if self.device.sharding == "fsdp" and self.settings.finetune is None:
            raise DataError(
                f"a {self.method} reads a whole backbone in every process",
                field="sharding",
                fix="use none",
            )

    @property
    def method(self) -> str:
        """`probe`, `reader`, `lora` or `full`."""
        if self.settings.finetune is not None:
            return self.settings.finetune.method
        return "reader" if self.settings.reader is not None else "probe"

    def paced(self, **pace: Any) -> "Case":
        """Give the case with other settings of its schedule."""
        used = self.settings.finetune
        assert used is not None
        used = replace(used, schedule=replace(used.schedule, **pace))
        return replace(self, settings=replace(self.settings, finetune=used))


class Drafts:
    """Counts of a recipe's backbone, by case.

    Parameters
    ----------
    numbers
        The recipe's `architecture`.
    folder
        The recipe's.
    """

    def __init__(self, numbers: Numbers | None, folder: Path | None = None) -> None:
        self.numbers, self.folder = numbers, folder
        self._found: tuple[Any, str] | None = None
        self._made: dict[Any, Blueprint] = {}
        self._kept: dict[Any, Kept] = {}

    def blueprint(self, case: Case) -> Blueprint:
        """Give what the case's backbone is made of."""
        backbone, used = case.settings.backbone, case.settings.finetune
        if self._found is None:
            self._found = configuration(backbone, self.numbers, self.folder)
        cut = (used.lora, used.layers, used.frozen_layers) if used else None
        key = (backbone.dtype, case.method, cut)
        if key not in self._made:
            self._made[key] = blueprint(*self._found, backbone.dtype, used)
        return self._made[key]

    def memory(self, case: Case) -> Memory:
        """Give what the case takes on one device."""
        made, used = self.blueprint(case), case.settings.finetune
        width = min(case.settings.rendering.max_tokens, made.context)
        if used is None:
            return reading_memory(made, max(width, BATCH_TOKENS), case.device)
        rows = max(1, used.schedule.batch_tokens // width)
        key = (id(made), rows, width, case.device.autocast)
        if key not in self._kept:
            self._kept[key] = kept_for_backward(made, rows, width, autocast=case.device.autocast)
        return training_memory(made, self._kept[key], self.head(case), used, case.device)

    def head(self, case: Case) -> int:
        """Give the numbers of the case's head; a probe's is one linear regression."""
        made, used = self.blueprint(case), case.settings.finetune
        width, measured = made.hidden_size, instrument(case.settings.instrument)
        if case.settings.reader is not None:
            layers = case.settings.reader.layers_of(made.n_layers)
            return reader_size(len(layers), width, len(measured.items))
        if used is None:
            return width + 1
        ends = [measured.minimum, measured.maximum]
        head = Head.on(measured, ends, used.head.outputs, used.head.loss, used.head.item_weight)
        return sum(each.size for each in new_parameters(head, width, ends).values())


def changes(case: Case) -> list[tuple[str, Callable[[Case], Case]]]:
    """Give what would save memory and is not done yet, each with its name."""
    device, used = case.device, case.settings.finetune
    found: list[tuple[str, Callable[[Case], Case]]] = []
    if used is not None and device.gpus > 1 and device.sharding != "fsdp":
        found.append(("finetune.sharding: fsdp", lambda each: _on(each, sharding="fsdp")))
    if case.settings.backbone.dtype == "float32" and case.method != "full":
        found.append(("backbone.dtype: bfloat16", _in_bfloat16))
    if used is not None and not used.schedule.gradient_checkpointing:
        found.append(
            (
                "finetune.schedule.gradient_checkpointing: true",
                lambda each: each.paced(gradient_checkpointing=True),
            )
        )
    if used is not None and used.schedule.batch_tokens > case.settings.rendering.max_tokens:
        least = case.settings.rendering.max_tokens
        found.append(
            (
                f"finetune.schedule.batch_tokens: {least}",
                lambda each: each.paced(batch_tokens=least),
            )
        )
    if case.method == "full":
        found.append(("finetune.method: lora", _with_lora))
    if case.method == "lora" and not device.four_bit and device.gpus:
        found.append(("backbone.quantization: nf4", lambda each: _on(each, four_bit=True)))
    return found


def _on(case: Case, **device: Any) -> Case:
    return replace(case, device=replace(case.device, **device))


def _in_bfloat16(case: Case) -> Case:
    backbone = replace(case.settings.backbone, dtype="bfloat16")
    return replace(case, settings=replace(case.settings, backbone=backbone))


def _with_lora(case: Case) -> Case:
    used = case.settings.finetune
    assert used is not None
    return replace(case, settings=replace(case.settings, finetune=replace(used, method="lora")))
