import sqlite3

import pytest

from sweeps.errors import MeaningError, StorageError
from sweeps.paths import SweepPaths
from sweeps.search.database import is_made
from sweeps.search.studies import OptunaStudies, check_ledger
from sweeps.spec.load import load_spec
from sweeps.spec.meaning import meaning


def test_a_ledger_that_no_driver_has_made_is_not_made_by_asking(tmp_path):
    assert not is_made(f"sqlite:///{tmp_path / 'new' / 'ledger.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_is_made_when_all_its_tables_are(tmp_path):
    file = tmp_path / "ledger.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE studies (id INTEGER)")
    connection.close()
    assert not is_made(f"sqlite:///{file}")
    file.unlink()
    OptunaStudies(f"sqlite:///{file}", "tiny").close()
    assert is_made(f"sqlite:///{file}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("me:secret@host", r"found host \("),
        ("nothing://me:secret@host/db", r"found nothing://me:\*\*\*@host/db \("),
        ("sqlite:///{folder}/file/ledger.db", r"file/ledger.db \("),
    ],
)
def test_a_ledger_that_can_not_be_opened_is_named_without_its_password(tmp_path, url, shown):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=shown) as refusal:
        is_made(url.format(folder=tmp_path))
    assert "secret" not in str(refusal.value)


def test_a_ledger_of_another_meaning_is_refused_and_one_of_another_sweep_is_not(tmp_path):
    settings = {"storage": str(tmp_path), "ledger.url": f"sqlite:///{tmp_path / 'shared.db'}"}
    spec = load_spec("demo", settings)
    studies = OptunaStudies(spec.ledger.url, spec.name)
    studies.open(meaning(spec))
    studies.close()
    check_ledger(SweepPaths.of(spec), spec)
    check_ledger(SweepPaths.of(spec), load_spec("demo", {**settings, "seeds": "5"}))
    changed = {**settings, "model.hidden": "7"}
    with pytest.raises(MeaningError, match=r"model\.hidden: recorded 96, now 7"):
        check_ledger(SweepPaths.of(spec), load_spec("demo", changed))
    check_ledger(SweepPaths.of(spec), load_spec("demo", {**changed, "name": "other"}))
