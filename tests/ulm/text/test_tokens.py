"""Token arrays: what is stored, how it is read, and what a half-written or cut folder does."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from ulm.errors import TokenError
from ulm.text import tokens as tokens_module
from ulm.text.corpora import Corpus, CorpusSource, LeftOut
from ulm.text.token_folder import ChunkWriter, TokenCost
from ulm.text.tokeniser import TokenChunk
from ulm.text.tokens import Documents, load_tokens, prepare_tokens

WORDS = [["xxbos", "a", "b"], ["xxbos"], ["xxbos", "c", "a", "a"], ["xxbos", "d"], ["xxbos", "b"]]
PARTS = np.array([0, 0, 1, 2, 2], dtype=np.uint8)
LABELS = np.array([0, 1, -1, 0, 1], dtype=np.int16)


def chunk(documents: list[list[str]]) -> TokenChunk:
    flat = [word for words in documents for word in words]
    types = tuple(dict.fromkeys(flat))
    return TokenChunk(
        types=types,
        ids=np.array([types.index(word) for word in flat], dtype=np.int32),
        lengths=np.array([len(words) for words in documents], dtype=np.int64),
        process=1,
        peak_bytes=0,
    )


def write(folder, documents=WORDS, parts=PARTS, labels=LABELS):
    folder.mkdir()
    writer = ChunkWriter(folder)
    assert sum(writer.append([chunk(documents[:2]), chunk(documents[2:])])) == len(documents)
    corpus = Corpus(
        name="tiny",
        texts=[" ".join(words) for words in documents],
        parts=parts,
        labels=labels,
        label_names=("no", "yes"),
        fingerprint="f" * 64,
        left_out=LeftOut(empty=2, repeats=3),
    )
    writer.finish(corpus, TokenCost(wall_seconds=1.0, peak_gib=0.5, processes=1))
    return folder


@pytest.fixture
def array(tmp_path):
    return load_tokens(write(tmp_path / "tiny"))


def strings(array, documents: Documents) -> list[list[str]]:
    return [[array.types[i] for i in documents[n]] for n in range(len(documents))]


class TestArray:
    def test_types_are_numbered_in_document_order_across_chunks(self, array):
        assert array.types == ("xxbos", "a", "b", "c", "d")
        assert array.ids.dtype == np.uint8
        assert isinstance(array.ids, np.memmap)
        assert array.num_documents == 5
        assert array.label_names == ("no", "yes")
        assert array.parts.tolist() == PARTS.tolist()
        assert array.labels.tolist() == LABELS.tolist()
        assert array.left_out == LeftOut(empty=2, repeats=3)
        assert array.cost == TokenCost(wall_seconds=1.0, peak_gib=0.5, processes=1)

    def test_a_document_has_one_digest_in_every_array(self, array, tmp_path):
        other = load_tokens(write(tmp_path / "other", documents=WORDS[::-1]))
        every = np.arange(len(WORDS))
        assert other.types != array.types
        assert array.digests(every).tolist() == other.digests(every[::-1]).tolist()
        assert array.digests(every[[3, 1]]).tolist() == array.digests(every)[[3, 1]].tolist()

    def test_documents_of_the_same_words_in_another_order_have_other_digests(self, tmp_path):
        documents = [["xxbos", *words] for words in ("ab", "ba", "abb", "a", "")]
        array = load_tokens(write(tmp_path / "orders", documents=documents))
        assert len(set(array.digests(np.arange(5)).tolist())) == 5
        assert len(array.digests(np.arange(0))) == 0

    def test_documents_that_differ_in_case_alone_have_one_digest(self, tmp_path):
        documents = [
            ["xxbos", "xxmaj", "a", "b"],
            ["xxbos", "a", "b"],
            ["xxbos", "xxup", "a", "xxmaj", "b"],
            ["xxbos", "b", "a"],
            ["xxbos", "b"],
        ]
        found = load_tokens(write(tmp_path / "case", documents=documents)).digests(np.arange(5))
        assert found[0] == found[1] == found[2] != found[3]

    def test_the_mapped_tokens_can_not_be_changed(self, array):
        with pytest.raises(ValueError, match="read-only"):
            array.ids[0] = 1

    @pytest.mark.parametrize("block", [1, 2, 4096])
    def test_encoding_keeps_order_and_repeats_whatever_the_block(self, array, monkeypatch, block):
        monkeypatch.setattr(tokens_module, "BLOCK_DOCUMENTS", block)
        wanted = np.array([3, 0, 2, 0, 1])
        same = np.arange(len(array.types), dtype=np.int32)
        documents = array.encode(wanted, same)
        assert strings(array, documents) == [WORDS[i] for i in wanted]
        assert documents.ids.dtype == np.int32
        assert documents.lengths.tolist() == [2, 3, 4, 3, 1]
        assert array.counts(wanted).tolist() == [5, 4, 2, 1, 1]

    def test_encoding_applies_the_lookup(self, array):
        numbers = np.array([2, 9, 0, 0, 10], dtype=np.int32)
        documents = array.encode(np.array([0, 3]), numbers)
        assert documents.ids.tolist() == [2, 9, 0, 2, 10]

    def test_nothing_can_be_encoded_and_counted(self, array):
        none = np.empty(0, dtype=np.int64)
        assert len(array.encode(none, np.zeros(5, dtype=np.int32))) == 0
        assert array.counts(none).sum() == 0

    def test_tokens_are_counted_in_all_or_in_some(self, array):
        assert array.num_tokens == 12

    def test_a_pickle_holds_the_folder_and_not_the_tokens(self, array):
        again = pickle.loads(pickle.dumps(array))
        assert np.array_equal(again.ids, array.ids)
        assert len(pickle.dumps(array)) < 500

    def test_more_than_256_types_take_two_bytes(self, tmp_path):
        documents = [[f"w{i}" for i in range(300)]] * 5
        array = load_tokens(write(tmp_path / "wide", documents))
        assert array.ids.dtype == np.uint16
        assert array.types[array.ids[299]] == "w299"


class TestDocuments:
    DOCUMENTS = Documents(
        ids=np.array([1, 2, 3, 4, 5, 6], dtype=np.int32), offsets=np.array([0, 2, 2, 6])
    )

    def test_documents_are_slices_of_one_array(self):
        assert self.DOCUMENTS[0].tolist() == [1, 2]
        assert self.DOCUMENTS[1].tolist() == []
        assert self.DOCUMENTS[-1].tolist() == [3, 4, 5, 6]
        assert np.shares_memory(self.DOCUMENTS[0], self.DOCUMENTS.ids)
        with pytest.raises(IndexError):
            self.DOCUMENTS[3]

    def test_taking_copies_in_the_order_asked_for(self):
        taken = self.DOCUMENTS.take(np.array([2, 1, 0]))
        assert taken.lengths.tolist() == [4, 0, 2]
        assert taken.ids.tolist() == [3, 4, 5, 6, 1, 2]


class TestFolder:
    @pytest.mark.parametrize("name", ["ids.npy", "types.json", "offsets.npy"])
    def test_a_file_cut_short_is_noticed_and_the_remedy_named(self, tmp_path, name):
        folder = write(tmp_path / "tiny")
        path = folder / name
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(TokenError, match=rf"{name} must have .*remove the folder .*tiny"):
            load_tokens(folder)

    @pytest.mark.parametrize("name", ["ids.npy", "types.json", "labels.npy"])
    def test_a_file_of_which_a_bit_has_changed_is_noticed(self, tmp_path, name):
        folder = write(tmp_path / "tiny")
        flip_a_bit(folder / name)
        with pytest.raises(TokenError, match=rf"{name} must be as it was written"):
            load_tokens(folder)

    def test_a_manifest_that_is_none_is_noticed(self, tmp_path):
        folder = write(tmp_path / "tiny")
        without_digests = '{"format": 1, "bytes": {}}'
        for text in ("{", "[]", "{}", '{"format": 1, "bytes": 3, "sha256": {}}', without_digests):
            (folder / "manifest.json").write_text(text)
            with pytest.raises(TokenError, match="must be a manifest, found"):
                load_tokens(folder)

    @pytest.mark.parametrize("key", ["name", "fingerprint", "label_names", "wall_seconds"])
    def test_a_manifest_with_a_damaged_key_is_none(self, tmp_path, key):
        path = write(tmp_path / "tiny") / "manifest.json"
        text = path.read_text()
        assert f'"{key}"' in text
        path.write_text(text.replace(f'"{key}"', f'"x{key}"'))
        with pytest.raises(TokenError, match="must be a manifest, found"):
            load_tokens(path.parent)

    def test_a_missing_file_is_noticed(self, tmp_path):
        folder = write(tmp_path / "tiny")
        (folder / "labels.npy").unlink()
        with pytest.raises(TokenError, match=r"labels\.npy must have .* found 0"):
            load_tokens(folder)

    def test_a_folder_without_manifest_is_not_loaded(self, tmp_path):
        with pytest.raises(TokenError, match=r"needs a manifest\.json, found none"):
            load_tokens(tmp_path)

    def test_a_folder_of_another_format_is_not_loaded(self, tmp_path):
        folder = write(tmp_path / "tiny")
        path = folder / "manifest.json"
        path.write_text(path.read_text().replace('"format": 1', '"format": 0'))
        with pytest.raises(TokenError, match="format must be 1, found 0"):
            load_tokens(folder)


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def folder_source(path, num_documents=8) -> CorpusSource:
    for index in range(num_documents):
        for part in ("train", "test"):
            label = ("no", "yes")[index % 2]
            file = path / part / label / f"{index}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"A {part} document number {index}, which is {label}.")
    return CorpusSource(kind="folder", path=path)


@pytest.mark.torch
class TestPrepare:
    @pytest.fixture
    def source(self, tmp_path):
        return folder_source(tmp_path / "docs")

    def test_what_is_stored_is_the_corpus_in_fastais_tokens(self, source, tmp_path):
        from fastai.text.core import tokenize_texts

        from ulm.text.corpora import open_corpus

        progress = []
        array = prepare_tokens(
            source, tmp_path / "cache", on_progress=lambda *done: progress.append(done)
        )
        corpus = open_corpus(source)
        expected = [list(doc) for doc in tokenize_texts(list(corpus.texts), n_workers=0)]
        same = np.arange(len(array.types), dtype=np.int32)
        everything = np.arange(array.num_documents)
        assert strings(array, array.encode(everything, same)) == expected
        assert array.fingerprint == corpus.fingerprint
        assert array.folder.name == f"folder-docs-{corpus.fingerprint[:16]}-fastai1"
        assert progress == [(16, 16)]
        assert array.cost.peak_gib > 0

    def test_names_of_files_may_be_as_long_as_a_system_takes_them(self, tmp_path):
        source = folder_source(tmp_path / f"{'数据' * 40}-x")
        array = prepare_tokens(source, tmp_path / "cache")
        assert array.num_documents == 16
        assert array.folder.name.startswith("folder-数据")

    def test_paths_may_be_text(self, source, tmp_path):
        said = CorpusSource(kind="folder", path=str(source.path))
        assert said == source
        array = prepare_tokens(said, str(tmp_path / "cache"), processes=1)
        assert load_tokens(str(array.folder)).fingerprint == array.fingerprint

    def test_a_second_start_reads_no_document(self, source, tmp_path, monkeypatch):
        first = prepare_tokens(source, tmp_path / "cache")

        def refuse(source):
            raise AssertionError("documents were read again")

        monkeypatch.setattr(tokens_module, "open_corpus", refuse)
        assert prepare_tokens(source, tmp_path / "cache").folder == first.folder

    def test_a_changed_file_makes_another_array(self, source, tmp_path):
        first = prepare_tokens(source, tmp_path / "cache")
        (source.path / "train" / "no" / "0.txt").write_text("Something else and longer entirely.")
        second = prepare_tokens(source, tmp_path / "cache")
        assert second.fingerprint != first.fingerprint
        assert load_tokens(first.folder).fingerprint == first.fingerprint

    def test_a_document_moved_to_another_label_makes_another_array(self, source, tmp_path):
        first = prepare_tokens(source, tmp_path / "cache")
        train = source.path / "train"
        (train / "no" / "0.txt").rename(train / "yes" / "moved.txt")
        second = prepare_tokens(source, tmp_path / "cache")
        assert (second.labels == 1).sum() == (first.labels == 1).sum() + 1

    def test_what_another_corpus_of_a_longer_name_is_writing_stays(self, source, tmp_path):
        others = [f".folder-docs-2-{'a' * 16}-fastai1.tmp", f".folder-docs-{'b' * 16}-fastai1.tmp"]
        for name in others:
            (tmp_path / "cache" / name).mkdir(parents=True)
        prepare_tokens(source, tmp_path / "cache")
        assert [name for name in others if (tmp_path / "cache" / name).exists()] == others[:1]

    def test_the_same_content_elsewhere_reuses_the_array(self, source, tmp_path, monkeypatch):
        first = prepare_tokens(source, tmp_path / "cache")
        copy = folder_source(tmp_path / "moved" / "docs")
        monkeypatch.setattr(tokens_module, "_write", None)
        assert prepare_tokens(copy, tmp_path / "cache").folder == first.folder

    def test_what_a_killed_process_left_is_cleaned_and_made_again(self, source, tmp_path):
        cache = tmp_path / "cache"
        first = prepare_tokens(source, cache)
        (first.folder / "manifest.json").unlink()
        left = cache / ".folder-docs-0123456789abcdef-fastai1.tmp"
        left.mkdir()
        (left / "ids.raw").write_bytes(b"half")
        again = prepare_tokens(source, cache)
        assert again.types == first.types
        assert not list(cache.glob(".*.tmp"))

    @pytest.mark.parametrize("name", ["ids.npy", "manifest.json"])
    def test_a_damaged_array_is_made_anew_and_told(self, source, tmp_path, name, caplog):
        first = prepare_tokens(source, tmp_path / "cache")
        tokens = np.array(first.ids)
        (first.folder / name).write_bytes((first.folder / name).read_bytes()[:-1])
        again = prepare_tokens(source, tmp_path / "cache")
        assert again.folder == first.folder
        assert np.array_equal(again.ids, tokens)
        assert [record.getMessage() for record in caplog.records] == [
            f"{first.folder} is not as it was written, and is made anew"
        ]

    def test_a_failure_leaves_nothing_behind(self, source, tmp_path):
        def stop(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare_tokens(source, tmp_path / "cache", on_progress=stop)
        assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []

    def test_two_processes_that_start_together_make_it_once(self, source, tmp_path):
        program = (
            "import sys\n"
            "from pathlib import Path\n"
            "from ulm.text.corpora import CorpusSource\n"
            "from ulm.text.tokens import prepare_tokens\n"
            "made = []\n"
            "source = CorpusSource(kind='folder', path=Path(sys.argv[1]))\n"
            "cache = Path(sys.argv[2])\n"
            "array = prepare_tokens(source, cache, on_progress=lambda *d: made.append(d))\n"
            "print(array.folder.name, array.num_tokens, len(made))\n"
        )
        command = [sys.executable, "-c", program, str(source.path), str(tmp_path / "cache")]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [process.communicate(timeout=120)[0].split() for process in running]
        assert [process.returncode for process in running] == [0, 0]
        assert answers[0][:2] == answers[1][:2]
        assert sorted(answer[2] for answer in answers) == ["0", "1"]

    def test_processes_must_be_positive(self, source, tmp_path):
        with pytest.raises(TokenError, match="processes must be at least 1, found 0"):
            prepare_tokens(source, tmp_path / "cache", processes=0)


def test_loading_tokens_imports_nothing_heavy():
    program = (
        "import sys\n"
        "import ulm.text.tokens, ulm.text.subsets, ulm.text.vocabulary, ulm.text.synthetic\n"
        "heavy = {'torch', 'fastai', 'pandas', 'spacy', 'pyarrow', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_script_without_a_guard_is_told_so_instead_of_waiting_for_itself(tmp_path):
    script = tmp_path / "script.py"
    source = f'CorpusSource(kind="folder", path="{tmp_path / "corpus"}")'
    script.write_text(
        "from ulm import CorpusSource, prepare_tokens\n"
        f'prepare_tokens({source}, "{tmp_path / "cache"}", processes=2)\n'
    )
    texts = {f"{part}/{name}": name for part in ("train", "test") for name in ("good", "bad")}
    texts |= {"unlabelled": "word " * 130_000}  # more than a chunk each
    for place, text in texts.items():
        folder = tmp_path / "corpus" / place
        folder.mkdir(parents=True)
        for number in range(8):
            (folder / f"{number}.txt").write_text(f"{number} {place} {text}")
    command = [sys.executable, str(script)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode != 0
    assert "TokenError: a tokenising process ended before its work" in told.stderr
    assert "add the guard" in told.stderr


@pytest.mark.parametrize("block", [1, 2, 3])
def test_digests_are_the_same_whatever_the_block(tmp_path, monkeypatch, block):
    """By them documents of a general corpus that repeat test documents are left out."""
    array = load_tokens(write(tmp_path / "tiny"))
    wanted = np.array([3, 0, 2, 0, 1, 4])
    whole = array.digests(wanted)
    assert len(set(whole.tolist())) == len(WORDS)
    monkeypatch.setattr(tokens_module, "BLOCK_DOCUMENTS", block)
    assert array.digests(wanted).tolist() == whole.tolist()
