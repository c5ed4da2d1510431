"""The cloud files against Ray's own schema and code, the specs, the pins and the README."""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from sweeps.search.database import unusable
from sweeps.spec.bill import make_bill
from sweeps.spec.fleet import load_fleet
from sweeps.spec.load import load_spec
from sweeps.spec.plan import plan_sweep
from ulm.regimes import Regime

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "cluster").glob("*.yaml"))
CLOUD = [file for file in FILES if file.stem != "on_prem"]
README = ROOT / "cluster" / "README.md"
TAG_RAY_NODE_KIND = "ray-node-type"
COMMANDS = ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands")


def name_of(file):
    return file.name


def read(file):
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def prepared(config):
    from ray.autoscaler._private.util import prepare_config, validate_config

    ready = prepare_config(copy.deepcopy(config))
    validate_config(ready)
    return ready


def commands(config):
    return [command for key in COMMANDS for command in config[key]]


def workers(config):
    types = config["available_node_types"]
    return {name: kind for name, kind in types.items() if name != config["head_node_type"]}


def head(config):
    return config["available_node_types"][config["head_node_type"]]


def option(command, name):
    return re.search(rf"--{name}=(\S+)", command).group(1)


def pins(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    parts = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, _, version in parts}


def test_there_is_a_file_for_each_place():
    assert {file.stem for file in FILES} == {"cluster", "gcp", "on_prem"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_file_passes_rays_preparation_and_schema(file):
    prepared(read(file))


@pytest.mark.parametrize("wrong", [{"max_worker": 3}, {"head_node_type": "haed"}])
def test_the_check_above_refuses_what_is_wrong(wrong):
    with pytest.raises(Exception, match=r"max_worker|must be one of"):
        prepared({**read(CLOUD[0]), **wrong})


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_workers_go_from_none_to_a_maximum_and_the_head_is_no_worker(file):
    ready = prepared(read(file))
    assert head(ready)["max_workers"] == 0
    for kind in workers(ready).values():
        assert (kind["min_workers"], kind["max_workers"]) == (0, ready["max_workers"])


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_every_node_type_has_a_price_and_a_market_as_ray_labels(file):
    from ray._private.label_utils import validate_node_label_syntax

    for kind in read(file)["available_node_types"].values():
        validate_node_label_syntax(kind["labels"])
        assert float(kind["labels"]["price-per-hour"]) > 0
        assert kind["labels"]["market"] in ("spot", "on-demand")


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_a_trial_of_imdb_fits_on_a_worker_and_its_bow_trials_on_the_head(file):
    config, spec = read(file), load_spec("imdb")
    assert Regime.BOW in spec.regimes
    for kind in workers(config).values():
        assert kind["resources"]["CPU"] >= spec.resources.cpus
        assert kind["resources"]["GPU"] >= spec.resources.gpus > 0
    assert head(config)["resources"]["CPU"] >= spec.resources.cpus
    assert "GPU" not in head(config)["resources"]


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_workers_are_spot_machines_and_the_head_is_not(file):
    config = read(file)
    spot = re.compile("spot", re.IGNORECASE)
    for kind in workers(config).values():
        assert kind["labels"]["market"] == "spot"
        assert spot.search(json.dumps(kind["node_config"]))
    assert head(config)["labels"]["market"] == "on-demand"
    assert not spot.search(json.dumps(head(config)["node_config"]))


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_an_idle_worker_outlives_its_boot(file):
    assert read(file)["idle_timeout_minutes"] >= 15


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_path_of_the_clone_that_a_file_names_exists(file):
    config = read(file)
    assert config["file_mounts"]["~/ulm-sweeps"] == "."
    named = re.findall(r"~/ulm-sweeps/(\S+)", " ".join(commands(config)))
    assert len(named) >= 2
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_all_nodes_get_the_users_token_and_start_ray_with_room_for_files(file):
    config = read(file)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    starts = [command for command in commands(config) if "ray start" in command]
    assert len(starts) == 2
    for command in starts:
        assert "ulimit -n 65536" in command
        assert "unset OMP_NUM_THREADS" in command
    assert "RAY_AUTH_MODE=token" in (ROOT / "cluster" / "setup_node.sh").read_text()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_silent_node_is_noticed_after_fifteen_seconds_and_one_miss_does_not_end_it(file):
    start = next(c for c in read(file)["head_start_ray_commands"] if "--head" in c)
    checks = json.loads(option(start, "system-config").strip("'"))
    each_ms = checks["health_check_period_ms"] + checks["health_check_timeout_ms"]
    assert each_ms * checks["health_check_failure_threshold"] == 15_000
    assert checks["health_check_failure_threshold"] >= 3
    assert option(start, "dashboard-host") == "127.0.0.1"


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_the_autoscaler_reads_that_machines_are_asked_for_one_by_one(file):
    start = next(c for c in read(file)["head_start_ray_commands"] if "--head" in c)
    (words,) = re.findall(r"export ([^;]+);", start)
    code = (
        "from ray.autoscaler.v2.instance_manager import config, node_provider as n;"
        "seconds = config.InstanceReconcileConfig().request_status_timeout_s;"
        "print(n.AUTOSCALER_MAX_LAUNCH_BATCH, seconds)"
    )
    environment = os.environ | dict(word.split("=") for word in words.split())
    told = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert told.split() == ["1", "120"]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_what_a_file_starts_with_ray_start_is_known_to_the_installed_ray(file):
    from ray.scripts.scripts import start

    known = {name for parameter in start.params for name in parameter.opts}
    text = " ".join(c for c in commands(read(file)) if "ray start" in c)
    used = set(re.findall(r"(--[a-z-]+)", text))
    assert used >= {"--head", "--address", "--system-config"}
    assert used <= known


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_spot_workers_watch_for_the_notice_of_their_own_cloud(file):
    config = read(file)
    cloud = config["provider"]["type"]
    assert any(f"--cloud {cloud}" in c for c in config["worker_start_ray_commands"])
    assert not any("spot_notice" in c for c in config["head_start_ray_commands"])
    assert f"SWEEP_EXTRAS={cloud}" in " ".join(config["setup_commands"])


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_workers_alone_stop_when_ray_is_gone_and_later_than_their_setup_takes(file, tmp_path):
    watcher = read(file)["setup_commands"][0]
    assert int(re.search(r"--stop-after-minutes (\d+)", watcher).group(1)) >= 30
    (tmp_path / "setsid").write_text('#!/bin/sh\necho "$@" >> "$HOME/started"\n')
    (tmp_path / "setsid").chmod(0o755)
    for head in ({}, {"RAY_HEAD_IP": "10.0.0.1"}):
        paths = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
        subprocess.run(["bash", "-c", f"{watcher}; wait"], env=paths | head, check=True)
        assert (tmp_path / ".ulm-sweeps").is_dir() is bool(head)
    for _ in range(100):
        if (tmp_path / "orphan.log").exists() and (tmp_path / "started").exists():
            break
        time.sleep(0.05)
    (started,) = (tmp_path / "started").read_text().splitlines()
    assert started.endswith(
        f"python3 {tmp_path}/ulm-sweeps/cluster/orphan.py --stop-after-minutes 30"
    )


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_storage_is_left_to_fill_in_and_setup_refuses_it_unfilled(file):
    assert re.search(r"SWEEP_STORAGE=\S*FILL-IN", " ".join(read(file)["setup_commands"]))
    assert "*FILL-IN*) fail" in (ROOT / "cluster" / "setup_node.sh").read_text()


def test_own_machines_have_addresses_and_all_of_them_join_at_once():
    ready = prepared(read(ROOT / "cluster" / "on_prem.yaml"))
    (kind,) = ready["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(ready["provider"]["worker_ips"])


@pytest.fixture
def ec2(tmp_path, monkeypatch):
    """An account in memory, without machines."""
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        from ray.autoscaler._private.aws import config, utils

        for cached in (utils.resource_cache, utils.client_cache, config._get_subnets_or_die):
            cached.cache_clear()
        yield boto3.resource("ec2", region_name="us-west-2")


def default_network(ec2):
    (vpc,) = ec2.vpcs.filter(Filters=[{"Name": "is-default", "Values": ["true"]}])
    return vpc


def another_network(ec2):
    """One with a public subnet."""
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")
    subnet = vpc.create_subnet(CidrBlock="10.9.0.0/24", AvailabilityZone="us-west-2a")
    subnet.meta.client.modify_subnet_attribute(
        SubnetId=subnet.id, MapPublicIpOnLaunch={"Value": True}
    )
    return vpc


def group_of_the_readme(ec2, vpc):
    """A group with the rules that the README gives it."""
    group = ec2.create_security_group(GroupName="ulm-sweeps", Description="x", VpcId=vpc.id)
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    group.authorize_ingress(
        IpPermissions=[
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group.id}]},
            {**ssh, "IpRanges": [{"CidrIp": "203.0.113.7/32"}]},
        ]
    )
    return group


def filled_in(group):
    """The file for AWS with a security group."""
    text = (ROOT / "cluster" / "cluster.yaml").read_text(encoding="utf-8")
    assert text.count("[sg-FILL-IN]") == 1
    return yaml.safe_load(text.replace("[sg-FILL-IN]", f"[{group.id}]"))


def bootstrapped(config):
    from ray.autoscaler._private.aws.config import bootstrap_aws

    return bootstrap_aws(prepared(config))


def test_aws_bootstrap_fills_in_network_and_key_and_keeps_what_the_file_says(tmp_path, ec2):
    config = filled_in(group_of_the_readme(ec2, default_network(ec2)))
    zones = {
        zone["ZoneName"]
        for zone in ec2.meta.client.describe_availability_zones()["AvailabilityZones"]
    }
    ready = bootstrapped(config)
    assert Path(ready["auth"]["ssh_private_key"]).is_relative_to(tmp_path)
    for name, kind in ready["available_node_types"].items():
        node = kind["node_config"]
        given = config["available_node_types"][name]["node_config"]
        assert {key: node[key] for key in given} == given
        subnets = [ec2.Subnet(subnet) for subnet in node["SubnetIds"]]
        assert {subnet.availability_zone for subnet in subnets} == zones
    assert "IamInstanceProfile" not in ready["head_node"]  # no account-wide rights made up


def workers_and_head(config):
    return config["available_node_types"].values()


def opened(ec2, ready):
    """Who may come in on port 22."""
    ((group,),) = {tuple(n["node_config"]["SecurityGroupIds"]) for n in workers_and_head(ready)}
    rules = ec2.SecurityGroup(group).ip_permissions
    return [r["CidrIp"] for rule in rules if rule.get("FromPort") == 22 for r in rule["IpRanges"]]


@pytest.mark.parametrize("place", [0, 1])
def test_the_group_of_the_file_and_its_network_are_used_and_ray_adds_no_rule(ec2, place):
    vpc = (default_network(ec2), another_network(ec2))[place]
    group = group_of_the_readme(ec2, vpc)
    ready = bootstrapped(filled_in(group))
    assert opened(ec2, ready) == ["203.0.113.7/32"]
    assert len(ec2.SecurityGroup(group.id).ip_permissions) == 2
    subnets = {
        name for kind in workers_and_head(ready) for name in kind["node_config"]["SubnetIds"]
    }
    assert {ec2.Subnet(name).vpc_id for name in subnets} == {vpc.id}


def test_a_group_that_is_not_filled_in_is_refused_before_any_machine_is_asked_for(ec2, capsys):
    with pytest.raises(AssertionError, match=r"^$"):  # Ray has printed why
        bootstrapped(read(ROOT / "cluster" / "cluster.yaml"))
    assert "Failed to detect a security group" in "".join(capsys.readouterr())


def test_where_a_file_names_no_group_ray_makes_one_with_ssh_open_to_the_world(ec2):
    config = read(ROOT / "cluster" / "cluster.yaml")
    for kind in workers_and_head(config):
        del kind["node_config"]["SecurityGroupIds"]
    assert opened(ec2, bootstrapped(config)) == ["0.0.0.0/0"]


def asked_for(ec2, kind):
    """What Ray asks for, with an image and without a profile: those are the account's to know."""
    node = kind["node_config"] | {"ImageId": next(iter(ec2.images.all())).id}
    del node["IamInstanceProfile"]
    return node


def test_a_machine_that_is_shut_down_from_inside_is_terminated_and_ec2_knows_the_words(ec2):
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    ready = bootstrapped(filled_in(group_of_the_readme(ec2, default_network(ec2))))
    provider = AWSNodeProvider(ready["provider"], ready["cluster_name"])
    for kind in workers_and_head(ready):
        (made,) = provider.create_node(asked_for(ec2, kind), {"ray-node-name": "x"}, 1)
        told = ec2.Instance(made).describe_attribute(Attribute="instanceInitiatedShutdownBehavior")
        assert told["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files of Ray's
def test_a_head_ends_its_workers_and_not_itself_by_the_words_of_the_readme(
    ec2, tmp_path, monkeypatch
):
    from ray.autoscaler._private import commands
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.scripts.scripts import down

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # Ray keeps what it has filled in
    monkeypatch.setattr(commands, "POLL_INTERVAL", 0)
    ready = bootstrapped(filled_in(group_of_the_readme(ec2, default_network(ec2))))
    provider = AWSNodeProvider(ready["provider"], ready["cluster_name"])
    for name, kind in ready["available_node_types"].items():
        tags = {TAG_RAY_NODE_KIND: "head" if name == "head" else "worker", "ray-node-name": name}
        provider.create_node(asked_for(ec2, kind), tags, 1)
    (words,) = re.findall(r"ray down ~/ray_bootstrap_config.yaml ([^;]+);", README.read_text())
    with commands._set_up_config_for_head_node(ready, provider, False)[1] as left_on_the_head:
        done = CliRunner().invoke(down, [left_on_the_head.name, *words.split()])
    assert done.exit_code == 0, done.output
    alive = provider.non_terminated_nodes({})
    assert [provider.node_tags(node)[TAG_RAY_NODE_KIND] for node in alive] == ["head"]


@pytest.mark.parametrize("page", [ROOT / "README.md", README], ids=["README", "cluster/README"])
def test_every_command_of_ray_that_a_page_names_is_known_to_the_installed_ray(page):
    from ray.scripts.scripts import cli

    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w./-])ray ([a-z][a-z-]+) ((?:--?[a-z-]+ )*)(?=[\w~$])", text)
    assert {"up", "submit", "attach", "down"} <= {verb for verb, _ in named}
    for verb, options in named:
        known = {name for parameter in cli.commands[verb].params for name in parameter.opts}
        assert set(options.split()) <= known, verb


def test_extra_requirements_are_exact_and_agree_with_the_constraints_and_each_other():
    everywhere = dict(pins(ROOT / "constraints.txt"))
    files = sorted((ROOT / "cluster" / "requirements").glob("*.txt"))
    assert {file.stem for file in files} == {"aws", "gcp", "kubernetes", "mlflow"}
    for file in files:
        extra = pins(file)
        assert all(re.fullmatch(r"[\w.]+", version) for version in extra.values()), file
        differing = {n for n, version in extra.items() if everywhere.get(n, version) != version}
        assert differing == set(), file
        everywhere |= extra


def test_the_driver_that_a_postgresql_url_means_is_what_nodes_install_and_what_an_error_names():
    url = "postgresql://me@host/sweeps"
    driver = make_url(url).get_dialect().driver
    assert driver in pins(ROOT / "cluster" / "requirements" / "mlflow.txt")
    assert f'pip install "{driver}[binary]"' in str(unusable(url, OSError("gone")))


def test_the_image_installs_by_the_same_setup_and_pins_nothing_of_its_own():
    text = (ROOT / "cluster" / "Dockerfile").read_text(encoding="utf-8")
    assert "bash /opt/ulm-sweeps/cluster/setup_node.sh" in text
    assert "pip install" not in text
    assert "==" not in text
    for source in re.findall(r"^COPY (.+) \S+$", text, flags=re.MULTILINE):
        assert [name for name in source.split() if not (ROOT / name).exists()] == []
    extras = re.search(r'SWEEP_EXTRAS="([^"]+)"', text).group(1).split()
    assert all((ROOT / f"cluster/requirements/{name}.txt").is_file() for name in extras)


@pytest.mark.parametrize("file", CLOUD, ids=name_of)
def test_the_readme_states_the_hourly_cost_that_the_labels_give(file):
    config = read(file)
    price = float(head(config)["labels"]["price-per-hour"])
    most = price + sum(
        kind["max_workers"] * float(kind["labels"]["price-per-hour"])
        for kind in workers(config).values()
    )
    row = next(line for line in README.read_text().splitlines() if f"[`{file.name}`]" in line)
    assert f"{price:.2f}" in row
    assert f"{most:.2f}" in row


def test_the_readme_states_the_money_that_a_plan_of_imdb_foresees_in_both_precisions():
    fleet = load_fleet(ROOT / "cluster" / "cluster.yaml")
    for precision in ("fp32", "bf16"):
        spec = load_spec("imdb", {"language_model.precision": precision})
        assert f" ${make_bill(plan_sweep(spec), spec, fleet).money:.0f} " in README.read_text()


def test_every_file_that_the_readme_names_or_links_exists():
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/])cluster/[\w./-]+\w", text))
    linked = {f"cluster/{target}" for target in re.findall(r"\]\(([\w./-]+)\)", text)}
    assert len(named) >= 5
    assert len(linked) >= 8
    assert sorted(name for name in named | linked if not (ROOT / name).exists()) == []
