"""Tokens with real keys, and keys from a real HTTP server on this machine."""

import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from structlog.testing import capture_logs

from sottovoce.errors import ServiceError
from sottovoce.service import oidc
from sottovoce.service.oidc import Identity, Provider, Tokens, Unauthenticated

ISSUER, AUDIENCE = "https://login.example", "sottovoce"
ROLES = {"mh-clinician": "clinician", "mh-research": "researcher"}
NOW = 1_800_000_000

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
ALL = JWSRegistry(algorithms=["RS256", "RS512", "ES256", "EdDSA", "Ed25519", "HS256", "none"])


class Keys(ThreadingHTTPServer):
    """Serves a key set, and says how often it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.status, self.document = 0, 200, key_set(RSA, EC, ED)
        self.url = f"http://127.0.0.1:{self.server_port}/jwks"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("location", self.server.url + "/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, *_) -> None:
        pass


def key_set(*keys) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


@pytest.fixture
def server():
    made = Keys()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


class Clock:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(server, clock):
    made = Tokens(Provider(ISSUER, AUDIENCE, server.url, ROLES), now=clock)
    yield made
    made.close()


CLAIMS = {
    "iss": ISSUER, "aud": AUDIENCE, "sub": "doctor-1", "exp": NOW + 300, "iat": NOW,
    "roles": ["mh-clinician"],
}  # fmt: skip


def token(key=RSA, algorithm="RS256", kid="same", **claims) -> str:
    header = {"alg": algorithm} | (
        {} if kid is None else {"kid": key.kid if kid == "same" else kid}
    )
    said = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return jwt.encode(header, said, key, registry=ALL)


def refused(tokens, text: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        tokens.identify(text)
    assert str(caught.value) == "the token is not accepted"
    return caught.value.reason


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_valid_token_says_who_and_in_which_role(tokens, key, algorithm):
    assert tokens.identify(token(key, algorithm)) == Identity("doctor-1", "clinician")


@pytest.mark.filterwarnings("ignore")  # the library calls this name of the algorithm outdated
def test_a_token_with_the_older_name_of_ed25519_is_valid(tokens):
    assert tokens.identify(token(ED, "EdDSA")).role == "clinician"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://other.example"}, "invalid-claim"),
        ({"iss": None}, "missing-claim"),
        ({"aud": "other"}, "invalid-claim"),
        ({"aud": ["other"]}, "invalid-claim"),
        ({"aud": None}, "missing-claim"),
        ({"exp": NOW - 61}, "expired-token"),
        ({"exp": None}, "missing-claim"),
        ({"exp": "soon"}, "invalid-claim"),
        ({"nbf": NOW + 61}, "invalid-claim"),
        ({"iat": NOW + 61}, "invalid-claim"),
        ({"sub": None}, "no-subject"),
        ({"sub": ""}, "no-subject"),
        ({"sub": "x" * 256}, "no-subject"),
        ({"roles": []}, "no-role"),
        ({"roles": None}, "no-role"),
        ({"roles": "admin"}, "no-role"),
        ({"roles": ["mh-clinician", "mh-research"]}, "several-roles"),
        ({"roles": [{"a": 1}]}, "malformed"),
    ],
)
def test_a_claim_that_is_not_as_it_must_be_is_refused(tokens, claims, reason):
    assert refused(tokens, token(**claims)) == reason


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 59},
        {"nbf": NOW + 60},
        {"iat": NOW + 60},
        {"aud": ["other", AUDIENCE]},
        {"roles": "mh-clinician"},
        {"roles": ["mh-clinician", "something of another service"]},
    ],
)
def test_clocks_may_differ_by_a_minute_and_lists_may_hold_more(tokens, claims):
    assert tokens.identify(token(**claims)).role == "clinician"


def test_role_and_subject_may_stand_in_other_claims(server, clock):
    provider = Provider(ISSUER, AUDIENCE, server.url, ROLES, "realm_access.roles", "oid")
    made = Tokens(provider, now=clock)
    text = token(realm_access={"roles": ["mh-research"]}, oid="r-9")
    assert made.identify(text) == Identity("r-9", "researcher")
    assert refused(made, token(realm_access="mh-research", oid="r-9")) == "no-role"
    made.close()


def unsigned(header: dict) -> str:
    parts = [json.dumps(each).encode() for each in (header, CLAIMS)]
    return ".".join(urlsafe_b64encode(each).decode().rstrip("=") for each in parts) + "."


@pytest.mark.parametrize("name", ["none", "None", "NONE", None])
def test_a_token_without_a_signature_is_refused(tokens, name):
    header = {"kid": "rsa"} | ({} if name is None else {"alg": name})
    assert refused(tokens, unsigned(header))


@pytest.mark.parametrize("kid", ["rsa", None])
def test_a_public_key_is_not_taken_for_a_secret(server, tokens, kid):
    server.document = key_set(RSA)
    signed = unsigned({"alg": "HS256"} | ({} if kid is None else {"kid": kid})).rstrip(".")
    public = RSA.as_pem(private=False)
    signature = hmac.digest(public, signed.encode(), "sha256")
    forged = f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert refused(tokens, forged) == "unsupported-algorithm"


def test_another_algorithm_of_the_right_key_is_refused(tokens):
    assert refused(tokens, token(RSA, "RS512")) == "unsupported-algorithm"


def test_a_key_of_another_type_than_the_algorithm_is_refused(tokens):
    assert refused(tokens, token(EC, "ES256", kid="rsa"))


def test_a_secret_among_the_keys_is_never_used(server, tokens):
    secret = OctKey.generate_key(256, {"kid": "oct"})
    served = {"keys": [secret.as_dict(private=True), EC.as_dict(private=False)]}
    server.document = json.dumps(served).encode()
    assert refused(tokens, token(secret, "HS256")) == "unsupported-algorithm"
    assert tokens.identify(token(EC, "ES256")).role == "clinician"
    assert list(tokens._keys) == ["ec"]


def test_a_key_for_encryption_signs_nothing(server, tokens):
    served = {"keys": [RSA.as_dict(private=False) | {"use": "enc"}]}
    server.document = json.dumps(served).encode()
    assert refused(tokens, token()) == "unknown-key"


def test_a_signature_or_claims_that_were_changed_are_refused(tokens):
    header, claims, signature = token().split(".")
    forged = json.dumps(CLAIMS | {"sub": "doctor-2"}).encode()
    assert refused(tokens, f"{header}.{urlsafe_b64encode(forged).decode().rstrip('=')}.{signature}")
    other = RSAKey.generate_key(2048)
    assert refused(tokens, token(other, kid="rsa")) == "bad-signature"
    assert tokens.identify(f"{header}.{claims}.{signature}").subject == "doctor-1"


def test_a_token_without_a_key_id_is_read_only_where_there_is_one_key(server, clock):
    provider = Provider(ISSUER, AUDIENCE, server.url, ROLES)
    several = Tokens(provider, now=clock)
    assert refused(several, token(kid=None)) == "unknown-key"
    server.document = key_set(RSA)
    one = Tokens(provider, now=clock)
    assert one.identify(token(kid=None)).role == "clinician"
    several.close()
    one.close()


@given(
    st.text(max_size=60) | st.builds("{}.{}.{}".format, *[st.text("abcXYZ019_-=", max_size=30)] * 3)
)
def test_any_text_is_a_token_that_is_refused(text):
    assert refused(NOBODYS, text)


NOBODYS = Tokens(Provider(ISSUER, AUDIENCE, "/nowhere", ROLES))


def test_keys_are_fetched_once_for_many_tokens(server, tokens):
    for _ in range(5):
        tokens.identify(token())
    assert server.asked == 1


def test_many_threads_fetch_once(server, tokens):
    found = []
    work = [
        threading.Thread(target=lambda: found.append(tokens.identify(token()))) for _ in range(8)
    ]
    for each in work:
        each.start()
    for each in work:
        each.join()
    assert (len(found), server.asked) == (8, 1)


def test_made_up_key_ids_are_asked_for_at_most_once_a_minute(server, tokens, clock):
    tokens.identify(token())
    for number in range(5):
        assert refused(tokens, token(kid=f"made-up-{number}")) == "unknown-key"
    assert server.asked == 1
    clock.now += 60
    for number in range(5):
        assert refused(tokens, token(kid=f"made-up-{number}")) == "unknown-key"
    assert server.asked == 2


def test_a_new_key_is_found_and_one_taken_back_stops_working(server, tokens, clock):
    tokens.identify(token())
    new = ECKey.generate_key("P-256", {"kid": "new"})
    server.document = key_set(new)
    clock.now += 61
    assert tokens.identify(token(new, "ES256")).role == "clinician"
    assert refused(tokens, token()) == "unknown-key"


def test_a_key_taken_back_without_a_new_one_stops_working_within_the_hour(server, tokens, clock):
    tokens.identify(token())
    server.document = key_set(EC)
    clock.now += oidc.KEYS_AGE
    assert refused(tokens, token(exp=NOW + 9999)) == "unknown-key"


@pytest.mark.parametrize(
    "document", [b"canary7f3e", b"{}", b'{"keys": []}', b"[]", b"\xff", b'{"keys": 1}']
)
def test_a_server_that_gives_no_keys_lets_nobody_in_and_is_logged(server, tokens, document):
    server.document = document
    with capture_logs() as said:
        assert refused(tokens, token()) == "unknown-key"
    assert [line["event"] for line in said] == ["oidc-keys-away"]
    assert "canary" not in str(said)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_another_status_than_200_gives_no_keys_and_redirects_are_not_followed(
    server, tokens, status
):
    server.status = status
    assert refused(tokens, token()) == "unknown-key"
    assert server.asked == 1


def test_a_key_set_without_end_is_not_read(server, tokens, monkeypatch):
    monkeypatch.setattr(oidc, "LARGEST", 100)
    assert refused(tokens, token()) == "unknown-key"


def test_while_the_server_is_down_known_keys_go_on_and_it_is_asked_again_later(
    server, tokens, clock
):
    tokens.identify(token())
    server.status = 500
    clock.now += oidc.KEYS_AGE
    assert tokens.identify(token(exp=NOW + 9999)).role == "clinician"
    server.status = 200
    clock.now += 60
    tokens.identify(token(exp=NOW + 9999))
    assert server.asked == 3


def test_a_server_that_cannot_be_reached_lets_nobody_in():
    made = Tokens(Provider(ISSUER, AUDIENCE, "http://127.0.0.1:9/jwks", ROLES))
    assert refused(made, token(exp=int(time.time()) + 99)) == "unknown-key"
    made.close()


def test_keys_may_stand_in_a_file_and_be_changed_there(tmp_path, clock):
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(RSA))
    made = Tokens(Provider(ISSUER, AUDIENCE, str(path), ROLES), now=clock)
    assert made.identify(token()).subject == "doctor-1"
    path.write_bytes(key_set(EC))
    clock.now += 61
    assert made.identify(token(EC, "ES256")).subject == "doctor-1"
    made.close()


@pytest.mark.parametrize("source", ["http://login.example/jwks", "ftp://127.0.0.1/jwks"])
def test_keys_come_by_https_or_from_this_machine(source):
    with pytest.raises(ServiceError, match="https"):
        Tokens(Provider(ISSUER, AUDIENCE, source, ROLES))


def test_the_client_that_fetches_keys_waits_only_so_long_and_follows_nothing(tokens):
    assert tokens._client.timeout == httpx2.Timeout(oidc.TIMEOUT)
    assert tokens._client.follow_redirects is False
