"""The official JSON schema of FHIR R4, cut down to the resources that are exported.

    python -m tests.service.fhir_schema PATH/TO/fhir.schema.json

writes `data/fhir-r4.schema.json`: the definitions that those resources need, without their
descriptions. Nothing else is changed; data/README.md says where the file comes from.
"""

import json
import sys
from functools import cache
from pathlib import Path

from jsonschema import Draft6Validator

SCHEMA = Path(__file__).parent / "data" / "fhir-r4.schema.json"
RESOURCES = (
    "Bundle",
    "Device",
    "DocumentReference",
    "Observation",
    "QuestionnaireResponse",
    "RiskAssessment",
)


def cut(whole):
    """Give the schema with what `RESOURCES` need; a ResourceList holds these resources only."""
    definitions = whole["definitions"]
    references = [{"$ref": f"#/definitions/{name}"} for name in RESOURCES]
    kept, open_names = {"ResourceList": {"oneOf": references}}, list(RESOURCES)
    while open_names:
        name = open_names.pop()
        if name not in kept:
            kept[name] = bare(definitions[name])
            open_names += referred(kept[name])
    told = {name: whole[name] for name in ("$schema", "id")}
    return told | {"oneOf": references, "definitions": dict(sorted(kept.items()))}


def bare(node):
    if isinstance(node, list):
        return [bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    # a description is a text; a property that is called description is an object
    texts = {name for name in ("description",) if isinstance(node.get(name), str)}
    return {name: bare(value) for name, value in node.items() if name not in texts}


def referred(node):
    if isinstance(node, list):
        return [name for each in node for name in referred(each)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
    return own + [name for value in node.values() for name in referred(value)]


@cache
def schema():
    return json.loads(SCHEMA.read_text("utf-8"))


@cache
def _validators():
    return {
        name: Draft6Validator(schema() | {"oneOf": [{"$ref": f"#/definitions/{name}"}]})
        for name in RESOURCES
    }


def problems(resource):
    """Say where a resource breaks the schema, each place with what is wrong there.

    Entries of a Bundle are held against the schema of their own kind: of six alternatives that all
    failed nobody could tell which was meant.
    """
    shell = resource
    inside = []
    if resource["resourceType"] == "Bundle":
        inside = [each["resource"] for each in resource.get("entry", [])]
        entries = [{"fullUrl": each["fullUrl"]} for each in resource.get("entry", [])]
        shell = resource | ({"entry": entries} if "entry" in resource else {})
    found = _validators()[resource["resourceType"]].iter_errors(shell)
    told = [
        f"{resource['resourceType']}: {best.message}" for each in found for best in deepest(each)
    ]
    return told + [problem for each in inside for problem in problems(each)]


def deepest(error):
    if not error.context:
        return [error]
    return [best for each in error.context for best in deepest(each)]


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text("utf-8")
    SCHEMA.write_text(json.dumps(cut(json.loads(text)), separators=(",", ":")) + "\n", "utf-8")
