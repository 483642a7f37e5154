"""The pages on the service are held to the code: made parts, bodies, commands, the example code."""

import importlib.util
import json
import re
import secrets
import shlex
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from standardwebhooks import WebhookVerificationError
from tests import served

from sottovoce.service import tables
from sottovoce.service.actions import ACTIONS
from sottovoce.service.settings import _READERS
from sottovoce.service.webhooks import event_body, headers

ROOT = Path(__file__).parents[2]
PAGES = ("docs/monitoring.md", "docs/operations.md", "docs/api.md", "docs/privacy.md")
LINKED = (*PAGES, "deploy/README.md", "deploy/kubernetes.md", "examples/README.md")
SETTINGS = {f"SOTTOVOCE_{name.upper()}" for name in _READERS}


def module_at(path: Path):
    spec = importlib.util.spec_from_file_location(f"_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


service = module_at(ROOT / "docs" / "service.py")


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def commands(name: str) -> list[str]:
    """The commands of a page: lines after a prompt, or of a block without output."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text_of(name), re.DOTALL):
        lines = re.sub(r"\\\n *", "", block).splitlines()
        prompted = [each.removeprefix("$ ") for each in lines if each.startswith("$ ")]
        found += prompted or lines
    return found


def ours(line: str) -> list[str] | None:
    """The arguments of a command of this package in a line; None where it has none."""
    said = re.search(r"(?:^|[ (])sottovoce ([a-z].*?)\)?$", line)
    return None if said is None else shlex.split(said[1])


OWN = sorted({each for name in PAGES for each in commands(name) if ours(each)} - {""})
CURLS = [each for name in PAGES for each in commands(name) if "curl " in each]


def test_the_pages_are_current():
    assert service.problem(ROOT / "docs") is None


def test_a_stale_part_is_one_sentence(tmp_path):
    for name in service.PAGES:
        (tmp_path / name).write_text(text_of(f"docs/{name}"))
    page = tmp_path / "privacy.md"
    page.write_text(page.read_text().replace("| `people` |", "| `persons` |"))
    assert service.problem(tmp_path) == "privacy.md: stale; run: python docs/service.py"


def test_a_page_without_the_mark_is_refused():
    with pytest.raises(ValueError, match="needs one part between"):
        service.renewed("no mark", {"routes": str})


def test_every_route_is_on_the_page_with_the_action_that_it_asks_for():
    page = text_of("docs/api.md")
    seen = set()
    for path, method, endpoint in service.endpoints():
        action = service.action_of(endpoint)
        assert f"### {method} {path}\n" in page
        assert (action is None) == (path in ("/health", "/ready"))
        seen |= set() if action is None else {action.name}
    inner = {name for name, each in ACTIONS.items() if each.roles == {"service"}}
    assert seen == set(ACTIONS) - inner


def form_of(endpoint):
    """What a route takes as its body; None where it takes none."""
    said = endpoint.__annotations__.values()
    return next((each for each in said if each.__class__.__name__ == "ModelMetaclass"), None)


def test_bodies_on_the_page_are_taken():
    forms = {form.__name__: form for *_, each in service.endpoints() if (form := form_of(each))}
    document = service.application().openapi()
    written = json.dumps([each for path in document["paths"].values() for each in path.values()])
    taken = set(re.findall(r'"#/components/schemas/(\w+In)"', written))
    assert set(service.BODIES) == taken
    for name, body in service.BODIES.items():
        assert forms[name].model_validate(body)


def test_every_setting_and_every_table_has_a_line():
    operations, privacy = text_of("docs/operations.md"), text_of("docs/privacy.md")
    for name in SETTINGS:
        assert re.search(rf"^\| `{name}` \| [^|]* \| \S[^|]+ \|$", operations, re.M), name
    for name in tables.metadata.tables:
        assert re.search(rf"^\| `{name}` \|", privacy, re.M), name


@pytest.mark.parametrize("line", OWN)
def test_commands_of_the_package_are_understood(line):
    assert served.understood(*ours(line))


@pytest.mark.parametrize("line", CURLS)
def test_requests_of_the_pages_go_to_routes_and_send_what_is_taken(line):
    words = shlex.split(line)
    url = next(each for each in words if each.startswith("http"))
    path = url.removeprefix("http://127.0.0.1:8321")
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    known = [
        (place, how, endpoint)
        for place, how, endpoint in service.endpoints()
        if how == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", place), path)
    ]
    assert known
    if "-d" in words:
        form = form_of(known[0][2])
        assert form.model_validate(json.loads(words[words.index("-d") + 1]))


def test_json_on_the_pages_is_json():
    texts = [text_of(name) for name in PAGES]
    blocks = [each for text in texts for each in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    lines = [line for block in blocks for line in block.strip().splitlines()]
    assert len(lines) >= len(service.BODIES)
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_the_code_on_the_page_takes_what_the_service_signs_and_nothing_else():
    (code,) = re.findall(r"```python\n(.*?)```", text_of("docs/api.md"), re.DOTALL)
    given: dict = {}
    exec(code, given)
    secret, event = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}", str(uuid4())
    body = event_body("estimate.created", datetime.now(UTC), {"event": uuid4(), "subject": uuid4()})
    signed = headers([secret], event, datetime.now(UTC), body)
    assert given["receive"](signed, body.encode(), secret) == event
    with pytest.raises(WebhookVerificationError):
        given["receive"](signed, body.replace("created", "changed").encode(), secret)
    with pytest.raises(WebhookVerificationError):
        given["receive"](signed, body.encode(), f"whsec_{b64encode(bytes(32)).decode()}")


def test_the_webhook_on_the_page_has_the_form_that_is_sent():
    (shown,) = re.findall(r'^\{"type": .*\}$', text_of("docs/api.md"), re.M)
    sent = json.loads(
        event_body("estimate.created", datetime.now(UTC), {"event": uuid4(), "subject": uuid4()})
    )
    assert {name: type(each) for name, each in json.loads(shown).items()} == {
        name: type(each) for name, each in sent.items()
    }
    assert set(json.loads(shown)["data"]) == set(sent["data"])


@pytest.mark.parametrize("name", LINKED)
def test_links_to_files_and_headings_hold(name):
    path = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text("utf-8")):
        file, _, heading = target.partition("#")
        there = path if not file else path.parent / file
        assert there.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
            assert heading in map(anchor, titles), target


def anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
