from uuid import UUID

import pytest

from sottovoce.service.api.callers import BELIEVED, MOST, Callers
from sottovoce.service.principals import Principal

WHO = Principal("app", UUID(int=1), UUID(int=2))


@pytest.fixture
def moments():
    """The time, as a list whose last number it is."""
    return [100.0]


@pytest.fixture
def callers(moments):
    return Callers(lambda: moments[-1])


def test_a_caller_is_believed_for_a_moment_from_when_the_database_was_asked(callers, moments):
    assert callers.known("secret") is None
    callers.remember("secret", WHO, callers.now())
    moments.append(100.0 + BELIEVED - 0.01)
    assert callers.known("secret") == WHO
    assert callers.known("other") is None
    moments.append(100.0 + BELIEVED)
    assert callers.known("secret") is None


def test_nothing_is_believed_after_a_change_of_keys(callers):
    callers.remember("secret", WHO, callers.now())
    callers.forget()
    assert callers.known("secret") is None


def test_no_secret_is_kept_and_no_more_callers_than_there_is_room_for(callers):
    for number in range(MOST + 1):
        callers.remember(f"secret-{number}", WHO, callers.now())
    assert len(callers._known) == 1
    assert "secret" not in str(callers._known)


def test_a_key_that_is_revoked_or_whose_account_is_disabled_opens_nothing_from_then_on(stage):
    stage.register("ada")
    path = f"/v1/accounts/{stage.accounts['app']}"
    (key,) = stage.done("GET", f"{path}/keys", "admin")["keys"]
    assert stage.ask("GET", "/v1/people/ada").status_code == 200
    assert stage.ask("DELETE", f"/v1/keys/{key['id']}", "admin").status_code == 204
    assert stage.ask("GET", "/v1/people/ada").status_code == 401
    stage.secrets["app"] = stage.done("POST", f"{path}/keys", "admin", json={})["secret"]
    assert stage.ask("GET", "/v1/people/ada").status_code == 200
    assert stage.ask("DELETE", path, "admin").status_code == 204
    assert stage.ask("GET", "/v1/people/ada").status_code == 401
