"""Who calls by a bearer token: real tokens, read by the real reader, with keys from a file."""

import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from sottovoce.service import accounts
from sottovoce.service.api.app import new_app
from sottovoce.service.settings import Oidc, ServiceSettings

ISSUER = "https://login.example"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})


def token(key=KEY, **changes) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "sottovoce", "sub": "doctor-1", "iat": now, "exp": now + 300}
    claims |= {"sottovoce_role": "clinician"} | changes
    return str(jwt.encode({"alg": "RS256", "kid": "one"}, claims, key))


@pytest.fixture
def clinic(stage_with, tmp_path):
    """Give an app that believes the tokens of one issuer, and a clinician known by her subject."""
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}), "utf-8")
    with stage_with(oidc=Oidc(ISSUER, "sottovoce", str(keys))) as stage:
        for person in ("ada", "bo"):
            stage.register(person, "monitoring")
            stage.say(person, f"words of {person}")
        with stage.gate.database.transaction() as connection:
            now = stage.gate.clock()
            made = accounts.add_account(connection, "dr one", "clinician", now, "doctor-1")
        stage.done("PUT", f"/v1/accounts/{made.id}/caseload/ada", "admin")
        stage.accounts["by token"] = made.id
        yield stage


def asked(stage, path: str, shown: str):
    return stage.ask("GET", path, None, headers={"Authorization": f"Bearer {shown}"})


def test_a_clinician_with_a_token_sees_her_caseload_and_nobody_else(clinic):
    listed = asked(clinic, "/v1/people", token())
    assert [each["id"] for each in listed.json()["people"]] == ["ada"]
    read = asked(clinic, "/v1/people/ada/messages", token())
    assert [each["content"] for each in read.json()["messages"]] == ["words of ada"]
    assert asked(clinic, "/v1/people/bo/messages", token()).status_code == 404
    assert asked(clinic, "/v1/accounts", token()).status_code == 403


def test_what_was_read_by_a_token_stands_in_the_audit_log(clinic):
    asked(clinic, "/v1/people/ada/messages", token())
    entries = clinic.done("GET", "/v1/audit", "admin", params={"limit": 500})["entries"]
    account = str(clinic.accounts["by token"])
    (entry,) = [each for each in entries if each["account_id"] == account]
    assert (entry["action"], entry["outcome"], entry["key_id"]) == ("messages.read", "ok", None)


@pytest.mark.parametrize(
    "changes",
    [{"exp": 1}, {"aud": "another"}, {"iss": "https://evil.example"}, {"sub": "doctor-2"},
     {"sottovoce_role": "admin"}, {"sottovoce_role": "service"}, {"sottovoce_role": None}],
)  # fmt: skip
def test_a_token_that_is_not_meant_for_this_is_no_key(clinic, changes):
    assert asked(clinic, "/v1/people", token(**changes)).status_code == 401


def test_a_token_of_another_key_or_of_no_signature_is_no_key(clinic):
    head, body, signature = token().split(".")
    none = "eyJhbGciOiJub25lIn0"
    for shown in (token(OTHER), f"{none}.{body}.", f"{none}.{body}.{signature}", f"{head}.{body}."):
        assert asked(clinic, "/v1/people", shown).status_code == 401


def test_a_disabled_account_is_let_in_by_no_token(clinic):
    account = clinic.accounts["by token"]
    assert asked(clinic, "/v1/people", token()).status_code == 200
    assert clinic.ask("DELETE", f"/v1/accounts/{account}", "admin").status_code == 204
    assert asked(clinic, "/v1/people", token()).status_code == 401


def test_keys_go_on_beside_tokens_and_without_a_provider_tokens_are_nothing(clinic):
    assert clinic.ask("GET", "/v1/people").status_code == 200
    with TestClient(new_app(ServiceSettings(), clinic.gate)) as plain:
        headers = {"Authorization": f"Bearer {token()}"}
        assert plain.get("/v1/people", headers=headers).status_code == 401
