"""Writes what the pages on the service say of the code: routes, settings, metrics, tables.

Run without arguments it rewrites the marked parts of `docs/api.md`, `docs/operations.md` and
`docs/privacy.md`; with ``--check`` it says in one sentence which are stale and ends with 1. Owns
how code becomes those parts. Does not know what a route does.
"""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from sottovoce.service import tables
from sottovoce.service.actions import ACTIONS, Action
from sottovoce.service.api.app import new_app
from sottovoce.service.api.problems import KINDS
from sottovoce.service.api.routes import ROUTERS
from sottovoce.service.gate import Gate
from sottovoce.service.settings import PREFIX, Oidc, ServiceSettings
from sottovoce.service.telemetry import Queue, telemetry

DOCS = Path(__file__).parent
MARK = "<!-- {name}: made by python docs/service.py -->"
END = "<!-- end -->"

BODIES: dict[str, Any] = {
    "ConsentsIn": {
        "consent": [
            {
                "purpose": "monitoring",
                "granted": True,
                "at": "2026-11-27T09:00:00Z",
                "text_version": "2026-11",
                "source": "app settings",
            }
        ]
    },
    "MessagesIn": {
        "messages": [
            {
                "id": "m1",
                "conversation_id": "c1",
                "role": "user",
                "content": "I slept badly again.",
                "sent_at": "2026-11-27T09:05:00Z",
            }
        ]
    },
    "QuestionnaireIn": {
        "instrument": "phq-9",
        "completed_at": "2026-11-27T09:10:00Z",
        "items": [1, 1, 2, 1, 0, 1, 0, 0, 0],
    },
    "AccountIn": {"name": "dr-lee", "role": "clinician", "subject": None},
    "KeyIn": {"days": 90, "scopes": ["metrics.read"]},
    "WebhookIn": {"url": "https://app.example.org/hooks", "events": ["estimate.created"]},
}
"""A body for each form that is taken; a test holds them to the forms."""


def main() -> None:
    """Rewrite the pages, or check them."""
    if sys.argv[1:] == ["--check"]:
        sys.exit(problem(DOCS))
    if sys.argv[1:]:
        sys.exit("python docs/service.py takes --check or nothing")
    for name, parts in PAGES.items():
        path = DOCS / name
        path.write_text(renewed(path.read_text("utf-8"), parts), "utf-8")


def problem(docs: Path) -> str | None:
    """Say in one sentence what is stale, or None."""
    stale = []
    for name, parts in PAGES.items():
        text = (docs / name).read_text("utf-8")
        if renewed(text, parts) != text:
            stale.append(name)
    return f"{', '.join(stale)}: stale; run: python docs/service.py" if stale else None


def renewed(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """Give a page with its marked parts made anew.

    Raises
    ------
    ValueError
        If a part is not marked in the page.
    """
    for name, made in parts.items():
        begin = MARK.format(name=name)
        marked = re.compile(rf"{re.escape(begin)}\n.*?{re.escape(END)}", re.DOTALL)
        if len(marked.findall(text)) != 1:
            raise ValueError(f"the page needs one part between {begin} and {END}")
        whole = f"{begin}\n\n{made()}\n\n{END}"
        text = marked.sub(lambda _, whole=whole: whole, text)  # type: ignore[misc]
    return text


def routes() -> str:
    """Give every route: what it is for, who may call it, what is taken, what it answers."""
    document = application().openapi()
    models = document["components"]["schemas"]
    parts = []
    for path, method, endpoint in endpoints():
        said = document["paths"][path][method.lower()]
        parts += [f"### {method} {path}", inspect.cleandoc(endpoint.__doc__ or "")]
        parts += [f"- {line}" for line in _facts(said, action_of(endpoint), models)]
        form = _form(said)
        if form is not None:
            parts.append(f"```json\n{json.dumps(BODIES[form], ensure_ascii=False)}\n```")
    return re.sub(r"\n\n- ", "\n- ", "\n\n".join(parts)).replace("\n- Who:", "\n\n- Who:")


def application() -> FastAPI:
    """Give the app; nothing of it is asked, so that it needs no database."""
    return new_app(ServiceSettings(), cast("Gate", None))


def endpoints() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Give path, method and function of each route, in the order of the documentation."""
    for router in ROUTERS:
        for route in router.routes:
            for method in sorted(getattr(route, "methods", ())):
                yield route.path, method, route.endpoint  # type: ignore[attr-defined]


def action_of(endpoint: Callable[..., Any]) -> Action | None:
    """Give the action that a route asks the gate for; None where it asks for none."""
    found = set(_constants(endpoint, deeper=True)) & set(ACTIONS)
    if len(found) > 1:
        raise ValueError(f"{endpoint.__name__} names more than one action: {sorted(found)}")
    return ACTIONS[found.pop()] if found else None


def _constants(function: Callable[..., Any], *, deeper: bool) -> Iterator[str]:
    """Give the texts that a function uses, and those that functions of the service it calls use."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    known = getattr(function, "__globals__", {})
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.Name) and isinstance(known.get(node.id), str):
            yield known[node.id]
        if deeper and isinstance(node, ast.Call):
            called = _called(node.func, known)
            if inspect.isfunction(called) and called.__module__.startswith("sottovoce.service."):
                yield from _constants(called, deeper=False)


def _called(node: ast.expr, known: dict[str, Any]) -> Any:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(known.get(node.value.id), node.attr, None)
    return known.get(node.id) if isinstance(node, ast.Name) else None


def _facts(said: dict[str, Any], action: Action | None, models: dict[str, Any]) -> Iterator[str]:
    if action is None:
        yield "Who: anybody, without a key"
    else:
        who = sorted(action.roles)
        named = [f"{each} (of their caseload)" if _caseload(each, action) else each for each in who]
        yield f"Who: {', '.join(named)}; scope `{action.name}`"
        if action.purpose is not None:
            yield f"Consent: `{action.purpose}`"
    query = [each["name"] for each in said.get("parameters", ()) if each["in"] == "query"]
    if query:
        yield f"Query: {', '.join(f'`{each}`' for each in query)}"
    good = sorted(status for status in said["responses"] if status < "400")
    bad = sorted(status for status in said["responses"] if status >= "400")
    yield f"Answers: {', '.join(good)}; refuses: {', '.join(bad) or 'never'}"
    gives = _gives(said["responses"][good[0]], models)
    if gives:
        yield f"Gives: {gives}"


def _caseload(role: str, action: Action) -> bool:
    return role == "clinician" and action.reach != "none"


def _form(said: dict[str, Any]) -> str | None:
    body = said.get("requestBody", {}).get("content", {}).get("application/json", {})
    reference = body.get("schema", {}).get("$ref")
    return None if reference is None else str(reference).rsplit("/", 1)[1]


def _gives(response: dict[str, Any], models: dict[str, Any]) -> str:
    for media, content in response.get("content", {}).items():
        reference = content.get("schema", {}).get("$ref")
        if reference is None:
            return f"`{media}`"
        model = models[reference.rsplit("/", 1)[1]]
        return ", ".join(f"`{each}`" for each in model["properties"])
    return ""


def problems() -> str:
    """Give every kind of problem."""
    rows = [f"| `{slug}` | {kind.status} | {kind.title} |" for slug, kind in KINDS.items()]
    return "\n".join(["| type | status | title |", "|---|---|---|", *rows])


def settings() -> str:
    """Give every setting with its default, and what its docstring says of it."""
    rows = []
    for form, prefix in ((ServiceSettings, PREFIX), (Oidc, f"{PREFIX}OIDC_")):
        meant = _parameters(inspect.getdoc(form) or "")
        for each in fields(form):
            if each.name == "oidc":
                continue
            default = each.default if isinstance(each.default, str | int | float | Path) else None
            shown = "" if default is None else f"`{_shown(default)}`"
            rows.append(f"| `{prefix}{each.name.upper()}` | {shown} | {meant[each.name]} |")
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _shown(default: object) -> str:
    return str(int(default)) if isinstance(default, bool) else str(default)


def _parameters(docstring: str) -> dict[str, str]:
    """Give what a docstring says of each parameter, those described together too."""
    section = docstring.split("Parameters\n----------\n", 1)[1].split("\n\n", 1)[0]
    meant = {}
    for names, text in re.findall(r"^(\w[\w, ]*)\n((?:    .*\n?)+)", section, re.MULTILINE):
        for name in names.split(", "):
            meant[name] = " ".join(text.split()).replace("|", "\\|")
    return meant


def metrics() -> str:
    """Give every metric of a process with what it counts."""
    measured = telemetry("0")
    measured.watch(Queue(lambda: 0, lambda: 0, lambda: 0))
    rows = []
    for each in sorted(measured.registry.collect(), key=lambda metric: metric.name):
        suffix = {"counter": "_total", "histogram": "_bucket, _count, _sum", "info": "_info"}
        ending = suffix.get(each.type, "")
        shown = f"`{each.name}`" if "," in ending else f"`{each.name}{ending}`"
        rows.append(f"| {shown} | {each.type} | {each.documentation} |")
    return "\n".join(["| metric | kind | meaning |", "|---|---|---|", *rows])


def columns() -> str:
    """Give every table with what stands in it sealed, as a keyed code, and in the clear."""
    rows = []
    for table in tables.metadata.tables.values():
        named = [each.name for each in table.columns]
        sealed = [each for each in named if each == "sealed" or each.startswith("wrapped")]
        codes = [each for each in named if each in ("digest", "mac")]
        clear = [each for each in named if each not in sealed and each not in codes]
        shown = [", ".join(f"`{each}`" for each in some) for some in (sealed, codes, clear)]
        rows.append(f"| `{table.name}` | {' | '.join(shown)} |")
    head = "| table | sealed or wrapped | codes | in the clear |"
    return "\n".join([head, "|---|---|---|---|", *rows])


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "api.md": {"routes": routes, "problems": problems},
    "operations.md": {"settings": settings, "metrics": metrics},
    "privacy.md": {"columns": columns},
}
"""Which parts of which page are made."""

if __name__ == "__main__":
    main()
