"""What can be done, by whom, and which consent it needs: one table for the whole service.

Owns the table. The gate (`gate`) holds every query to it; routes and jobs name its rows. Does not
know queries.
"""

from dataclasses import dataclass
from typing import Literal

from sottovoce.consent import Purpose
from sottovoce.service.principals import Principal, Role

Reach = Literal["person", "people", "none"]
"""What an action looks at: one person, several of them, or nobody."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done.

    Parameters
    ----------
    name
        As in API keys' scopes and the audit log.
    roles
        Who may do it.
    purpose
        What the person must have agreed to; None where a right of the person's own, or the
        consent itself, is at stake.
    writes
        Whether the person's row is changed.
    reach
        What it looks at.
    """

    name: str
    roles: frozenset[Role]
    purpose: Purpose | None = None
    writes: bool = False
    reach: Reach = "person"

    def allows(self, who: Principal) -> bool:
        """Whether role and key allow it, whoever it is about."""
        return who.role in self.roles and (not who.scopes or self.name in who.scopes)


def _table(*actions: Action) -> dict[str, Action]:
    return {each.name: each for each in actions}


def _roles(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


_APP, _CARE, _ADMIN = _roles("app"), _roles("app", "clinician"), _roles("admin")

ACTIONS = _table(
    Action("people.register", _APP, writes=True),
    Action("people.list", _CARE, reach="people"),
    Action("people.read", _CARE),
    Action("people.export", _APP),
    Action("people.erase", _roles("app", "admin"), writes=True),
    Action("consent.read", _CARE),
    Action("consent.record", _APP, writes=True),
    Action("messages.add", _APP, "monitoring", writes=True),
    Action("messages.read", _roles("clinician"), "monitoring"),
    Action("questionnaires.add", _CARE, "monitoring", writes=True),
    Action("questionnaires.read", _CARE, "monitoring"),
    Action("estimates.read", _CARE, "monitoring"),
    Action("fhir.read", _CARE, "monitoring"),
    Action("research.export", _roles("researcher"), "research", reach="people"),
    Action("score.read", _roles("service"), "monitoring"),
    Action("score.store", _roles("service"), "monitoring", writes=True),
    Action("score.purge", _roles("service"), writes=True),
    Action("events.read", _APP),
    Action("accounts.manage", _ADMIN, reach="none"),
    Action("caseload.manage", _ADMIN),
    Action("audit.read", _ADMIN, reach="none"),
    Action("jobs.manage", _ADMIN, reach="none"),
    Action("webhooks.manage", _ADMIN, reach="none"),
    Action("metrics.read", _ADMIN, reach="none"),
)
"""Every action by its name. Clinicians do what they may only to people on their caseload."""
