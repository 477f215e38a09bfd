"""A corpus with the files of its stages, and its templates, put together from parsed parts."""

from dataclasses import dataclass, field
from pathlib import Path

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ngrams.corpus_counts import Division


@dataclass(frozen=True)
class CountedCorpus:
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
