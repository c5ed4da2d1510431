"""`ray up` of the file for AWS: from no worker to spot machines and back, with a bucket.

Machines are those of aws.py. The words are the documented ones, the file is the shipped one with
bucket and group filled in, smaller machines, less patience with idle ones, and nobody who shuts one
down.
"""

import pytest
import yaml
from aws import BUCKET, ENVIRONMENT, Cloud
from hosts import ROOT, Site, obstacle, wait

OBSTACLE = obstacle()
SMALL = (
    *("--set", "sizes=[100]"),
    *("--set", "regimes=[bow, domain]"),
    *("--set", "seeds=4"),
    *("--set", "classifier.epochs=8"),
    *("--set", "search.classifier.trials=1"),
    *("--set", "search.bow.trials=1"),
)
NUM_TRIALS = 4 * (1 + 1) + 4 * (2 + 1 + 1)
MOST_WORKERS = 2


def filled_in(group):
    """The shipped file for a bucket and a group, with machines that lend one CPU each."""
    text = (ROOT / "cluster" / "cluster.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("sg-FILL-IN", group))
    config |= {"max_workers": MOST_WORKERS, "idle_timeout_minutes": 0.5}
    setup = [c.replace("FILL-IN", BUCKET) for c in config["setup_commands"]]
    # the hosts share a kernel: nobody shuts it down
    config["setup_commands"] = [c for c in setup if "orphan.py" not in c]
    for kind in config["available_node_types"].values():
        kind["resources"] = {"CPU": 1, "GPU": 0}
        kind["max_workers"] = min(kind["max_workers"], MOST_WORKERS)
    return config


def watches(site, instance):
    """Whether an instance is set up, and waits for notices."""
    log = site.hosts[instance.id].home / "spot_notice.log"
    return log.exists() and "watching aws" in log.read_text(encoding="utf-8")


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))
def test_the_file_for_aws_starts_spot_workers_for_a_sweep_and_ends_them_when_idle(tmp_path, step):
    site = Site(folder=tmp_path / "site", environment=ENVIRONMENT)
    file = site.folder / "cluster.yaml"
    cloud = Cloud(site, key=site.home / ".ssh" / "ray-autoscaler_us-west-2.pem")
    try:
        with step("aws: a cloud on this machine"):
            site.start()
            cloud.start()
            file.write_text(yaml.safe_dump(filled_in(cloud.group)), encoding="utf-8")
        with step("aws: ray up, one machine on demand"):
            site.ray("get-auth-token", "--generate")
            site.ray("up", "-y", str(file))
            (head,) = cloud.running("head")
            assert (head.market, head.profile) == ("on-demand", "ulm-sweeps-head")
            assert cloud.running("worker") == []
        submit = ("ray", "submit", str(file), "sweeps/sweep.py", "--")
        with step("aws: ray submit, spot workers come"):
            sweep = site.start_on_client(*submit, "run", "sweeps/specs/demo.yaml", *SMALL)
            wait(lambda: len(cloud.running("worker")) == MOST_WORKERS)
            worker = cloud.running("worker")[0]
            assert (worker.market, worker.profile) == ("spot", "ulm-sweeps-worker")
            wait(lambda: watches(site, worker))
        with step("aws: a spot worker is taken back after a notice"):
            assert "AWS will terminate this machine: drained node" in cloud.take_back(worker)
        with step("aws: the sweep ends"):
            shown, _ = sweep.communicate()
            assert f"trained {NUM_TRIALS} trials" in shown
        with step("aws: idle workers are ended"):
            wait(lambda: cloud.running("worker") == [])
        with step("aws: ray down"):
            site.ray("down", "-y", str(file))
            wait(lambda: cloud.running("head") == [])
    finally:
        cloud.stop()
        site.stop()
