"""The peers' side. Run as a script, by a Python that has their packages and not this program.

    PYTHON peer_programs.py dsir POOL TARGET FOLDER N    rows like the target's, by data-selection
    PYTHON peer_programs.py features QUERIES             NL2SQL360's statistics of each query

Files are JSON lines with ``text`` (and ``dialect`` for features). Prints a JSON object.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def dsir(pool: str, target: str, folder: str, n_rows: str) -> dict[str, Any]:
    """Write FOLDER/0.jsonl, ...: rows of the pool by importance resampling, with its defaults.

    Only its least number of tokens is lowered: it leaves out examples of fewer than 100.
    """
    import numpy
    from data_selection import HashedNgramDSIR

    numpy.random.seed(0)
    cache = Path(folder).with_name("dsir-cache")
    shutil.rmtree(cache, ignore_errors=True)
    dsir = HashedNgramDSIR([pool], [target], cache_dir=str(cache), min_example_length=0)
    dsir.fit_importance_estimator()
    dsir.compute_importance_weights()
    dsir.resample(out_dir=folder, num_to_sample=int(n_rows), cache_dir=str(cache / "rows"))
    return {}


def features(queries: str) -> dict[str, Any]:
    """Return the number of joins, groups, ... of each query, null where it does not parse."""
    from nl2sql360.parser import SQLParser

    counts = {
        "joins": "count_join",
        "grouping": "count_group_by",
        "set_operation": "count_set_operation",
        "distinct_values": "count_distinct",
        "aggregate": "count_aggregation",
        "text_pattern": "count_like",
        "case_expression": "count_control_flow",
        "window_function": "count_window",
    }
    found: list[dict[str, int] | None] = []
    for row in _rows(queries):
        try:
            parsed = SQLParser(row["text"], dialect=row["dialect"])
            found.append({name: getattr(parsed, count) for name, count in counts.items()})
        except Exception:  # whatever the peer raises
            found.append(None)
    return {"features": found}


def _rows(path: str) -> Iterator[dict[str, Any]]:
    with Path(path).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


if __name__ == "__main__":
    # Progress goes to standard error; only the answer to standard output.
    print(json.dumps({"dsir": dsir, "features": features}[sys.argv[1]](*sys.argv[2:])))
