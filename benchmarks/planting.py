"""Made-up names, numbers and addresses, planted in the bundled chats where everybody knows them.

Owns the phrasings, in two banks: those that patterns may be written by, and those held out, whose
misses nobody looked at while changing patterns. Also what must survive. Every value is made up by
Faker or here; names come from lists that the patterns have and from lists that they do not have.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from faker import Faker

from sottovoce.conversations import Conversation, Message
from sottovoce.deidentify.lexicon import first_names

Bank = Literal["tuned", "held out"]

UNLISTED = ("sk_SK", "et_EE", "lv_LV", "az_AZ", "uz_UZ", "es_CO", "de_CH")
"""Faker's lists of names that the package does not read."""

PHRASINGS: dict[str, dict[Bank, tuple[str, ...]]] = {
    "person": {
        "tuned": (
            "My name is {x} by the way.",
            "My sister {x} came over yesterday.",
            "I told {x} I was fine.",
            "{x} said I should rest more.",
            "I went for a walk with {x} and it helped a bit.",
            "I'm called {x}, not that it matters.",
            "It is {x}'s birthday and I forgot.",
            "My therapist, {x}, thinks so too.",
            "Me and {x} had words again.",
            "Without {x} I do not get out of bed.",
        ),
        "held out": (
            "Ever since {x} left it has been quiet here.",
            "Everyone keeps comparing me to {x}.",
            "I have not written back to {x} in a month.",
            "Apparently {x} is seeing someone new.",
            "You would like {x}, honestly.",
            "I keep thinking about what {x} used to say to me at night.",
            "Do you think {x} is angry with me?",
            "That was before the thing with {x} happened.",
            "{x} would never understand this.",
            "i share a room with {x} and cannot sleep",
        ),
    },
    "organisation": {
        "tuned": (
            "I work at {x} and it is slow.",
            "They let me go from {x} in the spring.",
            "I am a student at {x}.",
            "My shift at {x} starts early.",
        ),
        "held out": (
            "Nobody at {x} has noticed how I am doing.",
            "I have been with {x} for six years now.",
            "{x} cut everybody's hours again.",
            "I hand in my notice to {x} next week.",
            "HR over at {x} will not answer me.",
            "Being back in the {x} building makes me sweat.",
            "Honestly {x} treats us like numbers.",
            "I do nights for {x}, stacking mostly.",
        ),
    },
    "place": {
        "tuned": (
            "I live in {x} these days.",
            "We moved to {x} last year.",
            "I grew up near {x}.",
        ),
        "held out": (
            "{x} feels so small when you know nobody.",
            "The winters here in {x} do not help.",
            "I have to be in {x} before nine every morning.",
            "Nothing ever changes around {x}.",
            "I left {x} and have been lonely since.",
            "There are no therapists within an hour of {x}.",
            "My whole family is still {x} way.",
        ),
    },
    "phone": {
        "tuned": ("Call me on {x} if you can.", "My number is {x}.", "You can reach her at {x}."),
        "held out": (
            "They gave me {x} for out of hours but nobody picks up.",
            "{x} is the landline, he never answers it.",
            "text works too, {x}",
            "I dialled {x} four times and hung up each time.",
            "put {x} down as my next of kin",
        ),
    },
    "email": {
        "tuned": ("Write to {x} please.", "My email is {x}."),
        "held out": (
            "the form bounced, {x} does not exist apparently",
            "I sent the whole thing from {x} at 4am and regret it.",
            "She signs everything {x}, so formal.",
        ),
    },
    "url": {
        "tuned": ("I wrote about it on {x}.", "See {x} for what I mean."),
        "held out": (
            "my poems are up, {x}, nobody reads them",
            "Found the whole story at {x} last night.",
            "({x} is the page he made about me)",
        ),
    },
    "ip_address": {
        "tuned": ("The server at {x} is mine.", "My IP is {x}."),
        "held out": (
            "work logged me out again, something about {x}",
            "It keeps saying {x} refused the connection.",
        ),
    },
    "handle": {
        "tuned": ("I post as {x} sometimes.", "Follow {x} if you like."),
        "held out": (
            "somebody called {x} keeps sending me messages",
            "I deleted {x} because the comments got to me.",
            "it was {x} who started the rumour",
        ),
    },
    "address": {
        "tuned": ("I live at {x}.", "They moved into {x} in March.", "Send it to {x}, please."),
        "held out": (
            "{x} is falling apart and so am I.",
            "The council wants us out of {x} by Friday.",
            "I sat outside {x} for an hour and could not knock.",
            "post still comes here for {x}, every day",
        ),
    },
    "postcode": {
        "tuned": ("My postcode is {x}.", "We are in {x} now."),
        "held out": (
            "Apparently {x} is not covered by the clinic.",
            "Deliveries to {x} take forever.",
            "the nearest group is {x}, two buses away",
        ),
    },
    "identifier": {
        "tuned": (
            "My account number is {x}.",
            "Her NHS number is {x}.",
            "The policy number is {x}.",
        ),
        "held out": (
            "they keep losing my file, it is {x} for the fifth time",
            "I had to read out {x} to three different people.",
            "Quote {x} if you ring them, he said.",
            "claim {x} was turned down this morning",
        ),
    },
    "date": {
        "tuned": ("I was born on {x}.", "My date of birth is {x}.", "He died on {x}."),
        "held out": (
            "{x}, that is when everything went wrong.",
            "They asked for my birthday again, {x}, and for what?",
            "We got married {x} and I still know what I wore.",
        ),
    },
    "age": {
        "tuned": ("My gran is {x} years old.", "He turned {x} in June.", "She died aged {x}."),
        "held out": (
            "I look after my dad, who is {x}, and I am worn out.",
            "At {x} she still walks more than I do.",
            "My {x}-year-old neighbour is my only visitor.",
        ),
    },
}

SURVIVORS: dict[str, tuple[str, ...]] = {
    "dose": ("50 mg", "20mg", "150 milligrams", "2 tablets", "0.5 mg", "7.5mg"),
    "medicine": (
        "sertraline",
        "Sertraline",
        "Prozac",
        "mirtazapine",
        "Lamictal",
        "Xanax",
        "Venlafaxine",
    ),
    "score": (
        "14",
        "14 out of 27",
        "21/27",
        "9",
        "a 3 out of 10",
        "16 on the PHQ-9",
        "12 on the GAD-7",
    ),
    "clock time": (
        "half past three",
        "3am",
        "4:30",
        "quarter to six",
        "23:15",
        "7 o'clock",
        "two in the morning",
    ),
    "weekday": ("Monday", "Tuesdays", "Sunday night", "on Wed", "last Friday"),
    "relative date": (
        "in May",
        "since March",
        "two weeks ago",
        "last April",
        "yesterday",
        "the 3rd of June",
    ),
}
"""What must not be touched; planted, because the bundled chats hold few doses and scores."""

SURVIVOR_PHRASINGS: dict[str, tuple[str, ...]] = {
    "dose": ("They put me up to {x} of it and I am still flat.", "I take {x} at night now."),
    "medicine": ("The doctor wants me back on {x}.", "{x} made me feel nothing at all."),
    "score": ("The form gave me {x} this time.", "My score was {x}, up from last time."),
    "clock time": ("I lay there until {x} again.", "It was {x} when I gave up on sleep."),
    "weekday": ("It got worse {x}, as it does.", "I cried the whole of {x} for no reason."),
    "relative date": ("I have felt like this {x}.", "It started {x}, out of nowhere."),
}


@dataclass(frozen=True)
class Plant:
    """One value in one message.

    Parameters
    ----------
    kind
        Of `PHRASINGS`, or of `SURVIVORS`.
    message
        0-based index in its conversation.
    start, end
        Characters ``start <= position < end`` of the message's text.
    note
        "listed" or "unlisted" of a person's name, else empty.
    """

    kind: str
    message: int
    start: int
    end: int
    note: str = ""


def planted(
    conversation: Conversation, bank: Bank, seed: int
) -> tuple[Conversation, tuple[Plant, ...]]:
    """Give a conversation with one phrase of a kind after each of the person's messages.

    Parameters
    ----------
    conversation
        Of the bundled, simulated people.
    bank
        Which phrasings.
    seed
        Of values and places; the conversation's id is mixed in.
    """
    chosen = random.Random(f"{seed} {bank} {conversation.conversation_id}")
    kinds = [*PHRASINGS, *SURVIVORS, "person", "person", "organisation", "place"]
    chosen.shuffle(kinds)
    messages, plants = list(conversation.messages), list[Plant]()
    own = [at for at, each in enumerate(messages) if each.role == "user"]
    for at, kind in zip(own, kinds, strict=False):
        text, plant = _with(messages[at].content, at, kind, bank, chosen)
        messages[at] = Message("user", text, messages[at].timestamp)
        plants.append(plant)
    changed = Conversation(conversation.user_id, conversation.conversation_id, tuple(messages))
    return changed, tuple(plants)


def _with(text: str, at: int, kind: str, bank: Bank, chosen: random.Random) -> tuple[str, Plant]:
    note = ""
    if kind in SURVIVORS:
        phrase, value = chosen.choice(SURVIVOR_PHRASINGS[kind]), chosen.choice(SURVIVORS[kind])
    else:
        phrase = chosen.choice(PHRASINGS[kind][bank])
        note = chosen.choice(("listed", "unlisted")) if kind == "person" else ""
        value = _value(kind, note, chosen)
    before, after = phrase.split("{x}")
    start = len(text) + 1 + len(before)
    return f"{text} {before}{value}{after}", Plant(kind, at, start, start + len(value), note)


def _value(kind: str, note: str, chosen: random.Random) -> str:
    if kind == "person":
        return _name(note, chosen)
    if kind == "identifier":
        made = (_card(chosen), _nhs(chosen), _digits("###-##-####", chosen), _code(chosen))
        return chosen.choice(made)
    plain = {
        "age": str(chosen.randrange(90, 103)),
        "place": chosen.choice(TOWNS),
        "phone": _digits(chosen.choice(PHONES), chosen),
        "ip_address": ".".join(str(chosen.randrange(1, 255)) for _ in range(4)),
    }
    return plain[kind] if kind in plain else _by_faker(kind, chosen)


def _digits(form: str, chosen: random.Random) -> str:
    return "".join(str(chosen.randrange(10)) if each == "#" else each for each in form)


def _name(note: str, chosen: random.Random) -> str:
    """Give a first name, or with one in three a full one, of a list that is read or is not."""
    if note == "listed":
        provider = _provider(chosen.choice(("en_US", "en_GB", "es_ES", "en_IN")))
        pool: Sequence[str] = sorted(set(map(str, provider.first_names)))
    else:
        provider = _provider(chosen.choice(UNLISTED))
        pool = [
            name
            for name in sorted(set(map(str, provider.first_names)))
            if name.casefold() not in first_names()
        ]
    first = chosen.choice(pool)
    last = chosen.choice(sorted(set(map(str, provider.last_names))))
    return f"{first} {last}" if chosen.random() < 1 / 3 else first


def _provider(locale: str) -> Any:
    return import_module(f"faker.providers.person.{locale}").Provider


def _card(chosen: random.Random) -> str:
    digits = [4, *(chosen.randrange(10) for _ in range(14))]
    doubled = [each * (2 - at % 2) for at, each in enumerate(digits)]
    digits.append(-sum(each - 9 * (each > 9) for each in doubled) % 10)
    text = "".join(map(str, digits))
    return " ".join(text[at : at + 4] for at in range(0, 16, 4))


def _nhs(chosen: random.Random) -> str:
    while True:
        digits = [chosen.randrange(10) for _ in range(9)]
        check = 11 - sum(each * (10 - at) for at, each in enumerate(digits)) % 11
        if check < 11 and check != 10:
            text = "".join(map(str, [*digits, check]))
            return f"{text[:3]} {text[3:6]} {text[6:]}"


def _code(chosen: random.Random) -> str:
    letters = "".join(chosen.choice("ABCEGHJKLMNPRSTWXYZ") for _ in range(3))
    return f"{letters}{chosen.randrange(100000, 999999)}"


@cache
def _faker(locale: str) -> Faker:
    return Faker(locale)


def _by_faker(kind: str, chosen: random.Random) -> str:
    """Make the rest with Faker's American and British providers."""
    american, british = _faker("en_US"), _faker("en_GB")
    american.seed_instance(chosen.randrange(2**32))
    british.seed_instance(chosen.randrange(2**32))
    maker = chosen.choice((american, british))
    day = maker.date_of_birth(minimum_age=18, maximum_age=70)
    street = f"{chosen.randrange(1, 200)} {maker.last_name()} {chosen.choice(BRITISH_STREETS)}"
    forms = {
        "organisation": (maker.company(), f"{maker.last_name()} College"),
        "email": (maker.ascii_free_email(),),
        "url": (maker.url(), f"{maker.user_name()}.com/me"),
        "handle": tuple(form.format(maker.user_name()) for form in ("@{}", "u/{}", "{}#4821")),
        "address": (american.street_address(), street),
        "postcode": (british.postcode(), f"TX {chosen.randrange(10_000, 99_999)}"),
        "date": tuple(day.strftime(form) for form in DATES),
    }
    return str(chosen.choice(forms[kind]))


DATES = ("%d/%m/%Y", "%d %B %Y", "%B %d, %Y", "%Y-%m-%d")
BRITISH_STREETS = ("Street", "Road", "Lane", "Close", "Terrace", "Gardens", "Mews", "Rise", "Drive")
PHONES = (
    "07### ######", "07#########", "020 7### ####", "0161 ### ####", "+44 7### ######",
    "(415) ###-####", "312-555-####", "+1 202 ### ####", "646.###.####", "555-01##",
)  # fmt: skip
TOWNS = (
    "Walsall Dudley Crewe Kilmarnock Stockport Hexham Penzance Llanelli Ballymena Wrexham Goole "
    "Deal Boise Tacoma Spokane Dayton Akron Lubbock Chattanooga Mobile Wichita Fargo Yonkers "
    "Reading Kraków Lagos Pune Nairobi Ghent Utrecht Bologna Nantes Cebu Accra"
).split()
"""Real towns, some of whose names are words too; none was looked at while writing patterns."""
