import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.passwords import redact_uri, without_password
from sweeps.spec.load import load_spec, spec_from_json, spec_to_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pw@host:5000/x", "http://***@host:5000/x"),
        ("failed: postgresql://u:p@h/db?a=1", "failed: postgresql://***@h/db?a=1"),
        ("http://h/?password=pw&b=2", "http://h/?password=***&b=2"),
        ("s3://b/x?secret_key=pw&b=2", "s3://b/x?secret_key=***&b=2"),
        ("sqlite:////a/b@c.db", "sqlite:////a/b@c.db"),
        ("postgresql://me:p@ss/word@host/db", "postgresql://***@host/db"),
    ],
)
def test_uris_are_shown_without_user_and_password(text, shown):
    assert redact_uri(text) == shown


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://me:pw@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me:p@ss/w:rd@host/db", "postgresql://me@host/db"),
        ("postgresql://me@/db?host=/run/x&password=pw", "postgresql://me@/db?host=%2Frun%2Fx"),
        ("postgresql://me@/db?host=/run/x", "postgresql://me@/db?host=/run/x"),
        ("postgresql://:pw@host/db", "postgresql://@host/db"),
        ("https://me:pw@host", "https://me@host"),
        ("sqlite:////a:b@c.db", "sqlite:////a:b@c.db"),
    ],
)
def test_a_url_is_recorded_with_its_user_and_without_its_password(url, kept):
    assert without_password(url) == kept


@pytest.mark.parametrize("storage", ["s3://key:pw@bucket/x", "s3://bucket/x?secret_key=pw"])
def test_a_storage_with_a_password_is_refused_without_showing_it(storage):
    result = CliRunner().invoke(cli.app, ["plan", "demo", "--storage", storage])
    assert result.exit_code == 2
    assert "storage: must be without credentials" in result.stderr
    assert "AWS_SECRET_ACCESS_KEY" in result.stderr
    assert "pw" not in result.output


def test_what_is_kept_of_a_spec_is_the_spec_but_for_passwords():
    urls = {"ledger.url": "postgresql://me:pw@host/db", "tracking.uri": "http://me:pw@host"}
    text = spec_to_json(load_spec("demo", urls))
    assert "pw" not in text
    bare = {"ledger.url": "postgresql://me@host/db", "tracking.uri": "http://me@host"}
    assert spec_from_json(text) == load_spec("demo", bare)
