"""A corpus that is not films: what Debian's packages are, in eight topics, and the sweep over it.

    apt-get -o Acquire::Languages=en -o Dir::State::lists=LISTS update     # LISTS/partial is there
    python benchmarks/debian_topics.py LISTS FOLDER
    sweep run FOLDER/debian.yaml

Descriptions of Debian 12's packages, one for each source package, no text twice. Those of eight
sections are labelled, half of them for testing; all others are text without a label. Written are
`debian.csv` and `debian.yaml`; what a run of it gave is docs/results/debian_topics.md. Needs `lz4`.
"""

import csv
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LIST = "*_dists_bookworm_main_"
TOPICS = ("admin", "devel", "games", "graphics", "net", "science", "sound", "utils")
SPEC = """
name: debian
corpus: {kind: csv, path: debian.csv, part_column: part}
general: {kind: wikitext-2, epochs: 2}
labels: {train: 400, validation: 0.2}
sizes: [400, 2000, 8000, 30000]
seeds: 3
model: {embedding: 128, hidden: 128, layers: 1, vocabulary: 6000}
language_model: {epochs: 2, minimum_steps: 1200, batch: 16, bptt: 70, dropout: 0.2}
classifier: {epochs: 12, batch: 16, bptt: 70, dropout: 0.3, ensemble: 3}
search:
  general: {trials: 1, learning_rate: 8.0e-3}
  language_model: {trials: 1, learning_rate: 1.1e-2, decay: 1.0}
  classifier: {trials: 3, learning_rate: {log: [1.0e-2, 3.0e-2]}, decay: 1.0}
  bow: {trials: 4, inverse_regularization: {log: [1.0, 100.0]}}
  warmup_epochs: 6
resources: {cpus: 1, gpus: 0}
"""


def paragraphs(file: Path) -> Iterator[dict[str, str]]:
    """Fields of each paragraph of one of apt's lists."""
    text = subprocess.run(["lz4", "-dc", file], capture_output=True, check=True).stdout.decode()
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.split("\n"):
            if line[:1] in (" ", "\t"):
                fields[name] += f"\n{line}"
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def descriptions(lists: Path) -> Iterator[tuple[str, str]]:
    """Text and section, one for each source package, no text twice."""
    (packages,) = lists.glob(f"{LIST}binary-amd64_Packages.lz4")
    (translations,) = lists.glob(f"{LIST}i18n_Translation-en.lz4")
    whole = {
        fields["Description-md5"]: fields["Description-en"]
        for fields in paragraphs(translations)
        if "Description-en" in fields
    }
    sources, texts = set(), set()
    for fields in paragraphs(packages):
        source = fields.get("Source", fields["Package"]).split(" ")[0]
        found = whole.get(fields.get("Description-md5", ""))
        if found is None or source in sources:
            continue
        lines = (line.strip() for line in found.split("\n"))
        text = " ".join(" ".join("" if line == "." else line for line in lines).split())
        if text not in texts:
            sources.add(source)
            texts.add(text)
            yield text, fields.get("Section", "")


def main() -> None:
    """Write the corpus and its spec."""
    lists, folder = map(Path, sys.argv[1:])
    generator = random.Random(0)
    rows = []
    for text, section in descriptions(lists):
        if section not in TOPICS:
            rows.append((text, "", "unlabelled"))
        else:
            rows.append((text, section, "test" if generator.random() < 0.5 else "train"))
    generator.shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "debian.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label", "part"), *rows])
    (folder / "debian.yaml").write_text(SPEC, encoding="utf-8")
    parts = [part for _, _, part in rows]
    print({part: parts.count(part) for part in ("train", "unlabelled", "test")})


if __name__ == "__main__":
    main()
