"""Corpora that are damaged or hostile: read, or refused by one message that names the file."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import subprocess
import sys
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ulm.errors import CorpusError, UlmError
from ulm.text.corpora import CorpusSource, open_corpus
from ulm.text.texts import decode
from ulm.text.tokens import prepare_tokens

ROWS = [(f"a review number {i}, café {'!' * (i % 7)}", ("bad", "good")[i % 2]) for i in range(40)]
LONG = "a word " * 7_500_000  # 50 MB


def csv_bytes(rows=ROWS):
    return (
        "\n".join(["text,label", *(f'"{text}",{label}' for text, label in rows)]).encode() + b"\n"
    )


def jsonl_bytes(rows=ROWS):
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    return "\n".join(lines).encode() + b"\n"


def parquet_bytes(rows=ROWS, **options):
    file = io.BytesIO()
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), file, **options)
    return file.getvalue()


WHOLE = {"csv": csv_bytes(), "jsonl": jsonl_bytes(), "parquet": parquet_bytes()}


def opened(tmp_path, kind, data, **options):
    file = tmp_path / f"reviews.{kind}"
    file.write_bytes(data)
    return open_corpus(CorpusSource(kind=kind, path=file, **options))


def mutated(data, generator):
    """A copy with one to five of: a bit flipped, bytes removed, repeated, replaced, or cut off."""
    data = bytearray(data)
    for _ in range(generator.randint(1, 5)):
        at = generator.randrange(len(data))
        match generator.randrange(5):
            case 0:
                data[at] ^= 1 << generator.randrange(8)
            case 1:
                del data[at : at + generator.randint(1, 9)]
            case 2:
                data[at:at] = data[at : at + generator.randint(1, 99)]
            case 3:
                data[at : at + 1] = generator.choice(
                    [b"\0", b'"', b"\n", b"\r", b"\xff", b"{", b","]
                )
            case 4 if generator.random() < 0.2:
                del data[max(1, at) :]
    return bytes(data)


@pytest.mark.parametrize("kind", WHOLE)
def test_mutated_tables_are_read_or_refused_by_the_name_of_the_file(kind, tmp_path):
    refusals = [
        refusal
        for seed in range(200)
        if (refusal := refusal_of(tmp_path, kind, mutated(WHOLE[kind], random.Random(seed))))
    ]
    assert 10 < len(refusals) < 200, "a test of nothing"
    names = (f"reviews.{kind}", f"{kind}-reviews")
    assert [text for text in refusals if not any(name in text for name in names)] == []
    assert max(map(len, refusals)) < 2000


def refusal_of(tmp_path, kind, data):
    try:
        list(opened(tmp_path, kind, data).texts)
    except UlmError as error:
        return str(error)
    return None


def test_a_damaged_page_of_parquet_is_named_with_the_rows_before_it(tmp_path):
    data = bytearray(parquet_bytes(ROWS * 100, compression="snappy", row_group_size=1000))
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    with pytest.raises(CorpusError, match=r"reviews\.parquet: .*after row \d+ .*again"):
        opened(tmp_path, "parquet", bytes(data))


@pytest.mark.torch
def test_null_characters_in_texts_are_texts(tmp_path):
    rows = [(f"a \0 review {i}", label) for i, (_, label) in enumerate(ROWS)]
    for kind, data in (("csv", csv_bytes(rows)), ("jsonl", jsonl_bytes(rows))):
        corpus = opened(tmp_path, kind, data)
        assert sum("\0" in text for text in corpus.texts) == len(rows)
    source = CorpusSource(kind="csv", path=tmp_path / "reviews.csv")
    assert prepare_tokens(source, tmp_path / "tokens", processes=1).num_documents == len(rows)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_line_of_50_megabytes_is_a_document_and_beside_a_mistake_it_is_not_shown(kind, tmp_path):
    write = {"csv": csv_bytes, "jsonl": jsonl_bytes}[kind]
    corpus = opened(tmp_path, kind, write([*ROWS, (LONG, "good")]))
    assert max(map(len, corpus.texts)) == len(LONG)
    broken = write([*ROWS, (LONG, "good")]).rstrip()[:-8] + b"\xff"
    with pytest.raises(CorpusError) as refusal:
        opened(tmp_path, kind, broken)
    assert len(str(refusal.value)) < 500


TEXT = csv_bytes().decode()
MIXED = {
    "latin-1": (b"text,label\n" + "café,good\n".encode("latin-1"), "CP1252"),
    "Windows": (b"text,label\n" + "5 € „café“,good\n".encode("cp1252"), "CP1252"),
    "UTF-16": (TEXT.encode("utf-16"), "utf-16"),
    "UTF-16, most significant first": (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), "utf-16le"),
    "UTF-16 without a mark, most significant first": (TEXT.encode("utf-16-be"), "utf-16be"),
    "UTF-32": (TEXT.encode("utf-32"), "utf-32"),
    "surrogates as bytes": (b"text,label\n" + b"\xed\xa0\x80,good\n", "CP1252"),
}


@pytest.mark.parametrize("what", MIXED)
def test_another_encoding_is_refused_with_its_remedy(what, tmp_path):
    data, name = MIXED[what]
    with pytest.raises(CorpusError, match=rf"must be UTF-8.*`iconv -f {name} -t utf-8`"):
        opened(tmp_path, "csv", data)


def test_one_line_of_another_encoding_is_named_alone(tmp_path):
    data = "text,label\ncafé,good\nplain,bad\n".encode() + "café,good\n".encode("latin-1")
    with pytest.raises(CorpusError, match=r"line 4 must be UTF-8, as lines before it are; mend"):
        opened(tmp_path, "csv", data)


def test_a_compressed_archive_is_to_be_unpacked(tmp_path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("reviews.csv")
        member.size = len(TEXT.encode())
        archive.addfile(member, io.BytesIO(TEXT.encode()))
    with pytest.raises(CorpusError, match="this is a tar archive; unpack it"):
        opened(tmp_path, "csv", gzip.compress(data.getvalue()))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("compression", ["snappy", "none"])
def test_a_parquet_file_under_another_name_is_named_as_such(kind, compression, tmp_path):
    data = parquet_bytes(compression=compression)
    with pytest.raises(CorpusError, match="this is a Parquet file; set kind to parquet"):
        opened(tmp_path, kind, data)
    with pytest.raises(CorpusError, match="this is a Parquet file; set kind to parquet"):
        decode(data, tmp_path / "reviews.txt")


def test_a_sheet_of_excel_is_named_with_its_remedy(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    with pytest.raises(CorpusError, match=r"reviews\.csv: .* a zip file, .*save the sheet as CSV"):
        opened(tmp_path, "csv", file.getvalue())


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel file of before 2007; save the sheet"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "compressed with zstd; unpack it"),
    ],
)
def test_a_file_of_another_form_is_named_with_its_remedy(tmp_path, begin, message):
    with pytest.raises(CorpusError, match=message):
        opened(tmp_path, "csv", begin + bytes(100))


@pytest.mark.parametrize("library", [gzip, bz2, lzma])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_compressed_file_that_ends_early_or_is_damaged_is_one_message(tmp_path, kind, library):
    data = library.compress({"csv": csv_bytes, "jsonl": jsonl_bytes}[kind](ROWS * 100))
    middle = len(data) // 2
    for broken in (data[:middle], data[:12] + bytes(20) + data[32:]):
        with pytest.raises(CorpusError, match=r"must be a whole compressed file.*write it again"):
            opened(tmp_path, kind, broken)


def test_json_lines_in_utf_16_without_a_mark_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(CorpusError, match=r"byte 1 is 0x00.*iconv -f utf-16le"):
        opened(tmp_path, "jsonl", jsonl_bytes().decode().encode("utf-16-le"))


JSON_LINES = {
    "nesting without end": (b'{"text": ' + b"[" * 200_000, "row 41: each line must be one JSON"),
    "a number without end": (b'{"text": ' + b"9" * 10_000 + b"}", "row 41: each line must be one"),
    "half of a surrogate pair as label": (
        b'{"text": "a", "label": "\\ud800"}',
        "row 41: label must be UTF-8",
    ),
    "half of a surrogate pair as text": (
        b'{"text": "\\udfff", "label": "good"}',
        "row 41: text must be UTF-8",
    ),
    "a list as text": (b'{"text": ["' + b"x" * 100_000 + b'"]}', "row 41: column 'text' must hold"),
    "no object": (b"[1, 2]", "row 41: each line must be one JSON object"),
}


@pytest.mark.parametrize("what", JSON_LINES)
def test_a_json_line_made_to_break_the_reader_is_refused_by_its_row(what, tmp_path):
    line, message = JSON_LINES[what]
    with pytest.raises(CorpusError, match=message) as refusal:
        opened(tmp_path, "jsonl", WHOLE["jsonl"] + line + b"\n")
    assert len(str(refusal.value)) < 600


def test_texts_of_parquet_that_are_none_are_refused(tmp_path):
    for values in ([b"\xff"] * 4, [1, 2, 3, 4], [["a"]] * 4, [{"a": 1}] * 4):
        file = io.BytesIO()
        pq.write_table(pa.table({"text": values, "label": ["a", "b"] * 2}), file)
        with pytest.raises(CorpusError, match=r"row 1: column 'text' must hold text"):
            opened(tmp_path, "parquet", file.getvalue())
    texts = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")
    )
    file = io.BytesIO()
    pq.write_table(pa.table({"text": texts, "label": ["a", "b"]}), file)
    with pytest.raises(CorpusError, match="must be a Parquet file of UTF-8 texts"):
        opened(tmp_path, "parquet", file.getvalue())


def test_a_column_that_is_there_twice_or_lost_among_thousands_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="column 'text' must be there once"):
        opened(tmp_path, "csv", b"text,label,text\na,b,c\n")
    header = ",".join(f"column{i}" for i in range(50_000)).encode()
    with pytest.raises(CorpusError, match="and more") as refusal:
        opened(tmp_path, "csv", header + b"\n")
    assert len(str(refusal.value)) < 1000


def folder_corpus(tmp_path):
    root = tmp_path / "texts"
    for part in ("train", "test"):
        for label in ("bad", "good"):
            (root / part / label).mkdir(parents=True)
            for i in range(4):
                file = root / part / label / f"{i}.txt"
                file.write_text(f"{part} {label} review {i}", encoding="utf-8")
    return root


def open_folder(root):
    return open_corpus(CorpusSource(kind="folder", path=root))


def test_links_to_documents_are_documents(tmp_path):
    root = folder_corpus(tmp_path)
    (tmp_path / "elsewhere.txt").write_text("a review that lies elsewhere", encoding="utf-8")
    (root / "train" / "good" / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    (root / "unlabelled").symlink_to(root / "train" / "good", target_is_directory=True)
    assert "a review that lies elsewhere" in list(open_folder(root).texts)


def to_nowhere(place):
    place.symlink_to("nowhere")


def to_itself(place):
    place.symlink_to(place.name)


def to_a_device(place):
    place.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [to_nowhere, to_itself, to_a_device, os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_and_never_read(make, tmp_path):
    root = folder_corpus(tmp_path)
    make(root / "train" / "good" / "5.txt")
    with pytest.raises(CorpusError, match=r"5\.txt: each document must be a file"):
        open_folder(root)
    make(tmp_path / "reviews.csv")
    with pytest.raises(CorpusError, match=r"reviews\.csv (must be one file|does not exist)"):
        open_corpus(CorpusSource(kind="csv", path=tmp_path / "reviews.csv"))


def test_folders_that_hold_themselves_are_read_once(tmp_path):
    root = folder_corpus(tmp_path)
    (root / "train" / "good" / "loop").symlink_to(root, target_is_directory=True)
    assert len(open_folder(root)) == 16


def test_a_label_that_is_not_utf8_is_refused(tmp_path):
    root = folder_corpus(tmp_path)
    label = os.fsencode(root / "train") + b"/caf\xe9"
    try:
        os.mkdir(label)
    except OSError as error:
        pytest.skip(f"this disk has no such names: {error}")
    with open(label + b"/0.txt", "w", encoding="utf-8") as file:
        file.write("a review")
    with pytest.raises(CorpusError, match="a folder is named for its label, in UTF-8"):
        open_folder(root)


def archive_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, link in members:
            entry = tarfile.TarInfo(name)
            if link is not None:
                entry.type, entry.linkname = tarfile.SYMTYPE, link
                archive.addfile(entry)
            else:
                entry.size = 5
                archive.addfile(entry, io.BytesIO(b"pwned"))


SLIPS = {
    "upwards": [("{name}/../../../pwned", None)],
    "absolute": [("{at}/pwned", None)],
    "link": [("{name}/link", "../../.."), ("{name}/link/pwned", None)],
    "absolute-link": [("{name}/link", "{at}"), ("{name}/link/pwned", None)],
}
# In a process of its own: fastai leaves its configuration file open, and reads it once.
UNPACK = """
import sys
from ulm.text.downloads import unpacked
for name in sys.argv[1:]:
    try:
        print(unpacked(f"https://nowhere.invalid/{name}.tgz"))
    except Exception as error:
        print(name, type(error).__mro__)
"""


@pytest.mark.torch
def test_an_archive_that_leads_out_of_its_folder_writes_nothing_there(tmp_path):
    outside, home = tmp_path / "outside", tmp_path / "outside" / "home"
    (home / "archive").mkdir(parents=True)
    for name, members in SLIPS.items():
        told = [(path.format(name=name, at=outside), link) for path, link in members]
        links = [(path, link and link.format(at=outside)) for path, link in told]
        archive_of(home / "archive" / f"{name}.tgz", (f"{name}/README", None), *links)
    said = subprocess.run(
        [sys.executable, "-c", UNPACK, *SLIPS],
        env={**os.environ, "FASTAI_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    refused = said.stdout.count("tarfile.FilterError")
    assert refused == len(SLIPS) - 1, said.stdout + said.stderr  # a leading / is taken away
    written = [path for path in tmp_path.rglob("pwned") if home / "data" not in path.parents]
    assert written == []
