"""Starts a head and other nodes on this machine; prints the address; ends when stdin does.

One JSON argument: for each node after the head, the keyword arguments of `Cluster.add_node`.
"""

import json
import os
import sys

from ray.cluster_utils import Cluster

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_log_monitor": False}
HEAD = {**SMALL, "node_name": "head", "include_dashboard": False, "no_monitor": True}


def add(cluster: Cluster, env_vars: dict[str, str] | None = None, **arguments) -> None:
    """A node inherits this process's environment, so variables are set while it starts."""
    before = dict(os.environ)
    os.environ.update(env_vars or {})
    cluster.add_node(**SMALL, **arguments)
    os.environ.clear()
    os.environ.update(before)


cluster = Cluster(initialize_head=True, head_node_args=HEAD)
for node in json.loads(sys.argv[1]):
    add(cluster, **node)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
