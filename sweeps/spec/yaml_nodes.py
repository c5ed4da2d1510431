"""YAML nodes: YAML text as a tree that still knows the line of everything in it (pure).

Text comes in, `yaml` nodes go out; `sweeps.spec.reader` turns them into values. Composing instead
of loading keeps the line marks, and duplicate keys, which a loaded dictionary would have lost.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from sweeps.errors import SpecError

Node: TypeAlias = yaml.nodes.Node
OVERRIDE = "--set"
MAX_DEPTH = 20  # levels of nesting; a spec has five, and PyYAML composes by recursion

MAX_SHOWN = 200  # characters of a value in a message


class _SpecLoader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's numbers: `1e-2` is one, `1:30` is not.

    It refuses what would reach the system calls and terminals of later as an error of theirs:
    nesting without end, null characters and lone surrogates.
    """

    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"is nested more than {MAX_DEPTH} levels deep", self.peek_event())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if "\0" in node.value or any("\ud800" <= letter <= "\udfff" for letter in node.value):
            self._refuse("a text must hold no null characters and no lone surrogates", node)
        return node

    def _refuse(self, problem: str, place: Any) -> None:
        raise yaml.composer.ComposerError(None, None, problem, place.start_mark)


_SpecLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_SpecLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789")
)
_SpecLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^([-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9][0-9_]*)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def compose(text: str, name: str) -> Node | None:
    """Compose one YAML (or JSON) document; None where it is empty.

    Args:
        text: The document.
        name: What locations call it: a file name, or `--set key`.

    Raises:
        SpecError: The text is not YAML.
    """
    try:
        loader = _SpecLoader(text)
        loader.name = name
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError([f"{name}:{line}: yaml: {error.problem or error.context}"]) from None
    except yaml.reader.ReaderError as error:
        raise SpecError([f"{name}:1: yaml: {error.reason} at position {error.position}"]) from None


def place(node: Node) -> tuple[bool, int, str]:
    """Sort key and text of where a node stands: overrides after the file, then by line."""
    name, line = node.start_mark.name, node.start_mark.line + 1
    if is_override(node):
        return True, line, name
    return False, line, f"{name}:{line}"


def is_override(node: Node) -> bool:
    """Whether the node came from the command line and not from the file."""
    return str(node.start_mark.name).startswith(OVERRIDE)


def entries(mapping: Node) -> Iterator[tuple[str, Node, Node]]:
    """Key text, key node and value node of a mapping, in order, duplicates included."""
    for key, value in mapping.value:
        yield str(key.value) if isinstance(key, yaml.ScalarNode) else found(key), key, value


def scalar(node: Node) -> Any:
    """The plain value of a scalar node: text, number, bool, None or a date.

    Raises:
        ValueError: A tag that is unknown or does not fit the text, e.g. `!!int x`.
    """
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except yaml.YAMLError as error:
        raise ValueError(f"has the tag {node.tag}, which is not known here: {error}") from None
    except (KeyError, IndexError, AttributeError):  # PyYAML's, where a tag does not fit the text
        raise ValueError(f"must be what its tag {node.tag} says") from None


def found(node: Node) -> str:
    """A node as messages show what was found."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if not node.value:
        return "nothing"
    text = repr(node.value) if node.tag.endswith(":str") else str(node.value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def override(root: Node, key: str, text: str) -> None:
    """Set a dotted key of the tree to a value given as YAML text, in place.

    Sections on the way are made where they are missing.

    Raises:
        SpecError: The text is not YAML, or the key goes through something that is no section.
    """
    name = f"{OVERRIDE} {key}={text}"
    value = compose(text, name) or compose("null", name)
    *sections, last = key.split(".")
    for section in sections:
        root = _section(root, section, name)
    root.value = [pair for pair in root.value if pair[0].value != last]
    root.value.append((_named(last, name), value))


def is_unsaid(root: Node, key: str) -> bool:
    """Whether a dotted key is left out or null; False where it goes through no section."""
    *sections, last = key.split(".")
    for section in sections:
        values = [value for name, _, value in entries(root) if name == section]
        if not values:
            return True
        root = values[-1]
        if not isinstance(root, yaml.MappingNode):
            return False
    values = [value for name, _, value in entries(root) if name == last]
    return all(value.tag.endswith(":null") for value in values)


def _named(key: str, name: str) -> Node:
    mark = yaml.Mark(name, 0, 0, 0, None, 0)
    return yaml.ScalarNode("tag:yaml.org,2002:str", key, mark, mark)


def _section(root: Node, section: str, name: str) -> Node:
    for key, _, value in entries(root):
        if key == section:
            if not isinstance(value, yaml.MappingNode):
                raise SpecError([f"{name}: {section}: is no section, found {found(value)}"])
            return value
    key_node = _named(section, name)
    made = yaml.MappingNode("tag:yaml.org,2002:map", [], key_node.start_mark, key_node.end_mark)
    root.value.append((key_node, made))
    return made
