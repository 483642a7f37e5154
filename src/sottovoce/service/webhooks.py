"""Webhooks: what an event says, its signatures, delivering it once, and when to try again.

Owns the Standard Webhooks scheme and where a delivery may go. An event names what happened by
row ids and words of a list; whoever wants more asks the API, where access is checked and audited.
Retries keep the id, so that a receiver can tell what it has seen. It does not know the queue.

References
----------
Standard Webhooks 1.0.0
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
signature scheme, retry schedule, status codes, time-outs, request forgery. OWASP Server-Side
Request Forgery Prevention Cheat Sheet.
"""

import json
import re
import secrets as randomness
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import httpx2
from standardwebhooks import Webhook

from sottovoce.consent import PURPOSES
from sottovoce.conversations import format_time

Address = IPv4Address | IPv6Address

PREFIX = "whsec_"
SECRET_BYTES = 32
"""Bytes of a new secret; the scheme wants 24 to 64."""
SHORTEST, LONGEST = 24, 64

TIMEOUT = 15.0
"""Seconds for connecting and for each read; the scheme recommends 15 to 30. There is no limit on
the whole: a receiver that sends its headers byte by byte holds one attempt for longer."""

ADDRESSES_TRIED = 3
"""Addresses of one host that an attempt connects to in turn: one of each IP version and one more,
so that a name with a hundred addresses does not hold a worker for a hundred time-outs."""

DELAYS = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds before each attempt after the one before: the scheme's example, three days in all."""

JITTER = 0.1
"""The largest share by which a delay grows by chance; the scheme asks for some jitter and gives
no amount, so this is a choice."""

LONGEST_WAIT = 86400.0
"""Seconds of the longest Retry-After that is heeded: the longest delay of the schedule."""

WORDS: Mapping[str, frozenset[str]] = {
    "purpose": frozenset(PURPOSES),
    "state": frozenset({"granted", "withdrawn"}),
    "outcome": frozenset({"scored", "abstained", "refused"}),
}
"""The words that an event may say, by the name under which it says them."""

_TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)+")
_NAME = re.compile(r"[a-z_]{1,40}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RefusedEndpoint(Exception):  # noqa: N818 - what was refused is the endpoint
    """An address that events may not go to; `reason` is one of a few short words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def new_secret() -> str:
    """Make the secret of one endpoint, in the form that the scheme's libraries read."""
    return PREFIX + b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


def event_body(kind: str, time: datetime, data: Mapping[str, UUID | str]) -> str:
    """Write the body of an event.

    Parameters
    ----------
    kind
        What happened, with full stops ("estimate.created").
    time
        When it happened, with a time zone.
    data
        Row ids, and words of `WORDS` under their own name.

    Raises
    ------
    ValueError
        If anything else is among them: nothing that an app or a person wrote leaves by a webhook.
    """
    if not _TYPE.fullmatch(kind):
        raise ValueError("the type of an event is words with full stops between them")
    for name, value in data.items():
        word = isinstance(value, str) and value in WORDS.get(name, ())
        if not _NAME.fullmatch(name) or not (word or isinstance(value, UUID)):
            raise ValueError("an event says row ids and the words of a list, and nothing else")
    said = {name: str(value) for name, value in data.items()}
    event = {"type": kind, "timestamp": format_time(time), "data": said}
    return json.dumps(event, separators=(",", ":"))


def headers(secrets: Sequence[str], event_id: str, time: datetime, body: str) -> dict[str, str]:
    """Sign one attempt.

    Parameters
    ----------
    secrets
        The endpoint's secret; while it is changed, the new one and then the old one.
    event_id
        The same at every attempt.
    time
        When this attempt is made, with a time zone.
    body
        Exactly what is sent.

    Raises
    ------
    ValueError
        If a secret is not `whsec_` and 24 to 64 bytes in base64, or the id could be mistaken for
        another part of what is signed.
    """
    if not secrets or not all(_is_secret(each) for each in secrets):
        raise ValueError(
            f"a webhook secret is {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64"
        )
    if not _ID.fullmatch(event_id):
        raise ValueError("the id of an event is letters, digits, _ and -")
    # the library takes any time zone for UTC
    moment = time.astimezone(UTC)
    signatures = [Webhook(each).sign(event_id, moment, body) for each in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
        "content-type": "application/json",
    }


def _is_secret(text: str) -> bool:
    try:
        decoded = b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        return False
    return text.startswith(PREFIX) and SHORTEST <= len(decoded) <= LONGEST


def _resolved(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class Reach:
    """Where events may go: public addresses, and networks that the operator names.

    Parameters
    ----------
    networks
        Private networks that are allowed, such as 10.1.0.0/16 or 127.0.0.0/8. Plain http is
        taken only to loopback, where it is allowed.
    resolve
        Gives the addresses of a host and port.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    resolve: Callable[[str, int], list[str]] = _resolved

    def addresses(self, url: str) -> list[Address]:
        """Look an endpoint up and give the addresses to connect to.

        Raises
        ------
        RefusedEndpoint
            If the URL or any address of its host is not allowed. Of several addresses all must
            be: whoever answers for a name may mix them.
        """
        parts = _parts(url)
        try:
            found = self.resolve(str(parts.hostname), _port(parts))
        except (OSError, UnicodeError):
            raise RefusedEndpoint("not-found") from None
        addresses = [ip_address(each.partition("%")[0]) for each in found]
        if not addresses or not all(self._allows(each) for each in addresses):
            raise RefusedEndpoint("address")
        if parts.scheme != "https" and not all(each.is_loopback for each in addresses):
            raise RefusedEndpoint("not-https")
        return addresses

    def _allows(self, address: Address) -> bool:
        inner = _inner(address)
        if any(inner in network for network in self.networks):
            return True
        return inner.is_global and not (
            inner.is_multicast or inner.is_loopback or inner.is_link_local or inner.is_reserved
        )


_NAT64 = ip_network("64:ff9b::/96")


def _inner(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address stands for (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, IPv4Address):
        return address
    teredo = address.teredo[1] if address.teredo is not None else None
    nat64 = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    return address.ipv4_mapped or address.sixtofour or teredo or nat64 or address


def _parts(url: str) -> SplitResult:
    """Take a URL apart and refuse what is never right, whatever it resolves to."""
    try:
        parts = urlsplit(url)
        _port(parts)
    except ValueError:
        raise RefusedEndpoint("malformed") from None
    if not parts.hostname or any(ord(each) <= 32 or ord(each) == 127 for each in url):
        raise RefusedEndpoint("malformed")
    if parts.scheme not in ("https", "http"):
        raise RefusedEndpoint("not-https")
    if parts.username is not None or parts.password is not None:
        raise RefusedEndpoint("credentials")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended.

    Parameters
    ----------
    kind
        `delivered`; `disabled`, where the receiver wants no more (410) and the endpoint is to be
        switched off; `failed`, to be tried again while the schedule lasts.
    status
        The receiver's status, where there was one.
    reason
        Why there was none, in one word.
    retry_after
        Seconds for which the receiver asked.
    """

    kind: Literal["delivered", "disabled", "failed"]
    status: int | None = None
    reason: str | None = None
    retry_after: float | None = None


def new_client() -> httpx2.Client:
    """Make the client that delivers: no redirects, no proxies or credentials of the machine.

    Connections are not kept: they belong to the address that was checked for one attempt.
    """
    return httpx2.Client(
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        limits=httpx2.Limits(max_keepalive_connections=0),
    )


def deliver(
    url: str, body: str, signed: Mapping[str, str], client: httpx2.Client, reach: Reach
) -> Outcome:
    """Make one attempt; every failure is an outcome.

    The host is looked up and checked here, and the connection goes to the very address that was
    checked, while TLS and the Host header keep the name: a name that changes its address between
    check and use reaches nothing. The response's body is not read.

    Parameters
    ----------
    url
        The endpoint.
    body, signed
        What `event_body` and `headers` gave.
    client
        From `new_client`.
    reach
        Where events may go.
    """
    try:
        addresses = reach.addresses(url)
    except RefusedEndpoint as error:
        return Outcome("failed", reason=error.reason)
    asked = httpx2.URL(url)
    for address in addresses[:ADDRESSES_TRIED]:
        try:
            with client.stream(
                "POST",
                asked.copy_with(host=str(address)),
                content=body.encode(),
                headers={**signed, "host": asked.netloc.decode()},
                extensions={"sni_hostname": asked.raw_host.decode()},
            ) as response:
                return _outcome(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            continue  # another address of the host may answer
        except httpx2.TimeoutException:
            return Outcome("failed", reason="timeout")
        except httpx2.HTTPError:
            return Outcome("failed", reason="connection")
    return Outcome("failed", reason="connection")


def _outcome(response: httpx2.Response) -> Outcome:
    status = response.status_code
    if response.is_success:
        return Outcome("delivered", status)
    if status == 410:
        return Outcome("disabled", status)
    return Outcome("failed", status, retry_after=_retry_after(response.headers.get("retry-after")))


def _retry_after(value: str | None) -> float | None:
    """Read seconds or a date (RFC 9110 section 10.2.3); what cannot be read is not heeded."""
    if value is None:
        return None
    try:
        seconds = (
            float(int(value[:12]))
            if value.isdecimal()
            else (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        )
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def delay(attempt: int, retry_after: float | None = None, chance: float = 0.0) -> float | None:
    """Give the seconds to wait before an attempt, or None when the schedule has ended.

    Parameters
    ----------
    attempt
        Attempts made so far; 0 for the first.
    retry_after
        What the receiver asked for; waited for at least.
    chance
        A random number from 0 to 1, so that what failed together is not repeated together.

    Examples
    --------
    >>> delay(0), delay(2), delay(2, retry_after=900.0), delay(10)
    (0.0, 300.0, 900.0, None)
    """
    if attempt >= len(DELAYS):
        return None
    return max(DELAYS[attempt] * (1 + JITTER * chance), retry_after or 0.0)
