import os
import socket
from pathlib import Path

import pytest

from sweeps.checks import check_sweep
from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.search.studies import OptunaStudies
from sweeps.spec.load import load_spec
from sweeps.spec.meaning import CONTENT, meaning
from ulm.errors import UlmError
from ulm.text.corpora import Part, open_corpus
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

ROWS = "text,label\n" + "".join(f"a review {i},{('bad', 'good')[i % 2]}\n" for i in range(40))


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("reviews.csv").write_text(ROWS, encoding="utf-8")
    Path("articles.csv").write_text(ROWS.replace("review", "review article"), encoding="utf-8")


SETTINGS = {
    "corpus": "{kind: csv, path: reviews.csv}",
    "general": "{kind: csv, path: articles.csv}",
    "labels.train": "8",
    "sizes": "[10, 20]",
    "storage": "runs",
}


def results_of(**overrides):
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    spec = load_spec("demo", {**SETTINGS, **named})
    return {found.what: found for found in check_sweep(spec)}


def test_parallel_trials_of_a_study_are_said_to_give_up_the_same_table():
    found = results_of(search__parallel_trials="3")["search"]
    assert found.result == "note"
    assert found.detail.startswith("search.parallel_trials is 3: ")
    assert "need not give the same table" in found.detail
    both = results_of(search__parallel_trials="3", search__warmup_epochs="50")["search"]
    assert "none is ever pruned" in both.detail
    assert "need not give the same table" in both.detail


def test_a_sound_sweep_passes_and_leaves_nothing_behind(tmp_path):
    results = results_of()
    assert {found.result for found in results.values()} == {"ok"}
    assert results["corpus"].detail == (
        "32 documents for training, 32 of them labelled (bad: 16, good: 16), 8 scored"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.csv", "articles.csv"}
    assert results_of(test__documents="6")["corpus"].detail.endswith(", 6 scored")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"corpus": "{kind: csv, path: nowhere.csv}"}, "nowhere.csv does not exist"),
        ({"corpus": "{kind: csv, path: reviews.csv, text_column: body}"}, "body"),
        ({"labels__train": "39", "sizes": "[39]"}, "labels must not exceed"),
        ({"sizes": "[10, 33]"}, "33"),
        ({"test__documents": "9"}, "9"),
        ({"labels__folds": "5"}, "5 folds needs 5 labelled documents of each class"),
        ({"labels__validation": "0.05"}, "validation must hold a label of each of the 2 classes"),
    ],
)
def test_a_corpus_that_cannot_serve_is_one_message(overrides, message):
    results = results_of(**overrides)
    assert results["corpus"].result == "failed"
    assert message in results["corpus"].detail
    assert results["storage"].result == "ok"


def test_documents_that_are_left_out_are_counted():
    twice = ROWS + ROWS.partition("\n")[2]
    Path("reviews.csv").write_text(twice, encoding="utf-8")
    detail = results_of()["corpus"].detail
    assert detail.startswith("64 documents for training"), detail
    assert detail.endswith("; 8 more repeat a test document and are left out"), detail


def test_documents_without_text_are_a_note_where_there_are_any():
    assert "without text" not in results_of()["corpus"].detail
    Path("reviews.csv").write_text(ROWS + '" ",good\n"",bad\n', encoding="utf-8")
    found = results_of()["corpus"]
    assert found.result == "note"
    assert found.detail.endswith("; documents without text, which are left out: 2"), found.detail


def test_test_documents_that_repeat_another_are_a_note_where_they_are_many():
    header, *rows = ROWS.splitlines()
    parts = [f"{row},{'test' if i < 20 else 'train'}" for i, row in enumerate(rows)]
    corpus = "{kind: csv, path: reviews.csv, part_column: part}"
    for num_copies, result in ((1, "ok"), (5, "note")):
        lines = [f"{header},part", *parts, *[parts[0]] * num_copies]
        Path("reviews.csv").write_text("\n".join(lines), encoding="utf-8")
        found = results_of(corpus=corpus)["corpus"]
        told = f"{num_copies} of the {20 + num_copies} test documents repeat another of them"
        assert (found.result, told in found.detail) == (result, result == "note")


def test_documents_that_repeat_another_are_counted():
    Path("reviews.csv").write_text(ROWS + "more,bad\nmore,good\nmore,\n", encoding="utf-8")
    found = results_of()["corpus"]
    assert "; 2 documents repeat another; " in found.detail
    told = "; labels that others of the same text contradict: 1; give a text one label"
    assert (found.result, found.detail.endswith(told)) == ("note", True), found.detail


@pytest.mark.parametrize(
    "name", ["Unlabelled", "none", "N/A", "?", "NA", "NULL", "\\N", "#N/A", "-"]
)
def test_a_class_that_reads_as_no_label_is_a_note(name):
    Path("reviews.csv").write_text(ROWS.replace("bad", name), encoding="utf-8")
    found = results_of()["corpus"]
    assert found.result == "note"
    assert f"classes [{name!r}] read as no label: leave the field empty if" in found.detail


def test_minus_one_beside_two_classes_reads_as_no_label():
    Path("reviews.csv").write_text(ROWS.replace("bad", "-1"), encoding="utf-8")
    assert results_of()["corpus"].result == "ok"
    more = "".join(f"another {i},-1\n" for i in range(40))
    Path("reviews.csv").write_text(ROWS + more, encoding="utf-8")
    found = results_of(labels__validation="0.5")["corpus"]
    assert "classes ['-1'] read as no label" in found.detail


def test_a_minus_beside_a_plus_is_a_class():
    Path("reviews.csv").write_text(ROWS.replace("bad", "-").replace("good", "+"), encoding="utf-8")
    assert results_of()["corpus"].result == "ok"


def test_of_many_classes_the_smallest_and_the_largest_are_named():
    rows = [f"a review {i},topic {max(i % 20, 1):02}" for i in range(200)]
    Path("reviews.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    detail = results_of(labels__train="80", sizes="[80]")["corpus"].detail
    assert "(19 classes, from 8 of 'topic 02' to 16 of 'topic 01')" in detail, detail


def test_documents_longer_than_classifiers_read_are_a_note():
    longer = ROWS.replace("a review", "a review" + " and on" * 100)
    Path("reviews.csv").write_text(longer, encoding="utf-8")
    found = results_of()["corpus"]
    assert found.result == "note"
    assert "100% of the documents have more than 200 words: classifiers learn" in found.detail
    assert results_of(classifier__maximum_tokens="300")["corpus"].result == "ok"
    assert results_of(regimes="[bow]")["corpus"].result == "ok"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("这部电影真的很好看演员表现出色但是结局有点无聊", 25),
        ("电影真的很好看", 9),  # a title
        ("昨日の映画は とても面白かったです", 9),
        ("หนังเรื่องนี้ดีมาก นักแสดงเล่นเก่ง", 13),
    ],
)
def test_text_without_blanks_is_a_note(text, length):
    Path("reviews.csv").write_text(ROWS.replace("a review ", text), encoding="utf-8")
    found = results_of()["corpus"]
    assert found.result == "note"
    told = f"words are {length} characters long, and the tokeniser splits at blanks: put"
    assert told in found.detail


@pytest.mark.parametrize(
    "text",
    [
        "电影 真的 很 好看 ",
        "หนัง เรื่อง นี้ ดี มาก ",
        "ประชาชน จำนวน ผู้ติดเชื้อ เพิ่มขึ้น ",
        "アルバイト スマートフォン レビュー ",
        "영화가 정말 재미있다 ",
    ],
)
def test_text_with_blanks_is_none_whatever_its_script(text):
    Path("reviews.csv").write_text(ROWS.replace("a review ", text), encoding="utf-8")
    assert results_of()["corpus"].result == "ok"


def test_long_ids_are_a_note_and_long_addresses_are_none():
    ids = ROWS.replace("a review ", "0123456789abcdef" * 2)
    Path("reviews.csv").write_text(ids, encoding="utf-8")
    assert "put one word in place of ids" in results_of()["corpus"].detail
    address = "look https://example.org/" + "long/" * 20
    Path("reviews.csv").write_text(ROWS.replace("a review ", address), encoding="utf-8")
    assert results_of()["corpus"].result == "ok"


def test_files_of_a_folder_that_are_no_documents_are_counted():
    for part in ("train", "test"):
        for label in ("bad", "good"):
            folder = Path("texts", part, label)
            folder.mkdir(parents=True)
            for i in range(10):
                (folder / f"{i}.txt").write_text(f"a {label} {part} {i}", encoding="utf-8")
    where = {"corpus": "{kind: folder, path: texts}", "general": "{kind: folder, path: texts}"}
    assert results_of(**where)["corpus"].result == "ok"
    for name in ("notes.md", "page.html"):
        Path("texts", "train", "bad", name).write_text("no document", encoding="utf-8")
    found = results_of(corpus=where["corpus"])["corpus"]
    assert found.result == "note"
    assert "files that are no documents, as 'train/bad/notes.md': 2; documents" in found.detail
    general = results_of(general=where["general"])["general"]
    assert (general.result, "'train/bad/notes.md': 2" in general.detail) == ("note", True)


def test_text_that_is_not_utf8_is_found():
    for file in ("reviews.csv", "articles.csv"):
        Path(file).write_bytes(ROWS.encode() + b"caf\xe9,good\n")
    results = results_of()
    assert {results[what].result for what in ("corpus", "general")} == {"failed"}
    assert "UTF-8" in results["corpus"].detail


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_storage_that_is_read_only_is_found():
    Path("locked").mkdir(mode=0o500)
    assert "can be written" in results_of(storage="locked/runs")["storage"].detail


def test_storage_below_a_file_is_found():
    found = results_of(storage="reviews.csv/runs")["storage"]
    assert found.result == "failed"
    assert "storage must be a folder that can be written" in found.detail


def test_a_bucket_that_cannot_be_reached_is_found():
    found = results_of(storage="nothing://bucket/runs")["storage"]
    assert found.result == "failed"
    assert "must be a bucket that can be written, found nothing://bucket/runs" in found.detail


def test_a_bucket_is_written_and_cleaned(tmp_path):
    (tmp_path / "bucket").mkdir()
    found = results_of(storage=f"file://{tmp_path}/bucket")["storage"]
    assert found.result == "ok"
    assert list((tmp_path / "bucket").iterdir()) == []


def test_an_unreachable_tracking_server_is_found_in_seconds():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = reserved.getsockname()[1]
        found = results_of(tracking__uri=f"http://127.0.0.1:{port}")["tracking"]
    assert found.result == "failed"
    assert f"127.0.0.1:{port}" in found.detail


def test_general_weights_are_downloaded_later_or_not_needed():
    sizes = "{embedding: 400, hidden: 1152, layers: 3}"
    found = results_of(general="{kind: wikitext-103}", model=sizes)["general"]
    assert (found.result, found.detail[:6]) == ("note", "fastai")
    found = results_of(regimes="[bow, domain]")["general"]
    assert found.detail == "no regime needs a general model"


def test_general_text_of_another_language_is_a_note():
    Path("articles.csv").write_text("text\nein Artikel\nnoch ein Artikel", encoding="utf-8")
    found = results_of()["general"]
    assert found.result == "note"
    assert "it has 0% of the words of the domain, and so little of it, or" in found.detail
    assert "set general to more text of your own language" in found.detail
    numbers = ROWS.replace("a review", "a review 12 @user123 #7 don't 5,00 €")
    Path("reviews.csv").write_text(numbers, encoding="utf-8")
    Path("articles.csv").write_text("text\na review of an article\nanother", encoding="utf-8")
    assert results_of()["general"].result == "ok"
    Path("reviews.csv").write_text(ROWS.replace("a review", "12 0x1f"), encoding="utf-8")
    assert results_of()["general"].result == "ok"
    Path("reviews.csv").write_text(ROWS.replace("a review", "ein Bericht"), encoding="utf-8")
    found = results_of(general="{kind: synthetic-general, documents: 60}")["general"]
    assert "60 documents of synthetic-general to pretrain on; it has " in found.detail
    invented = {"corpus": "{kind: synthetic}", "general": "{kind: synthetic-general}"}
    assert results_of(**invented)["general"].result == "ok"
    bow = results_of(general="{kind: synthetic-general}", regimes="[bow]")["general"]
    assert bow.result == "ok"


def test_a_general_corpus_that_is_the_domain_corpus_is_a_note():
    found = results_of(general="{kind: csv, path: reviews.csv}")["general"]
    assert found.result == "note"
    assert "which hold 32 of the 32 domain documents to train on" in found.detail


def test_general_text_that_holds_the_domains_is_noticed_whatever_its_file_is_called():
    lines = ROWS.replace("a review", "a  review").splitlines()
    for num_rows, result in ((1, "ok"), (20, "note")):
        text = "\n".join(lines[: num_rows + 1]) + "\nsomething else,bad\n"
        Path("copy.csv").write_text(text, encoding="utf-8")
        found = results_of(general="{kind: csv, path: copy.csv}")["general"]
        assert found.result == result, found.detail


def test_general_documents_that_repeat_a_test_document_are_not_counted():
    corpus = open_corpus(load_spec("demo", SETTINGS).corpus)
    tests = [corpus.texts[i] for i in range(len(corpus)) if corpus.parts[i] == Part.TEST]
    text = "text\nan article\nanother one\n" + "\n".join(tests)
    Path("articles.csv").write_text(text, encoding="utf-8")
    too_many = {"labels__train": "39", "sizes": "[39]"}
    for results in (results_of(), results_of(**too_many)):
        assert results["general"].detail == (
            "2 documents of csv-articles to pretrain on; 8 more repeat a test document of the "
            "domain and are left out"
        )
    assert results["corpus"].result == "failed"
    Path("articles.csv").write_text(text.replace("another one\n", ""), encoding="utf-8")
    assert "needs 2 documents" in results_of()["general"].detail, "one is left"


def test_an_encoder_that_cannot_be_loaded_or_does_not_fit_is_found(monkeypatch):
    general = "{kind: encoder, path: nowhere}"
    assert results_of(general=general)["general"].result == "failed"

    from ulm.model.architecture import Architecture

    class FakeEncoder:
        architecture = Architecture(embedding=8, hidden=8, layers=2)
        vocabulary = Vocabulary(words=(*SPECIAL_WORDS, "a", "review"))

    monkeypatch.setattr("ulm.model.encoder.Encoder.load", lambda folder: FakeEncoder())
    found = results_of(general=general)["general"]
    assert "sizes of the general encoder, embedding, hidden and layers (8, 8, 2)" in found.detail
    fitting = "{embedding: 8, hidden: 8, layers: 2}"
    assert results_of(general=general, model=fitting)["general"].result == "ok"
    Path("reviews.csv").write_text(ROWS.replace("a review", "une critique"), encoding="utf-8")
    found = results_of(general=general, model=fitting)["general"]
    assert "it has 0% of the words of the domain" in found.detail


def test_domain_text_in_other_letters_than_english_is_told_beside_its_weights():
    weights = {"general": "{kind: wikitext-103}", "model": "{}"}
    told = "most letters of the domain are not"
    assert told not in results_of(**weights)["general"].detail
    Path("reviews.csv").write_text(ROWS.replace("a review", "отзыв о фильме"), encoding="utf-8")
    assert told in results_of(**weights)["general"].detail


def test_more_than_this_machine_has_is_a_note(monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = results_of(resources="{gpus: 1}")["resources"]
    assert (found.result, "resources.gpus=0" in found.detail) == ("note", True)
    assert results_of(resources="{cpus: 4000}")["resources"].result == "note"


def test_epochs_that_do_not_thaw_what_was_pretrained_are_a_note():
    found = results_of(classifier__epochs="2", search__warmup_epochs="1")["search"]
    assert (found.result, "with fewer than 3 part of it" in found.detail) == ("note", True)
    alone = results_of(
        classifier__epochs="2", search__warmup_epochs="1", regimes="[bow, scratch]", sizes="[10]"
    )
    assert alone["search"].result == "ok"


def test_a_warm_up_within_which_nothing_is_pruned_is_a_note():
    found = results_of(search__warmup_epochs="20")["search"]
    assert (found.result, "20, classifiers have 20 epochs" in found.detail) == ("note", True)
    assert results_of(search__warmup_epochs="19")["search"].result == "ok"
    assert results_of(search__warmup_epochs="20", search__pruner="none")["search"].result == "ok"
    longer = results_of(search__warmup_epochs="20", classifier__minimum_steps="100")
    assert longer["search"].result == "ok"


def test_a_ledger_that_cannot_be_opened_is_found(monkeypatch):
    def refuse(paths, spec):
        raise StorageError("the ledger is locked")

    monkeypatch.setattr("sweeps.search.studies.read_records", refuse)
    assert results_of()["ledger"].detail == "the ledger is locked"


def test_text_that_was_collected_since_is_refused_as_a_run_would_refuse_it():
    spec = load_spec("demo", SETTINGS)
    paths = SweepPaths.of(spec)
    paths.folder.mkdir(parents=True)
    studies = OptunaStudies(paths.ledger_url, spec.name)
    held = [open_corpus(s).fingerprint[:16] for s in (spec.corpus, spec.general.source)]
    studies.open({**meaning(spec), **dict(zip(CONTENT, held, strict=True))})
    studies.close()
    assert results_of()["ledger"].result == "ok"
    for file in ("reviews.csv", "articles.csv"):
        Path(file).write_text(ROWS + "another,good\n", encoding="utf-8")
    found = results_of()["ledger"]
    assert found.result == "failed"
    for text in (f"corpus.content: recorded '{held[0]}', now '", "general.content", "another"):
        assert text in found.detail


def test_every_check_runs_although_one_fails(monkeypatch):
    def refuse(source):
        raise UlmError("no corpus")

    monkeypatch.setattr("ulm.text.corpora.open_corpus", refuse)
    results = {what: found.result for what, found in results_of().items()}
    assert results == {
        "corpus": "failed",
        "general": "failed",
        "search": "ok",
        "storage": "ok",
        "tracking": "ok",
        "ledger": "ok",
        "resources": "ok",
    }
