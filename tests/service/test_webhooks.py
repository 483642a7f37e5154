"""Events signed and delivered to real servers on this machine; forgeries and detours refused."""

import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from uuid import UUID

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from sottovoce.service import webhooks
from sottovoce.service.webhooks import (
    DELAYS,
    Outcome,
    Reach,
    RefusedEndpoint,
    delay,
    deliver,
    event_body,
    headers,
    new_client,
    new_secret,
)

CANARY = "canary7f3e"
ROW = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
WHEN = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
BODY = event_body("estimate.created", WHEN, {"person": ROW, "outcome": "scored"})
HERE = Reach((ip_network("127.0.0.0/8"),))


def test_an_event_says_what_happened_when_and_to_which_row():
    assert json.loads(BODY) == {
        "type": "estimate.created",
        "timestamp": "2026-11-27T12:00:00Z",
        "data": {"person": str(ROW), "outcome": "scored"},
    }


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("estimate.created", {"text": CANARY}),
        ("estimate.created", {"person": CANARY}),
        ("estimate.created", {"outcome": CANARY}),
        ("estimate.created", {"person": "scored"}),
        ("estimate.created", {"person": str(ROW)}),
        ("estimate.created", {"outcome": None}),
        ("estimate.created", {"total": 12}),
        ("estimate.created", {"person": {"id": ROW}}),
        ("estimate.created", {f"{CANARY} said": ROW}),
        (CANARY, {}),
        (f"person.{CANARY}", {}),
    ],
)
def test_an_event_says_nothing_but_ids_and_words_of_a_list(kind, data):
    with pytest.raises(ValueError, match=r"^(an|the type of an) event") as caught:
        event_body(kind, WHEN, data)
    assert CANARY not in str(caught.value)


@given(st.datetimes(timezones=st.timezones()) | st.just(datetime.now(timezone(timedelta(hours=5)))))
def test_a_signature_names_the_moment_whatever_its_time_zone(moment):
    signed = headers([new_secret()], "evt_1", moment, BODY)
    assert int(signed["webhook-timestamp"]) == int(moment.timestamp())


def now_signed(secrets, event_id="evt_1", body=BODY) -> dict[str, str]:
    return headers(secrets, event_id, datetime.now(timezone(timedelta(hours=-7))), body)


def test_the_schemes_own_library_verifies_what_is_signed():
    secret = new_secret()
    assert Webhook(secret).verify(BODY, now_signed([secret])) == json.loads(BODY)


def test_while_a_secret_is_changed_both_verify_and_no_other():
    new, old = new_secret(), new_secret()
    signed = now_signed([new, old])
    assert len(signed["webhook-signature"].split(" ")) == 2
    for each in (new, old):
        assert Webhook(each).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, signed)


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp"])
def test_whatever_is_changed_on_the_way_is_noticed(changed):
    secret = new_secret()
    signed = now_signed([secret])
    body = BODY + " " if changed == "body" else BODY
    if changed == "webhook-id":
        signed[changed] = "evt_2"
    if changed == "webhook-timestamp":
        signed[changed] = str(int(signed[changed]) + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, signed)


def test_new_secrets_differ_and_have_the_schemes_length():
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    for each in made:
        assert headers([each], "evt_1", WHEN, BODY)["webhook-signature"].startswith("v1,")


def of_bytes(count: int) -> str:
    return "whsec_" + b64encode(bytes(count)).decode()


@pytest.mark.parametrize(
    "secrets",
    [
        [],
        [""],
        ["secret"],
        ["whsec_"],
        ["whsec_!!"],
        [of_bytes(23)],
        [of_bytes(65)],
        [of_bytes(32)[6:]],
    ],
)
def test_a_secret_that_is_weak_or_none_is_refused(secrets):
    with pytest.raises(ValueError, match="24 to 64"):
        headers(secrets, "evt_1", WHEN, BODY)


@pytest.mark.parametrize("event_id", ["", "a.b", "a b", "x" * 65, "a\n"])
def test_an_id_that_could_be_another_part_of_what_is_signed_is_refused(event_id):
    with pytest.raises(ValueError, match="id of an event"):
        headers([new_secret()], event_id, WHEN, BODY)


class Receiver(ThreadingHTTPServer):
    """Answers as it is told and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.headers, self.answer, self.wait = 204, {}, b"", 0.0
        self.got: list[tuple[str, dict[str, str], str]] = []

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.server_port}/hook?tenant=1"

    def handle_error(self, *_) -> None:
        """Say nothing of clients that leave."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.got.append((self.path, dict(self.headers.items()), body))
        time.sleep(self.server.wait)
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_) -> None:
        pass


def running(receiver):
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield receiver
    receiver.shutdown()
    receiver.server_close()
    thread.join()


@pytest.fixture
def receiver():
    yield from running(Receiver())


@pytest.fixture
def client():
    with new_client() as made:
        yield made


def test_a_delivery_arrives_as_it_was_signed(receiver, client):
    secret = new_secret()
    outcome = deliver(receiver.url(), BODY, now_signed([secret]), client, HERE)
    assert outcome == Outcome("delivered", 204)
    ((path, got, body),) = receiver.got
    assert path == "/hook?tenant=1"
    assert got["host"] == f"127.0.0.1:{receiver.server_port}"
    assert got["content-type"] == "application/json"
    assert Webhook(secret).verify(body, got) == json.loads(BODY)


def test_every_attempt_has_the_same_id_so_that_a_receiver_can_count_once(receiver, client):
    receiver.status = 500
    for _ in range(3):
        deliver(receiver.url(), BODY, now_signed([new_secret()], "evt_7"), client, HERE)
    assert [got["webhook-id"] for _, got, _ in receiver.got] == ["evt_7"] * 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "delivered"), (299, "delivered"), (410, "disabled"), (301, "failed"),
        (307, "failed"), (400, "failed"), (404, "failed"), (429, "failed"), (502, "failed"),
    ],
)  # fmt: skip
def test_a_status_means_what_the_scheme_says(receiver, client, status, kind):
    receiver.status = status
    assert deliver(receiver.url(), BODY, now_signed([new_secret()]), client, HERE) == Outcome(
        kind, status
    )


def test_a_redirect_is_not_followed(receiver, client):
    receiver.status, receiver.headers = 307, {"location": receiver.url() + "&again=1"}
    deliver(receiver.url(), BODY, {}, client, HERE)
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0), ("0", 0.0), ("999999999999999", webhooks.LONGEST_WAIT),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Wed, 21 Oct 2099 07:28:00 GMT", 86400.0),
        ("soon", None), ("-5", None), ("", None), ("Wed, 21 Oct 2099 07:28:00", None),
    ],
)  # fmt: skip
def test_a_receiver_may_ask_for_patience_within_a_day(receiver, client, value, seconds):
    receiver.status, receiver.headers = 503, {"retry-after": value}
    outcome = deliver(receiver.url(), BODY, {}, client, HERE)
    assert outcome == Outcome("failed", 503, retry_after=seconds)


def test_an_answer_without_end_is_not_read(receiver, client):
    receiver.status, receiver.answer = 200, b"x" * (64 << 20)
    assert deliver(receiver.url(), BODY, {}, client, HERE).kind == "delivered"


def test_a_receiver_that_is_too_slow_is_a_failure(receiver, client):
    receiver.wait, client.timeout = 0.5, 0.05
    assert deliver(receiver.url(), BODY, {}, client, HERE) == Outcome("failed", reason="timeout")


def test_nobody_listening_is_a_failure(client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        outcome = deliver(url, BODY, {}, client, HERE)
    assert outcome == Outcome("failed", reason="connection")


def test_the_client_has_the_schemes_timeout_and_nothing_of_the_machine(client):
    assert client.timeout == httpx2.Timeout(webhooks.TIMEOUT)
    assert 15 <= webhooks.TIMEOUT <= 30
    assert (client.follow_redirects, client.trust_env) == (False, False)


def resolving(*addresses: str, networks: tuple[str, ...] = ()) -> Reach:
    return Reach(tuple(map(ip_network, networks)), lambda host, port: list(addresses))


def reason(reach: Reach, url: str) -> str:
    with pytest.raises(RefusedEndpoint) as caught:
        reach.addresses(url)
    return caught.value.reason


HOOK = "https://hooks.example/x"
INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::a00:1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused_in_whatever_form(address):
    assert reason(resolving(address), HOOK) == "address"


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_public_address_is_taken(address):
    assert [str(each) for each in resolving(address).addresses(HOOK)] == [address]


def test_one_address_inside_among_public_ones_is_enough_to_refuse():
    assert reason(resolving("93.184.215.14", "10.0.0.1"), HOOK) == "address"
    assert reason(resolving(), HOOK) == "address"


def test_an_operator_may_allow_a_network_of_their_own_and_no_other():
    reach = resolving("10.1.2.3", networks=("10.1.0.0/16",))
    assert len(reach.addresses(HOOK)) == 1
    assert reason(resolving("10.2.0.1", networks=("10.1.0.0/16",)), HOOK) == "address"
    assert reason(reach, "http://hooks.example/") == "not-https"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example/", "not-https"),
        ("ftp://hooks.example/", "not-https"),
        ("file:///etc/passwd", "malformed"),
        ("hooks.example/x", "malformed"),
        ("https://", "malformed"),
        ("https://user:secret@hooks.example/", "credentials"),
        ("https://user@hooks.example/", "credentials"),
        ("https://hooks.example:99999/", "malformed"),
        ("https://hooks.example/\r\nx: y", "malformed"),
        ("https://hooks .example/", "malformed"),
        ("https://[::1/", "malformed"),
    ],
)
def test_a_url_that_is_never_right_is_refused_before_it_is_looked_up(url, why):
    assert reason(resolving("93.184.215.14"), url) == why


@pytest.mark.parametrize("url", ["https://2130706433/", "https://0x7f000001/", "https://127.1/"])
def test_other_spellings_of_loopback_are_refused_by_what_they_resolve_to(url):
    assert reason(Reach(), url) in ("address", "not-found")


def test_a_refused_endpoint_is_a_failed_attempt_and_nothing_connects(receiver, client):
    outcome = deliver(receiver.url(), BODY, {}, client, Reach())
    assert outcome == Outcome("failed", reason="address")
    assert receiver.got == []


def test_a_name_that_changes_after_the_check_reaches_nothing_else(receiver, client):
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    reach = Reach(HERE.networks, lambda host, port: answers.pop(0))
    outcome = deliver(receiver.url("hooks.example"), BODY, {}, client, reach)
    assert outcome.kind == "delivered"
    assert len(answers) == 1  # looked up once, and connected to that
    assert receiver.got[0][1]["host"] == f"hooks.example:{receiver.server_port}"


def test_the_next_address_is_tried_where_one_does_not_answer(receiver, client):
    networks = (*HERE.networks, ip_network("::1/128"))  # where this receiver does not listen
    url = receiver.url("hooks.example")
    answering = Reach(networks, lambda host, port: ["::1", "127.0.0.1"])
    assert deliver(url, BODY, {}, client, answering).kind == "delivered"
    crowded = Reach(networks, lambda host, port: ["::1"] * webhooks.ADDRESSES_TRIED + ["127.0.0.1"])
    assert deliver(url, BODY, {}, client, crowded) == Outcome("failed", reason="connection")


def certificate(folder, name: str):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("host", "kind"), [("hooks.example", "delivered"), ("evil.example", "failed")]
)
def test_the_certificate_must_be_the_names_though_the_address_is_connected_to(tmp_path, host, kind):
    path = certificate(tmp_path, "hooks.example")
    receiver = Receiver()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    receiver.socket = serving.wrap_socket(receiver.socket, server_side=True)
    reach = Reach(HERE.networks, lambda host, port: ["127.0.0.1"])
    trusting = ssl.create_default_context(cafile=str(path))
    for _ in running(receiver):
        with httpx2.Client(verify=trusting, trust_env=False) as client:
            outcome = deliver(receiver.url(host, "https"), BODY, {}, client, reach)
    assert outcome.kind == kind
    assert len(receiver.got) == (kind == "delivered")


def test_the_schedule_is_the_schemes_example_and_ends_after_three_days():
    waits = [delay(attempt) for attempt in range(len(DELAYS))]
    assert waits == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert sum(waits) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()
    assert delay(len(DELAYS)) is None


@given(st.integers(0, 9), st.floats(0, 1), st.none() | st.floats(0, 86400))
def test_chance_only_lengthens_a_wait_and_patience_is_kept(attempt, chance, asked):
    waited = delay(attempt, asked, chance)
    assert waited >= max(DELAYS[attempt], asked or 0)
    assert waited <= max(DELAYS[attempt] * 1.1 + 1e-9, asked or 0)
