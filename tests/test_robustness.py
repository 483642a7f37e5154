import json
from dataclasses import replace

import pytest
from tests import tiny
from tests.words import WordScorer

from sottovoce.cohort import WindowRules
from sottovoce.conversations import conversation_record, write_json_lines
from sottovoce.errors import DataError
from sottovoce.evaluation import Settings
from sottovoce.instruments import PHQ_9
from sottovoce.robustness import (
    PARAPHRASES,
    TITLES,
    USUAL,
    Disturbing,
    disturb,
    read_paraphrases,
)
from sottovoce.trial import Trial

WINDOWS = tiny.labelled_windows(60)
TRIAL = Trial(PHQ_9, tuple(WINDOWS[:30]), tuple(WINDOWS[30:]))
FEW = Settings(resamples=200)


EVERY = tuple(key for key in TITLES if key != PARAPHRASES)


def disturbed(trial=TRIAL, disturbing=None, scorer=None, **options):
    scorer = scorer or WordScorer(trial.training)
    estimates = scorer.score(trial.test)
    scorer.calls.clear()
    found = disturb(trial, scorer, estimates, disturbing, settings=FEW, **options)
    return found, {each.key: each for each in found.shifts}


def test_every_disturbance_has_a_row_with_its_figures():
    told = []
    scorer = WordScorer(TRIAL.training)
    found, rows = disturbed(
        scorer=scorer,
        disturbing=Disturbing(sample=12, ways=EVERY),
        advance=lambda done, total, figures=None: told.append((done, total)),
    )
    assert list(rows) == list(TITLES)
    assert len(scorer.calls) == 1
    assert told == [(scorer.calls[0], scorer.calls[0])]
    assert rows["typos"].n == 12
    assert rows["typos"].figures["moved"].lower > 0
    assert set(rows["typos"].figures) == {"moved", "change", "crossed", "mae_change"}
    assert "12 people" in found.notes[0]
    json.dumps(found.as_dict(), allow_nan=False)


def test_only_the_ways_that_are_asked_for_are_tried():
    assert list(disturbed()[1]) == [*USUAL, PARAPHRASES]
    assert list(disturbed(disturbing=Disturbing(ways=("newer_half",)))[1]) == [
        "newer_half",
        PARAPHRASES,
    ]
    with pytest.raises(DataError, match="a disturbance is unknown; use typos, lower_case"):
        disturbed(disturbing=Disturbing(ways=("louder",)))


def test_a_reader_of_small_letters_does_not_move_with_the_case():
    _, rows = disturbed(disturbing=Disturbing(ways=EVERY))
    for key in ("lower_case", "upper_case"):
        assert rows[key].n > 0
        assert rows[key].figures["moved"].value == 0
        assert rows[key].figures["crossed"].value == 0


def test_only_people_with_emoji_are_disturbed_by_their_loss():
    _, rows = disturbed()
    assert (rows["emoji"].n, rows["emoji"].figures) == (0, {})
    assert "emoji" in rows["emoji"].note
    first = TRIAL.test[0]
    smiling = replace(first.messages[0], content="fine \U0001f600")
    test = (replace(first, messages=(smiling, *first.messages[1:])), *TRIAL.test[1:])
    _, rows = disturbed(replace(TRIAL, test=test), Disturbing(sample=30))
    assert rows["emoji"].n == 1
    assert "too few people" in rows["emoji"].figures["moved"].reason


def test_half_a_history_that_is_too_little_is_abstained_and_counted():
    strict = WordScorer(TRIAL.training, rules=WindowRules(min_user_messages=4, min_user_words=0))
    _, rows = disturbed(scorer=strict, disturbing=Disturbing(sample=12))
    assert (rows["older_half"].n, rows["older_half"].abstained) == (12, 12)
    assert rows["older_half"].figures["moved"].reason == "there are no rows"
    assert rows["older_half"].note == "12 of 12 have too little text left to be read"


def test_given_passages_are_what_is_inserted():
    scorer = WordScorer(TRIAL.training)
    _, quiet = disturbed(
        scorer=scorer, disturbing=Disturbing(passages=("qwxz",), ways=("passages",))
    )
    _, loud = disturbed(
        scorer=scorer, disturbing=Disturbing(passages=(tiny.SAYINGS[0],), ways=("passages",))
    )
    assert quiet["passages"].figures["change"].value == pytest.approx(0, abs=0.01)
    assert loud["passages"].figures["change"].lower > 0


def test_paraphrases_are_cut_like_the_originals_and_everybody_in_the_file_is_read(tmp_path):
    lines = []
    for window in TRIAL.test[:11]:
        late = replace(window.messages[0], timestamp=window.end, content="said too late")
        said = replace(window, messages=(*window.messages[::2], late))
        lines.append(conversation_record(tiny.conversation(said)))
    path = tmp_path / "paraphrases.jsonl"
    write_json_lines(path, lines)
    paraphrases = read_paraphrases(path)
    assert len(paraphrases) == 11
    found, rows = disturbed(disturbing=Disturbing(sample=2, paraphrases=paraphrases))
    assert rows["paraphrases"].n == 11
    # the person's own messages, without the one after the questionnaire: nothing else is read
    assert rows["paraphrases"].figures["moved"].value == 0
    text = json.dumps(found.as_dict())
    assert "said too late" not in text
    assert TRIAL.users[0] not in text


def test_a_file_of_paraphrases_that_is_none_is_refused_with_its_line(tmp_path):
    (tmp_path / "no.jsonl").write_text('{"user_id": "ada"}\n', "utf-8")
    with pytest.raises(DataError, match="line 1"):
        read_paraphrases(tmp_path / "no.jsonl")


def test_without_paraphrases_their_row_says_so():
    assert disturbed()[1]["paraphrases"].note == "no paraphrases were given"


def test_the_same_seed_disturbs_the_same_people_alike():
    assert disturbed()[0] == disturbed()[0]
    assert disturbed(disturbing=Disturbing(sample=10, seed=5))[0] != disturbed()[0]
