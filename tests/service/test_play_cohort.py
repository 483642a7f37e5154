"""The example that plays the bundled cohort, against the real app and a real PostgreSQL."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from rich.console import Console
from tests.words import Saying

from sottovoce.client import Client
from sottovoce.errors import SottovoceError
from sottovoce.service import accounts
from sottovoce.service.api.app import new_app
from sottovoce.service.api.routes.messages import add_messages
from sottovoce.service.scoring import Batcher, Scoring
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.tables import people

# of `ledger.standing`, until it says DISTINCT ON as SQLAlchemy 2.1 does
ROOT = Path(__file__).parents[2]
PATIENCE = 3.0


def example():
    spec = importlib.util.spec_from_file_location(
        "play_cohort", ROOT / "examples" / "play_cohort.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["play_cohort"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


play_cohort = example()


@pytest.fixture
def app_client(gate):
    """The client of an app with a key, talking to the service in this process."""
    with gate.database.transaction() as connection:
        account = accounts.add_account(connection, "app", "app", gate.clock())
        _, secret = accounts.add_key(connection, account.id, gate.clock())
    served = TestClient(new_app(ServiceSettings(), gate))
    with Client("http://testserver", secret, transport=served._transport) as client:
        yield client


@pytest.fixture
def score(gate):
    """What a worker does: scores whoever said something new. Takes the place of waiting."""

    def work(_seconds: float) -> None:
        asyncio.run(score_all())

    async def score_all() -> None:
        batcher = Batcher(Saying(lambda window: len(window.user_messages)))
        with gate.database.transaction() as connection:
            known = list(connection.execute(people.select()).all())
        await asyncio.gather(*(Scoring(gate, batcher)(row.id) for row in known))
        batcher.close()

    return work


def text_of(table) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_everybody_has_an_estimate_for_each_chat_and_their_questionnaire(app_client, score):
    cohort = play_cohort.cohort(4)
    new = play_cohort.play(app_client, cohort, PATIENCE, score)
    assert new == sum(len(chat.messages) for person in cohort for chat in person.chats)
    assert {len(person.chats) for person in cohort} > {1}
    for person in cohort:
        trajectory = app_client.trajectory(person.id)
        last = [chat.messages[-1].timestamp for chat in person.chats]
        assert len(trajectory.estimates) == len(last)
        assert [point.window_end.date() for point in trajectory.estimates] == [
            moment.date() for moment in last
        ]
        assert [total for _, _, total in trajectory.questionnaires] == [person.answered.total]
        assert app_client.export(person.id)["person"]["consent"] == ["monitoring"]


def test_playing_it_again_changes_nothing(app_client, score):
    cohort = play_cohort.cohort(2)
    play_cohort.play(app_client, cohort, PATIENCE, score)
    before = [app_client.trajectory(person.id) for person in cohort]
    assert play_cohort.play(app_client, cohort, PATIENCE, score) == 0
    assert [app_client.trajectory(person.id) for person in cohort] == before


def test_the_table_shows_estimates_beside_totals_and_says_that_nobody_is_real(app_client, score):
    cohort = play_cohort.cohort(3)
    play_cohort.play(app_client, cohort, PATIENCE, score)
    read = [(person, app_client.trajectory(person.id)) for person in cohort]
    shown = text_of(play_cohort.table(read))
    assert "simulated people: nobody here is real" in shown
    for person, trajectory in read:
        assert person.id in shown
        assert f"{person.answered.total:g}" in shown
        for point in trajectory.estimates:
            said = point.reason if point.score is None else f"{point.score:.1f}"
            assert said.split()[0] in shown


def test_without_a_worker_it_says_so(app_client):
    with pytest.raises(SottovoceError, match=r"^2 people are not scored after 3 seconds; see"):
        play_cohort.play(app_client, play_cohort.cohort(2), PATIENCE, lambda _: None)


def test_a_key_is_needed(monkeypatch):
    monkeypatch.delenv("SOTTOVOCE_KEY", raising=False)
    done = CliRunner().invoke(play_cohort.main, [])
    assert done.exit_code == 2
    assert "--key" in done.output


def test_a_refusal_is_one_sentence(monkeypatch, app_client):
    monkeypatch.setattr(app_client, "_http", wrong_key(app_client._http))
    monkeypatch.setattr(play_cohort, "Client", lambda _url, _key: app_client)
    done = CliRunner().invoke(play_cohort.main, ["--key", "sv_wrong", "--people", "1"])
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].startswith("Error: the service answered 401")


def wrong_key(http):
    http.headers["Authorization"] = "Bearer sv_wrong"
    return http


def test_ids_of_messages_are_the_same_each_time_and_fit_the_service():
    form = add_messages.__annotations__["body"]
    (person,) = play_cohort.cohort(1)
    sent = [each for chat in person.chats for batch in play_cohort.batches(chat) for each in batch]
    again = [each for chat in person.chats for batch in play_cohort.batches(chat) for each in batch]
    assert sent == again
    assert len({each.id for each in sent}) == len(sent)
    records = [
        {
            "id": each.id,
            "conversation_id": each.conversation_id,
            "role": each.role,
            "content": each.content,
            "sent_at": each.sent_at,
        }
        for each in sent
    ]
    assert len(form.model_validate({"messages": records}).messages) == len(sent)
