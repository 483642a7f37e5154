"""The routes, a module for what they are about; each parses, asks the gate, and returns.

Owns their list.
"""

from fastapi import APIRouter

from sottovoce.service.api.routes import (
    accounts,
    consent,
    estimates,
    exports,
    messages,
    operations,
    people,
    questionnaires,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    people.router,
    consent.router,
    messages.router,
    questionnaires.router,
    estimates.router,
    exports.router,
    accounts.router,
    webhooks.router,
    operations.router,
)
"""In the order of the documentation."""
