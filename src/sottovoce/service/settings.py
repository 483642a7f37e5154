"""What the operator of the service decides, read from the environment.

Owns the variables `SOTTOVOCE_*`, their defaults, and that all mistakes are told at once. Does not
know what is done with them. A setting that weakens the service is refused in production mode.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal

from sottovoce.errors import ServiceError

Network = IPv4Network | IPv6Network

PREFIX = "SOTTOVOCE_"
ROLE_CLAIM = "sottovoce_role"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Oidc:
    """Whose bearer tokens are believed.

    Parameters
    ----------
    issuer, audience
        What a token has to say of where it comes from and whom it is for.
    jwks
        File or URL of the issuer's public keys.
    role_claim
        Claim that holds the role.
    """

    issuer: str
    audience: str
    jwks: str
    role_claim: str = ROLE_CLAIM


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Everything that an operator may set; the defaults run on one machine.

    Parameters
    ----------
    database_url
        A PostgreSQL server; None starts an embedded one in `data_dir`.
    data_dir
        Where the embedded server and a generated master key lie.
    host, port
        Where the API listens. Loopback: whoever opens it to a network puts TLS before it.
    production
        Refuses a generated master key and hides the API's documentation page.
    master_key, master_key_file, kms
        Where the master key is: its text, a file, or `module:factory` of a KMS hook. None of them
        means a file in `data_dir`, made on the first start.
    model
        Run folder, artefact or ensemble that scores; None is the package's small estimator.
    score_delay
        Seconds between a message and the scoring that it asks for, so that a burst is scored once.
    purge_after_days
        Days after a withdrawal of `monitoring` until the person's messages, questionnaires and
        estimates are deleted; 0 deletes them at once.
    body_limit
        Bytes of the largest request that is read. 1 MiB holds a batch of 1,000 messages of the
        bundled cohort, whose longest has 1,046 characters.
    requests_per_minute
        Of one API key in one process, and of one address that shows none.
    allowed_hosts
        Host headers that are answered; None answers all, as on loopback.
    erased_file
        Where the numbers of erased people are noted outside the database, so that restoring an
        older backup erases them again; None means a file in `data_dir`.
    webhook_networks
        Networks besides the public internet that webhooks may go to, such as 10.1.0.0/16.
    deidentifier
        What de-identifies research exports: presidio, or patterns, which find less.
    patient_system
        URI of the system that a person's id belongs to, in FHIR exports.
    oidc
        Whose bearer tokens are believed besides API keys; None believes nobody's.
    """

    database_url: str | None = field(default=None, repr=False)
    data_dir: Path = Path("sottovoce-data")
    host: str = "127.0.0.1"
    port: int = 8321
    production: bool = False
    master_key: str | None = field(default=None, repr=False)
    master_key_file: Path | None = None
    kms: str | None = None
    model: Path | None = None
    score_delay: float = 2.0
    purge_after_days: float = 0.0
    body_limit: int = 2**20
    requests_per_minute: int = 6000
    allowed_hosts: tuple[str, ...] | None = None
    erased_file: Path | None = None
    webhook_networks: tuple[Network, ...] = ()
    deidentifier: Literal["presidio", "patterns"] = "presidio"
    patient_system: str = "urn:sottovoce:person"
    oidc: Oidc | None = None

    def __post_init__(self) -> None:
        mistakes = [said for said in _mistakes(self) if said]
        if mistakes:
            raise _ManyMistakesError(mistakes)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **given: Any
    ) -> "ServiceSettings":
        """Read the variables; what is given, by a command's options, goes before them.

        Raises
        ------
        ServiceError
            With every mistake in one sentence; a value is never repeated.
        """
        found = os.environ if environment is None else environment
        chosen, wrong = {}, []
        for name, read in _READERS.items():
            raw = found.get(PREFIX + name.upper())
            if raw is None or raw == "":
                continue
            try:
                chosen[name] = read(raw)
            except ValueError as error:
                wrong.append(f"{PREFIX}{name.upper()} {error}")
        chosen |= {name: value for name, value in given.items() if value is not None}
        try:
            chosen["oidc"] = _oidc(found)
        except ValueError as error:
            wrong.append(str(error))
        try:
            settings = cls(**chosen)
        except _ManyMistakesError as error:
            wrong += error.said
        if wrong:
            raise ServiceError("; ".join(wrong))
        return settings


class _ManyMistakesError(ServiceError):
    """Everything that is wrong with settings, mistake by mistake."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        super().__init__("; ".join(said))


def _mistakes(said: ServiceSettings) -> list[str | None]:
    keys = [each for each in (said.master_key, said.master_key_file, said.kms) if each is not None]
    two = "more than one of SOTTOVOCE_MASTER_KEY, _MASTER_KEY_FILE and _KMS is set; keep one"
    none = (
        "production mode needs a master key of your own; set SOTTOVOCE_MASTER_KEY_FILE to a file "
        "outside the data folder (sottovoce keys master makes one), or SOTTOVOCE_KMS"
    )
    open_host = (
        f"the host is not this machine's own ({', '.join(LOOPBACK)}) and SOTTOVOCE_ALLOWED_HOSTS "
        "is not set; name the host names that clients use"
    )
    return [
        two if len(keys) > 1 else None,
        none if said.production and not keys else None,
        open_host if said.host not in LOOPBACK and said.allowed_hosts is None else None,
        "SOTTOVOCE_ALLOWED_HOSTS names no host" if said.allowed_hosts == () else None,
        "the port is not from 0 to 65535" if not 0 <= said.port <= 65535 else None,
        _not_negative("SOTTOVOCE_SCORE_DELAY", said.score_delay),
        _not_negative("SOTTOVOCE_PURGE_AFTER_DAYS", said.purge_after_days),
        _positive("SOTTOVOCE_BODY_LIMIT", said.body_limit),
        _positive("SOTTOVOCE_REQUESTS_PER_MINUTE", said.requests_per_minute),
        _no_postgresql(said.database_url),
        "SOTTOVOCE_DEIDENTIFIER is neither presidio nor patterns"
        if said.deidentifier not in ("presidio", "patterns")
        else None,
    ]


def _not_negative(name: str, value: float) -> str | None:
    return None if value >= 0 and math.isfinite(value) else f"{name} is not 0 or more"


def _positive(name: str, value: int) -> str | None:
    return None if value > 0 else f"{name} is not above 0"


def _no_postgresql(url: str | None) -> str | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if url is None:
        return None
    try:
        scheme = make_url(url).drivername
    except (ArgumentError, ValueError):  # their words repeat parts of the address
        scheme = ""
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return None
    return "SOTTOVOCE_DATABASE_URL is no address of a PostgreSQL server (postgresql://...)"


def _flag(raw: str) -> bool:
    if raw.lower() not in ("0", "1", "false", "true", "no", "yes"):
        raise ValueError("is neither 1 nor 0")
    return raw.lower() in ("1", "true", "yes")


def _whole(raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _number(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise ValueError("is not a number") from None


def _names(raw: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in raw.split(",") if each.strip())


def _networks(raw: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(each) for each in _names(raw))
    except ValueError:
        raise ValueError("is no list of networks such as 10.1.0.0/16") from None


_READERS: dict[str, Callable[[str], Any]] = {
    "database_url": str,
    "data_dir": Path,
    "host": str,
    "port": _whole,
    "production": _flag,
    "master_key": str,
    "master_key_file": Path,
    "kms": str,
    "model": Path,
    "score_delay": _number,
    "purge_after_days": _number,
    "body_limit": _whole,
    "requests_per_minute": _whole,
    "allowed_hosts": _names,
    "erased_file": Path,
    "webhook_networks": _networks,
    "deidentifier": str,
    "patient_system": str,
}


def _oidc(found: Mapping[str, str]) -> Oidc | None:
    names = ("issuer", "audience", "jwks")
    given = {name: found.get(f"{PREFIX}OIDC_{name.upper()}", "") for name in names}
    if not any(given.values()):
        return None
    missing = [f"{PREFIX}OIDC_{name.upper()}" for name, value in given.items() if not value]
    if missing:
        raise ValueError(f"{', '.join(missing)} must be set, too, for bearer tokens")
    claim = found.get(f"{PREFIX}OIDC_ROLE_CLAIM") or ROLE_CLAIM
    return Oidc(**given, role_claim=claim)
