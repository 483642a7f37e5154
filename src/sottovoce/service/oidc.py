"""Bearer tokens of an OpenID Connect provider: whether one is valid, and who it speaks for.

Owns the checks of a token and the provider's public keys. Every failure is the same to the
caller; only the log tells which check it was. It does not know what a role may do, nor HTTP.

References
----------
RFC 7519 (JWT) section 4.1; RFC 7517 (JWK); RFC 8725 (JWT best current practices): algorithms by
an allow-list, issuer and audience checked; RFC 9068 section 4 (access tokens).
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from sottovoce.errors import ServiceError
from sottovoce.service.logs import failure

ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
"""Signatures with public keys only: with HMAC a public key could be taken for a secret, and
"none" signs nothing (RFC 8725 sections 2.1 and 3.1). RFC 9864 renames EdDSA to Ed25519."""

LEEWAY = 60
"""Seconds by which clocks may differ; RFC 7519 section 4.1.4: "no more than a few minutes"."""

REFETCH = 60.0
"""Seconds that must lie between two fetches of keys, or tokens with made-up key ids would make
this service ask the provider as often as they come."""

KEYS_AGE = 3600.0
"""Seconds after which keys are fetched anew, so that a key that the provider took back stops
working here; a choice between that and the provider's load."""

TIMEOUT = 5.0
"""Seconds to wait for the provider's keys; requests wait that long behind one fetch."""

LARGEST = 1 << 20
"""Bytes of the largest key set that is read; a set of ten RSA keys has some ten thousand."""

SUBJECT_LENGTH = 255
"""The longest subject (OpenID Connect Core 1.0 section 2)."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who issues tokens, and how they say who somebody is.

    Parameters
    ----------
    issuer, audience
        What `iss` must be and `aud` must hold.
    keys
        The key set: an https URL (http only on loopback), or the path of a file.
    roles
        Values of the role claim and the roles of this service that they stand for.
    role_claim
        The claim with the role or a list of them; dots lead inside ("realm_access.roles").
    subject_claim
        The claim that names the account and never changes.
    """

    issuer: str
    audience: str
    keys: str
    roles: Mapping[str, str]
    role_claim: str = "roles"
    subject_claim: str = "sub"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a valid token speaks for."""

    subject: str
    role: str


class Unauthenticated(Exception):  # noqa: N818 - a state of the caller, as in HTTP
    """A token that is not accepted. `reason` is for the log, never for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__("the token is not accepted")
        self.reason = reason


class Tokens:
    """Verifies tokens of one provider; may be shared by threads.

    Parameters
    ----------
    provider
        Who issues them.
    client
        What fetches keys; one with `TIMEOUT`, without redirects and proxies unless given.
    now
        Seconds since the epoch.

    Raises
    ------
    ServiceError
        If the keys' address is neither https, nor http on loopback, nor a file.
    """

    def __init__(
        self,
        provider: Provider,
        client: httpx2.Client | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._provider, self._now = provider, now
        _check_source(provider.keys)
        self._client = client or httpx2.Client(
            timeout=TIMEOUT, follow_redirects=False, trust_env=False
        )
        self._keys: dict[str | None, Any] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching = Lock()
        self._claims = JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": provider.issuer},
            aud={"essential": True, "value": provider.audience},
            exp={"essential": True},
        )
        self._signatures = JWSRegistry(algorithms=list(ALGORITHMS))

    def identify(self, token: str) -> Identity:
        """Say whom a token speaks for.

        Raises
        ------
        Unauthenticated
            If anything about it is not as it must be.
        """
        try:
            decoded = jwt.decode(token, self._key, registry=self._signatures)
            self._claims.validate(decoded.claims)
            return self._identity(decoded.claims)
        except Unauthenticated:
            raise
        except JoseError as error:
            raise Unauthenticated(error.error.replace("_", "-")) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Unauthenticated("malformed") from None

    def close(self) -> None:
        """Close the connections to the provider."""
        self._client.close()

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims.get(self._provider.subject_claim)
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH:
            raise Unauthenticated("no-subject")
        given: Any = claims
        for part in self._provider.role_claim.split("."):
            given = given.get(part) if isinstance(given, Mapping) else None
        values = given if isinstance(given, list) else [given]
        roles = {self._provider.roles[v] for v in values if v in self._provider.roles}
        if len(roles) != 1:
            # of several roles none is the right one to assume
            raise Unauthenticated("several-roles" if roles else "no-role")
        return Identity(subject, roles.pop())

    def _key(self, token: Any) -> Any:
        """Find the key that a token names, fetching keys if it is not among the known ones."""
        name = token.headers().get("kid")
        if name not in self._known(fresh=self._now() - self._fetched < KEYS_AGE):
            self._known(fresh=False)
        if name is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if name not in self._keys:
            raise Unauthenticated("unknown-key")
        return self._keys[name]

    def _known(self, *, fresh: bool) -> Mapping[str | None, Any]:
        """Give the known keys, after fetching them unless they are fresh or were just asked for."""
        if fresh:
            return self._keys
        with self._fetching:
            if self._now() - self._tried >= REFETCH:
                self._tried = self._now()
                self._fetch()
        return self._keys

    def _fetch(self) -> None:
        try:
            found = KeySet.import_key_set(json.loads(self._read()))
        except (httpx2.HTTPError, OSError, JoseError, ValueError, TypeError, KeyError) as error:
            # the keys that are known go on serving: a provider may be away for a while
            structlog.get_logger().warning("oidc-keys-away", **failure(error))
            return
        public = (RSAKey, ECKey, OKPKey)
        signing = [k for k in found if isinstance(k, public) and k.get("use", "sig") == "sig"]
        self._keys = {key.kid: key for key in signing}
        self._fetched = self._now()

    def _read(self) -> bytes:
        source = self._provider.keys
        if "://" not in source:
            return Path(source).read_bytes()
        with self._client.stream("GET", source) as response:
            if response.status_code != 200:
                raise ValueError("the key set is not there")
            read = b""
            for part in response.iter_bytes():
                read += part
                if len(read) > LARGEST:
                    raise ValueError("the key set is too large")
            return read


def _check_source(source: str) -> None:
    if "://" not in source:
        return
    url = urlsplit(source)
    loopback = url.hostname in ("localhost", "127.0.0.1", "::1")
    if url.scheme != "https" and not (url.scheme == "http" and loopback):
        raise ServiceError(
            "the address of the OpenID provider's keys is not https, so that anybody on the way "
            "could replace them; give an https address or the path of a file"
        )
