"""Envelope encryption: every person has a key, and what is told of them is sealed by it.

Owns the form of a sealed value, the person's key and the keyed digests by which ids are found
again. Does not know tables. When a person's key is gone nobody can read what it sealed: in tables,
in the write-ahead log, in copies made afterwards. An older copy of the row still holds the wrapped
key, and opens as long as the master key of that time exists.

A value is bound to its person, table and row. An older value of the same row would be accepted in
its place; rows are written once, so that there is none but after a purge.

References
----------
NIST SP 800-38D: AES-256-GCM with random 96-bit nonces, good for 2^32 messages under one key, far
more than a person writes; RFC 2104: HMAC.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sottovoce.errors import ServiceError
from sottovoce.service.masterkeys import KEY_BYTES, NONCE_BYTES, KeyKeeper
from sottovoce.service.refusals import Invalid

FORM = b"\x01"
"""First byte of a sealed value: which form it has, so that another can come."""

DIGEST_BYTES = 16
"""Of an id's keyed digest. 128 bits: among 10^9 ids two share one with a chance of 10^-21."""


@dataclass(frozen=True, slots=True, repr=False)
class PersonKey:
    """The key of one person, unwrapped; never shown.

    Parameters
    ----------
    person
        Whose; what it sealed cannot be moved to another.
    key
        32 bytes.
    """

    person: UUID
    key: bytes

    def seal(self, value: Any, place: str) -> bytes:
        """Seal a JSON value for one place: table and row.

        Parameters
        ----------
        value
            What `json` writes.
        place
            Where it lies; the same has to be said to open it.

        Raises
        ------
        Invalid
            If a text holds a lone surrogate, half a character, which has no bytes.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        try:
            plain = text.encode()
        except UnicodeEncodeError:
            raise Invalid("text", "it holds a lone surrogate; send whole characters") from None
        return FORM + nonce + AESGCM(self.key).encrypt(nonce, plain, self._bound(place))

    def unseal(self, sealed: bytes, place: str) -> Any:
        """Open a sealed value.

        Raises
        ------
        ServiceError
            If it was changed, moved, or sealed by another key.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            if not sealed.startswith(FORM):
                raise InvalidTag
            return json.loads(AESGCM(self.key).decrypt(nonce, rest, self._bound(place)))
        except (InvalidTag, ValueError):
            raise ServiceError(
                "a sealed value was changed, moved or sealed by another key; restore a backup"
            ) from None

    def _bound(self, place: str) -> bytes:
        return self.person.bytes + place.encode()


class Index:
    """Finds ids again without keeping them: a keyed digest in place of each.

    Parameters
    ----------
    key
        32 bytes, the same for the whole database.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def person(self, external: str) -> bytes:
        """Digest of the id by which an app knows a person."""
        return self._digest(b"person", external)

    def of(self, person: UUID, kind: str, external: str) -> bytes:
        """Digest of an id that an app gave to something of one person."""
        return self._digest(person.bytes + kind.encode(), external)

    def _digest(self, scope: bytes, text: str) -> bytes:
        plain = text.encode("utf-8", "surrogatepass")  # half a character is found nowhere
        said = len(scope).to_bytes(2, "big") + scope + plain
        return hmac.new(self._key, said, hashlib.sha256).digest()[:DIGEST_BYTES]


def new_key(keeper: KeyKeeper, context: bytes) -> tuple[bytes, str, bytes]:
    """Make a random key; give it, the name of the master key that wraps it, and it wrapped."""
    key = secrets.token_bytes(KEY_BYTES)
    return key, *wrapped_by(keeper, key, context)


def wrapped_by(keeper: KeyKeeper, key: bytes, context: bytes) -> tuple[str, bytes]:
    """Wrap a key; give the name of the master key that did it, and the wrapped form.

    A rotation may come between asking for the name and wrapping: then it is done again.
    """
    while True:
        name, wrapped = keeper.current, keeper.wrap(key, context)
        if keeper.current == name:
            return name, wrapped
