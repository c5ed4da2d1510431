"""A tiny sweep to which things happen: drivers as processes, and what can be seen of them.

Every process that a test starts, Ray's own included, carries a variable of its own in its
environment: that is how orphans are found, and what is ended when a test is over.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
from tiny import tiny_spec

from sweeps.paths import SweepPaths
from sweeps.search.records import TrialKey, TrialRecord
from sweeps.search.studies import OptunaStudies
from sweeps.spec.load import spec_to_json
from sweeps.spec.values import LanguageModelSpec
from tests.sweeps.results_table import comparable, read_csv
from ulm.regimes import Regime

PATIENCE_SECONDS = 600.0
AGENT_SECONDS = 90.0  # a cluster's two agents a node try for a minute to tell a head that is gone
MARK = "SWEEP_UNDER_TEST"
WORKER = "ray::Impl"
NUM_TRIALS = 12


def cut(content: bytes) -> bytes:
    """truncated"""
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    """bit-flipped"""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def small_spec(storage: Path, **changes):
    """Two language models, five classifiers, four finals: every kind of work once."""
    values = {
        "sizes": (60,),
        "regimes": (Regime.BOW, Regime.DOMAIN, Regime.ULM_DOMAIN),
        "language_model": LanguageModelSpec(epochs=12, minimum_steps=0, batch=4, bptt=20),
    }
    return tiny_spec(storage, **{**values, **changes})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    fault: str
    times: int = 1
    kept: int = 0
    lost: int = 0
    repeated: int = 0
    equal: bool
    seconds: float | None = None
    note: str = ""


def table(rows) -> str:
    """The rows as Markdown; those of one fault are added up, the slowest recovery is shown."""
    lines = [
        "| fault | times | finished trials kept | lost | repeated | result equal "
        "| seconds to recover, at most | what happens |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys(row.fault for row in rows):
        same = [row for row in rows if row.fault == fault]
        seconds = [row.seconds for row in same if row.seconds is not None]
        shown = (
            fault,
            sum(row.times for row in same),
            *(sum(getattr(row, name) for row in same) for name in ("kept", "lost", "repeated")),
            "yes" if all(row.equal for row in same) else "no",
            f"{max(seconds):.1f}" if seconds else "-",
            same[0].note,
        )
        lines.append(f"| {' | '.join(str(each) for each in shown)} |")
    return "\n".join(lines)


class FaultySweep:
    """A sweep in a folder of its own, with a home, a Ray and temporary files of its own."""

    def __init__(self, folder: Path, **changes) -> None:
        self.folder = folder
        self.spec = small_spec(folder / "runs", **changes)
        self.paths = SweepPaths.of(self.spec)
        self.ray_folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # socket paths stay short
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "TMPDIR": str(self.temporary),
            "RAY_TMPDIR": str(self.ray_folder),
            "RAY_ADDRESS": "",
            "OMP_NUM_THREADS": "1",
            MARK: uuid.uuid4().hex,
        }
        self._drivers: list[subprocess.Popen] = []

    def take_tokens(self, other: "FaultySweep") -> None:
        """Begin with the token arrays of another sweep: making them takes as long as all else."""
        shutil.copytree(other.paths.tokens, self.paths.tokens)

    def use_storage(self, uri: str) -> None:
        """Keep the sweep in a place that all nodes reach; call it in the folder of the sweep."""
        self.spec = replace(self.spec, storage=uri)
        self.paths = SweepPaths.of(self.spec)

    def lose_folder(self) -> None:
        """The disk of the head is gone, and what was on it."""
        shutil.rmtree(self.paths.root)
        shutil.rmtree(self.ray_folder)
        self.ray_folder.mkdir()

    # drivers

    def start(self, *arguments: str) -> subprocess.Popen:
        """A driver, as a user starts it."""
        file = self.folder / "tiny.yaml"
        file.write_text(spec_to_json(self.spec), encoding="utf-8")
        self._drivers.append(
            subprocess.Popen(
                [sys.executable, "-m", "sweeps.cli", "run", str(file), *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return self._drivers[-1]

    def complete(self, driver: subprocess.Popen | None = None) -> str:
        """Let a driver, or a new one, come to its end; what it printed."""
        driver = driver or self.start()
        out, err = driver.communicate(timeout=PATIENCE_SECONDS)
        assert driver.returncode == 0, out + err
        assert "Traceback" not in err, err
        return out + err

    def refuse(self, driver: subprocess.Popen | None = None) -> str:
        """Let a driver end with a user's message and nothing else; the message."""
        driver = driver or self.start()
        out, err = driver.communicate(timeout=PATIENCE_SECONDS)
        assert driver.returncode == 2, out + err
        assert "Traceback" not in out + err, out + err
        return err

    def kill(self, driver: subprocess.Popen, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a driver alone and wait for its end, and not for those it leaves."""
        driver.send_signal(number)
        return driver.wait(timeout=PATIENCE_SECONDS)

    def wait_for(self, condition, driver: subprocess.Popen) -> bool:
        """Wait until something is so; False where the driver ended before."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if driver.poll() is not None:
                return bool(condition())
            assert time.monotonic() < give_up_at, "the driver made no progress"
            time.sleep(0.05)
        return True

    def recovered(self, driver: subprocess.Popen, events: int) -> float:
        """Seconds until a driver has recorded more than so many events."""
        begin = time.monotonic()
        self.wait_for(lambda: self.num_events > events, driver)
        return time.monotonic() - begin

    # what is recorded

    @property
    def ledger(self) -> Path:
        """The file of the ledger."""
        url = self.spec.ledger.url or self.paths.ledger_url
        return Path(url.removeprefix("sqlite:///"))

    @property
    def num_finished(self) -> int:
        """Trials that the ledger holds as finished or pruned."""
        return self.num_finished_in(self.ledger)

    def num_finished_in(self, ledger: Path) -> int:
        """The same of another file."""
        return _count(ledger, "trials where state in ('COMPLETE', 'PRUNED')")

    @property
    def num_events(self) -> int:
        """Everything the ledger was ever told of trials."""
        return self.num_events_in(self.ledger)

    def num_events_in(self, ledger: Path) -> int:
        """The same of another file."""
        return _count(ledger, "trial_user_attributes")

    @property
    def num_running_epochs(self) -> int:
        """Epochs that trials have reported which run now."""
        running = "trial_id in (select trial_id from trials where state = 'RUNNING')"
        return _count(self.ledger, f"trial_user_attributes where key like 'epoch %' and {running}")

    def num_runs(self, kind: str) -> int:
        """Runs of one kind in the tracking store."""
        return _count(self.paths.mlflow_db, f"tags where key = 'kind' and value = '{kind}'")

    def attempts(self, ledger: Path | None = None) -> tuple[TrialRecord, ...]:
        """Every attempt ever made."""
        with closing(OptunaStudies(f"sqlite:///{ledger or self.ledger}", self.spec.name)) as found:
            return found.read()

    def finished(self, ledger: Path | None = None) -> dict[TrialKey, TrialRecord]:
        """Trials that have ended and count."""
        if not (ledger or self.ledger).is_file():
            return {}
        return {record.key: record for record in self.attempts(ledger) if record.state.counts}

    def encoders(self) -> list[Path]:
        """Weights of every encoder that is whole."""
        return sorted(
            file.with_name("encoder.safetensors")
            for file in self.paths.encoders.glob("*/summary.json")
        )

    def kept_lost_repeated(self, before: dict[TrialKey, TrialRecord]) -> dict[str, int]:
        """What became of the trials that had finished before a fault."""
        after = self.finished()
        kept = sum(after.get(key) == record for key, record in before.items())
        places = [(key.study, key.number) for key in after]
        return {
            "kept": kept,
            "lost": len(before) - kept,
            "repeated": len(places) - len(set(places)),
        }

    def table(self):
        """The final table without times, and every test prediction."""
        predictions = {}
        for file in sorted(self.paths.predictions_folder.iterdir()):
            with np.load(file, allow_pickle=False) as kept:
                predictions[file.name] = {name: kept[name].tobytes() for name in kept.files}
        return comparable(read_csv(self.paths.results_csv)), predictions

    # what is left

    def workers(self) -> list[psutil.Process]:
        """Processes of Ray that run a trial now."""
        return [each for each in self.processes() if _command(each).startswith(WORKER)]

    def processes(self) -> list[psutil.Process]:
        """Every process that carries the mark of this sweep, or lives in its folders."""
        return [each for each in psutil.process_iter() if self._is_ours(each)]

    def _is_ours(self, process: psutil.Process) -> bool:
        """Workers of Ray write their title over their environment; their folder gives them away."""
        with suppress(psutil.Error):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(MARK) == self.environment[MARK]:
                return True
            return process.cwd().startswith((str(self.ray_folder), str(self.folder)))
        return False

    def orphans(self) -> list[str]:
        """What still runs a while after every driver has ended."""
        give_up_at = time.monotonic() + AGENT_SECONDS
        while (left := self.processes()) and time.monotonic() < give_up_at:
            time.sleep(0.2)
        return [_command(process) for process in left]

    def leftovers(self) -> list[str]:
        """Temporary and half-written files."""
        mine = (p for p in self.temporary.iterdir() if not p.name.startswith("torchinductor"))
        places = [*mine, self.paths.ray, self.paths.temporary]
        parts = [*self.folder.rglob("*.part"), *self.folder.rglob("*.tmp")]
        return [str(place) for place in (*places, *parts) if place.exists()]

    def running(self) -> dict[str, int]:
        """Runs that are RUNNING for ever."""
        return {
            "optuna": _count(self.ledger, "trials where state in ('RUNNING', 'WAITING')"),
            "mlflow": _count(self.paths.mlflow_db, "runs where status = 'RUNNING'"),
        }

    def check_nothing_is_left(self, *, finished: bool = True) -> None:
        """No process, no run that never ends and, when it has finished, no temporary file."""
        assert self.orphans() == []
        assert self.leftovers() == [] or not finished
        assert self.running() == {"optuna": 0, "mlflow": 0}

    def close(self) -> None:
        """End what the test left running; remove what Ray left."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        for driver in self._drivers:
            driver.communicate()
        shutil.rmtree(self.ray_folder, ignore_errors=True)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _count(file: Path, what: str) -> int:
    """Rows of a database; 0 where it is not made yet."""
    if not file.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)) as database:
            return int(database.execute(f"select count(*) from {what}").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return 0
