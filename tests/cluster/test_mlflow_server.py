"""mlflow_server.sh with a stand-in for MLflow that answers /health and notes how it was run."""

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "cluster" / "mlflow_server.sh"
SECRET = "correct-horse"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cluster nodes are Linux")

FAKE = f"""#!{sys.executable}
import http.server, json, os, pathlib, sys

run = {{"arguments": sys.argv[1:], "env": dict(os.environ)}}
pathlib.Path("run.json").write_text(json.dumps(run))
if os.environ.get("BREAKS"):
    sys.exit("the database is gone")


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("asked.txt", "a") as asked:
            print(self.path, file=asked)
        is_known = self.path == "/health" and not os.environ.get("OTHER")
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(b"OK")


port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


@pytest.fixture
def server(tmp_path):
    """Runs the script; ends what it started."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "mlflow").write_text(FAKE, encoding="utf-8")
    (tools / "mlflow").chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = {
        "HOME": str(tmp_path),
        "PATH": f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "MLFLOW_PORT": str(port),
    }

    def run(verb="start", **variables):
        return subprocess.run(
            ["bash", str(SCRIPT), verb],
            env=base | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def start(verb):
        return subprocess.Popen(["bash", str(SCRIPT), verb], env=base)

    run.start = start
    yield run
    run("stop")


def how_it_was_run(home):
    return json.loads((home / "mlflow" / "run.json").read_text(encoding="utf-8"))


def after(arguments, name):
    return arguments[arguments.index(name) + 1]


def mlflows_rules():
    """The file of the installed MLflow, without the rest of its server."""
    (folder,) = find_spec("mlflow").submodule_search_locations
    spec = spec_from_file_location("rules", Path(folder) / "server" / "security_utils.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_listens_on_loopback_with_sqlite_and_prints_the_tunnel(server, tmp_path):
    done = server(MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert "ray attach -p" in done.stdout
    run = how_it_was_run(tmp_path)
    assert after(run["arguments"], "--host") == "127.0.0.1"
    assert after(run["arguments"], "--artifacts-destination") == f"{tmp_path}/mlflow/artifacts"
    assert "--app-name" not in run["arguments"]
    assert run["env"]["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert "MLFLOW_TRACKING_URI" not in run["env"]


def test_artifacts_lie_on_the_storage_and_a_database_can_be_named(server, tmp_path):
    uri = "postgresql://user:pw@host/mlflow"
    assert server(SWEEP_STORAGE="s3://bucket/x/", MLFLOW_BACKEND_URI=uri).returncode == 0
    run = how_it_was_run(tmp_path)
    assert after(run["arguments"], "--artifacts-destination") == "s3://bucket/x/mlartifacts"
    assert run["env"]["MLFLOW_BACKEND_STORE_URI"] == uri
    assert not any("pw" in argument for argument in run["arguments"])


def test_a_second_start_finds_the_first(server, tmp_path):
    server()
    process = (tmp_path / "mlflow/server.pid").read_text()
    done = server()
    assert done.returncode == 0
    assert "already running" in done.stdout
    assert (tmp_path / "mlflow/server.pid").read_text() == process


def test_stop_ends_it(server, tmp_path):
    server()
    process = int((tmp_path / "mlflow/server.pid").read_text())
    assert server("stop").returncode == 0
    with pytest.raises(ProcessLookupError, match="No such process"):
        os.killpg(process, 0)
    assert server("stop").returncode == 0


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.7"])
def test_it_refuses_to_listen_wider_without_basic_auth(server, tmp_path, address):
    done = server(MLFLOW_LISTEN=address)
    assert done.returncode == 2
    assert f"needs basic auth, found MLFLOW_LISTEN={address}" in done.stderr
    assert not (tmp_path / "mlflow").exists()


def test_with_a_password_file_it_listens_wider_behind_basic_auth(server, tmp_path):
    (tmp_path / ".mlflow-admin-password").write_text(f"{SECRET}\n", encoding="utf-8")
    done = server(MLFLOW_LISTEN="0.0.0.0")
    assert done.returncode == 0, done.stderr
    run = how_it_was_run(tmp_path)
    assert after(run["arguments"], "--app-name") == "basic-auth"
    assert run["env"]["MLFLOW_AUTH_ADMIN_PASSWORD"] == SECRET
    assert len(run["env"]["MLFLOW_FLASK_SERVER_SECRET_KEY"]) == 64
    assert (tmp_path / "mlflow/secret_key").stat().st_mode & 0o077 == 0


def test_on_loopback_who_may_call_is_left_to_mlflow(server, tmp_path):
    server()
    assert "--allowed-hosts" not in how_it_was_run(tmp_path)["arguments"]


def test_where_it_listens_wider_it_answers_to_its_own_names_and_those_it_is_given(server, tmp_path):
    rules = mlflows_rules()
    given = "head.example.org,203.0.113.7"
    done = server(
        MLFLOW_LISTEN="0.0.0.0",
        MLFLOW_AUTH_ADMIN_PASSWORD=SECRET,
        MLFLOW_ALLOWED_HOSTS=given,
    )
    assert done.returncode == 0, done.stderr
    arguments = how_it_was_run(tmp_path)["arguments"]
    port = after(arguments, "--port")
    hosts = after(arguments, "--allowed-hosts").split(",")
    origins = after(arguments, "--cors-allowed-origins").split(",")
    words = ("127.0.0.1", "localhost", "[::1]", socket.gethostname(), *given.split(","))
    for word in words:
        assert rules.is_allowed_host_header(hosts, f"{word}:{port}")
        assert not rules.should_block_cors_request(f"http://{word}:{port}", "POST", origins)
        assert not rules.should_block_cors_request(f"https://{word}", "POST", origins)
    assert rules.is_allowed_host_header(hosts, "head.example.org")  # behind a proxy
    assert not rules.is_allowed_host_header(hosts, f"evil.example.org:{port}")
    assert rules.should_block_cors_request(f"http://evil.example.org:{port}", "POST", origins)


def test_a_wait_ends_when_a_server_in_the_foreground_answers(server, tmp_path):
    started = server.start("foreground")
    try:
        done = server("wait")
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "mlflow/server.pid").exists()
    finally:
        started.kill()
        started.wait()


def test_a_wait_for_a_server_that_never_comes_is_reported(server):
    done = server("wait", MLFLOW_WAIT_SECONDS="1")
    assert done.returncode == 2
    assert "must answer at 127.0.0.1:" in done.stderr


def test_no_secret_is_on_the_command_line_or_printed(server, tmp_path):
    done = server(MLFLOW_AUTH_ADMIN_PASSWORD=SECRET)
    assert SECRET not in " ".join(how_it_was_run(tmp_path)["arguments"])
    assert SECRET not in done.stdout + done.stderr
    assert SECRET not in (tmp_path / "mlflow/server.log").read_text()


def test_a_server_that_does_not_come_up_is_reported_with_its_log(server):
    done = server(BREAKS="1")
    assert done.returncode == 2
    assert "the database is gone" in done.stderr
    assert "server.log" in done.stderr


def test_an_unknown_verb_is_refused(server):
    done = server("restart")
    assert done.returncode == 2
    assert "found restart" in done.stderr


def test_a_server_is_up_when_its_store_answers_if_only_with_a_question_for_a_password(
    server, tmp_path
):
    assert server().returncode == 0
    asked = (tmp_path / "mlflow" / "asked.txt").read_text(encoding="utf-8").splitlines()
    assert asked == ["/health", "/api/2.0/mlflow/experiments/get?experiment_id=0"]


def test_something_else_on_the_port_is_not_taken_for_the_server(server):
    done = server(OTHER="1", MLFLOW_WAIT_SECONDS="3")
    assert done.returncode == 2
    assert "must answer at 127.0.0.1:" in done.stderr
