"""One use of an annotator from files to annotations: gate, store, calls, results.

Owns opening the annotator by its name, what may be declared trusted, and the order of the parts.
Does not know how it is shown (`cli`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sottovoce.annotate.annotator import Annotator, Request, named
from sottovoce.annotate.batch import BatchAnnotator, ask_in_batches, finish_batches
from sottovoce.annotate.budget import Forecast, Tokens, forecast
from sottovoce.annotate.prompt import Asking, load_prompt
from sottovoce.annotate.replay import AnnotationReplay, StoreReplay, open_replay
from sottovoce.annotate.results import Results, collect
from sottovoce.annotate.run import Run, Terms, ask_all, pending
from sottovoce.annotate.store import Contents, Store, read_store
from sottovoce.annotate.work import Task, cut_windows, make_tasks, read_people
from sottovoce.cohort import Window, WindowRules
from sottovoce.consent import read_consent
from sottovoce.deidentify import Engine, open_deidentifier
from sottovoce.disclosure import disclose
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9, instrument
from sottovoce.progress import Advance, silent

if TYPE_CHECKING:
    from sottovoce.annotate.calls import Patience

SERVICES = ("anthropic", "openai", "replay")


@dataclass(frozen=True, slots=True)
class Service:
    """Who is asked.

    Parameters
    ----------
    name
        ``anthropic:MODEL``, ``openai:MODEL`` or ``replay:FILE``.
    base_url, effort, schema
        See `AnthropicAnnotator` and `CompatibleAnnotator`.
    patience
        Time limits and repetitions; None takes `calls.Patience`.
    batches
        Use Anthropic's Message Batches.

    Raises
    ------
    DataError
        If it is none of these, or a setting is of no use with it.
    """

    name: str
    base_url: str | None = None
    effort: str | None = None
    schema: bool = True
    patience: "Patience | None" = None
    batches: bool = False

    def __post_init__(self) -> None:
        if self.kind not in SERVICES or not self.model:
            raise DataError(
                "it is no annotator",
                field="annotator",
                fix="write anthropic:MODEL, openai:MODEL or replay:FILE",
            )
        if self.batches and self.kind != "anthropic":
            raise DataError(
                "only Anthropic takes batches", field="batches", fix="leave --batches out"
            )

    @property
    def kind(self) -> str:
        """The word before the colon."""
        return self.name.partition(":")[0]

    @property
    def model(self) -> str:
        """The model, or the file of a replay."""
        return self.name.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Gate:
    """What chats must pass; see `disclosure`.

    Parameters
    ----------
    consent
        The ledger `consent.jsonl`.
    trusted
        The server is declared one's own.
    engine, ner
        What finds the places to replace; see `open_deidentifier`. None sends chats as they are,
        to a trusted server only.
    """

    consent: Path | None = None
    trusted: bool = False
    engine: Engine | None = "presidio"
    ner: str | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """Everything that one run is told.

    Parameters
    ----------
    chats
        Canonical `chats.jsonl`.
    service, gate
        Who is asked, and what chats must pass before.
    store
        The store; None for a replay.
    only
        JSONL of `user_id`s to take; None takes everybody.
    samples, max_tokens
        See `Asking`.
    terms
        Budget, concurrency, what is asked again.
    rules, instrument
        What a window is, and what is estimated.

    Raises
    ------
    DataError
        If something is declared trusted that is not one's own to declare.
    """

    chats: Path
    service: Service
    gate: Gate = Gate()
    store: Path | None = None
    only: Path | None = None
    samples: int = 1
    max_tokens: int = 16_000
    terms: Terms = field(default_factory=Terms)
    rules: WindowRules = field(default_factory=WindowRules)
    instrument: str = PHQ_9.key

    def __post_init__(self) -> None:
        own = self.service.base_url is not None or self.service.kind == "replay"
        if self.gate.trusted and not own:
            raise DataError(
                "the service's own address is nobody's own server",
                field="trusted",
                fix="name your server by --base-url, or give --consent",
            )
        if self.gate.engine is None and not (self.gate.trusted or self.service.kind == "replay"):
            raise DataError(
                "chats go as they are only to a server of your own",
                field="deidentify",
                fix="add --base-url and --trusted, or leave --no-deidentify out",
            )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Who will be asked about, and who will not.

    Parameters
    ----------
    tasks
        Those who will.
    left_out, refused
        Reason to people: whose conversation is too little, and whom the gate did not let through.
    deidentified
        What found the places that were replaced ("patterns only"); None where nothing was.
    """

    tasks: tuple[Task, ...]
    left_out: Mapping[str, int]
    refused: Mapping[str, int]
    deidentified: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Parameters
    ----------
    prepared, run, results
        Who, how it ended, and what came of it.
    address
        Where requests went; None for a replay.
    repeated
        Calls that were in flight when the last run ended.
    healed
        Lines of the store that a kill had torn.
    tokens, cost
        Of all calls in the store that ended; the cost is None without prices.
    unknown
        Most that calls may have taken whose end is not known.
    """

    prepared: Prepared
    run: Run
    results: Results
    address: str | None
    repeated: int
    healed: int
    tokens: Tokens
    cost: float | None
    unknown: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do: who, what it would take, and what is in the store already.

    Parameters
    ----------
    prepared
        Who.
    stored, in_flight
        Calls that are in the store, and those of unknown end, that would be repeated.
    forecast
        What the calls to make would take.
    spent
        What those in the store took.
    costs
        Of the forecast, expected and at most; None without prices.
    """

    prepared: Prepared
    stored: int
    in_flight: int
    forecast: Forecast
    spent: Tokens
    costs: tuple[float | None, float | None]


def preview(errand: Errand, advance: Advance = silent) -> Preview:
    """Say what a run would do. Nothing is sent, no key is needed and no file is written.

    Without a ledger it counts as if everybody had agreed, so that the cost can be known before
    anybody is asked.
    """
    contents = Contents() if errand.store is None else read_store(errand.store)
    replay = _replay(errand)
    errand, service = _as_needed(errand, replay), errand.service
    name = named(service.kind, service.model, service.effort) if replay is None else replay.name
    salt = _salt(replay, contents.salt)
    prepared = _prepare(errand, name, salt, advance, as_if_agreed=True)
    waiting = pending(prepared.tasks, contents, retry_failed=errand.terms.retry_failed)
    calls = sum(len(task.requests) for task in prepared.tasks)
    in_flight = sum(bool(contents.open[each.idempotency]) for each in waiting)
    ahead, prices = forecast(waiting), errand.terms.limit.prices
    costs = tuple(None if prices is None else prices.cost(each) for each in ahead.tokens)
    return Preview(
        prepared, calls - len(waiting), in_flight, ahead, contents.tokens, (costs[0], costs[1])
    )


def annotate(errand: Errand, advance: Advance = silent) -> Outcome:
    """Ask about everybody who may be asked about, and put together what came.

    `advance` hears of the people who pass the gate, then, from the beginning again, of the calls.

    Raises
    ------
    DataError
        If nobody may be sent, or a file cannot be used.
    AnnotatorError
        If the annotator cannot be asked; what was answered by then is in the store.
    """
    annotator, replay = _open(errand)
    errand = _as_needed(errand, replay)
    with closing(annotator), Store(errand.store, errand.terms.limit.prices) as store:
        salt = _salt(replay, store.contents.salt)
        prepared = _prepare(errand, annotator.name, salt, advance)
        _refuse_nobody(prepared, errand.chats)
        takes_batches = hasattr(annotator, "create_batch")
        if takes_batches and store.contents.batches:
            finish_batches(cast("BatchAnnotator", annotator), store)
        terms = errand.terms
        waiting = pending(prepared.tasks, store.contents, retry_failed=terms.retry_failed)
        repeated = sum(bool(store.contents.open[each.idempotency]) for each in waiting)
        run = _ask(waiting, annotator, store, errand, advance)
        prompt = load_prompt(instrument(errand.instrument))
        told = f"{annotator.name}, prompt {prompt.version}"
        named = annotator.name if isinstance(replay, AnnotationReplay) else told
        contents = store.contents
        return Outcome(
            prepared,
            run,
            collect(prepared.tasks, contents, named),
            getattr(annotator, "address", None),
            repeated,
            store.healed,
            contents.tokens,
            store.cost,
            contents.unknown(),
        )


def _ask(
    waiting: Sequence[Request],
    annotator: Annotator,
    store: Store,
    errand: Errand,
    advance: Advance,
) -> Run:
    if errand.service.batches:
        able = cast("BatchAnnotator", annotator)
        return ask_in_batches(waiting, able, store, errand.terms, advance)
    return ask_all(waiting, annotator, store, errand.terms, advance)


def _replay(errand: Errand) -> StoreReplay | AnnotationReplay | None:
    if errand.service.kind != "replay":
        return None
    return open_replay(errand.service.model, errand.instrument)


def _open(errand: Errand) -> tuple[Annotator, StoreReplay | AnnotationReplay | None]:
    """Open the annotator: an SDK's client, which connects when it is asked, or a file."""
    service = errand.service
    if (replay := _replay(errand)) is not None:
        return replay, replay
    told: dict[str, Any] = {
        "base_url": service.base_url,
        "effort": service.effort,
        "schema": service.schema,
        "patience": service.patience,
    }
    if service.kind == "anthropic":
        from sottovoce.annotate.anthropic import AnthropicAnnotator

        return AnthropicAnnotator(service.model, **told), None
    from sottovoce.annotate.compatible import CompatibleAnnotator

    return CompatibleAnnotator(service.model, **told), None


def _as_needed(errand: Errand, replay: StoreReplay | AnnotationReplay | None) -> Errand:
    """Leave de-identification out where nothing is sent and no key depends on it."""
    if not isinstance(replay, AnnotationReplay):
        return errand
    return replace(errand, gate=replace(errand.gate, engine=None))


def _salt(replay: StoreReplay | AnnotationReplay | None, own: bytes) -> bytes:
    return (None if replay is None else replay.salt) or own


def _prepare(
    errand: Errand,
    annotator: str,
    salt: bytes,
    advance: Advance,
    *,
    as_if_agreed: bool = False,
) -> Prepared:
    """Cut windows, pass the gate, and make the requests; `as_if_agreed` is for counting only."""
    only = None if errand.only is None else read_people(errand.only)
    windows, left_out = cut_windows(errand.chats, errand.rules, only)
    gate = errand.gate
    consent = None if gate.consent is None else read_consent(gate.consent)
    deidentifier = None
    if gate.engine is not None:
        deidentifier = open_deidentifier(gate.engine, salt or None, gate.ner)
    stays = errand.service.kind == "replay" or as_if_agreed
    told = _told(windows, advance)
    disclosure = disclose(told, consent, deidentifier, trusted=gate.trusted or stays)
    prompt = load_prompt(instrument(errand.instrument))
    asking = Asking(prompt, annotator, errand.samples, errand.max_tokens)
    tasks = make_tasks(windows, disclosure, asking)
    return Prepared(tasks, left_out, disclosure.refused, disclosure.label)


def _told(windows: Sequence[Window], advance: Advance) -> Iterator[Window]:
    """Tell how many windows have passed the gate, which takes a while with a language model."""
    for done, window in enumerate(windows):
        advance(done, len(windows))
        yield window


def _refuse_nobody(prepared: Prepared, chats: Path) -> None:
    if prepared.tasks:
        return
    if prepared.refused:
        reasons = ", ".join(f"{count} {why}" for why, count in prepared.refused.items())
        raise DataError(
            f"nobody's chats may be sent ({reasons})",
            path=chats,
            fix="give the ledger by --consent, or declare a server of your own by --base-url and "
            "--trusted",
        )
    raise DataError(
        "nobody in it has enough conversation to be asked about",
        path=chats,
        fix="run sottovoce check on it",
    )
