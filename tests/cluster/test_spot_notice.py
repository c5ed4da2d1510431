"""The spot watcher against a metadata service on loopback and a drain that is a list."""

import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "cluster" / "spot_notice.py"
ACTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
PREEMPTED = "/computeMetadata/v1/instance/preempted"


def load():
    spec = spec_from_file_location("spot_notice", FILE)
    module = module_from_spec(spec)
    sys.modules["spot_notice"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


spot_notice = load()


class Cloud:
    """What the fake service answers; `valid_token` can be changed under the watcher's feet."""

    def __init__(self):
        self.answers, self.asked, self.valid_token = {}, [], "token-1"
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_PUT(self):
                self.reply(200, cloud.valid_token)

            def do_GET(self):
                cloud.asked.append(self.path)
                aws = self.path.startswith("/latest")
                known = self.headers["X-aws-ec2-metadata-token"] == cloud.valid_token
                if (aws and not known) or (not aws and self.headers["Metadata-Flavor"] != "Google"):
                    self.reply(401 if aws else 403, "")
                elif self.path in cloud.answers:
                    self.reply(200, cloud.answers[self.path])
                else:
                    self.reply(404, "")

            def reply(self, status, body):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def cloud():
    fake = Cloud()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    thread.join()


def interruption(seconds):
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return json.dumps({"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")})


def steps(*actions):
    """A sleep that does the next action at each call, and fails where none is left."""
    todo = iter(actions)

    def sleep(_seconds):
        next(todo, lambda: pytest.fail("the watcher waited for longer than the test expects"))()

    return sleep


def test_it_drains_once_when_the_notice_comes_with_the_seconds_left(cloud):
    drained = []
    sleep = steps(lambda: None, lambda: cloud.answers.update({ACTION: interruption(100)}))
    spot_notice.watch(spot_notice.AwsMetadata(cloud.url), drained.append, sleep=sleep)
    (notice,) = drained
    assert "terminate" in notice.reason
    assert 1 <= notice.seconds_left <= 100
    assert cloud.asked.count(ACTION) == 3


def test_a_notice_that_is_late_or_unreadable_still_drains(cloud):
    for text, seconds in ((interruption(-5), 1), ("soon", spot_notice.AWS_NOTICE_SECONDS)):
        drained = []
        cloud.answers[ACTION] = text
        spot_notice.watch(spot_notice.AwsMetadata(cloud.url), drained.append, sleep=steps())
        assert [notice.seconds_left for notice in drained] == [seconds]


def test_a_rebalance_recommendation_alone_drains_only_where_asked(cloud):
    cloud.answers[REBALANCE] = '{"noticeTime": "2026-01-01T00:00:00Z"}'
    drained = []
    sleep = steps(lambda: None, lambda: cloud.answers.update({ACTION: interruption(60)}))
    spot_notice.watch(spot_notice.AwsMetadata(cloud.url), drained.append, sleep=sleep)
    assert [notice.is_final for notice in drained] == [True]

    del cloud.answers[ACTION]
    service = spot_notice.AwsMetadata(cloud.url)
    notice = spot_notice.watch(service, drained.append, drains_on_rebalance=True, sleep=steps())
    assert not notice.is_final
    assert notice.seconds_left == 0


def test_an_expired_token_is_renewed(cloud):
    def expire():
        cloud.valid_token = "token-2"
        cloud.answers[ACTION] = interruption(60)

    drained = []
    sleep = steps(expire, lambda: None)
    spot_notice.watch(spot_notice.AwsMetadata(cloud.url), drained.append, sleep=sleep)
    assert len(drained) == 1


def test_gcp_preemption_leaves_thirty_seconds(cloud):
    cloud.answers[PREEMPTED] = "FALSE"
    drained = []
    sleep = steps(lambda: cloud.answers.update({PREEMPTED: "TRUE\n"}))
    spot_notice.watch(spot_notice.GcpMetadata(cloud.url), drained.append, sleep=sleep)
    assert [notice.seconds_left for notice in drained] == [30]


def test_a_drain_that_fails_is_tried_again_until_it_succeeds(cloud):
    cloud.answers[ACTION] = interruption(60)
    tries = []

    def drain(notice):
        tries.append(notice)
        if len(tries) < 3:
            raise RuntimeError("Ray's head must answer")

    sleep = steps(lambda: None, lambda: None)
    spot_notice.watch(spot_notice.AwsMetadata(cloud.url), drain, sleep=sleep)
    assert len(tries) == 3


def test_a_service_that_does_not_answer_is_waited_for_and_said_once(cloud, capsys):
    class Silent(spot_notice.AwsMetadata):
        def notice(self):
            if len(waits) < 3:
                raise OSError("no route to host")
            return spot_notice.Notice(reason="gone", seconds_left=1)

    waits = []
    spot_notice.watch(Silent(cloud.url), lambda notice: None, sleep=waits.append)
    assert capsys.readouterr().out.count("no route to host") == 1


def test_a_second_watcher_on_a_machine_ends_by_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spot_notice, "LOCK", tmp_path / "folder" / "lock")
    with spot_notice._hold_lock(spot_notice.LOCK):
        assert spot_notice.main(["--cloud", "aws"]) == 0
    assert "another watcher runs" in capsys.readouterr().out


def test_the_program_watches_the_service_it_is_given_and_drains_the_node(
    cloud, tmp_path, monkeypatch
):
    drained = []
    monkeypatch.setattr(spot_notice, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(spot_notice, "drain_node", lambda notice, node: drained.append(node))
    cloud.answers[PREEMPTED] = "TRUE"
    arguments = ["--cloud", "gcp", "--metadata-url", cloud.url, "--node-id", "ab"]
    assert spot_notice.main(arguments) == 0
    assert drained == ["ab"]


def test_the_drain_that_ray_is_asked_for_exists_in_the_installed_ray():
    from ray._raylet import InnerGcsClient  # GcsClient hands its calls on to it
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason

    assert DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION") == 2
    assert callable(InnerGcsClient.drain_node)
    assert callable(InnerGcsClient.get_all_node_info)
