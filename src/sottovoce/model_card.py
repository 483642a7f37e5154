"""The model card that every training run leaves, in Hugging Face form.

Owns its sentences. Draws only what the evaluation measured. Does not compute.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from sottovoce.card import UNTESTED, Card, front_matter, write_card
from sottovoce.ensemble import Ensemble
from sottovoce.estimator import Estimator
from sottovoce.evaluation import Evaluation

_TRAINED = """## What it is
{parts}

## Trained on
{people} people, {windows} windows.{guessed}{simulated_note}

## Out-of-fold results
Each person was scored by {scored_by}.
Intervals are 95% bootstrap intervals over people.

| metric | value |
|---|---|
{rows}

{chose}A test on people of the intended population, by group, is
owed before any use; `sottovoce evaluate` makes it."""

_WHAT = """Estimates the {title} total ({low}-{high} points) of a person from what they wrote in
conversation with an AI companion over the last {days:g} days, with a {coverage:.0%} prediction
interval and a probability at every cut-off{form}"""

_LIMITS = "One language (English). " + UNTESTED.format(
    "Estimates are drawn towards the mean of the training people: the ends of the scale are\n"
    "under-stated. "
)

_SIMULATED = " **Simulated people; never evidence of clinical accuracy.**"

_GUESSED = " {} more people by pseudolabels; no error below is of them."

_FORMS = {
    "probe": "in its smallest\nform: a frozen backbone and a linear probe, not the study's "
    "fine-tuned 27B model.",
    "reader": "a frozen\nbackbone that is read message by message for the items; beyond the study.",
    "finetune": "a language\nmodel and a regression head trained together; neither the study's "
    "weights nor its data.",
}
_CHOSE = {
    "probe": "These people chose layer and penalty. ",
    "reader": "Default layers, penalty and pooling of messages were chosen on the\n"
    "bundled, simulated training people. ",
    "finetune": "When to stop was chosen by other people; the recipe was not. ",
}
"""What the people who were scored had a part in, by the kind of body."""

_PARTS = """| | |
|---|---|
| backbone | {backbone} ({fingerprint}…) |
| reads | {roles} messages, {layout} layout, up to {tokens} tokens |
| body | {body} |
| abstains | below {messages} user messages or {words} user words in the window |
| questionnaire wording in the chat | {leaks} |"""
_LEAKS = {"remove": "removed", "flag": "kept and counted", "exclude": "window excluded"}


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the card of an estimator and that of an ensemble do not share."""

    form: str
    parts: str
    scored_by: str
    chose: str


def write_model_card(
    path: Path, model: Estimator | Ensemble, evaluation: Evaluation, *, simulated: bool
) -> None:
    """Write the card of an estimator or an ensemble, with its out-of-fold evaluation."""
    used = model.instrument
    members = list(model.members.values()) if isinstance(model, Ensemble) else [model]
    training = members[0].artefact.training  # members share the people with a questionnaire
    guessed = max(each.artefact.training.get("pseudolabelled_people", 0) for each in members)
    kind = _ensemble(model) if isinstance(model, Ensemble) else _estimator(model)
    what = _WHAT.format(
        title=used.title,
        low=used.minimum,
        high=used.maximum,
        days=model.rules.look_back_days,
        coverage=model.coverage,
        form=kind.form,
    )
    middle = _TRAINED.format(
        people=training["people"],
        windows=training["windows"],
        guessed=_GUESSED.format(guessed) if guessed else "",
        simulated_note=_SIMULATED if simulated else "",
        rows="\n".join(f"| {key} | {each.text()} |" for key, each in evaluation.figures.items()),
        **asdict(kind),
    )
    card = Card(model.model_id, what, middle, _LIMITS)
    write_card(path, card, front_matter(used.key, simulated=simulated))


def _estimator(model: Estimator) -> _Kind:
    settings, body = model.settings, model.artefact.body
    parts = _PARTS.format(
        backbone=_shown(settings.backbone.name),
        fingerprint=model.artefact.fingerprints["backbone"][:12],
        roles=" and ".join(settings.rendering.roles),
        layout=settings.rendering.layout,
        tokens=settings.rendering.max_tokens,
        body=body.described,
        messages=settings.rules.min_user_messages,
        words=settings.rules.min_user_words,
        leaks=_LEAKS[settings.rules.leaks],
    )
    return _Kind(
        form=f". Method after Tieleman et al. 2026, arXiv:2606.17973,\n{_FORMS[body.kind]}",
        parts=parts,
        scored_by="a training that did not hold them",
        chose=_CHOSE[body.kind],
    )


def _ensemble(model: Ensemble) -> _Kind:
    share = model.combination.share
    width = (
        f"{share:.0%} of the interval's width follows the members' disagreement."
        if share
        else "The interval is as wide for everybody: following the members' disagreement did not "
        "better it out of fold."
    )
    members = "\n".join(
        f"| {name} | {weight:.2f} | {model.members[name].model_id} |"
        for name, weight in model.weights.items()
    )
    return _Kind(
        form=f": {len(model.members)} estimators together, {model.settings.weighting} weights. "
        "Each member's card\nlies in `members/`.",
        parts=f"| member | weight | model |\n|---|---|---|\n{members}\n\n{width} It abstains "
        "where a member does.",
        scored_by="members, weights and widths that were made without them",
        chose="",
    )


def _shown(backbone: str) -> str:
    """Give a hub id or wheel as it is, of a folder only its name: where it lay is private."""
    return Path(backbone).name if Path(backbone).is_absolute() else backbone
