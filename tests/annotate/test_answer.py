import json
import math

import pytest
from tests import annotating

from sottovoce import bundled
from sottovoce.annotate.annotator import Reply
from sottovoce.annotate.answer import Reading, judge, schema
from sottovoce.annotate.prompt import Asking, load_prompt
from sottovoce.annotate.replay import AnnotationReplay
from sottovoce.annotate.work import cut_windows, make_tasks
from sottovoce.cohort import WindowRules
from sottovoce.deidentify import open_deidentifier
from sottovoce.disclosure import disclose
from sottovoce.instruments import INSTRUMENTS, PHQ_9

(TASK,) = annotating.tasks("ana")
QUOTE = {"item": 3, "level": 2, "quote": "I lay awake until four", "trap": None}
ONES = {str(item.number): 1 for item in PHQ_9.items}


def judged(text, stop="end"):
    return judge(Reply(text, 1, 1, stop), PHQ_9, TASK.window, TASK.disclosed)


def said(**changed):
    return annotating.answer(**({"items": ONES, "total": 9.5} | changed))


def test_an_answer_becomes_a_reading():
    found = judged(said())
    assert found.items == (1.0,) * 9
    assert (found.total, found.sd, found.rejected, found.bare) == (9.5, 2.5, 0, 0)
    assert [(each.item, each.level, each.text) for each in found.quotes] == [
        (3, 2, "I lay awake until four")
    ]


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "<think>perhaps {{0}} or so</think>\n\n{}",
        "</think>{}",
        "Here it is:\n{}\nThat is all.",
    ],
)
def test_what_models_put_around_their_json_does_not_matter(wrapped):
    text = wrapped.replace("{}", said())
    assert judged(text) == judged(said())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot tell.",
        "{",
        "[]",
        '{"total": 9}',
        said()[:-3],
        said(items={"1": 1}),
        said(items={**ONES, "10": 1}),
        said(items=[1] * 9),
        said(total="nine"),
        said(total=math.nan),
        said(more=1),
        said(evidence=[{"item": 3}]),
        said(evidence=[{**QUOTE, "trap": "irony"}]),
        said(evidence=[{**QUOTE, "item": 2.5}]),
        "[" * 100_000 + "{}",
    ],
)
def test_garbage_is_called_garbage(text):
    assert judged(text) == "garbage"


@pytest.mark.parametrize(
    "changed",
    [
        {"items": {**ONES, "1": 4}},
        {"items": {**ONES, "1": -1}},
        {"total": 28},
        {"total": -1},
        {"sd": -1},
        {"sd": 28},
        {"evidence": [{**QUOTE, "item": 10}]},
        {"evidence": [{**QUOTE, "level": 4}]},
    ],
)
def test_points_outside_the_questionnaire_are_refused(changed):
    assert judged(said(**changed)) == "out of range"


@pytest.mark.parametrize(("total", "kept"), [(6, True), (12, True), (5.9, False), (12.1, False)])
def test_a_total_may_be_one_whole_item_away_from_its_items(total, kept):
    found = judged(said(total=total))
    assert (
        (isinstance(found, Reading) and found.total == total) if kept else found == "inconsistent"
    )


@pytest.mark.parametrize(("stop", "kind"), [("refusal", "refusal"), ("length", "length")])
def test_an_answer_that_was_refused_or_cut_off_is_no_answer(stop, kind):
    assert judged(said(), stop) == kind


def test_an_invented_quote_is_left_out_and_counted_and_its_item_stays():
    invented = {**QUOTE, "item": 2, "quote": "I cried all night"}
    companion = {**QUOTE, "item": 3, "quote": "How was the night?"}
    found = judged(said(evidence=[QUOTE, invented, companion]))
    assert [each.item for each in found.quotes] == [3]
    assert (found.rejected, found.bare) == (2, 1)
    assert found.items == (1.0,) * 9


def test_an_answer_whose_every_quote_is_invented_is_no_answer():
    assert judged(said(evidence=[{**QUOTE, "quote": "I cried all night"}])) == "quotes"
    assert isinstance(judged(said(evidence=[])), Reading)


def test_quotes_are_given_in_the_message_s_own_letters():
    found = judged(said(evidence=[{**QUOTE, "quote": "i LAY awake  until four"}]))
    assert found.quotes[0].text == "I lay awake until four"


def test_a_quote_with_a_made_up_name_comes_back_with_the_true_one():
    deidentifier = open_deidentifier("patterns", b"secret")
    windows = [TASK.window]
    gone = disclose(windows, None, deidentifier, trusted=True).windows[0]
    sent = next(each.content for each in gone.window.messages if "sister" in each.content)
    assert "wil@mail.test" not in sent
    quote = {**QUOTE, "quote": sent.split(" says")[0]}
    found = judge(Reply(said(evidence=[quote]), 1, 1, "end"), PHQ_9, TASK.window, gone)
    assert found.quotes[0].text == "My sister Wilhelmina (wil@mail.test)"


@pytest.mark.parametrize("key", INSTRUMENTS)
def test_the_schema_has_every_item_and_no_keyword_that_strict_modes_refuse(key):
    used = INSTRUMENTS[key]
    made = schema(used)
    assert list(made["properties"]["items"]["properties"]) == [str(i.number) for i in used.items]
    text = json.dumps(made)
    assert not any(f'"{word}"' in text for word in ("minimum", "maximum", "minItems", "$ref"))

    def closed(part):
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
        inner = [*part.get("properties", {}).values(), part.get("items")]
        for each in filter(None, inner):
            closed(each)

    closed(made)


def test_the_recorded_readings_pass_with_their_quotes_after_de_identification(tmp_path):
    from sottovoce.annotations import write_annotations

    path = tmp_path / "annotations.jsonl"
    some = bundled.annotations("test")[:30]
    write_annotations(path, some)
    windows, _ = cut_windows(bundled.CHATS, WindowRules(), {each.user_id for each in some})
    gone = disclose(windows, None, open_deidentifier("patterns", b"secret"), trusted=True)
    replay = AnnotationReplay(path, PHQ_9.key)
    tasks = make_tasks(windows, gone, Asking(load_prompt(PHQ_9), replay.name))
    found = [
        judge(replay.ask(each.requests[0]), PHQ_9, each.window, each.disclosed) for each in tasks
    ]
    assert all(isinstance(each, Reading) for each in found)
    assert sum(each.rejected for each in found) == 0
