from dataclasses import replace

from tests import made, tiny

from sottovoce.examples import WORDS, three_by_rank

WINDOWS = tiny.labelled_windows(21)


def estimates(abstained=()):
    return [
        made.estimate(each.user_id, None if row in abstained else float(row))
        for row, each in enumerate(WINDOWS)
    ]


def test_people_are_taken_by_rank_and_not_picked():
    shown = three_by_rank(WINDOWS, estimates())
    assert [each.estimate.score for each in shown] == [2, 10, 18]
    assert [each.label for each in shown] == [
        "A low estimate (rank 3 of 21)",
        "A middle estimate (rank 11 of 21)",
        "A high estimate (rank 19 of 21)",
    ]
    assert [each.total for each in shown] == [WINDOWS[row].total for row in (2, 10, 18)]


def test_who_was_abstained_from_has_no_rank():
    shown = three_by_rank(WINDOWS, estimates(abstained=range(2, 21)))
    assert {each.estimate.score for each in shown} <= {0, 1}
    assert three_by_rank(WINDOWS, estimates(abstained=range(21))) == ()


def test_a_person_s_last_messages_are_shown_up_to_a_length():
    said = [replace(WINDOWS[0].messages[0], content=f"{n} " + "word " * 29) for n in range(6)]
    long = replace(WINDOWS[0], messages=tuple(said))
    (shown, *_) = three_by_rank([long], [made.estimate(long.user_id, 4.0)])
    assert [passage[0] for passage in shown.passages] == ["3", "4", "5"]
    assert sum(len(passage.split()) for passage in shown.passages) >= WORDS
