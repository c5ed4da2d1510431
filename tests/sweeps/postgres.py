"""A PostgreSQL server of the Debian package for the length of a test: own folder, port and users.

It refuses to run as root: then the user `postgres`, whom the package makes, runs it.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
IS_MISSING = not PROGRAMS or not hasattr(os, "geteuid")
USER, PASSWORD = "sweeper", "correct-horse/battery:42"  # what a URL has to quote
QUOTED = "correct-horse%2Fbattery%3A42"


class Postgres:
    """A server that listens on loopback and asks everybody for a password.

    Args:
        folder: Where its data and its log go; owned by the user it runs as.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._databases: set[str] = set()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def make(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
            shutil.chown(password_file, "postgres")
        self._run(
            "initdb", "-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile", "password",
            "--no-sync", "-E", "UTF8", "--no-locale",
        )  # fmt: skip

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {self._folder}"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-t", "120", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "-t", "120", "stop")

    def database(self, name: str) -> str:
        """URL of a database, its password in it; made when it is first asked for."""
        if name not in self._databases:
            self._run("createdb", *self._place, "-T", "template0", name)
            self._databases.add(name)
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{name}"

    def dump(self, name: str) -> bytes:
        return self._run("pg_dump", *self._place, name)

    def query(self, name: str, statement: str) -> list[str]:
        answer = self._run("psql", *self._place, "-At", "-c", statement, name)
        return answer.decode().split()

    @property
    def _place(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER)

    def _run(self, program: str, *arguments: str) -> bytes:
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        done = subprocess.run(
            [str(PROGRAMS[-1] / program), *arguments],
            cwd=self._folder,
            env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD, "HOME": str(self._folder)},
            stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            stderr=subprocess.STDOUT if program == "pg_ctl" else None,
            check=True,
            timeout=180,
            **(as_user if os.geteuid() == 0 else {}),
        )
        return done.stdout or b""


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # socket paths must stay short
    server = Postgres(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
