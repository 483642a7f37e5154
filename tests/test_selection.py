from dataclasses import replace

import numpy as np
import pytest
from tests import made

from sottovoce.conversations import QuestionnaireResponse, write_json_lines
from sottovoce.errors import DataError
from sottovoce.estimates import estimate_record
from sottovoce.instruments import PHQ_9
from sottovoce.selection import band_chances, select, selected


def guess(user, score, spread=2.0):
    """An estimate whose band probabilities are those of a logistic error."""
    chances = {
        cut: float(1 / (1 + np.exp(-(score - cut + 0.5) / spread))) for cut in PHQ_9.cut_offs
    }
    return replace(made.estimate(user, score), p_at_least=chances)


def skewed(n=200, seed=0):
    generator = np.random.default_rng(seed)
    scores = np.clip(generator.exponential(6, n), 0, 27)
    return [guess(f"p{number:03d}", float(score)) for number, score in enumerate(scores)]


def test_the_chances_of_the_bands_are_those_between_cut_offs():
    chances = band_chances([guess("a", 11.0)], PHQ_9)
    assert chances.shape == (1, len(PHQ_9.bands))
    assert chances.sum() == pytest.approx(1)
    assert chances.argmax() == 2


def evenness(selection):
    after = selection.before + selection.chosen
    return float(((after / after.sum() - 1 / len(after)) ** 2).sum())


def test_the_chosen_even_out_severity_more_than_chance_does():
    pool, labelled = skewed(), [2.0] * 40 + [7.0] * 20 + [12.0] * 5
    chosen = select(pool, labelled, 40, PHQ_9)
    anyone = [
        select([pool[row] for row in rows], labelled, 40, PHQ_9)
        for rows in (np.random.default_rng(seed).choice(200, 40, False) for seed in range(20))
    ]
    assert len(set(chosen.users)) == 40
    assert evenness(chosen) < min(map(evenness, anyone))
    assert chosen.chosen.sum() == pytest.approx(40)


def test_the_same_people_give_the_same_choice_in_any_order_and_a_shorter_list_is_its_beginning():
    pool = skewed(60)
    chosen = select(pool, [5.0] * 9, 20, PHQ_9, seed=3)
    assert select(pool[::-1], [5.0] * 9, 20, PHQ_9, seed=3).users == chosen.users
    assert select(pool, [5.0] * 9, 7, PHQ_9, seed=3).users == chosen.users[:7]


def test_among_people_who_would_do_alike_the_least_sure_comes_first():
    pool = [guess("a", 25.0, 0.1), guess("b", 25.0, 0.9), guess("c", 3.0, 0.1)]
    labelled = [2.0] * 10 + [7.0] * 10 + [12.0] * 10 + [17.0] * 10
    assert select(pool, labelled, 3, PHQ_9).users[0] == "b"
    assert select(pool[:1] + pool[2:], labelled, 2, PHQ_9).users == ("a", "c")


def test_abstentions_are_passed_over_and_counted():
    pool = [guess("a", 3.0), made.estimate("b", None)]
    chosen = select(pool, [], 5, PHQ_9)
    assert chosen.users == ("a",)
    assert chosen.as_dict()["abstained"] == 1
    assert "a" not in str(chosen.as_dict()["bands"][0].get("user_id", ""))


def test_nobody_asked_for_and_two_estimates_of_a_person_are_refused():
    with pytest.raises(DataError, match="nobody is to be chosen"):
        select([guess("a", 3.0)], [], 0, PHQ_9)
    with pytest.raises(DataError, match="two estimates"):
        select([guess("a", 3.0), guess("a", 4.0)], [], 1, PHQ_9)


def test_a_file_of_scores_gives_the_newest_of_people_without_a_questionnaire(tmp_path):
    scores, labels = tmp_path / "scores.jsonl", tmp_path / "labels.jsonl"
    older = guess("a", 2.0)
    newer = replace(guess("a", 25.0), window_end=older.window_end.replace(hour=23))
    write_json_lines(scores, map(estimate_record, [newer, older, guess("b", 3.0)]))
    at = QuestionnaireResponse("b", "phq-9", made.NOON, 3.0).completed_at.isoformat()
    write_json_lines(
        labels, [{"user_id": "b", "instrument": "phq-9", "completed_at": at, "total": 3}]
    )
    chosen = selected(scores, labels, 5)
    assert chosen.users == ("a",)
    assert chosen.before.tolist() == [1, 0, 0, 0, 0]
    assert chosen.chosen.argmax() == 4
