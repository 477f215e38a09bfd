"""The study as dumps: for each target a corpora file and outcomes, as ``calibrate`` reads them."""

import json
from pathlib import Path

import polars as pl

from benchmarks.study.collect import MODEL, Collected
from benchmarks.study.design import Row
from benchmarks.study.spelling import DIALECT, Spelling
from nl2sql_align.tasks.decisions.calibration import Outcome
from nl2sql_align.tasks.ingest.corpora_file import ColumnMapping, CorpusEntry, format_corpora

_COLUMNS = ColumnMapping(sql="sql", question="question", db_id="db_id")


def write_dumps(folder: Path, target: str, collected: Collected) -> Path:
    """Write the dumps of one target, and return the corpora file beside them.

    Args:
        folder: Where to write ``corpora.toml``, ``outcomes.csv`` and the dumps.
        target: The target.
        collected: The outcomes, with what measured them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    measures = collected.measures
    some = collected.outcomes.filter(pl.col("target") == target)
    spelling = measures.spelling
    sets = {(one.name, one.seed): rows for one, rows in measures.sets.items()}
    entries = [
        CorpusEntry(
            name=target,
            role="target",
            format="jsonl",
            dialect=DIALECT,
            path=_write_rows(
                folder / f"{target}.jsonl", measures.corpora.targets[target], spelling
            ),
            columns=_COLUMNS,
        )
    ]
    for name, seed, corpus in some.select("set", "seed", "train").unique().sort("train").rows():
        entries.append(
            CorpusEntry(
                name=corpus,
                role="train",
                format="jsonl",
                dialect=DIALECT,
                path=_write_rows(folder / f"{corpus}.jsonl", sets[name, seed], spelling),
                columns=_COLUMNS,
            )
        )
    for start, corpus in some.select("start", "predictions").unique().sort("start").rows():
        path = folder / f"{corpus}.sql"
        # A template that no query has is an answer that does not parse.
        lines = [(one and spelling(one)) or "error" for one in collected.answers[start][target]]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        entries.append(
            CorpusEntry(
                name=corpus,
                role="predictions",
                target=target,
                model=MODEL,
                format="lines",
                dialect=DIALECT,
                path=str(path),
            )
        )
    some.select(list(Outcome.model_fields)).write_csv(folder / "outcomes.csv")
    place = folder / "corpora.toml"
    place.write_text(format_corpora(entries), encoding="utf-8")
    return place


def _write_rows(path: Path, rows: list[Row], spelling: Spelling) -> str:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            query = {"sql": spelling(row.template) or "error", "question": row.question}
            # The rows of one database belong together in any source.
            db_id = f"{row.source} {row.db_id}" if row.db_id else None
            file.write(f"{json.dumps({**query, 'db_id': db_id})}\n")
    return str(path)
