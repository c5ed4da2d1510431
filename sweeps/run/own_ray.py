"""Own Ray: a Ray on this machine alone, held by a process of its own that ends with its driver.

A driver makes an `OwnRay` and goes on with other work: starting Ray takes seconds, most of them
spent waiting. An address to join comes out. The process lives while the pipe from its driver is
open, so a killed driver leaves nothing behind; Ray's own agents would look for it for a minute.
"""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from sweeps.errors import ClusterError, describe_error
from sweeps.programs import PYTHON, with_this_code
from ulm.processors import processors

OBJECT_STORE_BYTES = 100 * 2**20  # nothing of size passes through it: workers map files
END_SECONDS = 20.0
LOOK_SECONDS = 2.0
# Ray's only switch for listening on loopback alone, whatever the system; else it is every address.
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
SETTINGS = {
    # Workers stay in its group, which can be ended as a whole; trials start no processes.
    "RAY_process_group_cleanup_enabled": "0",
    # Those started ahead wait for the first trials, however long texts are prepared; Ray ends idle
    # ones after a second as soon as trials have asked for their processors.
    "RAY_idle_worker_killing_time_threshold_ms": "3600000",
}
TOKEN = "RAY_AUTH_MODE"  # such a Ray wants a token; who joins it has to say so


def read_token_again() -> None:
    """Have a Ray library that is loaded already look at `TOKEN`, as it does itself when it must."""
    from ray._raylet import Config  # type: ignore[attr-defined]

    Config.initialize("")


class OwnRay:
    """A Ray that starts now and ends with the `with` block, or with this process."""

    def __init__(self) -> None:
        os.environ.setdefault(TOKEN, "token")
        if not _can_keep_token():
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        if "ray" not in sys.modules:
            os.environ[LOOPBACK] = "0"
        else:  # it has read both: the token again, the other for good
            read_token_again()
        self._is_told = False
        self._process = subprocess.Popen(
            [*PYTHON, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=with_this_code({**SETTINGS, **os.environ}),
            process_group=0,  # Ctrl-C is for the driver, which ends it in order
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._process:  # closes its pipes
            self.release()
            if self._is_up:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_SECONDS)
            with suppress(ProcessLookupError, PermissionError):  # all have ended; macOS, the other
                os.killpg(self._process.pid, signal.SIGKILL)

    def address(self) -> str:
        """Wait until it is there.

        Returns:
            `host:port` of its head.

        Raises:
            ClusterError: It does not come up.
        """
        line = self._told.readline()
        self._is_told = True
        told = json.loads(line) if line else {"failure": "its process ended"}
        if "failure" in told:
            raise not_up(told["failure"])
        return str(told["address"])

    def check(self) -> None:
        """Go on where it is as it was when it came up.

        Raises:
            ClusterError: A part of it has ended; trials would wait for ever.
        """
        if self._is_told and select.select([self._told], [], [], 0)[0]:
            line = self._told.readline()
            why = json.loads(line)["failure"] if line else "its process ended"
            raise ClusterError(
                f"Ray ended on this machine, by no order of this run ({why}): run again, trials go "
                "on from their last checkpoints; what it says is in RAY_TMPDIR/ray"
            )

    @property
    def _told(self) -> IO[bytes]:
        assert self._process.stdout is not None, "it has a pipe"
        return self._process.stdout

    @property
    def _is_up(self) -> bool:
        """Whether it has said where it is, or why it is not there: it then ends in order."""
        return self._is_told or bool(select.select([self._told], [], [], 0)[0])

    def release(self) -> None:
        """Let it end, without waiting; where it is still starting that is at once."""
        assert self._process.stdin is not None
        self._process.stdin.close()


def _can_keep_token() -> bool:
    """Whether Ray can keep its token at home, where others that this user starts find it."""
    kept = Path(os.path.expanduser("~/.ray/auth_token")).absolute()
    try:
        place = next(place for place in (kept, *kept.parents) if place.exists())
    except OSError:  # home is closed
        return False
    return os.access(place, os.R_OK if place == kept else os.W_OK)


def not_up(why: str) -> ClusterError:
    """The error of a Ray that does not start or can not be joined."""
    if "AF_UNIX" in why:  # the name of a socket is cut at about a hundred characters
        return ClusterError(
            f"Ray must have a short folder for its sockets ({why[:150]}): set RAY_TMPDIR=/tmp, or "
            "another short one, and run again"
        )
    return ClusterError(
        f"Ray must start on this machine, and did not ({why[:150]}): where it is busy or short of "
        "memory run again, else see its logs in RAY_TMPDIR/ray"
    )


def leave_out_what_serves_clusters() -> None:
    """Have Ray start without API server, autoscaler and log monitor: 0.6 of 3 s, 150 MiB.

    Ray's public settings leave none of them out. These are private names of Ray 2.60; a version
    that has others starts all three.
    """
    from ray._private import node, parameter

    class Params(parameter.RayParams):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self.no_monitor, self.include_log_monitor = True, False

    class Node(node.Node):
        def start_api_server(self, **_: Any) -> None:
            pass

    parameter.RayParams, node.Node = Params, Node


def main() -> None:
    """Start Ray, tell where it is, and end it when the driver is gone."""
    is_up, is_released = threading.Event(), threading.Event()
    driver = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints, also where its processes end

    def tell(key: str, value: str) -> None:
        with suppress(BrokenPipeError):  # the driver is gone already
            print(json.dumps({key: value}), file=driver, flush=True)

    def watch_driver() -> None:
        sys.stdin.buffer.read()
        is_released.set()
        if not is_up.is_set():
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch_driver, daemon=True).start()
    try:
        import ray

        with suppress(ImportError, AttributeError):
            leave_out_what_serves_clusters()
        ray.init(
            address="local",
            num_cpus=processors(),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
        )
    except Exception as error:  # Ray raises no kind of its own where a part is not up in time
        tell("failure", describe_error(error))
        return
    is_up.set()
    tell("address", ray.get_runtime_context().gcs_address)
    while not is_released.wait(LOOK_SECONDS):
        if ended := _ended_parts():
            tell("failure", f"its {ended[0]} ended")
            is_released.wait()
    ray.shutdown()


def _ended_parts() -> list[str]:
    """Processes of Ray that have ended by themselves, as `ray start --block` looks for them."""
    from ray._private import worker

    node = worker._global_node
    return [] if node is None else [name for name, _ in node.dead_processes()]


if __name__ == "__main__":
    main()
