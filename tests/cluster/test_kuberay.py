"""The Kubernetes manifests against Kubernetes' schema, KubeRay's and Ray's own reading.

Pod templates, most of a CRD, are checked against the published schema of Kubernetes. `SPECS` is
what the CRDs of RayCluster and RayJob have around them: fields, types, values and what is required,
as read in KubeRay's repository at 12cb11e48 (`ray.io_raycronjobs.yaml` holds both specs), with the
newer `secretName` as the CRD reference of KubeRay 1.6.2 has it. The CRD files themselves, most of a
megabyte each, are checked too where a folder with them is named:
`KUBERAY_CRDS=kuberay/ray-operator/config/crd/bases pytest tests/cluster/test_kuberay.py`.
"""

import copy
import os
import re
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from sweeps.spec.load import load_spec

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cluster" / "kuberay"
FILES = {"RayCluster": FOLDER / "raycluster.yaml", "RayJob": FOLDER / "rayjob.yaml"}

TEXT, INTEGER, FLAG = (
    {"type": "string"},
    {"type": "integer", "format": "int32"},
    {"type": "boolean"},
)
KUBERNETES = "1.30"  # and the latest that the library has


def texts(value=TEXT):
    return {"type": "object", "additionalProperties": value}


def items(value):
    return {"type": "array", "items": value}


def fields(required=(), **properties):
    return {"type": "object", "required": list(required), "properties": properties}


OBJECT = {"type": "object"}  # Kubernetes' own: checked elsewhere, or not used here
GROUP = {
    "rayStartParams": texts(),
    "labels": texts(),
    "resources": texts(),
    "template": OBJECT,  # a pod's
}
CLUSTER = fields(
    ("headGroupSpec",),
    rayVersion=TEXT,
    authOptions=fields(mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=fields(
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        version={"enum": ["v1", "v2"]},
        idleTimeoutSeconds=INTEGER,
        image=TEXT,
        imagePullPolicy=TEXT,
        env=items(OBJECT),
        envFrom=items(OBJECT),
        resources=OBJECT,
        securityContext=OBJECT,
        volumeMounts=items(OBJECT),
    ),
    gcsFaultToleranceOptions=fields(
        ("redisAddress",),
        redisAddress=TEXT,
        redisUsername=OBJECT,
        redisPassword=OBJECT,
        externalStorageNamespace=TEXT,
    ),
    headGroupSpec=fields(
        ("template",), enableIngress=FLAG, headService=OBJECT, serviceType=TEXT, **GROUP
    ),
    headServiceAnnotations=texts(),
    workerGroupSpecs=items(
        fields(
            ("groupName", "minReplicas", "maxReplicas", "template"),
            groupName=TEXT,
            replicas=INTEGER,
            minReplicas=INTEGER,
            maxReplicas=INTEGER,
            idleTimeoutSeconds=INTEGER,
            numOfHosts=INTEGER,
            scaleStrategy=fields(workersToDelete=items(TEXT)),
            suspend=FLAG,
            **GROUP,
        )
    ),
    upgradeStrategy=fields(type={"enum": ["Recreate", "None"]}),
    managedBy=TEXT,
    suspend=FLAG,
)
SPECS = {
    "RayCluster": CLUSTER,
    "RayJob": fields(
        entrypoint=TEXT,
        entrypointNumCpus={"type": "number"},
        entrypointNumGpus={"type": "number"},
        entrypointResources=TEXT,
        runtimeEnvYAML=TEXT,
        jobId=TEXT,
        metadata=texts(),
        submissionMode=TEXT,
        submitterConfig=fields(backoffLimit=INTEGER),
        submitterPodTemplate=OBJECT,
        backoffLimit=INTEGER,
        activeDeadlineSeconds=INTEGER,
        shutdownAfterJobFinishes=FLAG,
        ttlSecondsAfterFinished=INTEGER,
        deletionStrategy=OBJECT,
        clusterSelector=texts(),
        rayClusterSpec=CLUSTER,
        managedBy=TEXT,
        suspend=FLAG,
    ),
}
SUBMISSION_MODES = ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]


def strict(schema):
    """The schema with unknown fields refused, which the API server would drop without a word."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    whole = {key: strict(value) for key, value in schema.items()}
    if "properties" in whole and not whole.get("x-kubernetes-preserve-unknown-fields"):
        whole.setdefault("additionalProperties", False)
    return whole


def read(kind):
    return yaml.safe_load(FILES[kind].read_text(encoding="utf-8"))


def cluster_of(manifest):
    return manifest["spec"].get("rayClusterSpec", manifest["spec"])


def pods(spec):
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [{"apiVersion": "v1", "kind": "Pod", **group["template"]} for group in groups]


def containers(spec):
    return [one for pod in pods(spec) for one in pod["spec"]["containers"]]


def check_pods(spec, version=KUBERNETES):
    for pod in pods(spec):
        kubernetes_validate.validate(pod, version, strict=True)


def edited(path, value):
    manifest = read("RayCluster")
    *before, last = path
    place = manifest["spec"]
    for key in before:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return manifest


@pytest.mark.parametrize("kind", FILES)
def test_a_manifest_passes_what_the_crd_says_around_its_pods(kind):
    manifest = read(kind)
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", kind)
    jsonschema.validate(manifest["spec"], strict(SPECS[kind]))
    assert manifest["spec"].get("submissionMode", "K8sJobMode") in SUBMISSION_MODES


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("workerGroupSpecs", 0, "maxReplica"), 8),
        (("workerGroupSpecs", 0, "maxReplicas"), "8"),
        (("headGroupSpec", "template"), None),
        (("authOptions", "mode"), "tokens"),
    ],
)
def test_the_check_above_refuses_what_is_wrong(path, value):
    with pytest.raises(jsonschema.ValidationError, match=r"not of type|required|one of|unexpected"):
        jsonschema.validate(edited(path, value)["spec"], strict(CLUSTER))


@pytest.mark.parametrize("version", [KUBERNETES, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", FILES)
def test_its_pods_pass_the_schema_of_kubernetes(kind, version):
    check_pods(cluster_of(read(kind)), version)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("containers", 0, "enviroment"), []),
        (("containers", 0, "ports"), [{"containerPort": "6379"}]),
        (("containers", 0, "env"), [{"value": "without a name"}]),
        (("tolerations",), {"key": "nvidia.com/gpu"}),
        (("terminationGracePeriodSeconds",), "25s"),
    ],
)
def test_that_schema_refuses_what_is_wrong(path, value):
    manifest = edited(("workerGroupSpecs", 0, "template", "spec", *path), value)
    with pytest.raises(kubernetes_validate.ValidationError, match=path[-1]):
        check_pods(manifest["spec"])


@pytest.mark.parametrize("kind", FILES)
def test_a_manifest_passes_the_real_crd(kind):
    folder = os.environ.get("KUBERAY_CRDS")
    if not folder:
        pytest.skip("KUBERAY_CRDS names no folder with KubeRay's CRDs")
    file = Path(folder) / f"ray.io_{kind.lower()}s.yaml"
    versions = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["versions"]
    schema = next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1")
    jsonschema.validate(read(kind)["spec"], strict(schema["properties"]["spec"]))


def test_the_job_has_the_cluster_of_the_cluster_file():
    assert read("RayJob")["spec"]["rayClusterSpec"] == read("RayCluster")["spec"]


def test_rays_autoscaler_reads_none_to_eight_workers_that_fit_a_trial_of_imdb():
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _derive_autoscaling_config_from_ray_cr,
    )

    manifest = copy.deepcopy(read("RayCluster"))
    manifest["metadata"]["namespace"] = "default"
    config = _derive_autoscaling_config_from_ray_cr(manifest)
    head, workers = (config["available_node_types"][n] for n in ("headgroup", "gpu-workers"))
    wanted = load_spec("imdb").resources
    assert (workers["min_workers"], workers["max_workers"], config["max_workers"]) == (0, 8, 8)
    assert workers["resources"]["CPU"] >= wanted.cpus
    assert workers["resources"]["GPU"] >= wanted.gpus > 0
    assert head["resources"]["CPU"] >= wanted.cpus  # bow
    assert "GPU" not in head["resources"]
    assert workers["labels"]["market"] == "spot"
    assert config["idle_timeout_minutes"] >= 15


def test_ray_version_is_the_pinned_one_and_all_containers_run_one_image():
    pin = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE).group(1)
    for kind in FILES:
        spec = cluster_of(read(kind))
        assert spec["rayVersion"] == pin
        assert len({one["image"] for one in containers(spec)}) == 1


def test_the_image_is_tagged_with_the_version_of_the_package():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    (image,) = {one["image"] for one in containers(read("RayCluster")["spec"])}
    assert image.endswith(f"/ulm-sweeps:{version.group(1)}")


def test_the_token_comes_from_a_secret_and_no_secret_is_in_the_files():
    for kind in FILES:
        assert cluster_of(read(kind))["authOptions"]["secretName"] == "ulm-sweeps-token"
        assert not re.search(r"(?i)password|secret_?key\b|RAY_AUTH_TOKEN,", FILES[kind].read_text())


def test_a_pod_has_time_to_drain_before_kubernetes_kills_it():
    spec = read("RayCluster")["spec"]
    environment = {e["name"]: e["value"] for e in containers(spec)[0]["env"]}
    grace = spec["workerGroupSpecs"][0]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert float(environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]) < grace <= 30


def test_pods_notice_a_silent_node_as_the_other_clusters_do():
    spec = read("RayCluster")["spec"]
    environment = {e["name"]: e["value"] for e in containers(spec)[0]["env"]}
    text = (ROOT / "cluster" / "cluster.yaml").read_text(encoding="utf-8")
    for name in ("initial_delay_ms", "period_ms", "timeout_ms", "failure_threshold"):
        value = environment[f"RAY_health_check_{name}"]
        assert f'"health_check_{name}":{value}' in text


def test_mlflow_is_seen_inside_the_head_pod_alone():
    (server,) = [c for c in containers(read("RayCluster")["spec"]) if c["name"] == "mlflow"]
    assert server["command"][-2:] == ["/opt/ulm-sweeps/cluster/mlflow_server.sh", "foreground"]
    assert "ports" not in server
    assert not any(e["name"] == "MLFLOW_LISTEN" for e in server["env"])


def test_the_job_goes_to_the_head_as_a_whole_and_waits_for_mlflow_before_the_sweep(tmp_path):
    job = read("RayJob")["spec"]["entrypoint"]
    (tmp_path / "bin").mkdir()
    for name, does in {"ray": 'printf "%s\\n" "$@"', "sweep": 'echo "$PWD sweep $*"'}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{does}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)

    def shell(line):
        path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
        command = ["bash", "-c", line]
        return subprocess.check_output(command, env={"PATH": path, "HOME": "/"}, text=True)

    # As in KubeRay's BuildJobSubmitCommand and in `ray job submit`.
    words = shell(f"if true ; then ray job submit --no-wait -- {job} ; fi").splitlines()
    on_head = subprocess.list2cmdline(words[words.index("--") + 1 :])
    before, waits, after = on_head.partition("bash /opt/ulm-sweeps/cluster/mlflow_server.sh wait")
    assert waits
    assert shell(f"{before}true{after}") == "/ sweep run imdb\n"
