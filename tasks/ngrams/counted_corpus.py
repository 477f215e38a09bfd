"""A corpus with the files of its stages, and its templates, put together from parsed parts."""

from dataclasses import dataclass, field
from pathlib import Path

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ngrams.corpus_counts import Division
from nl2sql_align.tasks.warehouse.folder import written_whole


@dataclass(frozen=True)
class IngestedCorpus:
    """A corpus all of whose stages are done, but for what ``division`` says.

    ``ngrams`` is a file, or a folder of partitions.
    """

    entry: CorpusEntry
    digest: str
    content_key: str
    queries: Path
    templates: Path
    ngrams: Path
    seconds: float = field(default=0.0, compare=False)
    division: Division | None = None


def join_templates(texts: Path, parts: list[Path], destination: Path) -> None:
    """Writes one row per distinct query of a corpus, with its template or reject reason.

    Args:
        texts: The distinct queries, as split.
        parts: What the parser made of each part.
        destination: ``first_ordinal``, ``sql``, ``n_queries``, ``template``, ``template_id``,
            ``reject_reason``, ``comparable_key``.
    """
    with connected() as con, written_whole(destination) as temporary:
        query_sql(
            con,
            "templates/templates_of_queries",
            texts=str(texts),
            parts=[str(part) for part in parts],
        ).write_parquet(str(temporary), compression="zstd")
