"""Inputs of the contestants: corpora files, and queries and templates as plain Parquet."""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from benchmarks.generate import write_corpora_file, write_corpus, write_log, write_many
from nl2sql_align.tasks.ingest.corpora_file import format_corpora, load_corpora

ROOT = Path(__file__).resolve().parents[1]
DUMPS = Path("..", "shared", "corpora", "corpora.toml")
WHOLE_JOB = ("spider-train", "bird-train", "sql-create-context-train", "spider-dev", "bird-dev")
_SIZES = (8660, 9428, 8000, 1034, 1534)


def real_corpora(folder: Path, dumps: Path, names: Iterable[str] | None = None) -> Path:
    """Write a corpora file of real dumps: all, or those with the given names.

    Without real dumps, use the samples, and generated corpora of the sizes of ``WHOLE_JOB``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if dumps.exists():
        wanted = None if names is None else set(names)
        entries = [e for e in load_corpora(dumps) if wanted is None or e.name in wanted]
    else:
        for number, (name, size) in enumerate(zip(WHOLE_JOB, _SIZES, strict=True)):
            write_corpus(folder / f"{name}-like.parquet", size, f"real {number}")
        like = write_corpora_file(folder / "like.toml", [f"{name}-like" for name in WHOLE_JOB], 1)
        entries = [*load_corpora(ROOT / "samples" / "corpora.toml"), *load_corpora(like)]
    path = folder / ("whole-job.toml" if names else "all.toml")
    path.write_text(format_corpora(entries), encoding="utf-8")
    return path


def synthetic(folder: Path, n_queries: int) -> Path:
    """Write a corpora file with one generated corpus; reuse an existing corpus."""
    name = f"synthetic-{n_queries}"
    if not (folder / f"{name}.parquet").exists():
        write_corpus(folder / f"{name}.parquet", n_queries)
    return write_corpora_file(folder / f"{name}.toml", [name], 1)


def samples() -> str:
    """Return the text of the samples' corpora file, with absolute paths."""
    text = (ROOT / "samples" / "corpora.toml").read_text("utf-8")
    return text.replace('path = "', f'path = "{ROOT / "samples"}/')


def many(folder: Path, n_corpora: int, n_queries: int, n_added: int) -> tuple[Path, Path]:
    """Write two corpora files with many generated corpora; the second one has one more."""
    folder /= f"many-{n_corpora}-{n_queries}"
    if not (folder / "corpora.toml").exists():
        write_many(folder, n_corpora, n_queries)
        write_corpus(folder / "added.parquet", n_added, "added")
    first = folder / "corpora.toml"
    second = folder / "one-more.toml"
    added = write_corpora_file(folder / "added.toml", ["added"], 0).read_text("utf-8")
    second.write_text(f"{first.read_text('utf-8')}\n{added}", encoding="utf-8")
    return first, second


def log(folder: Path, n_rows: int, n_distinct: int) -> Path:
    """Write a corpora file with a query log as the target, and the samples; reuse an existing log.

    Returns:
        The corpora file.
    """
    name = f"log-{n_rows}-{n_distinct}"
    if not (folder / f"{name}.parquet").exists():
        write_log(folder / f"{name}.parquet", n_rows, n_distinct)
    path = folder / f"{name}.toml"
    path.write_text(
        f'[[corpus]]\nname = "log"\nrole = "target"\nformat = "parquet"\ndialect = "sqlite"\n'
        f'path = "{name}.parquet"\ncolumns = {{ sql = "statement", db_id = "db" }}\n\n{samples()}',
        encoding="utf-8",
    )
    return path


def export(warehouse: Path, queries: Path, templates: Path) -> None:
    """Write the queries and templates that contestants share, from the results of a run."""
    with duckdb.connect(warehouse / "alignment.duckdb", read_only=True) as con:
        for path, columns, join in (
            (queries, "role, dialect, sql", ""),
            (templates, "template", "join templates using (template_id)"),
        ):
            con.sql(
                f"select corpus, {columns} from queries join corpora using (corpus) {join} "
                "order by corpora.rowid, queries.ordinal"
            ).write_parquet(str(path))
