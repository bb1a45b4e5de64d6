"""The `--complete` file: facts by product that a foreign source does not state.

    "*":
      owner: Data platform team
    sales.orders:
      classification: confidential
      contact: sales-data@example.org
      keywords: [orders, checkout]

The keys under a product are the fields of `Completion`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import yaml

from fairmesh.catalog.errors import InputError, ParseError
from fairmesh.catalog.feeds import Completion

_FIELDS = tuple(f.name for f in fields(Completion))
_MAX_BYTES = 1_000_000


def read_completions(data: bytes, name: str) -> dict[str, Completion]:
    """Completions by product key, or "*" for all products. `name` is the file's name, for messages.

    Raises `ParseError` with line and column for what is not YAML, and `InputError` with the line for an unknown or
    repeated key and for a value that cannot be used. An empty file completes nothing.
    """
    if len(data) > _MAX_BYTES:
        raise InputError(f"{name} is larger than {_MAX_BYTES:,} bytes", remedy="Keep only the defaults in it")
    try:
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise ParseError(f"{name} is not UTF-8", remedy="Save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or yaml.Mark(name, 0, 0, 0, None, 0)
        raise ParseError(
            f"{name} is not YAML: {error.problem}", line=mark.line + 1, column=mark.column + 1,
            remedy="Correct the file here",
        ) from None  # fmt: skip
    except (yaml.YAMLError, RecursionError) as error:
        raise ParseError(f"{name} is not YAML: {str(error) or 'nested too deep'}") from None
    if root is None:
        return {}
    return {key: _completion(value, f"{name}: {key}") for key, _, value in _pairs(root, name)}


def _pairs(node: yaml.Node, place: str) -> Iterator[tuple[str, int, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise _error(f"{place} is not a mapping", node, "Write `name: value` lines")
    seen: set[str] = set()
    for key_node, value in node.value:
        key = _text(key_node, place)
        if key in seen:
            raise _error(f"{place}: {key!r} is given twice", key_node, "Keep one of them")
        seen.add(key)
        yield key, key_node.start_mark.line + 1, value


def _completion(node: yaml.Node, place: str) -> Completion:
    values: dict[str, str] = {}
    keywords: tuple[str, ...] = ()
    for key, line, value in _pairs(node, place):
        if key not in _FIELDS:
            remedy = "Known keys are " + ", ".join(_FIELDS)
            raise InputError(f"{place}: {key!r} is not a known key", line=line, remedy=remedy)
        if key == "keywords":
            if not isinstance(value, yaml.SequenceNode):
                raise _error(f"{place}: keywords is not a list", value, "Write [first, second]")
            keywords = tuple(_text(item, place) for item in value.value)
        else:
            values[key] = _text(value, f"{place}: {key}")
    try:
        return Completion(**values, keywords=keywords)
    except InputError as error:
        raise InputError(f"{place}: {error.message}", line=node.start_mark.line + 1, remedy=error.remedy) from None


def _text(node: yaml.Node, place: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        raise _error(f"{place} has a value that is not a text", node, "Write one value on the line")
    return str(node.value).strip()


def _error(message: str, node: yaml.Node, remedy: str) -> InputError:
    return InputError(message, line=node.start_mark.line + 1, column=node.start_mark.column + 1, remedy=remedy)
