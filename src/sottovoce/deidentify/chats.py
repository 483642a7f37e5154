"""A chat file of any length, de-identified person by person.

Owns whose conversations are taken together and what becomes of ids. Memory holds one person:
`histories` goes through the file twice, so that a name is the same in all of a person's
conversations however they are scattered. Does not know how anything is found.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sottovoce.conversations import Conversation, QuestionnaireResponse
from sottovoce.deidentify import Deidentifier
from sottovoce.histories import Histories, History
from sottovoce.progress import Advance, silent


@dataclass(slots=True)
class Account:
    """What was done: people, conversations, messages, and places replaced by kind."""

    people: int = 0
    conversations: int = 0
    messages: int = 0
    replaced: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Ids:
    """What becomes of ids.

    Parameters
    ----------
    deidentifier
        Makes the pseudonyms.
    kept
        Whether ids stay as they are.
    """

    deidentifier: Deidentifier
    kept: bool = False

    def of(self, identifier: str) -> str:
        """Give what stands for a person's or a conversation's id."""
        return identifier if self.kept else self.deidentifier.pseudonym(identifier)

    def on(self, response: QuestionnaireResponse) -> QuestionnaireResponse:
        """Give a questionnaire its person's pseudonym."""
        return replace(response, user_id=self.of(response.user_id))


def deidentified(
    people: Histories, ids: Ids, account: Account, advance: Advance = silent
) -> Iterator[Conversation]:
    """Give all conversations with surrogates, those of one person after the other.

    Parameters
    ----------
    people
        The file.
    ids
        The de-identifier, and what becomes of ids.
    account
        Is added to.
    advance
        Is told how many people are done.
    """
    total = len(people)
    for history in people:
        yield from of_person(history, ids, account)
        advance(account.people, total)


def of_person(history: History, ids: Ids, account: Account) -> Iterator[Conversation]:
    """Give one person's conversations with surrogates, the same in all of them."""
    messages = [message for each in history.conversations for message in each.messages]
    hidden = ids.deidentifier.deidentify(history.user_id, messages)
    account.replaced.update(hidden.counts)
    account.messages += len(messages)
    account.people += 1
    left = iter(hidden.messages)
    for each in history.conversations:
        account.conversations += 1
        yield Conversation(
            ids.of(each.user_id),
            ids.of(each.conversation_id),
            tuple(next(left) for _ in each.messages),
        )
