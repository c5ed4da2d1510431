"""What happens to the tracking server: it goes and comes back, or was never there."""

import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import psutil
import pytest
from faulty import NUM_TRIALS, PATIENCE_SECONDS, Row

from sweeps.spec.values import TrackingSpec

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.slow]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Server:
    """An MLflow server with its database in a folder, on one port for all its lives."""

    def __init__(self, sweep, port):
        self.url = f"http://127.0.0.1:{port}"
        self.sweep, self._port = sweep, port
        self.start()

    def start(self):
        folder = self.sweep.folder
        store = f"sqlite:///{self.sweep.paths.mlflow_db}"
        self.sweep.paths.mlflow_db.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--backend-store-uri", store, "--artifacts-destination", str(folder / "files")]
        command += ["--host", "127.0.0.1", "--port", str(self._port)]
        temporary = folder / "temporary files of the server"
        temporary.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            command,
            env=self.sweep.environment | {"TMPDIR": str(temporary)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < give_up_at, "the server did not start"
            time.sleep(0.2)

    def _answers(self):
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5):
            return True
        return False

    def kill(self):
        """With all that it has started, some of which lives in sessions of its own."""
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            for process in (*server.children(recursive=True), server):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()


@pytest.fixture
def server(make_sweep):
    """A server, and a sweep that records there."""
    port = free_port()
    sweep = make_sweep(tracking=TrackingSpec(uri=f"http://127.0.0.1:{port}"))
    made = Server(sweep, port)
    yield made
    made.kill()


def catches_up(server, sweep, before, undisturbed, tell, fault, note):
    """Every run is there, and was there without training anything twice."""
    found, equal = sweep.kept_lost_repeated(before), sweep.table() == undisturbed
    tell(Row(fault=fault, equal=equal, note=note, **found))
    assert (found["lost"], found["repeated"], equal) == (0, 0, True)
    assert sweep.num_runs("trial") == NUM_TRIALS
    server.kill()
    sweep.check_nothing_is_left()


def test_a_server_that_goes_and_comes_back_has_every_run(server, undisturbed, tell):
    sweep = server.sweep
    driver = sweep.start()
    sweep.wait_for(lambda: sweep.num_finished >= 3, driver)
    server.kill()
    gone_at = time.monotonic()
    sweep.wait_for(lambda: sweep.num_finished >= 8, driver)
    before = sweep.finished()
    server.start()
    seconds = time.monotonic() - gone_at
    sweep.complete(driver)
    note = f"training goes on; gone for {seconds:.0f} s, then every run is there"
    catches_up(server, sweep, before, undisturbed, tell, "MLflow server gone and back", note)


def test_a_server_that_stays_away_is_caught_up_with_by_the_next_run(server, undisturbed, tell):
    sweep = server.sweep
    driver = sweep.start()
    sweep.wait_for(lambda: sweep.num_finished >= 3, driver)
    server.kill()
    assert "could not be recorded; the ledger has them" in sweep.complete(driver)
    assert sweep.orphans() == []
    before = sweep.finished()
    assert sweep.table() == undisturbed
    server.start()
    assert "nothing to train" in sweep.complete()
    note = "the sweep ends and says so; the next run records it, training nothing"
    catches_up(server, sweep, before, undisturbed, tell, "MLflow server gone for good", note)


def test_a_server_that_was_never_there_is_named_before_anything_is_trained(make_sweep, tell):
    uri = f"http://127.0.0.1:{free_port()}"
    sweep = make_sweep(tracking=TrackingSpec(uri=uri))
    said = sweep.refuse()
    assert uri in said
    assert "tracking: {uri: null}" in said
    assert not sweep.paths.folder.exists()
    assert (sweep.orphans(), sweep.leftovers()) == ([], [])
    note = "refused before anything is trained, with the remedy"
    tell(Row(fault="MLflow server never reachable", equal=True, note=note))
