import json
import os
import socket
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.errors import OutageError
from sweeps.paths import SweepPaths
from sweeps.record.tracking import check_tracking
from sweeps.run import launch
from sweeps.search.studies import OptunaStudies
from sweeps.spec.load import load_spec, spec_to_json
from sweeps.spec.meaning import meaning

SPEC = """\
name: mine
corpus: {kind: csv, path: reviews.csv}
general: {kind: csv, path: reviews.csv}
labels: {train: 8, validation: 0.25}
sizes: [10, 20]
seeds: 1
"""
NAMES = ("bad", "good")
ROWS = [(f"a review number {i}", NAMES[i % 2]) for i in range(40)]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(SPEC, encoding="utf-8")
    write_csv(ROWS)
    monkeypatch.setattr("sweeps.run.launch.run_trials", refuse_to_train)


def refuse_to_train(*_):
    raise AssertionError("bad input must be found before a trial starts")


def write_csv(rows, columns=("text", "label")):
    lines = [",".join(row) for row in (columns, *rows)]
    Path("reviews.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_jsonl(rows, columns=("text", "label")):
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    Path("reviews.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_parquet(rows, columns=("text", "label")):
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = zip(*rows, strict=True)
    pq.write_table(pa.table(dict(zip(columns, values, strict=True))), "reviews.parquet")


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def write_texts(part, *names, texts=4):
    for name in names:
        folder = Path("texts", part, name)
        folder.mkdir(parents=True)
        for i in range(texts):
            (folder / f"{i}.txt").write_text(f"{part} {name} review {i}", encoding="utf-8")


def sweep(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def refusal(*arguments):
    """The one message of a refused command, which leaves no folder of the sweep behind."""
    result = sweep(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert not [path for path in Path().rglob("*") if path.name == "mine" and path.is_dir()]
    return result.stderr.strip()


def refused_run(*settings):
    """The refusal of `run`, one line as all but lists of mistakes are."""
    message = refusal("run", "mine.yaml", *(f"--set={setting}" for setting in settings))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("verb", ["run", "plan", "check"])
def test_a_missing_spec_names_the_nearest_one(verb):
    message = refusal(verb, "mein.yaml")
    assert message.startswith("mein.yaml:0: spec: there is no such file; did you mean mine.yaml?")


def test_a_spec_that_is_not_utf8_is_named_with_its_line():
    Path("mine.yaml").write_bytes(SPEC.encode() + b"# caf\xe9\n")
    assert refusal("run", "mine.yaml") == "mine.yaml:7: spec: must be UTF-8 text; save it as UTF-8"


@pytest.mark.parametrize("kind", WRITERS)
def test_a_missing_column_names_the_nearest_one(kind):
    WRITERS[kind](ROWS, columns=("texts", "label"))
    message = refused_run(f"corpus={{kind: {kind}, path: reviews.{kind}}}")
    assert f"reviews.{kind}: column 'text' is missing" in message
    assert "did you mean 'texts'?" in message


def test_a_missing_label_column_says_how_to_go_without():
    write_csv(ROWS, columns=("text", "stars"))
    message = refused_run()
    assert "column 'label' is missing, found ['text', 'stars']" in message
    assert "label_column: null" in message


@pytest.mark.parametrize("kind", WRITERS)
def test_texts_that_are_all_empty_are_refused(kind):
    WRITERS[kind]([("  ", label) for _, label in ROWS])
    message = refused_run(f"corpus={{kind: {kind}, path: reviews.{kind}}}")
    assert "each class needs 2 documents that differ" in message


def test_a_file_without_rows_is_refused():
    write_csv([])
    assert "must hold some labels, found none in 0 rows" in refused_run()
    Path("reviews.csv").write_bytes(b"")
    assert "a table must hold rows, found an empty file" in refused_run()


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_that_is_a_folder_is_refused(kind):
    Path("texts").mkdir()
    message = refused_run(f"corpus={{kind: {kind}, path: texts}}")
    assert "texts" in message
    assert "kind folder" in message


def test_a_file_that_is_not_of_its_kind_is_refused():
    for kind in ("parquet", "jsonl"):
        assert "reviews.csv" in refused_run(f"corpus={{kind: {kind}, path: reviews.csv}}")


def test_a_missing_corpus_is_refused():
    message = refused_run("corpus={kind: csv, path: nowhere.csv}")
    assert "nowhere.csv does not exist; check the path" in message


def test_labels_that_are_all_empty_are_refused():
    write_csv([(text, "") for text, _ in ROWS])
    assert "column 'label' must hold some labels, found none in 40 rows" in refused_run()


def test_a_corpus_without_a_label_column_is_refused():
    message = refused_run("corpus={kind: csv, path: reviews.csv, label_column: null}")
    assert "label_column" in message
    assert "found none" in message


def test_labels_of_the_test_part_that_training_does_not_know_are_refused():
    rows = [(*row, "train") for row in ROWS] + [("a fine one", "fine", "test")]
    write_csv(rows, columns=("text", "label", "part"))
    message = refused_run("corpus={kind: csv, path: reviews.csv, part_column: part}")
    assert "every label must occur in train, found ['fine']" in message


def test_labels_of_a_test_folder_that_training_does_not_know_are_refused():
    write_texts("train", "bad", "good", texts=10)
    write_texts("test", "bad", "godo")
    message = refused_run("corpus={kind: folder, path: texts}")
    assert "found ['godo'] where train has ['bad', 'good']" in message


def test_a_folder_without_a_test_part_is_refused():
    write_texts("train", "bad", "good", texts=10)
    message = refused_run("corpus={kind: folder, path: texts}")
    assert "every label needs test documents" in message
    assert "add test/bad/*.txt" in message


@pytest.mark.parametrize("rows", [ROWS[::2], [*ROWS[::2], *[(t, "") for t, _ in ROWS[1::2]]]])
def test_a_corpus_of_one_class_is_refused(rows):
    write_csv(rows)
    assert "a classifier needs two classes, found ['bad']" in refused_run()


def test_a_training_part_of_one_class_is_refused():
    rows = [(text, label, "train" if label == "bad" else "test") for text, label in ROWS]
    write_csv(rows, columns=("text", "label", "part"))
    message = refused_run("corpus={kind: csv, path: reviews.csv, part_column: part}")
    assert "every label must occur in train, found ['good']" in message


def test_fewer_labels_than_asked_for_are_refused():
    message = refused_run("labels.train=33", "sizes=[33]")
    assert "labels must not exceed the labelled training documents, found 33 for 32" in message


def test_a_class_with_too_few_labels_to_choose_on_is_refused():
    write_csv([*ROWS[::2], *ROWS[1:4:2]])
    message = refused_run()
    assert (
        "a validation share needs 2 labelled documents of each class, found 1 of 'good' among 8"
        in message
    )


def test_a_class_with_fewer_labels_than_folds_is_refused():
    assert "5 folds needs 5 labelled documents of each class" in refused_run("labels.folds=5")


def test_a_share_that_cannot_hold_a_label_of_each_class_is_refused():
    message = refused_run("labels.validation=0.05")
    assert "validation must hold a label of each of the 2 classes" in message
    assert "found 0.05 of 8 labels" in message


def test_a_size_beyond_the_pool_is_refused():
    message = refused_run("sizes=[10, 33]")
    assert "a size must not exceed the pool, found 33 for 32 documents" in message


def test_more_test_documents_than_there_are_are_refused():
    assert "must hold 1 to 8 documents, found 9" in refused_run("test.documents=9")


def test_text_that_is_not_utf8_is_named_with_its_byte_and_remedy():
    with Path("reviews.csv").open("ab") as file:
        file.write(b"caf\xe9,good\n")
    message = refused_run()
    assert "reviews.csv: text must be UTF-8, but byte" in message
    assert "iconv -f CP1252 -t utf-8" in message


def test_a_text_file_that_is_not_utf8_is_named():
    write_texts("train", "bad", "good", texts=10)
    write_texts("test", "bad", "good")
    Path("texts/train/good/3.txt").write_bytes(b"caf\xe9")
    message = refused_run("corpus={kind: folder, path: texts}")
    assert "texts/train/good/3.txt: text must be UTF-8, but byte 3 is 0xe9" in message


@pytest.mark.parametrize("is_listening", [True, False])
def test_an_unreachable_tracking_server_is_refused_in_seconds(is_listening, monkeypatch):
    one_second = partial(check_tracking, timeout_seconds=1.0)
    monkeypatch.setattr("sweeps.run.launch.check_tracking", one_second)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if is_listening:  # takes connections and never answers
            server.listen()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        message = refused_run(f"tracking.uri={address}")
    assert address in message
    assert "start the server or correct tracking.uri" in message
    assert not Path("runs").exists()


def test_a_sweep_that_has_begun_does_not_wait_for_its_tracking_server(monkeypatch):
    one_second = partial(check_tracking, timeout_seconds=1.0)
    monkeypatch.setattr("sweeps.run.launch.check_tracking", one_second)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        uri = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        spec = load_spec("mine.yaml", {"tracking.uri": uri})
        paths, heard = SweepPaths.of(spec), []
        listener = SimpleNamespace(message=heard.append)
        with pytest.raises(OutageError):
            launch._check_tracking(spec, paths, listener)
        monkeypatch.setattr("sweeps.run.launch.read_records", lambda paths, spec: ["a trial"])
        launch._check_tracking(spec, paths, listener)
        assert len(heard) == 1
        assert uri in heard[0]
        assert "the sweep goes on" in heard[0]
        reserved.listen()  # takes connections and never answers
        launch._check_tracking(spec, paths, listener)
        assert "did not answer in 1 s" in heard[1]


@pytest.mark.parametrize("verb", ["status", "report"])
@pytest.mark.parametrize("folder", [".", "nowhere", "mine.yaml"])
def test_a_folder_that_is_no_sweep_is_refused(verb, folder):
    message = refusal(verb, folder)
    assert message.startswith(f"{folder} must be the folder of a sweep, found no spec.json in it")


@pytest.mark.parametrize("content", [b"{", b"caf\xe9", b"[]"])
def test_a_damaged_record_of_the_spec_is_refused(content):
    Path("old").mkdir()
    Path("old/spec.json").write_bytes(content)
    assert "spec.json" in refusal("status", "old")


def test_a_changed_meaning_is_refused_with_the_key_and_the_record_left_alone():
    spec = load_spec("mine.yaml")
    paths = SweepPaths.of(spec)
    paths.folder.mkdir(parents=True)
    paths.spec_json.write_text(spec_to_json(spec), encoding="utf-8")
    studies = OptunaStudies(paths.ledger_url, spec.name)
    studies.open(meaning(spec))
    studies.close()
    before = paths.spec_json.read_bytes()

    result = sweep("run", "mine.yaml", "--set=model.hidden=20")
    assert result.exit_code == 2
    assert "model.hidden: recorded 1152, now 20" in result.stderr
    assert "give the sweep another name, or put the recorded values back" in result.stderr
    assert paths.spec_json.read_bytes() == before
    files = sorted(path.name for path in paths.folder.iterdir())
    assert files == ["ledger.db", "run.log", "spec.json"], "neither record nor report was begun"
    assert "model.hidden: recorded 1152, now 20" in paths.run_log.read_text()


def test_a_corpus_that_was_edited_after_cells_were_recorded_is_refused():
    spec = load_spec("mine.yaml")
    paths = SweepPaths.of(spec)
    paths.folder.mkdir(parents=True)
    paths.spec_json.write_text(spec_to_json(spec), encoding="utf-8")
    studies = OptunaStudies(paths.ledger_url, spec.name)
    studies.open({**meaning(spec), "corpus.content": "0123456789abcdef"})
    studies.close()
    result = sweep("run", "mine.yaml")
    assert result.exit_code == 2
    assert "corpus.content: recorded '0123456789abcdef', now '" in result.stderr
    assert "give the sweep another name, or put the recorded values back" in result.stderr


@pytest.mark.parametrize("storage", ["reviews.csv/runs", "reviews.csv"])
def test_storage_below_a_file_is_refused(storage):
    message = refused_run(f"storage={storage}")
    assert "storage must be a folder that can be written" in message
    assert "pass --storage" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("storage", ["locked", "locked/runs"])
def test_storage_that_is_read_only_is_refused(storage):
    Path("locked").mkdir(mode=0o500)
    assert "storage must be a folder that can be written" in refused_run(f"storage={storage}")


def test_a_bucket_that_cannot_be_reached_is_refused():
    message = refused_run("storage=nothing://bucket/runs")
    assert "storage must be a bucket that can be written, found nothing://bucket/runs" in message


@pytest.mark.parametrize(
    "url", ["nonsense", "nothing://host/db", "sqlite:////nowhere/at/all/ledger.db"]
)
def test_a_ledger_that_cannot_be_opened_is_refused(url):
    message = refused_run(f"ledger.url={url}")
    assert "the ledger must be a database that can be opened" in message
    assert "check `ledger.url`" in message


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (["ledger.url=sqlite:///ledger.db"], "must name the whole path of a file"),
        (["ledger.url=sqlite:////l.db", "storage=s3://bucket/runs"], "must not be a file beside"),
    ],
)
def test_a_ledger_file_that_another_run_would_not_find_is_refused(settings, rule):
    assert rule in refused_run(*settings)


@pytest.mark.parametrize("verb", ["status", "report", "run"])
def test_a_ledger_file_that_is_no_database_is_refused(verb):
    folder = Path("runs", "mine")
    folder.mkdir(parents=True)
    spec = load_spec("mine.yaml")
    (folder / "spec.json").write_text(spec_to_json(spec), encoding="utf-8")
    (folder / "ledger.db").write_bytes(b"no database" * 1000)
    result = sweep(verb, "mine.yaml" if verb == "run" else folder)
    assert result.exit_code == 2
    assert "ledger.db (file is not a database): check `ledger.url`" in result.stderr
    left = {path.name for path in folder.iterdir()}
    assert left - {"run.log"} == {"ledger.db", "spec.json"}


def test_a_general_encoder_that_is_none_is_refused():
    Path("encoder").mkdir()
    assert "encoder" in refused_run("general={kind: encoder, path: encoder}")
