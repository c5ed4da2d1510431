"""Hosts: several machines on one, each a set of namespaces with its own SSH server.

A folder and names come in; between `start` and `stop` every name is a host with an address, a home,
processes and a Python environment of its own, and commands can be run on the client that reaches
them all. Process namespaces are needed because `ray stop` ends whatever looks like Ray on the
machine. Hosts have no way out to a network, and share one folder.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, Popen

ROOT = Path(__file__).parents[2]
BOOT = Path(__file__).with_name("host.sh")
SHARED = Path("/mnt/sweeps")
"""Where all hosts see the shared folder."""
CLIENT = "10.77.0.1"
"""Where all hosts see the client."""
LIMIT_SECONDS = 600.0  # far above what any step takes on an idle machine
TOOLS = ("ip", "unshare", "mount", "sshd", "ssh", "ssh-keygen", "rsync", "tmux")
# The launcher reads every file of the clone that it is called from, the environment in it too.
NOT_CLONED = (".git", ".venv", "runs", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
NEW_NAMESPACES = ("unshare", "--pid", "--fork", "--mount", "--uts", "--ipc", "--kill-child")

# A host with a Python and no way to a package index, as its owner would describe it to setup_node.
# Ray is patient with its agents on a busy machine, and misses its head for half of its own minute.
PROFILE = """\
export PATH={bin}:$PATH
export SWEEP_PYTHON={bin}/python SWEEP_VENV=
export RAY_agent_register_timeout_ms=300000 RAY_gcs_rpc_server_reconnect_timeout_s=30
export PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_ROOT_USER_ACTION=ignore
"""


def obstacle() -> str | None:
    """Why hosts can not be made here; None where they can."""
    if os.geteuid() != 0:
        return "namespaces with addresses need root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        return f"missing: {', '.join(missing)} (openssh-server rsync iproute2 tmux)"
    tried = subprocess.run(
        [*NEW_NAMESPACES, "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"namespaces are refused: {tried.stderr.strip()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One host.

    Args:
        name: Its host name, the one a trial's record carries.
        networks: Its addresses with the width of their networks: the client uses the first, the
            host itself the last.
        namespace: Its network namespace.
        port: The bridge's end of its cable.
        folder: What it may write.
    """

    name: str
    networks: tuple[str, ...]
    namespace: str
    port: str
    folder: Path

    @property
    def address(self) -> str:
        """Where the client reaches it."""
        return self.networks[0].partition("/")[0]

    @property
    def home(self) -> Path:
        """Its home folder as seen from outside."""
        return self.folder / "home"


@dataclass(kw_only=True)
class Site:
    """Hosts, and a client that reaches them.

    Args:
        folder: Where all of it lives; `shared` below it is the folder that all hosts see.
        names: Names of the hosts that are there from the start, the head first.
        environment: What the client's commands and the hosts' shells find in their environment.
    """

    folder: Path
    names: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, Host] = field(init=False, default_factory=dict)
    processes: dict[str, "Popen[bytes]"] = field(init=False, default_factory=dict)
    commands: list["Popen[str]"] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for at, name in enumerate(self.names):
            self.add(name, f"10.77.0.{10 + at}/24")

    @property
    def client(self) -> str:
        """Network namespace of the client."""
        return f"sweep-{os.getpid()}"

    @property
    def home(self) -> Path:
        """Home of the client's user."""
        return self.folder / "client"

    @property
    def shared(self) -> Path:
        """The shared folder as seen from outside."""
        return self.folder / "shared"

    @property
    def clone(self) -> Path:
        """The client's clone: the files of this one, as a fresh clone has them."""
        return self.folder / "clone"

    @property
    def key(self) -> Path:
        """Private key of the client's user, whom all hosts know."""
        return self.folder / "keys" / "user"

    @property
    def host_key(self) -> Path:
        """Private key by which all hosts say who they are."""
        return self.folder / "keys" / "host"

    def add(self, name: str, *networks: str) -> Host:
        """Note a host; `boot` starts it."""
        self.hosts[name] = Host(
            name=name,
            networks=networks,
            namespace=f"{self.client}-{len(self.hosts)}",
            port=f"port{len(self.hosts)}",
            folder=self.folder / name,
        )
        return self.hosts[name]

    def start(self) -> None:
        """Make the clone and the network, start every host and wait until it answers."""
        shutil.copytree(ROOT, self.clone, ignore=shutil.ignore_patterns(*NOT_CLONED))
        for folder in (self.shared, self.home, self.key.parent):
            folder.mkdir(parents=True)
        for key in (self.key, self.host_key):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        run("ip", "netns", "add", self.client)
        run("ip", "-n", self.client, "link", "set", "lo", "up")
        run("ip", "-n", self.client, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", self.client, "addr", "add", f"{CLIENT}/24", "dev", "bridge")
        run("ip", "-n", self.client, "link", "set", "bridge", "up")
        for host in self.hosts.values():
            self.boot(host, self.key)
        for name in self.hosts:
            self._wait_for(name)

    def boot(self, host: Host, key: Path) -> None:
        """Start a host, whose user accepts a key; it answers a little later."""
        self._connect(host)
        self._furnish(host, key)
        self._power_on(host)

    def stop(self) -> None:
        """End every command and host, and take the network away."""
        for process in (*self.commands, *self.processes.values()):
            if process.poll() is None:
                process.kill()
        for process in (*self.commands, *self.processes.values()):
            with process:  # closes its output, and waits
                pass
        for namespace in (*(host.namespace for host in self.hosts.values()), self.client):
            subprocess.run(["ip", "netns", "del", namespace], stderr=DEVNULL, check=False)

    def vanish(self, name: str) -> None:
        """A host goes silent and all its processes end, as when a machine loses its power."""
        run("ip", "-n", self.client, "link", "set", self.hosts[name].port, "down")
        self.processes[name].kill()
        self.processes[name].wait()

    def on_client(self, *command: str, seconds: float = 300.0) -> "CompletedProcess[str]":
        """Run a command on the client, from the root of its clone; its output is kept as text."""
        process = self.start_on_client(*command)
        try:
            shown, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            shown, _ = process.communicate()
            shown += f"\n(no end after {seconds:.0f} s)"
        return CompletedProcess(command, process.returncode, shown)

    def start_on_client(self, *command: str) -> "Popen[str]":
        """Start a command on the client, in a process group of its own."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
        folders = dict.fromkeys(("HOME", "TMPDIR", "RAY_TMPDIR"), str(self.home))
        process = Popen(
            ["ip", "netns", "exec", self.client, *command],
            cwd=self.clone,
            env={**self.environment, **folders, "PATH": path, "TERM": "dumb"},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.commands.append(process)
        return process

    def ray(self, *words: str) -> str:
        """What a command of Ray on the client prints."""
        done = self.on_client("ray", *words, seconds=LIMIT_SECONDS)
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def on_host(self, name: str, command: str) -> "CompletedProcess[str]":
        """Run a shell command on a host, over SSH."""
        options = ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR"]
        chosen = [word for option in options for word in ("-o", option)]
        address = f"root@{self.hosts[name].address}"
        return self.on_client("ssh", "-i", str(self.key), *chosen, address, command, seconds=30.0)

    def _connect(self, host: Host) -> None:
        run("ip", "netns", "add", host.namespace)
        run("ip", "-n", host.namespace, "link", "set", "lo", "up")
        pair = ("type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        run("ip", "-n", self.client, "link", "add", host.port, *pair)
        run("ip", "-n", self.client, "link", "set", host.port, "master", "bridge", "up")
        addresses = [network.partition("/")[0] for network in host.networks]
        for network, address in zip(host.networks, addresses, strict=True):
            run("ip", "-n", host.namespace, "addr", "add", network, "dev", "eth0")
            run("ip", "-n", self.client, "route", "add", f"{address}/32", "dev", "bridge")
        run("ip", "-n", host.namespace, "link", "set", "eth0", "up")
        # Ray finds its own address by asking for the way to a public one.
        way = ("via", CLIENT, "dev", "eth0", "onlink", "src", addresses[-1])
        run("ip", "-n", host.namespace, "route", "add", "default", *way)

    def _furnish(self, host: Host, key: Path) -> None:
        for folder in (host.folder / "tmp", host.home / ".ssh"):
            folder.mkdir(parents=True)
        (host.folder / "tmp").chmod(0o1777)
        host.home.chmod(0o700)
        (host.home / ".ssh").chmod(0o700)
        keys = host.home / ".ssh" / "authorized_keys"
        keys.write_text(run("ssh-keygen", "-y", "-f", str(key)), encoding="utf-8")
        keys.chmod(0o600)
        exports = "".join(f"export {name}={value}\n" for name, value in self.environment.items())
        profile = PROFILE.format(bin=Path(sys.executable).parent) + exports
        (host.home / ".bashrc").write_text(profile, encoding="utf-8")

    def _power_on(self, host: Host) -> None:
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOST_NAME": host.name,
            "HOSTS": "\n".join(f"{h.address} {h.name}" for h in self.hosts.values()),
            "SITE": str(self.folder),
            "HOST": str(host.folder),
            "CLONE": str(ROOT),
            "VENV": sys.prefix,
            "PYTHONS": sys.base_prefix,
            "SHARED": str(SHARED),
        }
        command = ["ip", "netns", "exec", host.namespace, *NEW_NAMESPACES, "--mount-proc"]
        with (host.folder / "boot.log").open("wb") as log:
            self.processes[host.name] = Popen(
                [*command, "bash", str(BOOT)], env=environment, stdout=log, stderr=log
            )

    def _wait_for(self, name: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while (answer := self.on_host(name, "true")).returncode != 0:
            log = (self.hosts[name].folder / "boot.log").read_text(encoding="utf-8")
            assert self.processes[name].poll() is None, f"{name} ended: {log}"
            assert time.monotonic() < end, f"{name} does not answer: {answer.stdout}{log}"
            time.sleep(0.2)


def wait(is_so: Callable[[], bool], shown: Callable[[], str] = str) -> None:
    """Wait until something is so; a test that waits in vain fails with what is shown."""
    end = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        assert time.monotonic() < end, f"not so after {LIMIT_SECONDS:.0f} s: {shown()}"
        time.sleep(1.0)


def run(*command: str) -> str:
    """What a command of the machine itself prints; its complaint is the error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout
