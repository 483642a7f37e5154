import json

import pytest
from tests import annotating
from tests.annotating import InMemory, tasks

from sottovoce.annotate.annotator import CallError, Reply
from sottovoce.annotate.results import collect
from sottovoce.annotate.run import Terms, ask_all, pending
from sottovoce.annotate.store import Store
from sottovoce.instruments import PHQ_9


def asked(made, script=None):
    with Store(None) as store:
        waiting = pending(made, store.contents, retry_failed=False)
        ask_all(waiting, InMemory(script), store, Terms())
        return collect(made, store.contents, "scripted, prompt v1")


def fixed(total, quote="I lay awake until four"):
    items = {str(item.number): 1 for item in PHQ_9.items}
    evidence = [{"item": 3, "level": 1, "quote": quote, "trap": None}]
    return annotating.answer(items=items, total=total, evidence=evidence)


def test_an_annotation_is_the_mean_of_the_samples_and_their_spread():
    totals = {1: 8, 2: 10, 3: 9}
    found = asked(
        tasks("ana", samples=3), lambda each: Reply(fixed(totals[each.sample]), 1, 1, "end")
    )
    (annotation,) = found.annotations
    assert (annotation.total, annotation.spread, annotation.n_samples) == (9.0, 1.0, 3)
    assert annotation.items == (1.0,) * 9
    assert (annotation.sd, annotation.annotator) == (2.5, "scripted, prompt v1")
    assert len(annotation.quotes) == 1  # said in every sample, kept once
    assert found.agreement.difference == pytest.approx(4 / 3)


def test_one_reading_has_no_spread_and_no_agreement():
    found = asked(tasks("ana", "ben"))
    assert [each.user_id for each in found.annotations] == ["ana", "ben"]
    assert {each.spread for each in found.annotations} == {None}
    assert (found.agreement, found.failures, found.without) == (None, (), 0)


def test_nobody_is_dropped_in_silence():
    def script(request):
        if request.user_id == "ben":
            raise CallError("timeout", billed=True)
        if request.user_id == "cleo":
            return Reply("I would rather not.", 1, 1, "refusal")
        if request.user_id == "dora" and request.sample == 2:
            return Reply("nonsense", 1, 1, "end")
        return Reply(fixed(9), 1, 1, "end")

    found = asked(tasks("ana", "ben", "cleo", "dora", samples=2), script)
    assert [each.user_id for each in found.annotations] == ["ana", "dora"]
    assert [each.n_samples for each in found.annotations] == [2, 1]
    assert (found.partial, found.without) == (1, 2)
    assert found.kinds == {"timeout": 2, "refusal": 2, "garbage": 1}
    assert all(len(each.key) == 40 for each in found.failures)


def test_quotes_that_were_not_found_are_counted_with_the_items_they_leave_bare():
    both = json.loads(fixed(9))
    invented = {"item": 1, "level": 1, "quote": "nothing matters to me", "trap": None}
    both["evidence"].append(invented)
    found = asked(tasks("ana"), lambda _: Reply(json.dumps(both), 1, 1, "end"))
    assert (found.quotes, found.rejected, found.bare) == (1, 1, 1)
