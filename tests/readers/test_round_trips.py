"""Properties: what is written in a foreign format from canonical records reads back equal."""

import csv
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.conversations import (
    Conversation,
    Message,
    QuestionnaireResponse,
    conversation_record,
    format_time,
    response_record,
    write_json_lines,
)
from sottovoce.instruments import INSTRUMENTS, PHQ_8, instrument
from sottovoce.readers import ReadOptions, Tally, read
from sottovoce.readers.clock import SPACING
from sottovoce.readers.daic_woz import _MARKER, _PROMPT, ITEM_COLUMNS

quick = settings(max_examples=40, deadline=None)

LETTERS = st.characters(codec="utf-8", exclude_characters="\x00")
IDS = st.text(LETTERS, min_size=1, max_size=12).filter(lambda text: text.strip())
TRIMMED_IDS = IDS.map(str.strip)
TEXTS = st.text(LETTERS, min_size=1, max_size=60).filter(lambda text: text.strip())
FIRST, LAST = datetime(2001, 1, 1), datetime(2035, 1, 1)  # noqa: DTZ001 (hypothesis asks for it)
TIMES = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
SECONDS = TIMES.map(lambda time: time.replace(microsecond=0))
MESSAGES = st.builds(Message, st.sampled_from(["user", "assistant"]), TEXTS, TIMES)


def chats(ids=IDS, messages=MESSAGES):
    conversations = st.builds(
        Conversation, ids, ids, st.lists(messages, min_size=1, max_size=5).map(tuple)
    )
    return st.lists(
        conversations,
        min_size=1,
        max_size=5,
        unique_by=lambda each: (each.user_id, each.conversation_id),
    )


@st.composite
def responses(draw, keys=tuple(INSTRUMENTS), ids=TRIMMED_IDS, times=SECONDS, only_items=False):
    used = instrument(draw(st.sampled_from(keys)))
    answer = st.one_of(st.none(), st.integers(0, used.item_maximum))
    items = draw(
        st.lists(answer, min_size=len(used.items), max_size=len(used.items)).filter(
            lambda each: any(points is not None for points in each)
        )
    )
    if not only_items and draw(st.booleans()):
        total = draw(st.integers(used.minimum, used.maximum))
        return QuestionnaireResponse(draw(ids), used.key, draw(times), total)
    total = used.total(items)
    return QuestionnaireResponse(draw(ids), used.key, draw(times), total, tuple(items))


def many(strategy):
    return st.lists(
        strategy,
        min_size=1,
        max_size=5,
        unique_by=lambda each: (each.user_id, each.instrument, each.completed_at),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("formats")


def same_chats(found, expected):
    def ordered(conversations):
        return sorted(conversations, key=lambda each: (each.user_id, each.conversation_id))

    assert ordered(found) == ordered(expected)


@quick
@given(conversations=chats())
def test_canonical_chats_come_back_equal(folder, conversations):
    path = folder / "chats.jsonl"
    write_json_lines(path, map(conversation_record, conversations))
    assert list(read(path, "chats")) == conversations


@quick
@given(labels=many(responses(times=TIMES)))
def test_canonical_labels_come_back_equal(folder, labels):
    path = folder / "labels.jsonl"
    write_json_lines(path, map(response_record, labels))
    assert list(read(path, "labels")) == labels


def openai_record(conversation, *, unix: bool, parts: bool):
    def content(text):
        return [{"type": "text", "text": text}] if parts else text

    return {
        "id": conversation.conversation_id,
        "user": conversation.user_id,
        "messages": [
            {"role": "system", "content": "you are kind"},
            *(
                {
                    "role": each.role,
                    "content": content(each.content),
                    "created": each.timestamp.timestamp() if unix else each.timestamp.isoformat(),
                }
                for each in conversation.messages
            ),
        ],
    }


@quick
@given(conversations=chats(), unix=st.booleans(), parts=st.booleans())
def test_openai_chats_come_back_equal(folder, conversations, unix, parts):
    path, tally = folder / "openai.jsonl", Tally()
    write_json_lines(path, (openai_record(each, unix=unix, parts=parts) for each in conversations))
    assert list(read(path, "openai-chat", tally=tally)) == conversations
    assert tally.left_out == {"system turns": len(conversations)}
    assert not tally.assumed


def spaced(conversation, start):
    messages = tuple(
        Message(each.role, each.content, start + index * SPACING)
        for index, each in enumerate(conversation.messages)
    )
    return Conversation(conversation.user_id, conversation.conversation_id, messages)


@quick
@given(conversations=chats(), starts=st.lists(SECONDS, min_size=5, max_size=5))
def test_untimed_turns_follow_their_conversations_own_time(folder, conversations, starts):
    path = folder / "untimed.jsonl"
    expected = [spaced(each, start) for each, start in zip(conversations, starts, strict=False)]
    write_json_lines(
        path,
        (
            {
                "id": each.conversation_id,
                "user_id": each.user_id,
                "created_at": format_time(each.messages[0].timestamp),
                "messages": [{"role": m.role, "content": m.content} for m in each.messages],
            }
            for each in expected
        ),
    )
    assert list(read(path, "openai-chat")) == expected


@quick
@given(conversations=chats(), start=SECONDS)
def test_under_start_a_persons_chats_never_overlap_and_keep_their_order(
    folder, conversations, start
):
    path, tally = folder / "startless.jsonl", Tally()
    write_json_lines(path, (sharegpt_record(each, timed=False) for each in conversations))
    found = list(read(path, "sharegpt", ReadOptions(start=start), tally))
    last = {}
    for conversation in found:
        times = [each.timestamp for each in conversation.messages]
        assert times[0] == last.get(conversation.user_id, start - SPACING) + SPACING
        last[conversation.user_id] = times[-1]
    assert sum(tally.assumed.values()) == sum(len(each.messages) for each in conversations)


def sharegpt_record(conversation, *, timed: bool):
    speakers = {"user": "human", "assistant": "gpt"}
    return {
        "id": conversation.conversation_id,
        "user_id": conversation.user_id,
        "conversations": [
            {"from": speakers[each.role], "value": each.content}
            | ({"timestamp": each.timestamp.isoformat()} if timed else {})
            for each in conversation.messages
        ],
    }


@quick
@given(
    conversations=chats(),
    layout=st.sampled_from(["lines", "array", "pretty"]),
    ascii_=st.booleans(),
)
def test_sharegpt_comes_back_equal_from_lines_and_arrays(folder, conversations, layout, ascii_):
    path = folder / "sharegpt.json"
    records = [sharegpt_record(each, timed=True) for each in conversations]
    if layout == "lines":
        text = "\n".join(json.dumps(each, ensure_ascii=ascii_) for each in records)
    else:
        text = json.dumps(records, ensure_ascii=ascii_, indent=2 if layout == "pretty" else None)
    path.write_text(text, encoding="utf-8")
    assert list(read(path, "sharegpt")) == conversations


def table_rows(conversations, seed):
    """Give the rows of all conversations merged at random, each conversation's in order."""
    chance = random.Random(seed)
    waiting = [
        [
            (each.user_id, each.conversation_id, m.role, m.content, m.timestamp)
            for m in each.messages
        ]
        for each in conversations
    ]
    rows = []
    while waiting:
        thread = chance.choice(waiting)
        rows.append(thread.pop(0))
        waiting = [each for each in waiting if each]
    return rows


MAPPED = {
    "user_id": "who is it",
    "conversation_id": "thread",
    "role": "speaker",
    "content": "said",
    "timestamp": "at",
}


@quick
@given(conversations=chats(), seed=st.integers(0, 99), delimiter=st.sampled_from(",;\t"))
def test_interleaved_csv_comes_back_equal(folder, conversations, seed, delimiter):
    path = folder / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(MAPPED.values())
        for row in table_rows(conversations, seed):
            writer.writerow([*row[:-1], row[-1].isoformat()])
    same_chats(read(path, "csv", ReadOptions(columns=MAPPED)), conversations)


@quick
@given(
    conversations=chats(),
    seed=st.integers(0, 99),
    unit=st.sampled_from(["us", "ns"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin"]),
)
def test_interleaved_parquet_comes_back_equal(folder, conversations, seed, unit, zone):
    path = folder / "table.parquet"
    columns = list(zip(*table_rows(conversations, seed), strict=True))
    arrays = [pa.array(column) for column in columns[:-1]]
    arrays.append(pa.array(columns[-1], pa.timestamp(unit, zone)))
    pq.write_table(pa.table(arrays, names=list(MAPPED.values())), path, row_group_size=2)
    same_chats(read(path, "parquet", ReadOptions(columns=MAPPED)), conversations)


START = datetime(2025, 5, 27, 15, tzinfo=UTC)
SPOKEN = TEXTS.filter(
    lambda text: not set(text) & set("\t\n\r") and not _MARKER.fullmatch(text.strip())
)
INTERVIEW = st.lists(
    st.tuples(
        st.sampled_from(["user", "assistant"]),
        SPOKEN.filter(lambda text: not _PROMPT.fullmatch(text)),
        st.integers(0, 3_600_000),
    ),
    min_size=1,
    max_size=5,
)


@quick
@given(interviews=st.dictionaries(st.integers(300, 492), INTERVIEW, min_size=1, max_size=3))
def test_daic_woz_interviews_come_back_equal(tmp_path_factory, interviews):
    corpus = tmp_path_factory.mktemp("daic")
    speakers = {"user": "Participant", "assistant": "Ellie"}
    expected = []
    for number, turns in interviews.items():
        lines = ["start_time\tstop_time\tspeaker\tvalue"]
        lines += [
            f"{ms / 1000:.3f}\t{ms / 1000 + 1:.3f}\t{speakers[role]}\t{text}"
            for role, text, ms in turns
        ]
        (corpus / f"{number}_P").mkdir()
        (corpus / f"{number}_P" / f"{number}_TRANSCRIPT.csv").write_bytes("\n".join(lines).encode())
        messages = tuple(
            Message(role, text, START + timedelta(milliseconds=ms)) for role, text, ms in turns
        )
        expected.append(Conversation(str(number), str(number), messages))
    same_chats(read(corpus, "daic-woz", ReadOptions(start=START)), expected)


@quick
@given(
    labels=many(
        responses(
            keys=("phq-8",),
            ids=st.integers(300, 492).map(str),
            times=st.just(START),
            only_items=True,
        )
    )
)
def test_daic_woz_labels_come_back_equal(folder, labels):
    path = folder / "train_split_Depression_AVEC2017.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Participant_ID", "PHQ8_Binary", "PHQ8_Score", "Gender", *ITEM_COLUMNS])
        for each in labels:
            writer.writerow([each.user_id, 0, blank_unless_whole(each), 1, *each.items])
    assert list(read(path, "daic-woz-labels", ReadOptions(start=START))) == labels


def blank_unless_whole(label):
    """Give the total where every item is there; the corpus has no fractional ones."""
    return "" if None in label.items else label.total


@quick
@given(
    labels=many(responses(keys=("gad-7",), only_items=True)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    wording=st.booleans(),
)
def test_redcap_exports_come_back_equal(folder, labels, zone, wording):
    path, berlin = folder / "redcap.csv", ZoneInfo(zone)
    used = instrument("gad-7")

    def cell(points):
        if points is None:
            return ""
        return used.options[points].wording if wording else points

    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        items = [f"gad_{number}" for number in range(1, 8)]
        writer.writerow(["record_id", "redcap_repeat_instrument", "when", *items])
        for each in labels:
            local = each.completed_at.astimezone(berlin)
            writer.writerow([each.user_id, "", "", *[""] * 7])
            # The offset is kept only where the clock shows the hour twice.
            twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
            when = local.isoformat() if twice else f"{local:%Y-%m-%d %H:%M:%S}"
            writer.writerow([each.user_id, "gad", when, *map(cell, each.items)])
    options = ReadOptions(
        columns={"completed_at": "when", "items": "gad_{n}"}, zone=berlin, instrument="gad-7"
    )
    tally = Tally()
    assert list(read(path, "redcap", options, tally)) == labels
    assert tally.left_out == {"rows without an answer to the questionnaire": len(labels)}


@quick
@given(labels=many(responses(keys=("phq-9",))))
def test_redcap_totals_come_back_equal(folder, labels):
    path = folder / "totals.csv"
    labels = [
        QuestionnaireResponse(each.user_id, "phq-9", each.completed_at, each.total)
        for each in labels
        if each.total is not None
    ]
    if not labels:
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["record_id", "date", "sum"])
        for each in labels:
            writer.writerow([each.user_id, f"{each.completed_at:%Y-%m-%d %H:%M:%S}", each.total])
    options = ReadOptions(
        columns={"completed_at": "date", "total": "sum"}, zone=UTC, instrument="phq-9"
    )
    assert list(read(path, "redcap", options)) == labels


def fhir_answer(used, points, kind):
    ordinal = [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/ordinalValue",
            "valueDecimal": float(points),
        }
    ]
    return {
        "loinc": {
            "valueCoding": {"system": "http://loinc.org", "code": used.options[points].loinc}
        },
        "integer": {"valueInteger": points},
        "decimal": {"valueDecimal": float(points)},
        "ordinal": {"valueCoding": {"system": "urn:x", "code": "a", "extension": ordinal}},
        "answer": {"valueCoding": {"system": "urn:x", "code": "a"}, "extension": ordinal},
    }[kind]


def fhir_resource(label, answer_kind, match):
    used = instrument(label.instrument)
    items, questionnaire = [], []
    for item, points in zip(used.items, label.items or [], strict=False):
        link = f"/{used.loinc_panel}/{item.loinc}" if match == "link" else f"q{item.number}"
        code = [{"system": "http://loinc.org", "code": item.loinc}]
        questionnaire.append({"linkId": link, "type": "choice", "code": code})
        entry = {"linkId": link}
        if match == "code":
            entry["code"] = code
        if match == "definition":
            entry["definition"] = f"http://loinc.org/fhir/x#{item.loinc}"
        if points is not None:
            entry["answer"] = [fhir_answer(used, points, answer_kind)]
        items.append(entry)
    if label.items is None:
        items = [
            {"linkId": f"/{used.loinc_total}", "answer": [{"valueDecimal": label.total}]},
        ]
    resource = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": f"https://example.org/fhir/Patient/{label.user_id}"},
        "authored": label.completed_at.isoformat(),
        "item": [{"linkId": "group", "item": items}],
    }
    if match == "contained":
        resource["contained"] = [{"resourceType": "Questionnaire", "item": questionnaire}]
    return resource


FHIR_IDS = st.from_regex(r"[A-Za-z0-9.\-]{1,20}", fullmatch=True)


@quick
@given(
    labels=many(responses(keys=("phq-9", "gad-7"), ids=FHIR_IDS, times=TIMES)),
    answer_kind=st.sampled_from(["loinc", "integer", "decimal", "ordinal", "answer"]),
    match=st.sampled_from(["code", "contained", "definition", "link"]),
    layout=st.sampled_from(["ndjson", "bundle", "pretty"]),
)
def test_fhir_responses_come_back_equal(folder, labels, answer_kind, match, layout):
    path = folder / "responses.json"
    resources = [fhir_resource(each, answer_kind, match) for each in labels]
    if layout == "ndjson":
        path.write_text("\n".join(map(json.dumps, resources)), encoding="utf-8")
    else:
        entries = [{"resource": each} for each in resources]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        path.write_text(json.dumps(bundle, indent=2 if layout == "pretty" else None), "utf-8")
    assert list(read(path, "fhir")) == labels


@quick
@given(labels=many(responses(keys=("phq-8",), ids=FHIR_IDS, only_items=True)))
def test_fhir_items_by_mapped_link_ids_come_back_equal(folder, labels):
    path = folder / "mapped.ndjson"
    resources = [fhir_resource(each, "integer", "mapped") for each in labels]
    path.write_text("\n".join(map(json.dumps, resources)), encoding="utf-8")
    columns = {f"item{item.number}": f"q{item.number}" for item in PHQ_8.items}
    options = ReadOptions(columns=columns, instrument="phq-8")
    assert list(read(path, "fhir", options)) == labels
