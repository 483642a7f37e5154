"""Plays the simulated people of the package into a running service, and reads their trajectories.

Owns what an app does with the service: register people, write down their consent, send what they
say as they say it, and look at the estimates. Does not know how the service works: everything goes
through `sottovoce.client`. Nobody in it is real.

Times are those of the cohort, in 2025: the service takes what is past, and whoever plays it twice
sends the same messages twice, which changes nothing.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import click
from rich.console import Console
from rich.table import Table

from sottovoce import bundled
from sottovoce.client import Client, OutgoingMessage, Trajectory
from sottovoce.conversations import Conversation, QuestionnaireResponse
from sottovoce.errors import SottovoceError

BATCH = 4
"""Messages of one call: an app sends a few at a time."""

PAUSE = 1.0
"""Seconds between two looks whether everybody is scored."""

PIPED_WIDTH = 100
"""Columns of the table in a file or a pipe."""

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated person.

    Parameters
    ----------
    id
        The pseudonym under which the service knows them.
    chats
        In the order of time.
    answered
        The questionnaire that they filled in after the last one.
    """

    id: str
    chats: tuple[Conversation, ...]
    answered: QuestionnaireResponse


def cohort(number: int) -> list[Person]:
    """Give the first people of the test split, by their ids."""
    answers = {each.user_id: each for each in bundled.labels("test")}
    chats = sorted(bundled.conversations("test"), key=lambda chat: chat.messages[0].timestamp)
    return [
        Person(user, tuple(each for each in chats if each.user_id == user), answers[user])
        for user in sorted(answers)[:number]
    ]


def play(
    service: Client, people: Sequence[Person], patience: float, sleep: Sleep = time.sleep
) -> int:
    """Play people into a service, everybody's first chat first; give how many messages were new.

    After each round it waits until everybody is scored, so that there is an estimate for each chat
    as there would be if days lay between them.
    """
    for person in people:
        service.register(person.id)
        service.consent(
            person.id,
            "monitoring",
            granted=True,
            text_version="simulated-1",
            source="play_cohort.py",
            at=person.chats[0].messages[0].timestamp,
        )
    new = 0
    for chats in zip_longest(*(person.chats for person in people)):
        for chat in filter(None, chats):
            for batch in batches(chat):
                new += service.send(chat.user_id, batch).new
        wait(service, people, patience, sleep)
    for person in people:
        filled = person.answered
        service.questionnaire(
            person.id, "q1", filled.instrument, filled.completed_at, total=filled.total
        )
    return new


def batches(chat: Conversation) -> Iterator[list[OutgoingMessage]]:
    """Give a chat's messages, a few at a time, each with an id that is always the same."""
    messages = [
        OutgoingMessage(
            f"{chat.conversation_id}-{number}",
            chat.conversation_id,
            each.role,
            each.content,
            each.timestamp,
        )
        for number, each in enumerate(chat.messages)
    ]
    for first in range(0, len(messages), BATCH):
        yield messages[first : first + BATCH]


def wait(
    service: Client, people: Sequence[Person], patience: float, sleep: Sleep = time.sleep
) -> None:
    """Wait until an estimate has read everything that was sent.

    Raises
    ------
    SottovoceError
        If some are not scored in time.
    """
    pending = [person.id for person in people]
    for _ in range(round(patience / PAUSE) + 1):
        pending = [each for each in pending if service.trajectory(each).pending]
        if not pending:
            return
        sleep(PAUSE)
    raise SottovoceError(
        f"{len(pending)} people are not scored after {patience:g} seconds; see whether a worker "
        "runs (sottovoce worker), or wait longer with --patience"
    )


def table(read: Sequence[tuple[Person, Trajectory]]) -> Table:
    """Lay out an estimate a line, with the person's true total beside the last."""
    shown = Table(title="PHQ-9 totals of simulated people: nobody here is real", box=None)
    for name in ("person", "until", "estimate", "interval", "band", "answered"):
        shown.add_column(name)
    for person, trajectory in read:
        totals = [total for _, _, total in trajectory.questionnaires if total is not None]
        true = ", ".join(f"{total:g}" for total in totals)
        for number, point in enumerate(trajectory.estimates, start=1):
            shown.add_row(
                person.id if number == 1 else "",
                "" if point.window_end is None else f"{point.window_end:%Y-%m-%d}",
                "–" if point.score is None else f"{point.score:.1f}",
                "–" if point.lower is None else f"{point.lower:.1f} to {point.upper:.1f}",
                point.band or f"abstained: {point.reason}",
                true if number == len(trajectory.estimates) else "",
            )
    return shown


@click.command()
@click.option("--url", default="http://127.0.0.1:8321", show_default=True, help="Of the service.")
@click.option(
    "--key",
    envvar="SOTTOVOCE_KEY",
    required=True,
    help="API key with the role app; better in SOTTOVOCE_KEY than on the command line.",
)
@click.option(
    "--people", "number", type=click.IntRange(1), default=10, show_default=True, help="How many."
)
@click.option(
    "--patience", type=float, default=300.0, show_default=True, help="Seconds to wait for scores."
)
def main(url: str, key: str, number: int, patience: float) -> None:
    """Play simulated people into a running service and read their trajectories."""
    import httpx2

    notes, people = Console(stderr=True), cohort(number)
    try:
        with Client(url, key) as service:
            new = play(service, people, patience)
            read = [(person, service.trajectory(person.id)) for person in people]
    except httpx2.TransportError:
        raise click.ClickException(
            f"nothing answers at {url}; start the service: sottovoce serve"
        ) from None
    except SottovoceError as error:
        raise click.ClickException(str(error)) from None
    notes.print(f"{len(people)} simulated people, {new} new messages.")
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table(read))
    notes.print("An estimate supports a clinician; it is not a diagnosis.")


if __name__ == "__main__":
    main()
