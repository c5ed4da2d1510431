import pytest

from sweeps.spec.general import GeneralSpec


@pytest.mark.parametrize("kind", ["wikitext-2", "synthetic-general"])
def test_a_general_corpus_without_labels_gives_a_source(kind):
    assert GeneralSpec(kind=kind).source.kind == kind


def test_a_general_table_is_read_without_labels(tmp_path):
    source = GeneralSpec(kind="csv", path=tmp_path / "x.csv", text_column="body").source
    assert source.label_column is None
    assert source.text_column == "body"


def test_pretrained_weights_have_no_corpus():
    assert GeneralSpec(kind="wikitext-103").source is None
    assert GeneralSpec(kind="encoder", path="x").is_pretrained


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "encoder"}, "path is needed"),
        ({"path": "x"}, "path has no effect"),
        ({"epochs": 0}, "epochs must be at least 1, found 0"),
        ({"minimum_steps": -1}, "minimum_steps must be >= 0, found -1"),
    ],
)
def test_a_broken_rule_is_refused_with_the_value_found(values, message):
    with pytest.raises(ValueError, match=message):
        GeneralSpec(**values)
