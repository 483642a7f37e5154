"""A research export from the database: everybody who agrees, one at a time, into a folder.

Owns the way from the tables to `research`, which shapes what leaves. People come in the order of
the random numbers of their rows, which tells nothing.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sottovoce.conversations import Conversation, Message
from sottovoce.deidentify import Deidentifier
from sottovoce.histories import History
from sottovoce.service import estimates, messages, questionnaires
from sottovoce.service.gate import Case, Gate
from sottovoce.service.principals import Principal
from sottovoce.service.research import Participant, Terms, export_research

ACTION = "research.export"

AT_ONCE = 50
"""People opened in one transaction; ours: their audit entries are written together."""


def export_study(
    gate: Gate, who: Principal, folder: Path, deidentifier: Deidentifier, *, allow_few: bool = False
) -> dict[str, Any]:
    """Write a research export of everybody who agrees to it now.

    Parameters
    ----------
    gate, who
        Through which, and for whom: a researcher.
    folder
        To be made.
    deidentifier
        Its key decides pseudonyms and by how much times are moved.
    allow_few
        Whether to write where few people are left.

    Returns
    -------
    dict
        The manifest.
    """
    with gate.work(who, ACTION):
        pass  # refused here, before anything is written
    terms = Terms(deidentifier, gate.clock(), allow_few)
    return export_research(_participants(gate, who), folder, terms)


def _participants(gate: Gate, who: Principal) -> Iterator[Participant]:
    after = None
    while True:
        with gate.work(who, ACTION) as connection:
            cases = gate.listed(connection, who, ACTION, after, AT_ONCE)
            found = [_participant(case) for case in cases]
        yield from found
        if len(cases) < AT_ONCE:
            return
        after = cases[-1].person


def _participant(case: Case) -> Participant:
    person = case.external_id
    spoken: dict[str, list[Message]] = defaultdict(list)
    for kept in messages.since(case):
        spoken[kept.said.conversation_id].append(kept.message)
    conversations = tuple(Conversation(person, name, tuple(all_)) for name, all_ in spoken.items())
    answered = tuple(each.response for each in questionnaires.all_of(case))
    made = tuple(each.estimate for each in estimates.trajectory(estimates.all_of(case)))
    return Participant(History(person, conversations, answered), consented=True, estimates=made)
