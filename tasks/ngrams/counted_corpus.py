"""A corpus with the files of all its stages."""

from dataclasses import dataclass, field
from pathlib import Path

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ngrams.corpus_counts import Division


@dataclass(frozen=True)
class CountedCorpus:
    """A corpus with its stage files, ready to be measured.

    Attributes:
        entry: The corpus, with a known format and dialect.
        digest: The SHA-256 of its dump.
        content_key: The key of the n-gram counts; contents with equal keys have equal measures.
        queries: The stage file of the queries.
        templates: The stage file of the templates.
        ngrams: The stage file of the n-gram counts, or the folder of its partitions.
        seconds: The time that counting took.
        division: The steps by which a large corpus remains to be counted; None once it is counted.
        as_written: For predictions whose answers were cleaned: the same corpus without cleaning.
    """

    entry: CorpusEntry
    digest: str
    content_key: str
    queries: Path
    templates: Path
    ngrams: Path
    seconds: float = field(default=0.0, compare=False)
    division: Division | None = None
    as_written: "CountedCorpus | None" = None
