"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp.

Owns how a request becomes a call of the `openai` SDK. Does not know when it is made (`run`).
"""

import os
from typing import TYPE_CHECKING, Any

from sottovoce.annotate.annotator import CallError, Reply, Request, Stop, named
from sottovoce.annotate.calls import Patience, Service
from sottovoce.errors import AnnotatorError, require

if TYPE_CHECKING:
    from openai import OpenAI

STOPS: dict[str, Stop] = {"stop": "end", "length": "length", "content_filter": "refusal"}
KEY = "OPENAI_API_KEY"
NO_KEY = "none"
"""Sent to a server of one's own that asks for no key; the SDK cannot send nothing."""


class CompatibleAnnotator:
    """A model behind chat completions.

    Parameters
    ----------
    model
        As the server calls it.
    base_url
        The server, with its ``/v1``; None is OpenAI itself.
    effort
        `reasoning_effort`; None leaves the model's default.
    schema
        Hold answers to the schema by `response_format`; else the prompt alone asks for it.
    patience
        Time limits and repetitions.

    Raises
    ------
    MissingExtraError
        If the SDK is not installed.
    AnnotatorError
        If OpenAI itself is asked and the environment holds no key.
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
        sdk = require(
            "openai", what="Annotating with an OpenAI-compatible server", extra="annotate"
        )
        self.name = named("openai", model, effort)
        self._model, self._effort, self._schema = model, effort, schema
        self._own = base_url is not None
        self._patience = patience or Patience()
        self._service = Service(sdk, KEY, ("response_format", "json_schema", "schema"))
        key = os.environ.get(KEY) or (NO_KEY if self._own else None)
        if key is None:
            raise AnnotatorError(f"the environment holds no key for OpenAI; set {KEY}")
        self._client: OpenAI = sdk.OpenAI(
            api_key=key, base_url=base_url, max_retries=0, timeout=self._patience.limits
        )

    @property
    def address(self) -> str:
        """Where requests go."""
        return str(self._client.base_url)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def ask(self, request: Request) -> Reply:
        """Ask once; see `Annotator`."""
        headers = {"Idempotency-Key": request.idempotency}
        answer = self._service.call(
            lambda: self._client.chat.completions.create(
                **self._parameters(request), extra_headers=headers
            ),
            self._patience,
        )
        return _reply(answer)

    def _parameters(self, request: Request) -> dict[str, Any]:
        # OpenAI's reasoning models refuse the old name of the limit, and some servers ignore the
        # new one; OpenAI keeps a conversation where it is not told otherwise.
        limits: dict[str, Any] = {"max_tokens": request.max_tokens}
        if not self._own:
            limits = {"max_completion_tokens": request.max_tokens, "store": False}
        wanted = {"name": "reading", "strict": True, "schema": dict(request.schema)}
        form = {"response_format": {"type": "json_schema", "json_schema": wanted}}
        return {
            "model": self._model,
            "messages": [
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.text},
            ],
            **limits,
            **(form if self._schema else {}),
            **({"reasoning_effort": self._effort} if self._effort else {}),
        }


def _reply(answer: Any) -> Reply:
    """Take text and tokens; a server that answers in another form gives garbage."""
    try:
        choice, usage = answer.choices[0], answer.usage
        said = choice.message
        stop = STOPS.get(choice.finish_reason, "other")
        if getattr(said, "refusal", None):
            stop = "refusal"
        # a server that counts no tokens is not one that bills
        read, written = (0, 0) if usage is None else (usage.prompt_tokens, usage.completion_tokens)
        return Reply(said.content or "", int(read), int(written), stop)
    except (AttributeError, TypeError, IndexError):
        raise CallError("garbage", billed=True) from None
