"""AWS: a cloud whose instances are hosts of this machine.

moto answers the calls of EC2, IAM and S3 in the client's network; for every instance that runs
there a host is booted with the instance's two addresses and its key, and switched off when the
instance is terminated. What is tried is what the launcher and the autoscaler ask of AWS, and what
happens on the machines they get; not AWS's own rights, prices and images.

As a script, in the client's network: `serve` is moto; `watch FOLDER` makes the bucket, the profiles
and the security group that a user makes once, prints the group's id, answers questions for notices
as the metadata service, and prints an instance as a line of JSON whenever it changes.
"""

import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from hosts import CLIENT, Site, run, wait

PORT = 5566
METADATA = "169.254.169.254"
BUCKET = "a-bucket"
PROFILES = ("ulm-sweeps-head", "ulm-sweeps-worker")
ENVIRONMENT = {
    "AWS_ENDPOINT_URL": f"http://{CLIENT}:{PORT}",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_EC2_METADATA_DISABLED": "true",
}
RUNNING, GONE = "running", ("shutting-down", "terminated", "stopping", "stopped")


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """An instance as EC2 describes it.

    Args:
        id: Its id.
        state: `pending`, `running`, and so on.
        kind: `head` or `worker`, by Ray's tag.
        market: `spot` or `on-demand`.
        profile: Its instance profile.
        public: Its public address.
        private: Its private address.
        seconds: When it was seen so, since the cloud was started.
    """

    id: str
    state: str
    kind: str
    market: str
    profile: str
    public: str
    private: str
    seconds: float = 0.0


class Cloud:
    """The cloud of one site.

    Args:
        site: Whose client calls it; hosts are added to it.
        key: Private key that instances accept, once the launcher has made it.
    """

    def __init__(self, site: Site, key: Path) -> None:
        self._site, self._key = site, key
        self._notices = site.folder / "notices"
        self._follower = Thread(target=self._follow)
        self.log: list[Instance] = []
        """Every change."""
        self.group = ""
        """Id of the security group, once it is started."""

    def start(self) -> None:
        """Start the services; returns when the first instance can be asked for."""
        self._notices.mkdir()
        run("ip", "-n", self._site.client, "addr", "add", f"{METADATA}/32", "dev", "bridge")
        log = self._site.folder / "moto.log"
        serving = f"exec {sys.executable} {__file__} serve >{log} 2>&1"
        self._site.start_on_client("sh", "-c", serving)
        watching = (sys.executable, __file__, "watch", str(self._notices))
        self._watch = self._site.start_on_client(*watching)
        assert self._watch.stdout is not None
        self.group = self._watch.stdout.readline().strip()
        assert self.group.startswith("sg-"), log.read_text(encoding="utf-8")
        self._follower.start()

    def stop(self) -> None:
        """Boot no more hosts; what runs is the site's to end."""
        if self._follower.is_alive():
            self._watch.kill()
            self._follower.join()

    def take_back(self, instance: Instance) -> str:
        """Give a spot instance notice, and take it when its node is drained.

        Returns:
            What its watcher has noted.
        """
        noted = self._site.hosts[instance.id].home / "spot_notice.log"
        (self._notices / instance.private).touch()
        wait(lambda: "drained node" in noted.read_text(encoding="utf-8"))
        take = (
            f"import boto3; boto3.client('ec2').terminate_instances(InstanceIds=['{instance.id}'])"
        )
        self._site.on_client(sys.executable, "-c", take)
        wait(lambda: instance not in self.running(instance.kind))
        return noted.read_text(encoding="utf-8")

    def running(self, kind: str) -> list[Instance]:
        """Instances of a kind that run now."""
        last = {instance.id: instance for instance in self.log}
        return [i for i in last.values() if i.kind == kind and i.state == RUNNING]

    def _follow(self) -> None:
        for line in self._watch.stdout:
            instance = Instance(**json.loads(line))
            if instance.state == RUNNING and instance.id not in self._site.hosts:
                networks = (f"{instance.public}/32", f"{instance.private}/16")
                self._site.boot(self._site.add(instance.id, *networks), self._key)
            elif instance.state in GONE and instance.id in self._site.processes:
                self._site.vanish(instance.id)
            self.log.append(instance)


def describe(told: dict) -> dict[str, str]:
    """What `Instance` keeps of what EC2 says."""
    tags = {tag["Key"]: tag["Value"] for tag in told.get("Tags", ())}
    return {
        "id": told["InstanceId"],
        "state": told["State"]["Name"],
        "kind": tags.get("ray-node-type", ""),
        "market": told.get("InstanceLifecycle", "on-demand"),
        "profile": told.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2],
        "public": told.get("PublicIpAddress", ""),
        "private": told.get("PrivateIpAddress", ""),
    }


class Metadata(BaseHTTPRequestHandler):
    """The metadata service: tokens, and a notice to whom a file is named for."""

    def do_PUT(self) -> None:
        """A token."""
        self._answer(HTTPStatus.OK, "token")

    def do_GET(self) -> None:
        """What is announced, if anything."""
        is_noticed = Path(sys.argv[2], self.client_address[0]).exists()
        if is_noticed and self.path == "/latest/meta-data/spot/instance-action":
            at = datetime.now(UTC) + timedelta(minutes=2)
            self._answer(HTTPStatus.OK, json.dumps({"action": "terminate", "time": f"{at:%FT%TZ}"}))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Standard output is for instances."""


def watch() -> None:
    """Make what a user makes once and print the group's id, then print changes for ever."""
    import boto3
    from botocore.exceptions import EndpointConnectionError

    while True:
        try:
            boto3.client("s3").create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
            )
            break
        except EndpointConnectionError:
            time.sleep(0.2)
    for name in PROFILES:
        boto3.client("iam").create_instance_profile(InstanceProfileName=name)
    Thread(target=ThreadingHTTPServer((METADATA, 80), Metadata).serve_forever, daemon=True).start()
    ec2, seen, begin = boto3.client("ec2"), {}, time.monotonic()
    (network,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    group = ec2.create_security_group(
        GroupName="ulm-sweeps", Description="ulm-sweeps", VpcId=network["VpcId"]
    )
    print(group["GroupId"], flush=True)
    while True:
        for reservation in ec2.describe_instances()["Reservations"]:
            for told in map(describe, reservation["Instances"]):
                if seen.get(told["id"]) != told:
                    seen[told["id"]] = told
                    print(json.dumps({**told, "seconds": time.monotonic() - begin}), flush=True)
        time.sleep(0.5)


def serve() -> None:
    """Run moto, which starts MinCount instances where AWS starts up to MaxCount."""
    from moto.ec2.responses.instances import InstanceResponse
    from moto.server import main

    get = InstanceResponse._get_param

    def get_the_most(self, name, *arguments, **options):
        return get(self, "MaxCount" if name == "MinCount" else name, *arguments, **options)

    InstanceResponse._get_param = get_the_most
    main(["-H", CLIENT, "-p", str(PORT)])


if __name__ == "__main__":
    {"serve": serve, "watch": watch}[sys.argv[1]]()
