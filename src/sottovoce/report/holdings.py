"""What a run can say of a data set where a datasheet asks.

Owns the sentences. Does not know which question asks, nor how a datasheet is written. Text and
ids of people never enter them, and small groups are not counted.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from statistics import median

from sottovoce.datasets import Dataset
from sottovoce.report import knowledge
from sottovoce.report.content import Report

SENSITIVE = (
    "All of it: what people said of how they feel, and how severe a depression their answers "
    "suggest. Both are health data."
)


def makers(data: Dataset, _report: Report) -> str:
    """Repeat whom to cite."""
    return data.source.citation


def entries(data: Dataset, _report: Report) -> str:
    """Say what one entry is."""
    if data.labels:
        return f"A person: their conversations, and their {data.instrument.title}."
    rated = dict.fromkeys(name for each in data.ratings for name in each.values)
    also = f", and self-rated {' and '.join(rated)}" if rated else ""
    return f"A person: their conversations{also}."


def counts(data: Dataset, _report: Report) -> str:
    """Count people, conversations and words."""
    words: Counter[str] = Counter()
    for each in data.conversations:
        said = (turn.content for turn in each.messages if turn.role == "user")
        words[each.user_id] += sum(len(text.split()) for text in said)
    messages = sum(len(each.messages) for each in data.conversations)
    middle = f"{median(words.values()):g} words a person (median)" if words else "no words"
    return (
        f"{len(words)} people, {len(data.conversations)} conversations, {messages} messages, "
        f"{middle}; {len(data.labels)} questionnaires."
    )


def labels(data: Dataset, _report: Report) -> str:
    """Say what the label is."""
    used = data.instrument
    if not data.labels:
        return f"There is none: no {used.title} and no other total of a depression scale."
    items = sum(each.items is not None for each in data.labels)
    return (
        f"The {used.title} total, {used.minimum} to {used.maximum} points, filled in by the "
        f"person; single items of {items} of {len(data.labels)}."
    )


def gaps(data: Dataset, _report: Report) -> str:
    """Count who lacks a questionnaire."""
    people = {each.user_id for each in data.conversations}
    labelled = {each.user_id for each in data.labels}
    totals = sum(each.total is None for each in data.labels)
    return (
        f"{knowledge.PARTLY}{len(people - labelled)} people have conversations and no "
        f"questionnaire here, {len(labelled - people)} the other way round, and {totals} "
        "questionnaires lack too many items for a total."
    )


def split(data: Dataset, _report: Report) -> str:
    """Say how many people are in each part."""
    if not data.parts:
        return "There is none."
    parts = Counter(data.parts.values())
    told = ", ".join(f"{count} {part}" for part, count in parts.items())
    return f"{told}; a person is in one part only."


def known_faults(data: Dataset, _report: Report) -> str | None:
    """Repeat what the data set says against itself."""
    return knowledge.PARTLY + " ".join(data.remarks) if data.remarks else None


def groups(data: Dataset, _report: Report) -> str | None:
    """Name the columns about people."""
    columns = dict.fromkeys(name for each in data.people.values() for name in each)
    return f"{knowledge.PARTLY}columns: {', '.join(columns)}." if columns else None


def sensitive(data: Dataset, _report: Report) -> str:
    """Say that these are health data, or of nobody."""
    return "No: its people are invented." if data.simulated else SENSITIVE


def origin(data: Dataset, _report: Report) -> str | None:
    """Say of made-up people that they are."""
    return "Simulated: every word and every total is made up." if data.simulated else None


def timeframe(data: Dataset, _report: Report) -> str:
    """Say between which days, or that the times are made up."""
    if not data.dated:
        return "Not told: the times in the files are made up and keep the order alone."
    times = [turn.timestamp for each in data.conversations for turn in each.messages]
    if not times:
        return "Not told: there is no message."
    return f"Messages from {knowledge.day(min(times))} to {knowledge.day(max(times))}."


def changes(data: Dataset, _report: Report) -> str | None:
    """Say what was left out on reading."""
    if not data.left_out:
        return None
    told = ", ".join(f"{count} {reason}" for reason, count in data.left_out.items())
    return f"{knowledge.PARTLY}left out on reading: {told}."


def readings(data: Dataset, report: Report) -> str | None:
    """Say who else read the texts."""
    return knowledge.annotations(knowledge.Run(report, data))


def used_for(_data: Dataset, report: Report) -> str:
    """Say what this run did with it."""
    found = report.evaluation
    return f"To test estimates of {found.instrument.title}: {report.title}, {found.n_rows} rows."


def not_for(data: Dataset, _report: Report) -> str:
    """Say what nobody may conclude from it."""
    if data.simulated:
        return "As evidence of clinical accuracy. It says which of two methods reads it better."
    return f"{knowledge.PARTLY}to find out who somebody is, and to diagnose anybody."


def where(data: Dataset, _report: Report) -> str:
    """Say where it can be had."""
    return data.source.where


def licence(data: Dataset, _report: Report) -> str:
    """Repeat the licence."""
    return data.source.licence


HOLDINGS: Mapping[str, Callable[[Dataset, Report], str | None]] = {
    each.__name__: each
    for each in (
        makers,
        entries,
        counts,
        labels,
        gaps,
        split,
        known_faults,
        groups,
        sensitive,
        origin,
        timeframe,
        changes,
        readings,
        used_for,
        not_for,
        where,
        licence,
    )
}
"""Name, as the datasheet's file uses it, to what gives the answer."""
