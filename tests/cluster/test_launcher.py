"""Ray's own launcher over three hosts, with the cluster file that ships.

`ray up`, `ray submit`, a worker and a driver that vanish, `ray submit` again, `ray rsync-down`,
`ray down`: the words are the documented ones, the hosts are those of hosts.py.
"""

import json
from collections import Counter
from importlib.metadata import distribution

import pytest
import yaml
from hosts import LIMIT_SECONDS, ROOT, SHARED, Site, obstacle, wait

from sweeps.paths import SweepPaths
from sweeps.search.records import TrialState
from sweeps.search.studies import OptunaStudies

OBSTACLE = obstacle()
NAMES = ("head", "worker-1", "worker-2")
NAME = "demo"
SMALL = (
    *("--set", "sizes=[100, 200]"),
    *("--set", "regimes=[bow, scratch, domain]"),
    *("--set", "seeds=10"),
    *("--set", "language_model.minimum_steps=150"),
    *("--set", "classifier.epochs=8"),
    *("--set", "search.classifier.trials=2"),
    *("--set", "search.bow.trials=1"),
)
RUN = ("run", f"sweeps/specs/{NAME}.yaml", *SMALL)
STORAGE_TO_FILL_IN = "/FILL-IN/shared/ulm-sweeps"
LITTLE = "--num-cpus=1 --object-store-memory=100000000"


def test_the_cluster_file_that_is_tried_is_the_shipped_one_with_the_blanks_filled_in(tmp_path):
    site = Site(folder=tmp_path, names=NAMES)
    shipped, filled = shipped_file(), filled_in(site)
    assert "FILL-IN" not in json.dumps(filled)
    for key in set(shipped) - {"provider", "auth", "setup_commands"}:
        assert json.loads(json.dumps(filled[key]).replace(f" {LITTLE}", "")) == shipped[key]


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))
def test_a_sweep_outlives_a_worker_its_driver_and_its_client(tmp_path, step):
    site = Site(folder=tmp_path / "site", names=NAMES)
    sweep = Launched(site)
    try:
        with step("three hosts, and one that refuses the key"):
            site.start()
            site.boot(site.add("stranger", "10.77.0.99/24"), key=site.host_key)
        with step("ray up"):
            sweep.up()
        with step("all nodes joined"):
            wait(lambda: sweep.num_nodes() == len(NAMES))
        with step("ray submit: plan of a spec with a space in its name"):
            sweep.plan_a_name_with_a_space()
        with step("ray submit: workers that are not fit are named, nothing is trained"):
            sweep.name_the_unfit()
        tell_the_story(sweep, step)
        with step("ray down"):
            sweep.ray("down", "-y", "FILE")
            assert not sweep.runs_ray("head")
        with step("a worker that misses its head ends Ray too"):
            wait(lambda: not sweep.runs_ray("worker-1"))
    finally:
        site.stop()


def tell_the_story(sweep, step):
    """From the first submission to the fetched report, with everything lost once in between."""
    with step("ray submit --tmux, client gone: trials end on every host"):
        sweep.submit(*RUN, tmux=True)
        wait(lambda: sweep.nodes_of_finished() == set(NAMES), sweep.terminal)
        assert "a worker is missing, 10.77.0.99: it refuses the key" in sweep.terminal()
    with step("a worker vanishes: its trial ends on another host"):
        running = sweep.running()
        assert running
        sweep.site.vanish("worker-2")
        wait(lambda: running <= sweep.finished().keys(), sweep.terminal)
        assert "goes on from its last checkpoint" in sweep.terminal()
    with step("the driver is killed"):
        sweep.kill_driver()
        before = sweep.finished()
        assert len(before) < sweep.num_wanted(), "the sweep is too small to be interrupted"
    with step("ray submit again: only what is missing is trained"):
        shown = sweep.submit(*RUN)
        after = sweep.finished()
        assert "a worker is missing, 10.77.0.12: it can not be reached" in shown
        assert f"trained {len(after) - len(before)} trials, {len(before)} were recorded" in shown
        assert before.items() <= after.items()
        assert sweep.finished_more_than_once() == []
        assert len(after) == sweep.num_wanted()
        assert "record: http://127.0.0.1:5000" in shown
    with step("ray submit: status and report"):
        assert "domain" in sweep.submit("status", f"runs/{NAME}")
        assert "report.html" in sweep.submit("report", f"runs/{NAME}")
    with step("ray rsync-down: the report is here"):
        fetched = sweep.site.folder / "fetched"
        sweep.ray("rsync-down", "FILE", f"~/runs/{NAME}/", f"{fetched}/")
        assert SweepPaths.at(fetched).report_html.stat().st_size > 10_000


class Launched:
    """A cluster that the launcher made from the shipped file, and what its sweep has recorded."""

    def __init__(self, site):
        self.site = site
        self.file = site.folder / "on_prem.yaml"
        self.paths = SweepPaths.at(site.shared / NAME)

    def up(self):
        self.file.write_text(yaml.safe_dump(filled_in(self.site)), encoding="utf-8")
        self.ray("get-auth-token", "--generate")
        self.ray("up", "-y", "FILE", "--disable-usage-stats")

    def ray(self, *words):
        """A command of Ray on the client, where FILE stands for the cluster file."""
        return self.site.ray(*(str(self.file) if word == "FILE" else word for word in words))

    def on(self, name, command):
        done = self.site.on_host(name, command)
        assert done.returncode == 0, done.stdout

    def submit(self, *words, tmux=False):
        options = ("--tmux",) if tmux else ()
        return self.ray("submit", *options, "FILE", "sweeps/sweep.py", "--", *words)

    def plan_a_name_with_a_space(self):
        name = "my first spec.yaml"
        text = (ROOT / "sweeps" / "specs" / f"{NAME}.yaml").read_text(encoding="utf-8")
        (self.site.shared / name).write_text(
            text.replace(f"name: {NAME}", "name: spaced"), encoding="utf-8"
        )
        shown = self.submit("plan", f"{SHARED}/{name}", "--set", "sizes=[100, 200]")
        assert "spaced: plan" in shown

    def name_the_unfit(self):
        """For one submission, a worker can not write the storage and another has an old library."""
        installed = distribution("optuna")
        file = installed.locate_file(f"optuna-{installed.version}.dist-info/METADATA")
        self.on("worker-1", f"mount -o remount,bind,ro {SHARED}")
        self.on("worker-2", f"sed -i 's/^Version: .*/Version: 4.0.0/' {file}")
        words = ("submit", str(self.file), "sweeps/sweep.py", "--", *RUN)
        done = self.site.on_client("ray", *words, seconds=LIMIT_SECONDS)
        assert done.returncode != 0
        assert (
            "every node must be fit for the sweep, 2 findings; nothing was trained" in done.stdout
        )
        assert f"worker-1 (10.77.0.11): it can not write {SHARED}" in done.stdout
        assert "worker-2 (10.77.0.12): optuna is 4.0.0 and" in done.stdout
        assert self.records() == ()
        self.on("worker-1", f"mount -o remount,bind,rw {SHARED}")
        self.on("worker-2", f"sed -i 's/^Version: 4.0.0$/Version: {installed.version}/' {file}")

    def num_nodes(self):
        """Nodes alive, as Ray on the head sees them."""
        probe = (
            "import ray; ray.init(address='auto', logging_level='ERROR', log_to_driver=False); "
            "print('alive', sum(node['Alive'] for node in ray.nodes()))"
        )
        done = self.site.on_host("head", f'source ~/.bashrc; python -c "{probe}"')
        counts = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("alive ")]
        return int(counts[0]) if counts else 0

    def terminal(self):
        """What the terminal shows that the sweep was submitted to."""
        return " ".join(self.site.on_host("head", "tmux capture-pane -p -S -400").stdout.split())

    def runs_ray(self, name):
        return self.site.on_host(name, "pgrep -x raylet").returncode == 0

    def kill_driver(self):
        owner = self.paths.driver_json
        told = json.loads(owner.read_text(encoding="utf-8"))
        assert told["host"] == "head"
        self.on("head", f"kill -9 {told['process']}")

    def records(self):
        """Every attempt of every trial, superseded ones too."""
        if not self.paths.spec_json.is_file():
            return ()
        studies = OptunaStudies(self.paths.ledger_url, NAME)
        try:
            return studies.read()
        finally:
            studies.close()

    def ended(self):
        return [record for record in self.records() if record.state.counts]

    def finished(self):
        """Study and number of every trial that counts → when it started and ended."""
        return {place(record): (record.started_at, record.ended_at) for record in self.ended()}

    def finished_more_than_once(self):
        counts = Counter(place(record) for record in self.ended())
        return [key for key, count in counts.items() if count > 1]

    def running(self):
        return {place(r) for r in self.records() if r.state is TrialState.RUNNING}

    def nodes_of_finished(self):
        return {r.outcome.artifacts["node"] for r in self.ended() if r.outcome is not None}

    def num_wanted(self):
        from sweeps.search.ledger import Ledger
        from sweeps.spec.cells import make_cells
        from sweeps.spec.load import load_recorded

        spec = load_recorded(self.paths.spec_json)
        return Ledger(spec, make_cells(spec)).num_wanted


def place(record):
    return str(record.key.study), record.key.number


def shipped_file():
    return yaml.safe_load((ROOT / "cluster" / "on_prem.yaml").read_text(encoding="utf-8"))


def filled_in(site):
    """The shipped file with addresses, user, key and storage, and hosts that lend one CPU each."""
    config = shipped_file()
    head, *workers = site.hosts.values()
    config["provider"] |= {"head_ip": head.address, "worker_ips": [w.address for w in workers]}
    config["auth"] |= {"ssh_user": "root", "ssh_private_key": str(site.key)}
    config["setup_commands"] = [
        command.replace(STORAGE_TO_FILL_IN, str(SHARED)) for command in config["setup_commands"]
    ]
    for kind in ("head", "worker"):
        key = f"{kind}_start_ray_commands"
        config[key] = [
            f"{command} {LITTLE}" if "ray start" in command else command for command in config[key]
        ]
    return config
