"""Facts about stage files that only their whole content shows, stored beside them.

A run without changes needs these facts and the footers, but not the content.
"""

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any

from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import fetch_missing
from nl2sql_align.tasks.warehouse.ownership import is_stage


def recall(
    warehouse: Warehouse,
    name: str,
    file: Path,
    compute: Callable[[Path], Any],
    holds: Callable[[Any], bool] = lambda _: True,
) -> Any:
    """Return a fact about a stage file, computed once.

    Args:
        warehouse: The warehouse.
        name: The name of the fact; a new one if ``compute`` changes.
        file: The stage file.
        compute: Returns the fact, a value that JSON has, from the file.
        holds: Returns whether a stored fact still holds. If not, it is computed again.
    """
    fact = warehouse.facts / f"{file.stem}.{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(fact.read_text(encoding="utf-8"))
        is_whole = stored["key"] == stage_key(fact=fact.name, value=stored["value"])
        if is_whole and holds(stored["value"]):
            return stored["value"]
    fetch_missing([file])
    value = compute(file)
    with write_atomically(fact) as temporary:
        stored = {"value": value, "key": stage_key(fact=fact.name, value=value)}
        temporary.write_text(json.dumps(stored), encoding="utf-8")
    return value


def remove_unused_facts(warehouse: Warehouse, used: AbstractSet[Path]) -> None:
    """Remove the facts about files that are not used."""
    stems = {path.stem for path in used}
    for fact in warehouse.facts.glob("*.json"):
        stem = fact.name.partition(".")[0]
        if is_stage(Path(stem)) and stem not in stems:
            fact.unlink()
