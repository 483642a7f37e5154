"""Anthropic as annotator: Messages, and Message Batches for whoever asks for them.

Owns how a request becomes a call of the `anthropic` SDK. Does not know when it is made (`run`,
`batch`). There is no temperature to set; the model reasons as it does by default, or at `effort`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sottovoce.annotate.annotator import CallError, Reply, Request, Stop, named
from sottovoce.annotate.calls import Patience, Service
from sottovoce.errors import AnnotatorError, require

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types import Message

STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
T = TypeVar("T")
KEY = "ANTHROPIC_API_KEY"

CLOCKS_APART = timedelta(minutes=10)
"""Most that this machine's clock is believed to differ from the server's; ours."""


@dataclass(frozen=True, slots=True)
class Batched:
    """What became of one request of a batch: a reply, or why there is none."""

    idempotency: str
    outcome: Reply | CallError


class AnthropicAnnotator:
    """A model of Anthropic's, or of a server that speaks its protocol.

    Parameters
    ----------
    model
        As the service calls it.
    base_url
        Another server than the SDK's own choice.
    effort
        How much it reasons ("low" to "max"); None leaves the model's default.
    schema
        Hold answers to the schema by `output_config.format`; else the prompt alone asks for it.
    patience
        Time limits and repetitions.

    Raises
    ------
    MissingExtraError
        If the SDK is not installed.
    AnnotatorError
        If the environment holds no key.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        effort: str | None = None,
        schema: bool = True,
        patience: Patience | None = None,
    ) -> None:
        sdk = require("anthropic", what="Annotating with Anthropic", extra="annotate")
        self.name = named("anthropic", model, effort)
        self._model, self._effort, self._schema = model, effort, schema
        self._patience = patience or Patience()
        self._service = Service(sdk, KEY, ("output_config", "output_format", "json_schema"))
        self._client: Anthropic = sdk.Anthropic(
            base_url=base_url, max_retries=0, timeout=self._patience.limits
        )
        client = self._client
        if client.api_key is None and client.auth_token is None and client.credentials is None:
            raise AnnotatorError(f"the environment holds no key for Anthropic; set {KEY}")

    @property
    def address(self) -> str:
        """Where requests go."""
        return str(self._client.base_url)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def ask(self, request: Request) -> Reply:
        """Ask by Messages; see `Annotator`."""
        headers = {"Idempotency-Key": request.idempotency}
        return _reply(
            self._call(
                lambda: self._client.messages.create(
                    **self._parameters(request), extra_headers=headers
                )
            )
        )

    def create_batch(self, requests: list[Request], token: str) -> str:
        """Hand in a Message Batch, whose `custom_id`s are the calls' own; give its id."""
        entries: Any = [
            {"custom_id": each.idempotency, "params": self._parameters(each)} for each in requests
        ]
        headers = {"Idempotency-Key": token}
        made = self._call(
            lambda: self._client.messages.batches.create(requests=entries, extra_headers=headers)
        )
        return made.id

    def batch_ended(self, batch: str) -> bool:
        """Whether all results of a batch are there."""
        found = self._call(lambda: self._client.messages.batches.retrieve(batch))
        return found.processing_status == "ended"

    def batches_since(self, moment: datetime, size: int) -> list[str]:
        """Give the account's batches of that size made since a moment, newest first.

        The list does not say which requests a batch holds; its results do, once it has ended.
        """
        return self._call(lambda: list(self._recent(moment - CLOCKS_APART, size)))

    def _recent(self, moment: datetime, size: int) -> Iterator[str]:
        for each in self._client.messages.batches.list(limit=100):
            if each.created_at < moment:
                return
            counts = each.request_counts
            ended = counts.succeeded + counts.errored + counts.canceled + counts.expired
            if counts.processing + ended == size:
                yield each.id

    def batch_results(self, batch: str) -> Iterator[Batched]:
        """Give the results of a batch that has ended, in the order of the server."""
        for each in self._call(lambda: list(self._client.messages.batches.results(batch))):
            result = each.result
            if result.type == "succeeded":
                yield Batched(each.custom_id, _reply(result.message))
            elif result.type == "errored":
                yield Batched(each.custom_id, CallError("rejected", billed=False))
            else:
                yield Batched(each.custom_id, CallError("expired", billed=False))

    def _call(self, send: Callable[[], T]) -> T:
        return self._service.call(send, self._patience)

    def _parameters(self, request: Request) -> dict[str, Any]:
        config: dict[str, Any] = {}
        if self._schema:
            config["format"] = {"type": "json_schema", "schema": dict(request.schema)}
        if self._effort:
            config["effort"] = self._effort
        return {
            "model": self._model,
            "max_tokens": request.max_tokens,
            "system": request.system,
            "messages": [{"role": "user", "content": request.text}],
            **({"output_config": config} if config else {}),
        }


def _reply(message: "Message") -> Reply:
    """Take text and tokens; a server that answers in another form gives garbage."""
    try:
        text = "".join(block.text for block in message.content if block.type == "text")
        usage = message.usage
        read = usage.input_tokens + (usage.cache_creation_input_tokens or 0)
        read += usage.cache_read_input_tokens or 0
        stop = STOPS.get(message.stop_reason or "", "other")
        return Reply(text, int(read), int(usage.output_tokens), stop)
    except (AttributeError, TypeError):
        raise CallError("garbage", billed=True) from None
