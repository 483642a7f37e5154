"""The gate: the one place that chats pass before anything outside this machine reads them.

Owns who may be sent and in what form. Does not know where it is sent, nor how names are found
(`deidentify`) or agreements kept (`consent`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field, replace
from datetime import UTC, datetime

from sottovoce.cohort import Window
from sottovoce.consent import Consent, Purpose
from sottovoce.deidentify import Deidentified, Deidentifier

PURPOSE: Purpose = "external_annotation"
"""What a person must have agreed to before somebody else's model reads her chats."""

NO_LEDGER = "no consent file"
NO_CONSENT = "no consent to external annotation"
WITHDRAWN = "consent withdrawn"
NO_DEIDENTIFIER = "no de-identification"

_GATE = object()
"""Known to this module alone, so that nothing else makes a `Disclosed`."""


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A window that may be sent, and the way back; made by `disclose` and by nothing else.

    Parameters
    ----------
    window
        What is sent: the person's id a pseudonym, names and numbers surrogates, no label.
    user_id
        Whose it truly is; stays here.
    back
        Knows the way back; None where nothing was replaced.
    gate
        Proof that the gate makes it; not kept, so that no copy with another window can be made.

    Raises
    ------
    TypeError
        If anything but the gate makes one.
    """

    window: Window
    user_id: str = field(repr=False)
    back: Deidentified | None = field(repr=False)
    gate: InitVar[object]

    def __post_init__(self, gate: object) -> None:
        if gate is not _GATE:
            raise TypeError("only sottovoce.disclosure.disclose makes what may be sent")

    def restore(self, text: str) -> str:
        """Put the person's own words back into a text that quotes what was sent."""
        return text if self.back is None else self.back.restore(text)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What may be sent, and how many windows may not, by reason.

    Parameters
    ----------
    windows
        In the order in which they came.
    refused
        Reason to number of windows.
    counts
        Kind to number of replaced places, over all windows.
    label
        The de-identification used, None where there was none.
    """

    windows: tuple[Disclosed, ...]
    refused: Mapping[str, int]
    counts: Mapping[str, int]
    label: str | None


def disclose(
    windows: Iterable[Window],
    consent: Consent | None,
    deidentifier: Deidentifier | None,
    *,
    trusted: bool,
    at: datetime | None = None,
) -> Disclosure:
    """Let those windows through that may be read by what is asked.

    Parameters
    ----------
    windows
        Of any people.
    consent
        The ledger. An untrusted destination needs one; where one is given it holds for a trusted
        one, too.
    deidentifier
        Replaces what tells who somebody is. An untrusted destination needs one.
    trusted
        Whether the destination belongs to whoever runs this, a server on the same machine or
        network.
    at
        When; now by default.
    """
    moment = datetime.now(UTC) if at is None else at
    sent: list[Disclosed] = []
    refused: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for window in windows:
        reason = _refusal(window.user_id, consent, deidentifier, trusted=trusted, at=moment)
        if reason is not None:
            refused[reason] += 1
            continue
        each = _passed(window, deidentifier)
        sent.append(each)
        counts.update({} if each.back is None else each.back.counts)
    label = None if deidentifier is None else deidentifier.label
    return Disclosure(tuple(sent), dict(refused), dict(counts), label)


def _refusal(
    user_id: str,
    consent: Consent | None,
    deidentifier: Deidentifier | None,
    *,
    trusted: bool,
    at: datetime,
) -> str | None:
    """Say why a person's chats must not be sent, or None."""
    if consent is None:
        if not trusted:
            return NO_LEDGER
    elif not consent.covers(user_id, PURPOSE, at):
        return WITHDRAWN if consent.withdrew(user_id, PURPOSE, at) else NO_CONSENT
    return NO_DEIDENTIFIER if deidentifier is None and not trusted else None


def _passed(window: Window, deidentifier: Deidentifier | None) -> Disclosed:
    """Make what is sent. The label stays here: whoever annotates must not know it."""
    if deidentifier is None:
        return Disclosed(replace(window, label=None), window.user_id, None, _GATE)
    back = deidentifier.deidentify(window.user_id, window.messages)
    hidden = replace(
        window,
        user_id=deidentifier.pseudonym(window.user_id),
        messages=back.messages,
        label=None,
    )
    return Disclosed(hidden, window.user_id, back, _GATE)
