"""Load: a YAML file becomes a SweepSpec, or every mistake in it at once.

A path and overrides come in; a SweepSpec goes out. Paths inside a spec are relative to its file,
`storage` to the working directory, so that a packaged spec writes where the user stands. JSON is
read by the same code: what a run folder or a worker keeps of a spec passes the same checks.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import resources
from pathlib import Path

import yaml

from sweeps.errors import SpecError
from sweeps.passwords import without_password
from sweeps.spec.meaning import ADDED, JSON, to_json
from sweeps.spec.reader import SpecReader
from sweeps.spec.searches import Range
from sweeps.spec.values import SweepSpec
from sweeps.spec.yaml_nodes import compose, is_unsaid, override

MAX_SPEC_BYTES = 4_000_000


def packaged_specs() -> dict[str, Path]:
    """Name → file of the specs that come with the package."""
    folder = Path(str(resources.files("sweeps"))) / "specs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_spec(path: Path, project: Path | None = None) -> Path:
    """The file a user means: as given, in the clone, or packaged, `demo` or `specs/demo.yaml`.

    Args:
        path: What the user typed.
        project: Folder of the user's clone on the head of a cluster, where relative paths are
            looked up that lead nowhere from the working directory.

    Raises:
        SpecError: There is none; the nearest file is named.
    """
    if path.is_file():
        return path
    if project is not None and (project / path).is_file():
        return project / path
    packaged = packaged_specs()
    is_plain = path.parent.name in ("", "specs") and path.suffix in ("", ".yaml")
    if is_plain and path.stem in packaged:
        return packaged[path.stem]
    what = "is a folder, not a spec" if path.is_dir() else "there is no such file"
    folder = path if path.is_dir() else path.parent
    files = {file.name: str(file) for file in sorted(folder.glob("*.yaml"))}
    names = {**{name: name for name in packaged}, **files}
    nearest = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    hint = f"did you mean {names[nearest[0]]}? " if nearest else ""
    known = f"Packaged specs: {', '.join(packaged)}" if packaged else "Name a .yaml file"
    raise SpecError([f"{path}:0: spec: {what}; {hint}{known}"])


def load_spec(
    path: Path | str,
    overrides: Mapping[str, str] | None = None,
    project: Path | None = None,
    defaults: Mapping[str, str] | None = None,
) -> SweepSpec:
    """Read a spec.

    Args:
        path: A YAML file, or the name of a packaged spec, e.g. `demo`.
        overrides: Dotted key → value as YAML text, e.g. `{"search.classifier.trials": "2"}`;
            paths among them are relative to the working directory.
        project: The user's clone on the head of a cluster, as in `find_spec`.
        defaults: Dotted key → value as YAML text, for keys that file and overrides leave out or
            have null.

    Raises:
        SpecError: Every mistake found, each as `file:line: key: message`.
    """
    file = find_spec(Path(path), project)
    base = file.absolute().parent
    return _read(_text_of(file), str(file), base, overrides or {}, defaults or {})


def _text_of(file: Path) -> str:
    try:
        size = file.stat().st_size
        if size > MAX_SPEC_BYTES:
            what = f"must have at most {MAX_SPEC_BYTES:,} bytes, found {size:,}; is it the corpus?"
            raise SpecError([f"{file}:1: spec: {what}"])
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SpecError([f"{file}:{line}: spec: must be UTF-8 text; save it as UTF-8"]) from None
    except OSError as error:
        raise SpecError([f"{file}:0: spec: cannot be read: {error.strerror}"]) from None


def _read(
    text: str,
    name: str,
    base: Path,
    overrides: Mapping[str, str],
    defaults: Mapping[str, str],
) -> SweepSpec:
    root = compose(text, name)
    if root is None:
        raise SpecError([f"{name}:1: spec: is empty; start from a packaged spec"])
    if isinstance(root, yaml.MappingNode):
        for key, value in overrides.items():
            override(root, key, value)
        for key, value in defaults.items():
            if is_unsaid(root, key):
                override(root, key, value)
    reader = SpecReader(base)
    spec = reader.section(root, SweepSpec)
    if reader.mistakes:
        raise SpecError(reader.mistakes)
    assert isinstance(spec, SweepSpec)
    return spec


def without_passwords(spec: SweepSpec) -> SweepSpec:
    """A spec as it may be recorded, and sent to workers."""
    ledger, tracking = spec.ledger, spec.tracking
    if ledger.url is not None:
        ledger = replace(ledger, url=without_password(ledger.url))
    if tracking.uri is not None:
        tracking = replace(tracking, uri=without_password(tracking.uri))
    return replace(spec, ledger=ledger, tracking=tracking)


def spec_to_json(spec: SweepSpec) -> str:
    """The spec as JSON text, every default written out and passwords left out.

    `spec_from_json` gives an equal spec, but for passwords.
    """
    return json.dumps(_nested(without_passwords(spec)), indent=2, ensure_ascii=False)


def _nested(value: object) -> JSON:
    if is_dataclass(value) and not isinstance(value, Range):
        return {entry.name: _nested(getattr(value, entry.name)) for entry in fields(value)}
    return to_json(value)


def load_recorded(file: Path) -> SweepSpec:
    """Read the `spec.json` of a sweep's folder.

    Raises:
        SpecError: It can not be read, or is no spec of this version.
    """
    return spec_from_json(_text_of(file), str(file))


def spec_from_json(text: str, name: str = "spec.json") -> SweepSpec:
    """Read what `spec_to_json` wrote, in earlier versions too.

    A key that came later has the value that all had before it came.

    Args:
        text: The JSON.
        name: What mistakes call it.

    Raises:
        SpecError: It is no spec of this version.
    """
    before = {key: json.dumps(value) for key, value in ADDED.items()}
    return _read(text, name, Path.cwd(), {}, before)
