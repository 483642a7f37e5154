"""Webhooks, for administrators. Owns these routes."""

from uuid import UUID

from fastapi import APIRouter

from sottovoce.service import events as stored
from sottovoce.service.api.answers import EventOut, NewWebhookOut, WebhookOut, WebhooksOut
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.requests import WebhookIn
from sottovoce.service.api.routes.people import ABOUT_ONE
from sottovoce.service.events import Endpoint
from sottovoce.service.refusals import Invalid, NotFound
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.webhooks import Reach, RefusedEndpoint, new_secret

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
MANAGE = "webhooks.manage"


@router.post("", status_code=201, responses=ABOUT_ONE)
def add_webhook(body: WebhookIn, has: WithParts, who: WithCaller) -> NewWebhookOut:
    """Add where events go. The secret that signs them is in this answer and nowhere else."""
    gate, secret = has.gate, new_secret()
    with gate.work(who, MANAGE) as connection:
        _check(body.url, has.settings)
        wanted, at = tuple(body.events), gate.clock()
        made = stored.add_endpoint(connection, gate.keeper, body.url, wanted, secret, at)
    return NewWebhookOut(webhook=_told(made), secret=secret)


@router.get("/events/{event_id}", responses=ABOUT_ONE)
def read_event(event_id: UUID, has: WithParts, who: WithCaller) -> EventOut:
    """Read what an event was about, by its `webhook-id`: webhooks themselves name nobody."""
    gate, action = has.gate, "events.read"
    found = stored.find(gate.database, event_id)
    if found is None:
        with gate.work(who, action):  # who may not read events is not told which there are
            raise NotFound("event")
    with gate.open(who, action, found.person) as case:
        return EventOut(
            id=event_id,
            type=found.type,
            at=found.at,
            person=case.external_id,
            subject=found.subject,
        )


@router.get("", responses=ABOUT_ONE)
def list_webhooks(has: WithParts, who: WithCaller) -> WebhooksOut:
    """List where events go."""
    with has.gate.work(who, MANAGE) as connection:
        return WebhooksOut(webhooks=[_told(each) for each in stored.list_endpoints(connection)])


@router.delete("/{webhook_id}", status_code=204, responses=ABOUT_ONE)
def disable_webhook(webhook_id: UUID, has: WithParts, who: WithCaller) -> None:
    """Send nothing more to a webhook."""
    with has.gate.work(who, MANAGE) as connection:
        stored.disable_endpoint(connection, webhook_id, has.gate.clock())


def _check(url: str, settings: ServiceSettings) -> None:
    """Refuse a URL that nothing may be sent to; it is looked up again before every delivery."""
    try:
        Reach(settings.webhook_networks).addresses(url)
    except RefusedEndpoint as error:
        raise Invalid("body.url", f"nothing may be sent there ({error.reason})") from None


def _told(endpoint: Endpoint) -> WebhookOut:
    return WebhookOut(
        id=endpoint.id,
        url=endpoint.url,
        events=list(endpoint.events),
        created_at=endpoint.created_at,
        disabled_at=endpoint.disabled_at,
    )
