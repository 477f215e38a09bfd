"""Why two corpora differ: the n-grams behind their divergence, and named SQL structures.

The divergence is a sum with one term per n-gram. Nested n-grams that express the same difference
are folded under the longest one together with their terms, so the total does not change.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import asin, fsum, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ingest.questions import BY_ORDER
from nl2sql_align.tasks.measures.divergence import SKEW
from nl2sql_align.tasks.ngrams.count import split_template
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.features import FEATURES, HARDNESS, RELATED
from nl2sql_align.tasks.views.answer_errors import read_answer_errors
from nl2sql_align.tasks.views.digits import format_percent
from nl2sql_align.tasks.warehouse.object_store import warehouse_at
from nl2sql_align.tasks.warehouse.part_files import is_complete

if TYPE_CHECKING:
    import duckdb
    import polars as pl

FOLD_TOLERANCE: Final = 0.2
"""The largest share of an n-gram's probability that may occur outside the longer n-gram."""

MAX_FOLDED: Final = 20_000
"""How many terms per direction are folded, the largest first. Folding 12,000 takes 0.2 s."""

# Cohen's h of a difference that counts as small; sentences mention no lower ones.
_NOTABLE_EFFECT: Final = 0.2
# Pictures and the report show any difference that readers can see.
_VISIBLE_EFFECT: Final = 0.01


class Term(NamedTuple):
    """An n-gram's probabilities in P and Q, and its term of the divergence KL(P || Q)."""

    ngram: str
    p: float
    q: float
    nats: float


class Group(NamedTuple):
    """An n-gram, the n-grams folded under it, and the sum of all their terms."""

    head: Term
    folded: tuple[Term, ...]
    nats: float


def fold_terms(terms: Iterable[Term], tolerance: float = FOLD_TOLERANCE) -> list[Group]:
    """Fold nested n-grams that express the same difference under the longest one.

    N-grams are visited from the longest to the shortest, and by decreasing term among equal
    lengths. Each is folded under the longest n-gram that contains it, heads a group, and accounts
    for it in both corpora: its probability outside the longer n-gram, ``max(p - p', q - q')``, is
    at most ``tolerance`` times ``max(p, q)``. Otherwise it heads a new group.

    Args:
        terms: Terms of one sign: n-grams that are more frequent in the same corpus.
        tolerance: With 0, only n-grams that never occur without the longer one are folded.

    Returns:
        The groups, the largest sum first. Every term is in exactly one group, so the sums of the
        groups add up to the sum of the terms.
    """
    tokens = [(tuple(split_template(term.ngram)), term) for term in terms]
    tokens.sort(key=lambda pair: (-len(pair[0]), -pair[1].nats, pair[1].ngram))
    folded: dict[str, list[Term]] = {}
    heads_around: dict[tuple[str, ...], list[Term]] = {}
    for words, term in tokens:
        slack = tolerance * max(term.p, term.q)
        for head in heads_around.get(words, ()):  # the longest come first
            if max(term.p - head.p, term.q - head.q) <= slack:
                folded[head.ngram].append(term)
                break
        else:
            folded[term.ngram] = []
            n = len(words)
            inside = {words[i:j] for i in range(n) for j in range(i + 1, n + 1) if j - i < n}
            for part in inside:
                heads_around.setdefault(part, []).append(term)
    groups = [
        Group(term, tuple(folded[term.ngram]), fsum(one.nats for one in (term, *inner)))
        for _, term in tokens
        if (inner := folded.get(term.ngram)) is not None
    ]
    return sorted(groups, key=lambda group: (-group.nats, group.head.ngram))


@dataclass(frozen=True)
class Direction:
    """How the divergence of one direction of a pair adds up.

    ``shown_nats + rest_nats + opposite_nats`` equals ``divergence_nats``; all four are in nats.
    The first corpus is the source for ``over`` and the target for ``under``.

    Attributes:
        direction: ``over`` for KL(source || target), ``under`` for KL(target || source).
        divergence_nats: The divergence.
        shown_nats: The sum over the groups that are shown.
        rest_nats: The sum over all other n-grams that are more frequent in the first corpus.
        opposite_nats: The sum over the n-grams that are not more frequent in it; not positive.
        n_shown: The number of n-grams in the groups that are shown, including folded ones.
        n_rest: The number of n-grams behind ``rest_nats``.
        n_opposite: The number of n-grams behind ``opposite_nats``.
    """

    direction: str
    divergence_nats: float
    shown_nats: float
    rest_nats: float
    opposite_nats: float
    n_shown: int
    n_rest: int
    n_opposite: int


@dataclass(frozen=True)
class Explanation:
    """Why a source and a target differ.

    Attributes:
        source: The corpus P.
        target: The corpus Q.
        kl_alignment: As in table ``alignment``.
        ci_low: The lower end of its 95% interval; None unless the corpus Q has the role target.
        ci_high: The upper end of the interval.
        kl_nats: As in table ``alignment``, in nats.
        reverse_kl_nats: As in table ``alignment``, in nats.
        sentences: Structural differences as sentences, the largest first.
        answer_errors: How answers differ from the queries of their questions, as sentences; empty
            unless the source is predictions for the target, whose questions are known.
        sums: How the n-grams add up to the divergence, for each of the two directions.
        ngrams: One row per group that is shown: ``direction``, ``rank``, ``ngram`` (the longest of
            the group), ``source_probability`` and ``target_probability`` (of that n-gram),
            ``contribution_nats`` (its own term), ``group_nats`` (with the folded terms), ``share``
            (of the divergence), ``folded`` (the texts of the folded n-grams), and ``source_sql``,
            ``source_template``, ``target_sql``, ``target_template`` (a query of each corpus with
            the n-gram, and its template; null if no query has it).
        features: One row per structural feature: ``feature``, ``source_share`` and
            ``target_share`` (of queries that have it), ``source_mean`` and ``target_mean`` (per
            query), ``effect`` (Cohen's h of the shares, positive if the target's is larger).
    """

    source: str
    target: str
    kl_alignment: float
    ci_low: float | None
    ci_high: float | None
    kl_nats: float
    reverse_kl_nats: float
    sentences: list[str]
    answer_errors: list[str]
    sums: list[Direction]
    ngrams: "pl.DataFrame"
    features: "pl.DataFrame"


def explain(place: Path | str, source: str, target: str, top: int = 10) -> Explanation:
    """Explain why two corpora differ.

    Args:
        place: The folder of the results, or their address on an object store.
        source: The name of a corpus.
        target: The name of the corpus to compare it with, of any role.
        top: How many groups of n-grams to return for each direction, at least 1.

    Raises:
        WarehouseError: The results are missing, or an n-gram file is missing.
        ConfigurationError: A corpus does not exist, or has no n-grams.
    """
    import polars as pl

    warehouse = warehouse_at(place)
    with open_results(place) as con:
        pair = _read_pair(con, place, source, target)
        files = {
            name: warehouse.stage_file(warehouse.ngrams, pair[name], is_complete)
            for name in ("source_file", "target_file")
        }
        terms = query_sql(con, "views/explain/terms", **files, skew=SKEW).pl()
        shown, sums = [], []
        for direction, p, q in (("over", "source", "target"), ("under", "target", "source")):
            rows, total = _fold_direction(terms, direction, p, q, top)
            shown.append(rows)
            sums.append(total)
        ngrams = pl.concat(shown)
        for side, corpus in (("source", source), ("target", target)):
            ngrams = ngrams.join(
                _read_examples(con, ngrams[f"{side}_ordinal"], corpus, side),
                on=f"{side}_ordinal",
                how="left",
                maintain_order="left",
            ).drop(f"{side}_ordinal")
        features = _read_features(con, source, target)
        answer_errors = read_answer_errors(con).get((source, target), [])
        if answer_errors:
            answer_errors += _read_order_notes(con, source)
    return Explanation(
        source=source,
        target=target,
        kl_alignment=pair["kl_alignment"],
        ci_low=pair["ci_low"],
        ci_high=pair["ci_high"],
        kl_nats=pair["kl_nats"],
        reverse_kl_nats=pair["reverse_kl_nats"],
        sentences=describe_features(features, source, target),
        answer_errors=answer_errors,
        sums=sums,
        ngrams=ngrams,
        features=features,
    )


def _read_order_notes(con: "duckdb.DuckDBPyConnection", predictions: str) -> list[str]:
    """Return the notes of the last run on predictions that may answer other questions."""
    notes = con.execute("select notes from runs order by started_at desc limit 1").fetchone()
    own = [one for one in json.loads(notes[0] if notes else "[]") if BY_ORDER in one]
    return [f"Beware: {one}." for one in own if one.startswith(f"{predictions}: ")]


def _read_pair(
    con: "duckdb.DuckDBPyConnection", place: Path | str, source: str, target: str
) -> dict[str, Any]:
    known = dict(con.execute("select corpus, n_ngrams from corpora").fetchall())
    for name in (source, target):
        if name not in known:
            raise ConfigurationError(f"no corpus '{name}' in {place}; {suggest(name, known)}")
        if not known[name]:
            raise ConfigurationError(
                f"corpus '{name}' has no n-grams, so there is no divergence to explain; "
                f"to see why, run: nl2sql-align rejects {place} {name}"
            )
    rows: pl.DataFrame = query_sql(con, "views/explain/pair", source=source, target=target).pl()
    return rows.row(0, named=True)


def _fold_direction(
    terms: "pl.DataFrame", direction: str, p: str, q: str, top: int
) -> tuple["pl.DataFrame", Direction]:
    """Return the largest groups of one direction, and how the divergence adds up.

    Args:
        terms: The rows of ``sql/views/explain/terms.sql``.
        direction: ``over`` or ``under``.
        p: The divergence's first corpus: ``source`` or ``target``.
        q: The other one.
        top: How many groups to return.
    """
    import polars as pl

    nats = f"{direction}_nats"
    own = terms.filter(pl.col(f"{p}_probability") > 0)
    more = own.filter(pl.col(nats) > 0).sort(nats, "ngram", descending=[True, False])
    columns = more.select("ngram", f"{p}_probability", f"{q}_probability", nats)
    rows = columns.head(MAX_FOLDED).rows()
    groups = fold_terms(Term(*row) for row in rows)[:top]
    total = fsum(own[nats])
    shown = fsum(term.nats for group in groups for term in (group.head, *group.folded))
    positive = fsum(more[nats])
    n_shown = sum(1 + len(group.folded) for group in groups)
    heads = pl.DataFrame(
        {
            "direction": pl.Series([direction] * len(groups), dtype=pl.String),
            "rank": pl.Series(range(1, len(groups) + 1), dtype=pl.Int64),
            "ngram": pl.Series([group.head.ngram for group in groups], dtype=pl.String),
            "contribution_nats": pl.Series([group.head.nats for group in groups], dtype=pl.Float64),
            "group_nats": pl.Series([group.nats for group in groups], dtype=pl.Float64),
            # The divergence of two equal distributions is 0.
            "share": pl.Series(
                [group.nats / total if total > 0 else 0.0 for group in groups], dtype=pl.Float64
            ),
            "folded": pl.Series(
                [[term.ngram for term in group.folded] for group in groups],
                dtype=pl.List(pl.String),
            ),
        }
    )
    sides = own.select(
        "ngram", "source_probability", "target_probability", "source_ordinal", "target_ordinal"
    )
    return heads.join(sides, on="ngram", how="left", maintain_order="left"), Direction(
        direction=direction,
        divergence_nats=total,
        shown_nats=shown,
        rest_nats=positive - shown,
        opposite_nats=fsum(own.filter(pl.col(nats) <= 0)[nats]),
        n_shown=n_shown,
        n_rest=len(more) - n_shown,
        n_opposite=len(own) - len(more),
    )


def _read_examples(
    con: "duckdb.DuckDBPyConnection", ordinals: "pl.Series", corpus: str, side: str
) -> "pl.DataFrame":
    wanted = ordinals.drop_nulls().unique().sort().to_list()
    found: pl.DataFrame = query_sql(
        con, "views/explain/examples", corpus=corpus, ordinals=wanted
    ).pl()
    return found.rename(
        {"ordinal": f"{side}_ordinal", "sql": f"{side}_sql", "template": f"{side}_template"}
    )


def effect_size(one: float, other: float) -> float:
    """Return Cohen's h, a difference of two shares on a scale that treats all shares alike.

    From 12% to 0.3% is as far as from 50% to 79%. The result is positive if the first share is
    larger; 0.2 counts as small, 0.8 as large (Cohen, Statistical Power Analysis for the Behavioral
    Sciences, 1988).
    """
    return 2 * (asin(sqrt(one)) - asin(sqrt(other)))


def _read_features(con: "duckdb.DuckDBPyConnection", source: str, target: str) -> "pl.DataFrame":
    import polars as pl

    rows: pl.DataFrame = query_sql(con, "views/explain/features", source=source, target=target).pl()
    shares = zip(rows["target_share"], rows["source_share"], strict=True)
    effects = [effect_size(target, source) for target, source in shares]
    order = [*FEATURES, *(f"hardness_{name}" for name in HARDNESS), "length_tokens"]
    return rows.with_columns(pl.Series("effect", effects, dtype=pl.Float64)).sort(
        pl.col("feature").replace_strict(order, range(len(order)), default=len(order)), "feature"
    )


def find_different_structures(
    place: Path | str, source: str, target: str, most: int = 10
) -> list[dict[str, Any]]:
    """Return the structures whose shares differ most in two corpora, the largest difference first.

    They are those of *Differences* in the report: of related structures with the same shares in
    both corpora, only one is returned.

    Args:
        place: The folder of the results, or their address on an object store.
        source: The name of a corpus.
        target: The name of the corpus to compare it with.
        most: How many structures to return.

    Returns:
        For each structure ``label`` (its name in words), ``source_share`` and ``target_share``.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: A corpus does not exist, or has no n-grams.
    """
    with open_results(place) as con:
        _read_pair(con, place, source, target)
        features = _read_features(con, source, target)
    rows = {row["feature"]: row for row in features.iter_rows(named=True)}
    return [
        {"label": FEATURES[row["feature"]], **row}
        for row in _choose_distinct(rows, _VISIBLE_EFFECT)[:most]
    ]


def describe_pair(
    con: "duckdb.DuckDBPyConnection", source: str, target: str, most: int = 3
) -> list[str]:
    """Describe the structural differences of two corpora in a database of results in sentences.

    Args:
        con: A connection to the results.
        source: The name of a corpus.
        target: The name of the other one.
        most: How many differences of shares to mention.
    """
    return describe_features(_read_features(con, source, target), source, target, most)


def describe_features(
    features: "pl.DataFrame", source: str, target: str, most: int = 6
) -> list[str]:
    """Describe the structural differences of two corpora in sentences, the largest first.

    Differences of shares are mentioned if Cohen's h is at least 0.2. If two related features have
    the same shares in both corpora (joins, JOIN without INNER), only one is mentioned.

    Args:
        features: As in ``Explanation``.
        source: The source's name in the sentences.
        target: The target's name in the sentences.
        most: How many differences of shares to mention.
    """
    rows = {row["feature"]: row for row in features.iter_rows(named=True)}
    sentences = [
        f"{target} uses {FEATURES[row['feature']]} in {format_percent(row['target_share'])} of its "
        f"queries, {source} in {format_percent(row['source_share'])}."
        for row in _choose_distinct(rows, _NOTABLE_EFFECT)[:most]
    ]
    sentences.append(_describe_averages(rows, source, target))
    hardness = {
        side: [rows[f"hardness_{name}"][f"{side}_share"] for name in HARDNESS]
        for side in ("source", "target")
    }
    if all(map(sum, hardness.values())):
        sentences.append(
            f"Queries by Spider's hardness ({', '.join(HARDNESS)}): "
            f"{target} {', '.join(map(format_percent, hardness['target']))}; "
            f"{source} {', '.join(map(format_percent, hardness['source']))}."
        )
    return sentences


def _choose_distinct(rows: dict[str, dict[str, Any]], least: float) -> list[dict[str, Any]]:
    """Return the structures with an effect of at least this, the largest first, then as listed.

    Of related structures with the same shares in both corpora, only the first is returned. The
    script of the report (``structuresOf``) chooses in the same way.
    """
    visible = sorted(
        (rows[name] for name in FEATURES if abs(rows[name]["effect"]) >= least),
        key=lambda row: -abs(row["effect"]),
    )
    distinct: list[dict[str, Any]] = []
    for row in visible:
        if not any(_is_same_difference(row, other) for other in distinct):
            distinct.append(row)
    return distinct


def _is_same_difference(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two related features have nearly the same shares in both corpora."""
    related = [RELATED.get(row["feature"], row["feature"]) for row in (one, other)]
    return related[0] == related[1] and all(
        abs(one[side] - other[side]) < 0.01 for side in ("source_share", "target_share")
    )


def _describe_averages(rows: dict[str, dict[str, Any]], source: str, target: str) -> str:
    def averages(side: str) -> str:
        tokens, joins, conditions = (
            rows[feature][f"{side}_mean"] for feature in ("length_tokens", "joins", "predicates")
        )
        return f"{tokens:.1f} tokens, {joins:.1f} joins and {conditions:.1f} conditions"

    return (
        f"An average template has {averages('target')} in {target}, and {averages('source')} in "
        f"{source}."
    )
