"""Who asks: roles, and an authenticated caller.

Owns the words for roles. Does not know how somebody proves who they are (`accounts`, `oidc`) nor
what they may do (`actions`).
"""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Role = Literal["app", "clinician", "researcher", "admin", "service"]
ROLES: tuple[Role, ...] = ("app", "clinician", "researcher", "admin")
"""Roles of accounts. `service` is the service's own worker: no account has it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Parameters
    ----------
    role
        What they are.
    account
        Whose key or token it is; None for the service itself.
    key
        The API key they showed; None with a bearer token.
    scopes
        Actions that the key is limited to; empty means all of the role's.
    """

    role: Role
    account: UUID | None = None
    key: UUID | None = None
    scopes: frozenset[str] = field(default=frozenset())


SERVICE = Principal("service")
"""The worker."""
