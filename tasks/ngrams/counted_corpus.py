"""A corpus with the files of all its stages."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.questions import Arrangement, has_question_ordinals
from nl2sql_align.tasks.ngrams.corpus_counts import Division
from nl2sql_align.tasks.templates.fingerprints import FINGERPRINT
from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams


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
        division: The steps that count a large corpus; None once it is counted.
        as_written: For predictions whose answers were cleaned: the same corpus without cleaning.
        ingested: The stage file of the queries as ingested, if ``queries`` is arranged from it.
        arrangement: How its answers belong to questions, if that is not only by their order.
        answered: For predictions that answer a part of their target: that part, as a corpus.
        slices: For a target with slices: the stage file of the slice of each question.
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
    ingested: Path | None = None
    arrangement: Arrangement | None = None
    answered: "CountedCorpus | None" = None
    slices: Path | None = None

    @property
    def compared_with(self) -> str | None:
        """For predictions: the name of their target, or of the part of it that they answer."""
        return self.answered.entry.name if self.answered else self.entry.target

    @cached_property  # reads a file, and is needed for each table
    def has_sql(self) -> bool:
        """Whether any of its queries has a template; the texts of others are not kept."""
        # Only a corpus with many templates is divided.
        return self.division is not None or count_distinct_ngrams(self.ngrams) > 0

    @property
    def is_joined(self) -> bool:
        """Whether the questions of its answers are known to be those of its target."""
        return self.arrangement is not None and self.arrangement.is_joined

    def answers_questions_of(self, target: "CountedCorpus") -> bool:
        """Return whether the question of each answer is known, by its id or the order of answers.

        Args:
            target: The target of these predictions, or the part of it that they answer.
        """
        if self.is_joined:
            return True
        n_answers, n_questions = (
            pq.read_metadata(corpus.queries).num_rows for corpus in (self, target)
        )
        is_in_order = n_answers == n_questions and not has_question_ordinals(self.queries)
        return is_in_order and target.entry.format != FINGERPRINT
