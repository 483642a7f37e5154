"""The model card that every run leaves, in Hugging Face form.

Owns its sentences. Draws only what the evaluation measured. Does not compute.
"""

from pathlib import Path

from sottovoce.ensemble import Ensemble
from sottovoce.estimator import Estimator
from sottovoce.evaluation import Evaluation

_CARD = """---
library_name: sottovoce
license: other
tags: [depression-severity, {instrument}, simulated-data-{simulated}]
---

# {model_id}

Estimates the {title} total ({low}-{high} points) of a person from what they wrote in conversation
with an AI companion over the last {days:g} days, with a {coverage:.0%} prediction interval and a
probability at every cut-off. Method after Tieleman et al. 2026, arXiv:2606.17973,
{form}

**It supports clinicians and researchers; it never diagnoses.** A total cannot clear suicide risk:
risk language needs a separate, faster path.

## What it is
| | |
|---|---|
| backbone | {backbone} ({fingerprint}…) |
| reads | {roles} messages, {layout} layout, up to {tokens} tokens |
| body | {body} |
| abstains | below {messages} user messages or {words} user words in the window |
| questionnaire wording in the chat | {leaks} |

## Trained on
{people} people, {windows} windows.{simulated_note}

## Out-of-fold results
Each person was scored by a training that did not hold them; intervals are 95% bootstrap intervals
over people.

| metric | value |
|---|---|
{rows}

{chose} A test on people of the intended population, by group, is
owed before any use; `sottovoce evaluate` makes it.

## Limits
One language (English). Other apps, other populations and other ways of talking are untested.
Estimates are drawn towards the mean of the training people: the ends of the scale are
under-stated. Depends on how much a person lets on.
"""

_FORMS = {
    "probe": "in its smallest\nform: a frozen backbone and a linear probe, not the study's "
    "fine-tuned 27B model.",
    "finetune": "a language\nmodel and a regression head trained together; neither the study's "
    "weights nor its data.",
}
_CHOSE = {
    "probe": "These people chose layer and penalty.",
    "finetune": "When to stop was chosen by other people; the recipe was not.",
}
"""What the people who were scored had a part in, by the kind of body."""
_SIMULATED = " **Simulated people; never evidence of clinical accuracy.**"

_ENSEMBLE = """---
library_name: sottovoce
license: other
tags: [depression-severity, {instrument}, simulated-data-{simulated}]
---

# {model_id}

Estimates the {title} total ({low}-{high} points) of a person from what they wrote in conversation
with an AI companion over the last {days:g} days, with a {coverage:.0%} prediction interval and a
probability at every cut-off: {count} estimators together, {weighting} weights. Each member's card
lies in `members/`.

**It supports clinicians and researchers; it never diagnoses.** A total cannot clear suicide risk:
risk language needs a separate, faster path.

## What it is
| member | weight | model |
|---|---|---|
{members}

{width} It abstains where a member does.

## Trained on
{people} people.{simulated_note}

## Out-of-fold results
Each person was scored by members, weights and widths that were made without them; intervals are
95% bootstrap intervals over people.

| metric | value |
|---|---|
{rows}

A test on people of the intended population, by group, is owed before any use; `sottovoce
evaluate` makes it.

## Limits
One language (English). Other apps, other populations and other ways of talking are untested.
Estimates are drawn towards the mean of the training people: the ends of the scale are
under-stated. Depends on how much a person lets on.
"""


def write_ensemble_card(
    path: Path, ensemble: Ensemble, evaluation: Evaluation, *, people: int, simulated: bool
) -> None:
    """Write the card of an ensemble and its out-of-fold evaluation."""
    used, share = ensemble.instrument, ensemble.combination.share
    text = _ENSEMBLE.format(
        instrument=used.key,
        simulated="yes" if simulated else "no",
        model_id=ensemble.model_id,
        title=used.title,
        low=used.minimum,
        high=used.maximum,
        days=ensemble.rules.look_back_days,
        coverage=ensemble.coverage,
        count=len(ensemble.members),
        weighting=ensemble.settings.weighting,
        members="\n".join(
            f"| {name} | {weight:.2f} | {ensemble.members[name].model_id} |"
            for name, weight in ensemble.weights.items()
        ),
        width=f"{share:.0%} of the interval's width follows the members' disagreement."
        if share
        else "The interval is as wide for everybody: following the members' disagreement did not "
        "better it out of fold.",
        people=people,
        simulated_note=_SIMULATED if simulated else "",
        rows=_rows(evaluation),
    )
    path.write_text(text, "utf-8")


def write_model_card(
    path: Path, estimator: Estimator, evaluation: Evaluation, *, simulated: bool
) -> None:
    """Write the card of an estimator and its out-of-fold evaluation."""
    settings, body = estimator.settings, estimator.artefact.body
    used = estimator.instrument
    text = _CARD.format(
        instrument=used.key,
        simulated="yes" if simulated else "no",
        model_id=estimator.model_id,
        title=used.title,
        low=used.minimum,
        high=used.maximum,
        days=settings.rules.look_back_days,
        coverage=settings.coverage,
        backbone=_shown(settings.backbone.name),
        fingerprint=estimator.artefact.fingerprints["backbone"][:12],
        roles=" and ".join(settings.rendering.roles),
        layout=settings.rendering.layout,
        tokens=settings.rendering.max_tokens,
        body=body.described,
        form=_FORMS[body.kind],
        chose=_CHOSE[body.kind],
        messages=settings.rules.min_user_messages,
        words=settings.rules.min_user_words,
        leaks={"remove": "removed", "flag": "kept and counted", "exclude": "window excluded"}[
            settings.rules.leaks
        ],
        people=estimator.artefact.training["people"],
        windows=estimator.artefact.training["windows"],
        simulated_note=_SIMULATED if simulated else "",
        rows=_rows(evaluation),
    )
    path.write_text(text, "utf-8")


def _rows(evaluation: Evaluation) -> str:
    return "\n".join(f"| {key} | {figure.text()} |" for key, figure in evaluation.figures.items())


def _shown(backbone: str) -> str:
    """Give a hub id or wheel as it is, of a folder only its name: where it lay is private."""
    return Path(backbone).name if Path(backbone).is_absolute() else backbone
