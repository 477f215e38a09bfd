"""The measures of the study's outcomes, by the program's own functions."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from benchmarks.study.design import Corpora, Row, TrainingSet, generator, rows_of
from benchmarks.study.spelling import Spelling
from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.measures.divergence import (
    add_unshared,
    alignment,
    jensen_shannon_divergences,
    skew_terms,
)
from nl2sql_align.tasks.measures.mixtures import nearest_mixture
from nl2sql_align.tasks.measures.parts import group_templates
from nl2sql_align.tasks.measures.reach import GAP_NATS, measure_optimism
from nl2sql_align.tasks.ngrams.count import (
    count_known,
    count_ngrams,
    ngram_incidence,
    ngram_keys,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PARTS: Final = ("sources", "databases", "groups")
_LEAST_ROWS: Final = 10
_SPLITS: Final = 2
_DIGITS: Final = 6


@dataclass(frozen=True)
class Side:
    """The measures of a list of queries, a training set or answers, with a target.

    Attributes:
        kl_alignment: The KL-alignment.
        js_alignment: ``1 - JS / ln 2``.
        keyword_alignment: The same of single tokens.
        reverse_alignment: The KL-alignment with the sides swapped.
        template_coverage: The share of the target's queries whose template occurs.
        ngram_coverage: The share of its n-grams that occur.
    """

    kl_alignment: float
    js_alignment: float
    keyword_alignment: float
    reverse_alignment: float
    template_coverage: float
    ngram_coverage: float


class Target:
    """A target, with the counts of its n-grams in all templates.

    Args:
        rows: Its questions.
        templates: All templates of training sets and answers, with their numbers.
        words: The counts of the single tokens of each of these.
    """

    def __init__(
        self, rows: Sequence[Row], templates: Mapping[str, int], words: "csr_array"
    ) -> None:
        from scipy.sparse import vstack

        self.templates = Counter(row.template for row in rows)
        counted = pl.DataFrame(
            {
                "template": list(self.templates),
                "n_occurrences": list(self.templates.values()),
                "example_ordinal": range(len(self.templates)),
            }
        )
        ngrams = count_ngrams(counted)
        counts = ngrams["n_occurrences"].to_numpy().astype(np.float64)
        self.shares = counts / counts.sum()
        known = list(count_known(pl.Series(list(templates)), ngram_keys(ngrams["ngram"])))
        self.counts = vstack([block.counts for block in known]).tocsr().astype(np.float64)
        self.totals = np.concatenate([block.totals for block in known]).astype(np.float64)
        self.words = words
        self.word_shares = self._share_words(self._weigh(templates, self.templates))
        self.numbers = templates
        self.halves = [half for split in range(_SPLITS) for half in self._split(rows, split)]

    @staticmethod
    def _weigh(templates: Mapping[str, int], counts: Mapping[str, int]) -> Floats:
        weights = np.zeros(len(templates))
        for template, n in counts.items():
            weights[templates[template]] = n
        return weights

    def _share_words(self, weights: Floats) -> Floats:
        counts = self.words.T @ weights
        return np.asarray(counts / max(counts.sum(), 1), np.float64)

    def _split(self, rows: Sequence[Row], split: int) -> list[Floats]:
        """Return the n-gram shares of two halves; a known database is in one of them."""
        units = [row.db_id or str(place) for place, row in enumerate(rows)]
        if len(set(units)) < 4:
            units = [str(place) for place in range(len(rows))]
        names = sorted(set(units))
        order = generator(f"half {split}").permutation(len(names))
        first = {names[place] for place in order[: len(names) // 2]}
        found = []
        for is_first in (True, False):
            some = Counter(
                row.template
                for row, unit in zip(rows, units, strict=True)
                if (unit in first) == is_first
            )
            counts = self.counts.T @ self._weigh(self.numbers, some)
            found.append(counts / counts.sum())
        return found

    def measure(self, counts: Mapping[str, int]) -> Side:
        """Return the measures of a list of templates with this target."""
        weights = self._weigh(self.numbers, counts)
        p = (self.counts.T @ weights) / max(float(self.totals @ weights), 1.0)
        q = self.shares
        words = self._share_words(weights)
        shared = p > 0
        nats = float(add_unshared(skew_terms(p, q).sum(), p.sum()))
        of_target = self.templates
        return Side(
            alignment(nats),
            _js_alignment(p, q),
            _js_alignment(words, self.word_shares),
            alignment(float(skew_terms(q, p).sum())),
            sum(n for template, n in of_target.items() if template in counts)
            / sum(of_target.values()),
            float(q[shared].sum()),
        )

    def reach(self, parts: Sequence[Mapping[str, int]]) -> float:
        """Return the KL-alignment of the best mixture of parts, on queries that did not choose it.

        As in ``tasks.measures.reach``: the other half measures how much weights gain by chance on
        the half that chose them, and half of it is charged to the best mixture for all queries.
        """
        from scipy.sparse import csr_array

        weights = np.stack([self._weigh(self.numbers, part) for part in parts])
        totals = weights @ self.totals
        weights, totals = weights[totals > 0], totals[totals > 0]
        if not len(totals):
            return alignment(float(add_unshared(np.float64(0), np.float64(0))))
        shares = csr_array((self.counts.T @ weights.T).T / totals[:, None])
        ones = np.ones(len(self.shares))
        best = nearest_mixture(shares, self.shares, ones, gap_nats=GAP_NATS)
        optimism = measure_optimism(shares, np.stack(self.halves), ones)
        return alignment(best.kl_nats + optimism / 2)


def _js_alignment(p: Floats, q: Floats) -> float:
    shared = (p > 0) & (q > 0)
    nats = jensen_shannon_divergences(p[shared], q[shared], np.ones(int(shared.sum())))
    return 1 - float(nats) / math.log(2)


def divide(rows: Sequence[Row], by: str) -> list[Counter[str]]:
    """Return the templates of each part of a training set."""
    if by == "sources":
        labels = [row.source for row in rows]
    elif by == "databases":
        # A source without databases is one part.
        labels = [row.db_id if _has_databases(row) else f"all of {row.source}" for row in rows]
    else:
        templates = sorted({row.template for row in rows})
        groups = group_templates(pl.Series(templates))
        names = dict(zip(templates, groups.rows(), strict=True))
        sizes = Counter(names[row.template][0] for row in rows)
        labels = [
            names[row.template][0 if sizes[names[row.template][0]] >= _LEAST_ROWS else 1]
            for row in rows
        ]
    counts: dict[str, Counter[str]] = {}
    sizes = Counter(labels)
    for label, row in zip(labels, rows, strict=True):
        counts.setdefault(label if sizes[label] >= _LEAST_ROWS else "", Counter())[
            row.template
        ] += 1
    return list(counts.values())


def _has_databases(row: Row) -> bool:
    # Each question of WikiSQL has a table of its own.
    return row.db_id is not None and row.source != "wikisql"


@dataclass(frozen=True)
class Measures:
    """Measures training sets and answers of the study.

    Attributes:
        corpora: The corpora.
        spelling: Decides which templates parse.
        answers: All answers that will be measured.
    """

    corpora: Corpora
    spelling: Spelling
    sets: Mapping[TrainingSet, list[Row]]
    answers: Sequence[Sequence[str | None]]

    @cached_property
    def targets(self) -> dict[str, Target]:
        """The targets."""
        found: dict[str, int] = {}
        for rows in (*self.corpora.targets.values(), *self.sets.values()):
            for row in rows:
                found.setdefault(row.template, len(found))
        for some in self.answers:
            for template in some:
                if template is not None and self.spelling(template):
                    found.setdefault(template, len(found))
        words = ngram_incidence(pl.Series(list(found)), max_n=1).counts.astype(np.float64)
        return {name: Target(rows, found, words) for name, rows in self.corpora.targets.items()}

    def measure_set(self, chosen: TrainingSet, target: str) -> dict[str, float]:
        """Return the measures of a training set with a target."""
        rows = [row for row in self.sets[chosen] if self.spelling(row.template)]
        whole = Counter(row.template for row in rows)
        of = self.targets[target]
        found = {name: float(value) for name, value in vars(of.measure(whole)).items()}
        for by in PARTS:
            parts = divide(rows, by)
            best = of.reach(parts) if len(parts) > 1 else 0.0
            found[f"reach_{by}"] = max(found["kl_alignment"], best)
        return {name: round(value, _DIGITS) for name, value in found.items()}

    def measure_answers(self, answers: Iterable[str | None], target: str) -> dict[str, float]:
        """Return the measures of answers to a target, and the share of them that parse."""
        known = list(answers)
        parsed = [one for one in known if one is not None and self.spelling(one)]
        found = dict(vars(self.targets[target].measure(Counter(parsed))))
        found["parsed_share"] = len(parsed) / len(known)
        return {name: round(float(value), _DIGITS) for name, value in found.items()}


def known_queries(corpora: Corpora) -> list[tuple[str, str]]:
    """Return each template with a query that has it, those in the dialect of answers preferred."""
    rows = [row for some in (*corpora.sources.values(), *corpora.targets.values()) for row in some]
    return [
        (row.template, row.sql)
        for row in sorted(rows, key=lambda row: (row.dialect == "sqlite", row.sql))
    ]


def make_sets(corpora: Corpora, sets: Iterable[TrainingSet]) -> dict[TrainingSet, list[Row]]:
    """Return the rows of each training set."""
    return {chosen: rows_of(corpora, chosen) for chosen in dict.fromkeys(sets)}
