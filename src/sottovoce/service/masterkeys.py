"""Master keys: what wraps the key of every person.

Owns their file and text form, generation, and the hook behind which a key management service can
stand. Does not know people, nor what their keys seal (`sealing`).

References
----------
NIST SP 800-38D, AES-GCM; the envelope of AWS KMS and Google Tink: a data key for each owner,
wrapped by a key that never leaves its keeper.
"""

import os
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import mkstemp
from typing import Protocol, cast

from sottovoce.errors import ServiceError
from sottovoce.service.settings import ServiceSettings

KEY_BYTES = 32
"""AES-256."""

NONCE_BYTES = 12
"""What AES-GCM is defined for without hashing the nonce (NIST SP 800-38D, 5.2.1.1)."""

FILE_NAME = "master.key"
_LINE = re.compile(r"(?P<id>[A-Za-z0-9_-]{1,32}):(?P<key>[A-Za-z0-9+/=]{44})")


class KeyKeeper(Protocol):
    """Wraps and unwraps keys: a key management service, or master keys of this machine."""

    @property
    def current(self) -> str:
        """Name of the master key that wraps from now on."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap a key under the current master key, bound to a context."""

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap what the named master key wrapped in the same context.

        Raises
        ------
        ServiceError
            If the key is not there, or what was wrapped was changed.
        """


class MasterKeys:
    """Master keys held by this process: the first wraps, the others still unwrap.

    Parameters
    ----------
    keys
        Name to key of 32 bytes, the newest first.

    Examples
    --------
    >>> keys = MasterKeys({"a": bytes(range(32))})
    >>> keys.unwrap("a", keys.wrap(b"k" * 32, b"p"), b"p") == b"k" * 32
    True
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        for name, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ServiceError(f"master key {name} has {len(key)} bytes; give {KEY_BYTES}")
            # 32 random bytes have 30 different ones on average, and 16 or fewer once in 10^14
            if len(set(key)) <= KEY_BYTES // 2:
                raise ServiceError(
                    f"master key {name} is not random; make one with sottovoce keys master"
                )
        self._keys = dict(keys)

    @property
    def current(self) -> str:
        """Name of the first key."""
        for name in self._keys:
            return name
        raise ServiceError("there is no master key; sottovoce keys master makes one")

    @property
    def text(self) -> str:
        """The keys as they are kept: a line each, the newest first."""
        return "".join(f"{name}:{b64encode(key).decode()}\n" for name, key in self._keys.items())

    def newer(self) -> "MasterKeys":
        """Give these keys with a new one before them."""
        return MasterKeys({_name(self._keys): secrets.token_bytes(KEY_BYTES), **self._keys})

    def without_old(self) -> "MasterKeys":
        """Give the current key alone: what others wrapped cannot be read any more."""
        return MasterKeys({self.current: self._keys[self.current]})

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap a key by AES-256-GCM under the current one."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._keys[self.current]).encrypt(nonce, key, context)

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap by the named key."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if key_id not in self._keys:
            raise ServiceError(
                f"a key was wrapped by master key {key_id}, which is not here; add it to the file"
            )
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return AESGCM(self._keys[key_id]).decrypt(nonce, sealed, context)
        except (InvalidTag, ValueError):  # ValueError: too short to have a nonce
            raise ServiceError(
                f"master key {key_id} does not open what it is said to have wrapped; restore the "
                "right key"
            ) from None


class KeyFile:
    """Master keys in a file, read again whenever it changes: a rotation needs no restart.

    Parameters
    ----------
    path
        Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._changed, self._keys = path, _changed(path), read_master_keys(path)

    @property
    def current(self) -> str:
        """Name of the file's first key."""
        return self._newest().current

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap by the file's first key."""
        return self._newest().wrap(key, context)

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap by the named key of the file."""
        return self._newest().unwrap(key_id, wrapped, context)

    def _newest(self) -> MasterKeys:
        changed = _changed(self._path)
        if changed != self._changed:
            self._keys, self._changed = read_master_keys(self._path), changed
        return self._keys


def _changed(path: Path) -> int | None:
    """Give when a file was changed, in nanoseconds; None where it is gone, as reading will tell."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def new_master_keys() -> MasterKeys:
    """Make a random master key."""
    return MasterKeys({_name({}): secrets.token_bytes(KEY_BYTES)})


def parse_master_keys(text: str, *, where: str) -> MasterKeys:
    """Read keys from lines `name:base64`, or the same with commas.

    Raises
    ------
    ServiceError
        If a line is not of that form, twice the same name, or no random key; never shows it.
    """
    keys: dict[str, bytes] = {}
    lines = [each.strip() for each in text.replace(",", "\n").splitlines() if each.strip()]
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        try:
            key = b64decode(found["key"], validate=True) if found else b""
        except NotBase64:
            key = b""
        if found is None or len(key) != KEY_BYTES:
            raise ServiceError(
                f"{where}, line {number}: this is no master key; write name:base64 of "
                f"{KEY_BYTES} random bytes, or make one with sottovoce keys master"
            )
        if found["id"] in keys:
            raise ServiceError(f"{where}, line {number}: there are two keys of this name; drop one")
        keys[found["id"]] = key
    if not keys:
        raise ServiceError(f"{where}: there is no master key; sottovoce keys master makes one")
    return MasterKeys(keys)


def read_master_keys(path: Path) -> MasterKeys:
    """Read a key file, which only its owner may change, and at most a group read besides.

    Raises
    ------
    ServiceError
        If it cannot be read, others may read it, or it holds no key.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(
            f"{path}: the master key cannot be read ({type(error).__name__}); sottovoce keys "
            "master makes one"
        ) from None
    if mode & 0o037:  # a group may read: Kubernetes gives a secret to a process by its group
        raise ServiceError(f"{path}: others may read the master key; run: chmod 600 {path}")
    return parse_master_keys(text, where=str(path))


def write_master_keys(path: Path, keys: MasterKeys, *, first: bool = False) -> None:
    """Write a key file beside its place, readable by its owner only, and move it there.

    Parameters
    ----------
    path, keys
        Where to, and what.
    first
        Leave a file alone that is there already: of two processes that start at once one makes the
        key, and nothing is sealed under a key that the other has just replaced.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = mkstemp(prefix=path.name, suffix=".partial", dir=path.parent)  # 0600
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(keys.text)
                stream.flush()
                os.fsync(stream.fileno())
            if first:
                with suppress(FileExistsError):
                    os.link(partial, path)
            else:
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _settle(path.parent)
    except OSError as error:
        raise ServiceError(
            f"{path}: the master key cannot be written ({error.strerror}); name another file"
        ) from None


def key_file(settings: ServiceSettings) -> Path | None:
    """Give the file that holds the master keys; None where they are in no file."""
    if settings.master_key is not None or settings.kms is not None:
        return None
    return settings.master_key_file or settings.data_dir / FILE_NAME


def open_keeper(settings: ServiceSettings) -> KeyKeeper:
    """Give what wraps keys, as the settings say; on the very first start a file is made.

    Raises
    ------
    ServiceError
        If there is no usable key where one should be.
    """
    if settings.kms is not None:
        return _hook(settings.kms)
    if settings.master_key is not None:
        return parse_master_keys(settings.master_key, where="SOTTOVOCE_MASTER_KEY")
    path = key_file(settings)
    assert path is not None
    if settings.master_key_file is None and not path.exists():
        write_master_keys(path, new_master_keys(), first=True)
    return KeyFile(path)


def _settle(folder: Path) -> None:
    """Have the disk keep the names in a folder, too: a lost key file loses everybody."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hook(name: str) -> KeyKeeper:
    """Call the factory `module:function` of a key management service."""
    module, _, function = name.partition(":")
    try:
        factory = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError):
        factory = None
    if not callable(factory):
        raise ServiceError(
            "SOTTOVOCE_KMS names no function that can be imported; write module:function"
        )
    return cast("KeyKeeper", factory())


def _name(taken: Mapping[str, bytes]) -> str:
    """Give a new key's name: random, so that two machines never make the same."""
    while (name := f"k{secrets.token_hex(4)}") in taken:
        pass
    return name
