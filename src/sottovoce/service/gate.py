"""The gate: the one place that every query about a person passes.

Owns, for every action, that the caller may do it, that the person agrees to it, that it is written
to the audit log, and that all of it is one transaction. Gives what queries need: a `Case`, which
nothing else can make. Does not know what is asked of a case.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, bindparam, exists, literal, select

from sottovoce.errors import SottovoceError
from sottovoce.service import audit
from sottovoce.service.actions import ACTIONS, Action
from sottovoce.service.audit import Entry
from sottovoce.service.database import Database, Frequent
from sottovoce.service.masterkeys import KeyKeeper
from sottovoce.service.principals import Principal
from sottovoce.service.refusals import ConsentMissing, Forbidden, NotFound, Refusal
from sottovoce.service.sealing import Index, PersonKey
from sottovoce.service.tables import caseloads, people

Clock = Callable[[], datetime]

_GATE = object()
"""Known to this module alone, so that nothing else makes a `Case`."""


def now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Case:
    """A person whose data may be touched now, for one action, in one transaction.

    Parameters
    ----------
    connection
        In the transaction; it is committed when the gate closes.
    person
        Id of the row.
    key
        Opens and seals what is told of the person.
    index
        Finds ids.
    revision, version
        Of the row when it was read; it is locked where the action writes.
    scored_revision
        Up to which change there is an estimate.
    purposes
        What the person agrees to.
    sealed
        The person's own id, sealed.
    at
        The time of the action.
    gate
        Proof that the gate makes it.
    """

    connection: Connection
    person: UUID
    key: PersonKey = field(repr=False)
    index: Index = field(repr=False)
    revision: int
    version: int
    scored_revision: int
    purposes: frozenset[str]
    sealed: bytes = field(repr=False)
    created_at: datetime
    at: datetime
    gate: InitVar[object]

    def __post_init__(self, gate: object) -> None:
        if gate is not _GATE:
            raise TypeError("only sottovoce.service.gate makes a case")

    @property
    def external_id(self) -> str:
        """The id by which the app knows the person."""
        return str(self.key.unseal(self.sealed, "people"))


class Gate:
    """Opens people to callers.

    Parameters
    ----------
    database
        Where they are.
    keeper
        Unwraps their keys.
    index
        Finds them.
    audit_key
        Of the audit log's chains.
    clock
        Gives the time.
    """

    def __init__(
        self,
        database: Database,
        keeper: KeyKeeper,
        index: Index,
        audit_key: bytes,
        clock: Clock = now,
    ) -> None:
        self.database, self.keeper, self.index, self.clock = database, keeper, index, clock
        self._audit_key = audit_key
        self._waiting: dict[Connection, list[Entry]] = {}

    @contextmanager
    def open(self, who: Principal, action: str, person: str | UUID) -> Iterator[Case]:
        """Open one person to a caller, for one action.

        Parameters
        ----------
        who, action
            The caller, and a name of `ACTIONS`.
        person
            The id by which the app knows the person; the row's id from the service itself.

        Yields
        ------
        Case
            Everything done by its connection is kept if the block ends well, and nothing of it
            otherwise. What was done, or refused, is in the audit log either way.

        Raises
        ------
        Forbidden, NotFound, ConsentMissing
            See `refusals`. A clinician is told of nobody who is not on the caseload.
        """
        wanted, at, found = ACTIONS[action], self.clock(), None
        try:
            with self.database.transaction() as connection:
                if not wanted.allows(who):
                    raise Forbidden
                found = self._found(connection, who, wanted, person)
                case = self._case(connection, who, wanted, found, at)
                yield case
                self.note(connection, [Entry.of(who, action, case.person, "ok", at)])
        except Exception as error:
            known = None if found is None else found.id
            self._note_failure(Entry.of(who, action, known, _outcome(error), at), error)
            raise

    @contextmanager
    def work(self, who: Principal, action: str) -> Iterator[Connection]:
        """Give a transaction for an action that is about nobody, or about several people.

        Whoever uses it for several people reads them by `visible` and `listed`, and notes each.
        """
        at = self.clock()
        try:
            with self.database.transaction() as connection:
                if not ACTIONS[action].allows(who):
                    raise Forbidden
                with self._together(connection) as entries:
                    yield connection
                    entries.append(Entry.of(who, action, None, "ok", at))
        except Exception as error:
            self._note_failure(Entry.of(who, action, None, _outcome(error), at), error)
            raise

    def listed(
        self,
        connection: Connection,
        who: Principal,
        action: str,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[Case]:
        """Open those people to a caller who may be listed, in the order of their ids.

        Only who agrees to the action's purpose, and for a clinician who is on the caseload. Each
        is noted in the audit log.
        """
        wanted, at = ACTIONS[action], self.clock()
        if not wanted.allows(who):
            raise Forbidden
        asked = select(people, literal(True).label("mine")).order_by(people.c.id).limit(limit)
        asked = asked.where(*visible(who, wanted))
        if after is not None:
            asked = asked.where(people.c.id > after)
        rows = connection.execute(asked).all()
        cases = [self._case(connection, who, wanted, row, at) for row in rows]
        self.note(connection, [Entry.of(who, action, each.person, "ok", at) for each in cases])
        return cases

    def note(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Write entries to the audit log: the last thing in a transaction, or at `work`'s end."""
        if connection in self._waiting:
            self._waiting[connection] += entries
        else:
            audit.append(connection, self._audit_key, entries)

    @contextmanager
    def _together(self, connection: Connection) -> Iterator[list[Entry]]:
        """Keep entries back until the end, since chains can be locked in order only at once.

        Two callers who note page after page would each hold a chain that the other waits for.
        """
        entries = self._waiting[connection] = []
        try:
            yield entries
        finally:
            del self._waiting[connection]
        audit.append(connection, self._audit_key, entries)

    def verify(self, anchors: dict[int, tuple[int, str]] | None = None) -> audit.Verdict:
        """Verify the whole audit log, as it is at one moment."""
        with self.database.engine.connect() as connection:
            snapshot = connection.execution_options(isolation_level="REPEATABLE READ")
            with snapshot.begin():
                return audit.verify(snapshot, self._audit_key, anchors)

    def _found(
        self, connection: Connection, who: Principal, wanted: Action, person: str | UUID
    ) -> Any:
        by_id, listed = isinstance(person, UUID), who.role == "clinician"
        given: dict[str, Any] = {"same": person if by_id else self.index.person(str(person))}
        asked = _one(by_id=by_id, listed=listed, locked=wanted.writes)
        given |= {"account": who.account} if listed else {}
        return asked.first(connection, **given)

    def _case(
        self, connection: Connection, who: Principal, wanted: Action, found: Any, at: datetime
    ) -> Case:
        if found is None or (who.role == "clinician" and not found.mine):
            raise NotFound
        if wanted.purpose is not None and wanted.purpose not in found.purposes:
            raise ConsentMissing(wanted.purpose)
        key = self.keeper.unwrap(found.key_id, found.wrapped_key, found.id.bytes)
        return Case(
            connection,
            found.id,
            PersonKey(found.id, key),
            self.index,
            found.revision,
            found.version,
            found.scored_revision,
            frozenset(found.purposes),
            found.sealed,
            found.created_at,
            at,
            _GATE,
        )

    def _note_failure(self, entry: Entry, error: Exception) -> None:
        """Write what was refused or failed, in a transaction of its own."""
        try:
            with self.database.transaction() as connection:
                self.note(connection, [entry])
        except Exception:
            if isinstance(error, SottovoceError):  # refused, and it could not be written down
                raise
            # the database is away: the first error says so, and nothing was done


def _outcome(error: Exception) -> str:
    """Say how the audit log calls what was refused, or failed."""
    return error.outcome if isinstance(error, Refusal) else "failed"


@cache
def _one(*, by_id: bool, listed: bool, locked: bool) -> Frequent:
    """Give what asks for one person; kept, for building it takes longer than asking it."""
    mine = exists().where(
        and_(caseloads.c.person_id == people.c.id, caseloads.c.account_id == bindparam("account"))
    )
    asked = select(people, (mine if listed else literal(True)).label("mine"))
    asked = asked.where((people.c.id if by_id else people.c.digest) == bindparam("same"))
    return Frequent(asked.with_for_update(of=people, key_share=True) if locked else asked)


def visible(who: Principal, wanted: Action) -> list[Any]:
    """Give the conditions under which people are listed to a caller."""
    conditions: list[Any] = []
    if wanted.purpose is not None:
        conditions.append(people.c.purposes.contains([wanted.purpose]))
    if who.role == "clinician":
        mine = select(caseloads.c.person_id).where(caseloads.c.account_id == who.account)
        conditions.append(people.c.id.in_(mine))
    return conditions
