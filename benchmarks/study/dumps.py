"""The study as dumps: for each target a corpora file and outcomes, as ``calibrate`` reads them."""

import json
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.study.collect import Collected
from benchmarks.study.design import LINK, Row
from benchmarks.study.spelling import DIALECT, Spelling
from nl2sql_align.tasks.decisions.calibration import Outcome
from nl2sql_align.tasks.ingest.corpora_file import ColumnMapping, CorpusEntry, format_corpora

_COLUMNS: Final = ColumnMapping(sql="sql", question="question", db_id="db_id", part="part")
_UNPARSED: Final = "error"


def write_dumps(folder: Path, target: str, collected: Collected) -> Path:
    """Write the dumps of one target, and return the corpora file among them.

    Args:
        folder: Where to write the dumps. Training sets are shared by all targets.
        target: The target, and the name of the folder in it with ``corpora.toml`` and
            ``outcomes.csv``.
        collected: The outcomes, with what measured them.
    """
    own, trains = folder / target, folder / "training-sets"
    for place in (own, trains):
        place.mkdir(parents=True, exist_ok=True)
    some = collected.outcomes.filter(pl.col("target") == target)
    measures = collected.measures
    sets = {(one.name, one.seed): rows for one, rows in measures.sets.items()}
    asked = measures.corpora.targets[target]
    rows_of = [(target, "target", own, asked)]
    for name, seed, corpus in some.select("set", "seed", "train").unique().sort("train").rows():
        rows_of.append((corpus, "train", trains, sets[name, seed]))
    entries = []
    for corpus, role, place, rows in rows_of:
        path = place / f"{corpus}.jsonl"
        _write_rows(path, rows, measures.spelling)
        entries.append(_describe(corpus, role, "jsonl", path, columns=_COLUMNS))
    starts = some.select("start", "predictions", "seed").unique().sort("start")
    for start, corpus, seed in starts.rows():
        path = own / f"{corpus}.sql"
        answers = [one and measures.spelling(one) for one in collected.answers[start][target]]
        # A template that no query has is an answer that does not parse.
        path.write_text("".join(f"{one or _UNPARSED}\n" for one in answers), encoding="utf-8")
        model, _, tuned_on = start.partition(LINK)
        answered = {"target": target, "model": model}
        if tuned_on:
            answered["trained_on"] = f"{tuned_on}.seed{seed}"
        entries.append(_describe(corpus, "predictions", "lines", path, **answered))
    models = pl.col("start").str.split(LINK).list.first().alias("model")
    outcomes = some.with_columns(models).select(list(Outcome.model_fields))
    outcomes.write_csv(own / "outcomes.csv")
    place = own / "corpora.toml"
    place.write_text(format_corpora(entries), encoding="utf-8")
    return place


def _describe(name: str, role: str, layout: str, path: Path, **more: object) -> CorpusEntry:
    known = {"name": name, "role": role, "format": layout, "dialect": DIALECT}
    return CorpusEntry.model_validate({**known, "path": str(path.resolve()), **more})


def _write_rows(path: Path, rows: list[Row], spelling: Spelling) -> None:
    if path.exists():
        return
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            query = {"sql": spelling(row.template) or _UNPARSED, "question": row.question}
            # Databases of two sources may have the same name.
            db_id = f"{row.source} {row.db_id}" if row.db_id else None
            file.write(f"{json.dumps({**query, 'db_id': db_id, 'part': row.source})}\n")
