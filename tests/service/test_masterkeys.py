import stat
import sys
import types
from base64 import b64encode
from pathlib import Path

import pytest
from tests.service.told import at_once

from sottovoce.errors import ServiceError
from sottovoce.service import masterkeys
from sottovoce.service.masterkeys import (
    MasterKeys,
    new_master_keys,
    parse_master_keys,
    read_master_keys,
    write_master_keys,
)
from sottovoce.service.settings import ServiceSettings

GOOD = bytes(range(100, 132))


def refused(text: str) -> str:
    with pytest.raises(ServiceError) as caught:
        parse_master_keys(text, where="here")
    return str(caught.value)


@pytest.mark.parametrize(
    "key",
    [bytes(32), b"\xff" * 32, b"ab" * 16, b"abcdefgh" * 4, b"0123456789abcdef" * 2],
    ids=["zero", "ones", "two", "eight", "sixteen"],
)
def test_a_key_that_is_not_random_is_refused(key):
    found = refused(f"a:{b64encode(key).decode()}")
    assert "not random" in found
    assert b64encode(key).decode() not in found


@pytest.mark.parametrize(
    "line",
    [
        b64encode(GOOD).decode(),
        f"a:{b64encode(GOOD).decode()[:-4]}",
        f"a:{b64encode(GOOD[:31]).decode()}",
        f"a:{b64encode(GOOD + b'1').decode()}",
        f"a:{'=' * 44}",
        f"a b:{b64encode(GOOD).decode()}",
        f"{'a' * 33}:{b64encode(GOOD).decode()}",
    ],
    ids=["no name", "truncated", "31 bytes", "33 bytes", "no base64", "a space", "long name"],
)
def test_a_line_that_is_no_key_is_told_by_its_number_and_never_shown(line):
    good = f"k:{b64encode(bytes(range(32))).decode()}"
    found = refused(f"{good}\n\n{line}\n")
    assert "here, line 2" in found
    assert b64encode(GOOD).decode()[:12] not in found


def test_two_keys_of_one_name_and_none_at_all_are_refused():
    key = b64encode(GOOD).decode()
    assert "two keys" in refused(f"a:{key},a:{key}")
    assert "no master key" in refused(" \n")
    with pytest.raises(ServiceError, match="no master key"):
        MasterKeys({}).wrap(GOOD, b"context")


def test_keys_come_back_from_their_text_in_their_order():
    keys = new_master_keys().newer().newer()
    again = parse_master_keys(keys.text, where="here")
    assert (again.text, again.current) == (keys.text, keys.current)
    assert parse_master_keys(keys.text.replace("\n", ","), where="here").text == keys.text


def test_what_an_older_key_wrapped_opens_until_that_key_is_dropped():
    old = new_master_keys()
    wrapped = old.wrap(GOOD, b"context")
    newer = old.newer()
    assert newer.current != old.current
    assert newer.unwrap(old.current, wrapped, b"context") == GOOD
    with pytest.raises(ServiceError, match=f"{old.current}, which is not here"):
        newer.without_old().unwrap(old.current, wrapped, b"context")


def test_what_was_wrapped_opens_in_its_context_only_and_unchanged_only():
    keys = new_master_keys()
    wrapped = keys.wrap(GOOD, b"context")
    changed = [wrapped[:place] for place in range(len(wrapped))]
    for bit in range(8 * len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(flipped))
    for each in changed:
        with pytest.raises(ServiceError, match="does not open"):
            keys.unwrap(keys.current, each, b"context")
    with pytest.raises(ServiceError, match="does not open"):
        keys.unwrap(keys.current, wrapped, b"other")


def test_a_key_file_is_its_owners_alone_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "master.key"
    keys = new_master_keys()
    write_master_keys(path, keys)
    write_master_keys(path, keys.newer())
    write_master_keys(path, keys)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["master.key"]
    assert read_master_keys(path).text == keys.text


def test_a_group_may_read_a_key_file(tmp_path):
    path, keys = tmp_path / "master.key", new_master_keys()
    write_master_keys(path, keys)
    path.chmod(0o440)
    assert read_master_keys(path).text == keys.text


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o620, 0o610, 0o666])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path, mode):
    path = tmp_path / "master.key"
    write_master_keys(path, new_master_keys())
    path.chmod(mode)
    with pytest.raises(ServiceError, match="chmod 600"):
        read_master_keys(path)


def test_a_key_file_that_cannot_be_read_or_written_is_one_sentence(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    binary.chmod(0o600)
    for path in (binary, tmp_path, tmp_path / "missing"):
        with pytest.raises(ServiceError, match="cannot be read"):
            read_master_keys(path)
    with pytest.raises(ServiceError, match="cannot be written"):
        write_master_keys(binary / "key", new_master_keys())


def test_the_first_start_makes_a_key_and_the_second_finds_it(tmp_path):
    settings = ServiceSettings(data_dir=tmp_path / "data")
    first = masterkeys.open_keeper(settings)
    assert masterkeys.open_keeper(settings).current == first.current
    named = ServiceSettings(master_key_file=tmp_path / "missing")
    with pytest.raises(ServiceError, match="cannot be read"):
        masterkeys.open_keeper(named)
    assert not (tmp_path / "missing").exists()


def test_of_processes_that_start_at_once_all_have_the_same_key(tmp_path):
    for number in range(20):
        settings = ServiceSettings(data_dir=tmp_path / str(number))
        found = at_once(lambda _, settings=settings: masterkeys.open_keeper(settings), 8)
        assert len({each.current for each in found}) == 1


def test_a_key_file_is_read_again_when_it_changes(tmp_path):
    settings = ServiceSettings(data_dir=tmp_path)
    held = masterkeys.open_keeper(settings)
    before, wrapped = held.current, held.wrap(b"k" * 32, b"c")
    newer = masterkeys.read_master_keys(tmp_path / "master.key").newer()
    masterkeys.write_master_keys(tmp_path / "master.key", newer)
    assert held.current == newer.current != before
    assert held.unwrap(before, wrapped, b"c") == b"k" * 32
    assert newer.unwrap(held.current, held.wrap(b"n" * 32, b"c"), b"c") == b"n" * 32
    masterkeys.write_master_keys(tmp_path / "master.key", newer.without_old())
    with pytest.raises(ServiceError, match="is not here"):
        held.unwrap(before, wrapped, b"c")
    (tmp_path / "master.key").unlink()
    with pytest.raises(ServiceError, match="cannot be read"):
        held.wrap(b"k" * 32, b"c")


def test_a_first_key_never_replaces_one_that_is_there(tmp_path):
    path = tmp_path / "master.key"
    there = new_master_keys()
    write_master_keys(path, there)
    write_master_keys(path, new_master_keys(), first=True)
    assert read_master_keys(path).text == there.text
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_of_the_environment_is_taken():
    keys = new_master_keys()
    found = masterkeys.open_keeper(ServiceSettings(master_key=keys.text))
    assert found.current == keys.current


def test_a_key_management_service_is_called_by_its_name(monkeypatch):
    module = types.ModuleType("my_kms")
    keys = new_master_keys()
    module.factory, module.constant = (lambda: keys), 3
    monkeypatch.setitem(sys.modules, "my_kms", module)
    assert masterkeys.open_keeper(ServiceSettings(kms="my_kms:factory")) is keys
    for wrong in ("my_kms:nothing", "my_kms:constant", "my_kms", "no_such_kms:f", ":f"):
        with pytest.raises(ServiceError, match="module:function"):
            masterkeys.open_keeper(ServiceSettings(kms=wrong))


def test_the_key_file_lies_in_the_data_folder_unless_another_is_named():
    assert masterkeys.key_file(ServiceSettings(data_dir=Path("d"))) == Path("d/master.key")
    assert masterkeys.key_file(ServiceSettings(master_key_file=Path("k"))) == Path("k")
