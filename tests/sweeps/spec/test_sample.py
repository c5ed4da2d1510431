from dataclasses import replace

import pytest

from sweeps.spec.load import load_spec
from sweeps.spec.plan import plan_sweep
from sweeps.spec.sample import MOST_ROWS, known_volumes
from sweeps.spec.volume import published_volumes, stored_volumes
from ulm.text.corpora import open_corpus
from ulm.text.listing import Part
from ulm.text.tokens import prepare_tokens

TEXT = "Warm, funny and short: nothing is missing."
LABELLED = [f"{TEXT} {number}" for number in range(50)]


def spec_of(corpus, **others):
    return load_spec("demo", {"corpus": corpus, **others})


@pytest.fixture
def table(tmp_path):
    rows = [f'"{text}",{("bad", "good")[i % 2]}\n' for i, text in enumerate(LABELLED)]
    rows += [f'"Later: {TEXT}",\n' for _ in range(30)]
    (tmp_path / "mine.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    return spec_of(f"{{kind: csv, path: {tmp_path / 'mine.csv'}}}")


def test_a_table_is_counted_before_it_is_tokenised(table, tmp_path):
    found = known_volumes(table, tmp_path / "none").domain
    corpus = open_corpus(table.corpus)
    assert found.test_documents == (corpus.parts == Part.TEST).sum() == 10
    assert found.pool_documents == len(corpus) - 10
    assert "csv-mine is not tokenised: words of 80 documents counted" in found.basis
    tokens = prepare_tokens(table.corpus, tmp_path / "tokens", processes=1)
    mean = tokens.num_tokens / tokens.num_documents
    assert found.tokens_per_document == pytest.approx(mean, rel=0.1)
    assert known_volumes(table, tmp_path / "tokens") == stored_volumes(table, tmp_path / "tokens")


def test_a_size_beyond_a_table_is_warned_of_before_it_is_tokenised(table, tmp_path):
    plan = plan_sweep(table, volumes=known_volumes(table, tmp_path))
    assert "must not exceed the pool of 70 documents, found 1,600" in plan.warnings[0]


def test_a_column_of_parts_says_what_is_for_testing(tmp_path):
    rows = "".join(f"a text,good,{part}\n" for part in ("train", "test", "test", "unlabelled"))
    (tmp_path / "parts.csv").write_text("text,label,part\n" + rows, encoding="utf-8")
    spec = spec_of(f"{{kind: csv, path: {tmp_path / 'parts.csv'}, part_column: part}}")
    found = known_volumes(spec, tmp_path).domain
    assert (found.pool_documents, found.test_documents) == (2, 2)


def test_a_folder_is_counted_too(tmp_path):
    for place, number in (("train/good", 3), ("test/good", 2), ("unlabelled", 5)):
        (tmp_path / place).mkdir(parents=True)
        for index in range(number):
            (tmp_path / place / f"{index}.txt").write_text("one two three", encoding="utf-8")
    found = known_volumes(spec_of(f"{{kind: folder, path: {tmp_path}}}"), tmp_path / "none").domain
    assert (found.tokens_per_document, found.pool_documents, found.test_documents) == (4, 8, 2)


def test_of_a_table_that_is_very_long_only_the_beginning_is_read(tmp_path):
    lines = "a text,good\n" * (MOST_ROWS + 5)
    (tmp_path / "long.csv").write_text("text,label\n" + lines, encoding="utf-8")
    found = known_volumes(spec_of(f"{{kind: csv, path: {tmp_path / 'long.csv'}}}"), tmp_path).domain
    assert (found.tokens_per_document, found.pool_documents, found.test_documents) == (
        3,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "mine.csv is no file"),
        ("", "found an empty file"),
        ("text,label\n", None),
        ("no,header\n", "column 'text' is missing"),
        ("text,label\n\xff", "text must be UTF-8"),
    ],
)
def test_what_cannot_be_read_is_planned_as_unknown_with_the_reason(content, reason, tmp_path):
    if content is not None:
        (tmp_path / "mine.csv").write_bytes(content.encode("latin1"))
    spec = spec_of(f"{{kind: csv, path: {tmp_path / 'mine.csv'}}}")
    found, assumed = known_volumes(spec, tmp_path).domain, published_volumes(spec).domain
    assert replace(found, basis=assumed.basis) == assumed
    assert (reason or assumed.basis) in found.basis


def test_rows_after_the_first_ones_count_for_all_that_are_not_looked_at(tmp_path):
    lines = ["one two,good"] * 300 + ["one two three four five six seven,"] * 6_000
    (tmp_path / "sorted.csv").write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    spec = spec_of(f"{{kind: csv, path: {tmp_path / 'sorted.csv'}}}")
    tokens = known_volumes(spec, tmp_path).domain.tokens_per_document
    assert tokens == pytest.approx((300 * 3 + 6_000 * 8) / 6_300)


def test_parts_are_counted_as_they_are_read(tmp_path):
    lines = ["a,good,Train", "b,bad,train", "c,good,TEST", "d,bad,test"]
    (tmp_path / "mine.csv").write_text("text,label,part\n" + "\n".join(lines), encoding="utf-8")
    spec = spec_of(f"{{kind: csv, path: {tmp_path / 'mine.csv'}, part_column: part}}")
    assert known_volumes(spec, tmp_path).domain.test_documents == 2

    assert known_volumes(load_spec("demo"), tmp_path) == published_volumes(load_spec("demo"))
