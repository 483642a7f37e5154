import json

from tests.deidentify.made import KEY

from sottovoce.conversations import read_labels
from sottovoce.deidentify import open_deidentifier
from sottovoce.deidentify.chats import Account, Ids, deidentified
from sottovoce.histories import Histories

HIDES = open_deidentifier("patterns", KEY)


def line(user, number, said):
    message = {"role": "user", "content": said, "timestamp": f"2025-03-14T12:00:0{number}Z"}
    return {"user_id": user, "conversation_id": f"{user}-{number}", "messages": [message]}


def write(path, records):
    path.write_text("\n".join(map(json.dumps, records)), "utf-8")
    return path


def run(path, *, kept=False):
    account = Account()
    with Histories(path) as people:
        return list(deidentified(people, Ids(HIDES, kept), account)), account


def test_a_name_is_the_same_in_all_of_a_persons_scattered_conversations(tmp_path):
    scattered = [
        line("ada", 1, "My sister Zyx rang."),
        line("eve", 1, "My sister Zyx rang."),
        line("ada", 2, "I told off Zyx again."),
    ]
    done, account = run(write(tmp_path / "chats.jsonl", scattered))
    said = [each.messages[0].content for each in done]
    name = said[0].removeprefix("My sister ").removesuffix(" rang.")
    assert name != "Zyx"
    assert said[1] == f"I told off {name} again."
    assert said[2] not in (said[0], "My sister Zyx rang.")
    assert (account.people, account.conversations, account.messages) == (2, 3, 3)
    assert account.replaced == {"person": 3}


def test_ids_become_pseudonyms_unless_they_are_kept(tmp_path):
    path = write(tmp_path / "chats.jsonl", [line("ada", 1, "hello"), line("ada", 2, "hello")])
    hidden, _ = run(path)
    assert {each.user_id for each in hidden} == {HIDES.pseudonym("ada")}
    assert len({each.conversation_id for each in hidden} - {"ada-1", "ada-2"}) == 2
    kept, _ = run(path, kept=True)
    assert [each.conversation_id for each in kept] == ["ada-1", "ada-2"]


def test_a_questionnaire_gets_the_pseudonym_of_its_persons_chats(tmp_path):
    record = {
        "user_id": "ada",
        "instrument": "phq-9",
        "completed_at": "2025-03-14T12:00:00Z",
        "total": 9,
    }
    (response,) = read_labels(write(tmp_path / "labels.jsonl", [record]))
    told = Ids(HIDES).on(response)
    assert (told.user_id, told.total) == (HIDES.pseudonym("ada"), 9)
    assert Ids(HIDES, kept=True).on(response) == response
