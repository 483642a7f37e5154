import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sottovoce.errors import MissingExtraError
from sottovoce.readers.table import read_parquet

START = datetime(2025, 5, 27, 15, tzinfo=UTC)
HEADER = "user_id,conversation_id,role,content,timestamp\n"
AT = "2025-05-27T15:00:00Z"


def test_rows_of_a_conversation_may_be_interleaved_and_cells_quoted(reading):
    text = (
        HEADER
        + f'u1,c1,user,"one, two\nthree ""four""",{AT}\r\n\r\n'
        + f"u2,c1,human,other,{AT}\n,,,,\nu1,c1,bot,five,{AT}\nu1,c1,system,x,{AT}\n"
    )
    one, two = reading(text, "csv")
    assert [each.content for each in one.messages] == ['one, two\nthree "four"', "five"]
    assert (two.user_id, two.conversation_id) == ("u2", "c1")
    assert reading.tally.left_out == {"system turns": 1}


def test_a_column_can_give_the_order(reading):
    text = "user_id,conversation_id,role,content,turn\nu,c,user,b,10\nu,c,user,a,9\n"
    (found,) = reading(text, "csv", start=START, columns={"order": "turn"})
    assert [each.content for each in found.messages] == ["a", "b"]
    assert "order is text of 1" in reading.refusal(
        text.replace("10", "x"), "csv", start=START, columns={"order": "turn"}
    )


def test_a_conversations_time_can_stand_in_a_column(reading):
    text = f"user_id,conversation_id,role,content,began\nu,c,user,a,{AT}\nu,c,user,b,{AT}\n"
    (found,) = reading(text, "csv", columns={"started_at": "began"})
    assert found.messages[0].timestamp == START
    assert found.messages[1].timestamp > START


def test_one_column_can_be_two_of_ours(reading):
    text = f"user_id,role,content,timestamp\nu,user,a,{AT}\n"
    (found,) = reading(text, "csv", columns={"conversation_id": "user_id"})
    assert found.conversation_id == "u"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "in.txt: the file is empty"),
        (HEADER, "nothing is left to write (there is no record)"),
        ("secret,b\n1,2\n", "in.txt, field user_id: the file has no such column"),
        ("a,a\n1,2\n", "line 1: two columns have the same name"),
        (HEADER + "secret,c\n", "line 2: the row has 2 cells and the header 5"),
        (HEADER + f'u,c,user,"x\ny",{AT}\nsecret\n', "line 4: the row has 1 cells"),
        (HEADER + f'u,c,user,"secret,{AT}\n', "line 2: a double quote opens a cell and never"),
        (HEADER + f'u,c,user,"a"secret,{AT}\n', "line 2: a double quote or line break stands"),
        (HEADER + f"u,c,user,{'s' * 200_000},{AT}\n", "line 2: a cell is longer than 131072"),
        (HEADER + f",c,user,secret,{AT}\n", "line 2, field user_id: it is empty text"),
        (HEADER + f"u,c,secret,x,{AT}\n", "line 2, field role: the speaker is text of 6"),
        (HEADER + "u,c,user,secret,2025-05-27 15:00\n", "timestamp: the time has no time zone"),
        (HEADER + "u,c,user,secret,\n", "line 2: nothing says when the conversation was"),
        (HEADER + "u,c,user,secret\x00,\n", "line 2: the file is binary"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(reading, text, problem):
    sentence = reading.refusal(text, "csv")
    assert problem in sentence
    assert "secret" not in sentence


def test_a_mapped_column_must_be_there(reading):
    text = HEADER + f"u,c,user,x,{AT}\n"
    sentence = reading.refusal(text, "csv", columns={"order": "turn"})
    assert "field turn: the file has no such column" in sentence


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path.read_bytes()


def test_parquet_numbers_become_ids_and_naive_times_need_a_zone(reading, tmp_path):
    content = parquet(
        tmp_path / "x.parquet",
        user_id=pa.array([7, 7]),
        conversation_id=pa.array([1.0, 1.0]),
        role=pa.array(["user", "assistant"]).dictionary_encode(),
        content=["a", None],
        timestamp=pa.array([START.replace(tzinfo=None)] * 2, pa.timestamp("ns")),
    )
    assert "the time has no time zone" in reading.refusal(content, "parquet")
    (found,) = reading(content, "parquet", zone=UTC)
    assert (found.user_id, found.conversation_id) == ("7", "1")
    assert found.messages[0].timestamp == START
    assert reading.tally.left_out == {"empty turns": 1}


def test_bad_parquet_is_refused_in_one_sentence(reading, tmp_path):
    assert "this is not a Parquet file" in reading.refusal("secret, or so", "parquet")
    assert "this is not a Parquet file" in reading.refusal("", "parquet")
    content = parquet(tmp_path / "x.parquet", secret=["a"])
    assert "field user_id: the file has no such column" in reading.refusal(content, "parquet")
    columns = {"user_id": ["u"], "conversation_id": ["c"], "role": ["secret"], "content": ["x"]}
    content = parquet(tmp_path / "x.parquet", **columns)
    assert "line 1, field role: the speaker is text of 6" in reading.refusal(content, "parquet")
    content = parquet(tmp_path / "x.parquet", **{**columns, "content": [1.5]})
    assert "secret" not in reading.refusal(content, "parquet")


def test_damaged_parquet_is_refused_in_one_sentence(reading, tmp_path):
    content = bytearray(
        parquet(
            tmp_path / "x.parquet",
            user_id=["u"] * 50,
            conversation_id=["c"] * 50,
            role=["user"] * 50,
            content=[f"text {number}" for number in range(50)],
        )
    )
    content[4:200] = bytes(196)
    assert "damaged" in reading.refusal(bytes(content), "parquet", start=START)


def test_without_pyarrow_the_pip_command_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sottovoce\[parquet\]'"):
        list(read_parquet(tmp_path / "x.parquet"))
