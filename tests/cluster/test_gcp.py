"""Ray's own way with gcp.yaml, against a Google Cloud that answers from memory.

Ray's bootstrap and its node provider run as they are, through Google's client library and its
descriptions of the services, which it ships; what Ray would ask for as a machine is checked against
the description of Compute Engine, unknown fields and words included.
"""

import copy
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

discovery = pytest.importorskip("googleapiclient.discovery")
httplib2 = pytest.importorskip("httplib2")

FILE = Path(__file__).parents[2] / "cluster" / "gcp.yaml"
PROJECT = "a-project"
ACCOUNT = f"ray-autoscaler-sa-v1@{PROJECT}.iam.gserviceaccount.com"
README = FILE.parent / "README.md"


class Google:
    """What Google Cloud answers for a project without machines, and what it was asked to change.

    It stands where Google's library expects an HTTP connection.
    """

    def __init__(self):
        self.sent = {}
        done = {"name": "operation", "status": "DONE"}
        self._answers = {
            r"GET .*/v1/projects/a-project": {"projectId": PROJECT, "lifecycleState": "ACTIVE"},
            r"GET .*/serviceAccounts/.*": None,
            r"POST .*/serviceAccounts": {"email": ACCOUNT, "projectId": PROJECT},
            r"POST .*:getIamPolicy": {"bindings": []},
            r"POST .*:setIamPolicy": {},
            r"GET .*/compute/v1/projects/a-project": {
                "name": PROJECT,
                "commonInstanceMetadata": {},
            },
            r"POST .*/setCommonInstanceMetadata": done,
            r"GET .*/regions/us-west1/subnetworks": {"items": [{"selfLink": "a-subnet"}]},
            r"POST .*/zones/us-west1-b/instances": done,
            r"GET .*/operations/operation": done,
        }

    def request(self, uri, method="GET", body=None, **_):
        asked = f"{method} {urlsplit(uri).path}"
        (pattern,) = [p for p in reversed(self._answers) if re.fullmatch(p, asked)][:1]
        if body:
            self.sent[asked.rpartition("/")[2]] = json.loads(body)
        answer = self._answers[pattern]
        status = 404 if answer is None else 200
        return httplib2.Response({"status": status}), json.dumps(answer).encode()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def google(home):
    from ray.autoscaler._private.gcp import config, node, node_provider

    google = Google()
    names = ("cloudresourcemanager", "iam", "compute")
    clients = [discovery.build(n, "v1", http=google, cache_discovery=False) for n in names]
    with pytest.MonkeyPatch.context() as patch:
        for module in (config, node_provider):
            patch.setattr(
                module, "construct_clients_from_provider_config", lambda _: (*clients, None)
            )
        patch.setattr(node.GCPCompute, "get_new_authorized_http", lambda *_: google)
        patch.setattr(config, "POLL_INTERVAL", 0)
        patch.setenv("HOME", str(home))
        yield google


@pytest.fixture(scope="module")
def given():
    return yaml.safe_load(FILE.read_text(encoding="utf-8").replace("FILL-IN-PROJECT", PROJECT))


@pytest.fixture(scope="module")
def ready(google, given):
    from ray.autoscaler._private.gcp.config import bootstrap_gcp
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(given))
    validate_config(prepared)
    return bootstrap_gcp(prepared)


def test_bootstrap_fills_in_network_key_and_account_and_keeps_what_the_file_says(
    google, given, ready, home
):
    assert Path(ready["auth"]["ssh_private_key"]).is_relative_to(home)
    assert "ubuntu:ssh-rsa" in google.sent["setCommonInstanceMetadata"]["items"][0]["value"]
    for name, kind in ready["available_node_types"].items():
        told = given["available_node_types"][name]["node_config"]
        assert {key: kind["node_config"][key] for key in told} == told
        assert kind["node_config"]["networkInterfaces"][0]["subnetwork"] == "a-subnet"


def test_the_head_has_the_account_that_ray_makes_and_may_start_machines_with_another(google, ready):
    (made,) = ready["head_node"]["serviceAccounts"]
    assert made["email"] == ACCOUNT
    bindings = google.sent[f"{PROJECT}:setIamPolicy"]["policy"]["bindings"]
    roles = {binding["role"] for binding in bindings}
    assert roles >= {"roles/storage.objectAdmin", "roles/iam.serviceAccountUser"}


def test_workers_have_the_account_that_the_readme_makes_for_the_bucket_alone(google, ready):
    (used,) = ready["available_node_types"]["gpu_worker"]["node_config"]["serviceAccounts"]
    name, _, domain = used["email"].partition("@")
    assert domain == f"{PROJECT}.iam.gserviceaccount.com"
    text = README.read_text(encoding="utf-8")
    assert f"for MEMBER in {ACCOUNT.partition('@')[0]} {name}; do" in text
    assert "gcloud iam service-accounts create $MEMBER\n" in text
    assert name not in json.dumps(google.sent[f"{PROJECT}:setIamPolicy"])


def test_a_project_with_os_login_does_not_lock_ray_out(ready):
    for kind in ready["available_node_types"].values():
        assert kind["node_config"]["metadata"]["items"] == [
            {"key": "enable-oslogin", "value": "FALSE"}
        ]


def test_the_disk_lies_in_the_zone_of_its_machine(ready):
    (disk,) = ready["available_node_types"]["gpu_worker"]["node_config"]["disks"]
    zone = ready["provider"]["availability_zone"]
    assert f"zones/{zone}/" in disk["initializeParams"]["diskType"]


@pytest.mark.parametrize("name", ["head", "gpu_worker"])
def test_a_machine_that_ray_asks_for_is_one_that_compute_engine_knows(google, ready, name):
    from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

    provider = GCPNodeProvider(ready["provider"], ready["cluster_name"])
    machine = ready["available_node_types"][name]["node_config"]
    provider.create_node(machine, {"ray-node-name": f"ray-{name.replace('_', '-')}"}, 1)
    asked = google.sent["instances"]
    instances().validate(asked)
    is_spot = asked.get("scheduling", {}).get("provisioningModel") == "SPOT"
    assert is_spot == (name == "gpu_worker")


@pytest.mark.parametrize(
    "wrong", [{"machinType": "x"}, {"scheduling": {"provisioningModel": "SPOTTY"}}, {"disks": 1}]
)
def test_the_check_above_refuses_what_is_wrong(wrong):
    with pytest.raises(jsonschema.ValidationError, match=r"unexpected|one of|not of type"):
        instances().validate(wrong)


@cache
def instances():
    """Compute Engine's description of an instance, with unknown fields refused."""
    from googleapiclient.discovery_cache import get_static_doc

    schemas = json.loads(get_static_doc("compute", "v1"))["schemas"]
    known = {name: strict(schema) for name, schema in schemas.items()}
    return jsonschema.Draft202012Validator({"$ref": "#/$defs/Instance", "$defs": known})


def strict(schema):
    """A schema of Google's as JSON Schema."""
    kept = {}
    is_wide = schema.get("format") in ("int64", "uint64")  # a text, or a number all the same
    for key, value in schema.items():
        if key == "$ref":
            kept[key] = f"#/$defs/{value}"
        elif key == "properties":
            kept |= {key: {n: strict(s) for n, s in value.items()}, "additionalProperties": False}
        elif key in ("items", "additionalProperties"):
            kept[key] = strict(value)
        elif key in ("type", "enum") and value != "any":
            kept[key] = ["string", "integer"] if is_wide else value
    return kept
