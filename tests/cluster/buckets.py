"""A local S3 server, and nodes of Ray on this machine that use it, each with a cache of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

NODES = Path(__file__).with_name("nodes_of_one_machine.py")
PATIENCE_SECONDS = 900
COLOURS = re.compile(r"\x1b\[\d+m")


class Server:
    """A local S3 server, with one line in `log` for each request."""

    def __init__(self):
        self.log = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stderr:
            if found := re.search(r"Running on (http://[\d.:]+)", line):
                self.address = found[1]
                break
        self._reader = threading.Thread(target=lambda: self.log.extend(self._process.stderr))
        self._reader.start()

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._process.stderr.close()


def environment_of(server):
    return {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Machines:
    """Ray nodes of one machine, each with a cache of its own, and a head that runs verbs."""

    def __init__(self, folder, server, bucket):
        self.head = folder / "head"
        self.head.mkdir()
        self.caches = [folder / f"cache-{number}" for number in range(3)]
        self._ray_folder = tempfile.mkdtemp(prefix="r", dir="/tmp")  # socket paths stay short
        self.environment = {
            **os.environ,
            **environment_of(server),
            "HOME": str(folder),
            "OMP_NUM_THREADS": "1",
            "RAY_TMPDIR": self._ray_folder,
            "SWEEP_CACHE": str(self.caches[0]),
            "SWEEP_STORAGE": f"{bucket}/runs",
        }
        workers = [{"env_vars": {"SWEEP_CACHE": str(cache)}} for cache in self.caches[1:]]
        self._nodes = subprocess.Popen(
            [sys.executable, str(NODES), json.dumps(workers)],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.environment["RAY_ADDRESS"] = self._nodes.stdout.readline().strip()

    def sweep(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "sweeps.cli", *arguments],
            cwd=self.head,
            env={**self.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def end_nodes(self):
        self._nodes.stdin.close()
        self._nodes.wait(PATIENCE_SECONDS)
        self._nodes.stdout.close()

    def close(self):
        if not self._nodes.stdin.closed:
            self.end_nodes()
        shutil.rmtree(self._ray_folder, ignore_errors=True)


def downloads(server, pattern):
    """Paths of the files of the bucket that were read, once for each time."""
    lines = [re.search(r'"GET (\S+)', COLOURS.sub("", line)) for line in server.log]
    return [found[1] for found in lines if found and re.search(pattern, found[1])]
