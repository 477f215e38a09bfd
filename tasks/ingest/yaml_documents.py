"""YAML files as JSON lines, which DuckDB reads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

YAML: Final = frozenset({".yaml", ".yml"})

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE: Final = "<<"


class _Value(NamedTuple):
    """A value of a document.

    Attributes:
        value: None, a text, a list or a dict.
        size: About how many characters it has as JSON, with its aliases written out.
        is_plain: Whether it is a text without quotes, as ``null`` and ``<<`` have to be.
    """

    value: Any
    size: int
    is_plain: bool = False


@dataclass
class _Collection:
    """A list or a mapping that is being read.

    Attributes:
        anchor: The name that aliases use for it.
        line: The line at which it starts.
        is_mapping: Whether it is a mapping.
        values: Its items, or in turns its keys and values.
    """

    anchor: str | None
    line: int
    is_mapping: bool
    values: list[_Value] = field(default_factory=list)


def convert_yaml(
    path: Path, copy: Path, *, max_bytes: int = 32_000_000, max_depth: int = 100
) -> None:
    """Write the documents of a YAML file as JSON lines; a list gives a line for each item.

    Nothing but lists, mappings and texts is made of the file, whatever tags it has: ``no``, ``1e3``
    and ``2024-01-01`` stay texts as they are written, and only an empty value is null.

    Args:
        path: The file.
        copy: The file to write.
        max_bytes: The largest file, and the largest document with its aliases written out.
        max_depth: How deep lists and mappings may be nested.

    Raises:
        OSError: The file is not YAML, is too large or nested too deep, has a key twice in one
            mapping, or an alias in the value that it names.
    """
    import yaml  # slow to import, and few dumps are YAML

    if path.stat().st_size > max_bytes:
        raise OSError(f"it is YAML of more than {max_bytes / 1e6:.0f} MB")
    try:
        with path.open("rb") as file, copy.open("wb") as target:
            for document in _read_documents(file, max_bytes, max_depth):
                for item in document if isinstance(document, list) else [document]:
                    line = json.dumps(item, ensure_ascii=False) + "\n"
                    target.write(line.encode("utf-8", "replace"))
    except yaml.MarkedYAMLError as error:
        place = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise OSError(f"it is not valid YAML: {error.problem}{place}") from None
    except yaml.YAMLError as error:
        raise OSError(f"it is not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise OSError("its aliases are nested too deep") from None


def _read_documents(file: Any, max_size: int, max_depth: int) -> Iterator[Any]:
    """Yield the values of the documents of a YAML file.

    Events are read without recursion, which deep nesting would end with the process. An alias is
    the value that it names, not a copy of it, so that nested aliases stay small until their size is
    known.
    """
    import yaml

    # The C parser takes a fifth of the time, but is missing where PyYAML was built without libyaml.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    open_collections: list[_Collection] = []
    named: dict[str, _Value] = {}
    for event in yaml.parse(file, Loader=loader):
        line = event.start_mark.line + 1
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.DocumentStartEvent):
            named = {}
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_collections) >= max_depth:
                raise OSError(f"it is nested more than {max_depth} deep (line {line})")
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            open_collections.append(_Collection(anchor, line, is_mapping))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            collection = open_collections.pop()
            anchor = collection.anchor
            value = _close_mapping(collection) if collection.is_mapping else _close_list(collection)
        elif isinstance(event, yaml.ScalarEvent):
            value = _Value(event.value, len(event.value) + 4, event.implicit[0])
        elif isinstance(event, yaml.AliasEvent):
            if anchor not in named:
                raise OSError(f"the alias '{anchor}' has no value before it (line {line})")
            value, anchor = named[anchor], None
        else:
            continue
        if value.size > max_size:
            raise OSError(f"it has more than {max_size / 1e6:.0f} MB with its aliases written out")
        if anchor is not None:
            named[anchor] = value
        if open_collections:
            open_collections[-1].values.append(value)
        else:
            yield _read_scalar(value)


def _read_scalar(value: _Value) -> Any:
    """Return the value itself, None for a null."""
    return None if value.is_plain and value.value in _NULLS else value.value


def _close_list(collection: _Collection) -> _Value:
    values = collection.values
    return _Value([_read_scalar(value) for value in values], _add_sizes(values))


def _close_mapping(collection: _Collection) -> _Value:
    """Return a mapping; its merge key supplies keys that it lacks."""
    mapping: dict[str, Any] = {}
    merged: list[dict[str, Any]] = []
    values = iter(collection.values)
    for key, value in zip(values, values, strict=True):
        if not isinstance(key.value, str):
            raise OSError(f"a key is not a text (in the mapping at line {collection.line})")
        if key.is_plain and key.value == _MERGE:
            ones = value.value if isinstance(value.value, list) else [value.value]
            merged += [one for one in ones if isinstance(one, dict)]
        elif key.value in mapping:
            raise OSError(f"the mapping at line {collection.line} has key '{key.value}' twice")
        else:
            mapping[key.value] = _read_scalar(value)
    for one in merged:
        mapping = {**one, **mapping}
    return _Value(mapping, _add_sizes(collection.values))


def _add_sizes(values: list[_Value]) -> int:
    return sum(value.size + 2 for value in values) + 2
