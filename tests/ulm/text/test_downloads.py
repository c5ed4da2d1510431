"""Where fastai's corpora are looked for, and what is said when they can not be had."""

import subprocess
import sys
from urllib.error import URLError

import pytest

from ulm.errors import CorpusError
from ulm.text.downloads import data_folder, downloaded_folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    return tmp_path


def test_an_unpacked_folder_is_found_without_fastai(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastai.data.external", None)
    (home / "data" / "imdb").mkdir(parents=True)
    assert downloaded_folder("imdb") == home / "data" / "imdb"


@pytest.mark.torch
def test_the_data_folder_is_the_one_fastai_uses(tmp_path, monkeypatch):
    for name, data in (("plain", None), ("relative", "elsewhere"), ("absolute", "/a/path")):
        (tmp_path / name).mkdir()
        if data is not None:
            config = f"[DEFAULT]\ndata = {data}\n"
            (tmp_path / name / "config.ini").write_text(config, encoding="utf-8")
    homes = sorted(tmp_path.iterdir())
    found = []
    for home in homes:
        monkeypatch.setenv("FASTAI_HOME", str(home))
        found.append(str(data_folder()))
    # In a process of its own: fastai leaves its configuration file open.
    program = (
        "import os, sys\n"
        "from fastai.data.external import fastai_cfg, fastai_path\n"
        "for home in sys.argv[1:]:\n"
        "    os.environ['FASTAI_HOME'] = home\n"
        "    fastai_cfg.cache_clear()\n"
        "    print(fastai_path('data'))\n"
    )
    command = [sys.executable, "-c", program, *map(str, homes)]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.stdout.split() == found, said.stderr


@pytest.mark.torch
def test_a_failed_download_says_where_the_data_should_lie(home, monkeypatch):
    def no_network(url):
        raise URLError("no route")

    monkeypatch.setattr("fastai.data.external.untar_data", no_network)
    with pytest.raises(CorpusError, match=r"imdb must lie in .*unpack the archive there by hand"):
        downloaded_folder("imdb")
