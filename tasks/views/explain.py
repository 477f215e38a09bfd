"""Why two corpora differ: the n-grams that make the divergence, and the structures with a name.

Over all n-grams the terms sum to the divergence. Nested n-grams that say the same thing are folded
under the longest one, with their terms, so that the sum stays what it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import asin, fsum, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.divergence import SKEW
from nl2sql_align.tasks.ngrams.count import split_template
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.warehouse.count_files import are_complete
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

if TYPE_CHECKING:
    import duckdb
    import polars as pl

FOLD_TOLERANCE: Final = 0.2
"""How much of an n-gram's probability may lie outside the longer one that it is folded under."""

MOST_FOLDED: Final = 20_000
"""Terms of a direction that folding looks at, the largest first: 0.2 s for 12,000."""

FEATURES: Final = {
    "joins": "joins",
    "plain_join": "JOIN without INNER",
    "inner_join": "INNER JOIN",
    "outer_join": "outer joins",
    "cross_join": "CROSS JOIN",
    "comma_join": "joins by a comma",
    "nesting_depth": "subqueries",
    "cte": "common table expressions",
    "set_operation": "set operations",
    "aggregate": "aggregate functions",
    "grouping": "GROUP BY",
    "having": "HAVING",
    "distinct_values": "DISTINCT",
    "case_expression": "CASE",
    "window_function": "window functions",
    "type_conversion": "type conversions",
    "arithmetic": "arithmetic",
    "predicates": "conditions",
    "text_pattern": "LIKE or regular expressions",
    "membership": "IN or EXISTS",
    "alternative": "OR",
    "null_value": "NULL",
    "ordering": "ORDER BY",
    "row_limit": "LIMIT or TOP",
    "ordering_with_limit": "ORDER BY with LIMIT or TOP",
}
"""The features that a query has or has not, by what a sentence calls them."""

HARDNESS: Final = ("easy", "medium", "hard", "extra")
"""The classes of Spider's official evaluation."""

# Cohen's h from which a difference of shares counts as small and no longer as none.
_NOTABLE_EFFECT: Final = 0.2


class Term(NamedTuple):
    """An n-gram's part in a divergence KL(P || Q): its probabilities in both, and its term."""

    ngram: str
    p: float
    q: float
    nats: float


class Group(NamedTuple):
    """An n-gram with those that are folded under it, and the sum of their terms."""

    head: Term
    folded: tuple[Term, ...]
    nats: float


def fold(terms: Iterable[Term], tolerance: float = FOLD_TOLERANCE) -> list[Group]:
    """Folds nested n-grams that say the same thing under the longest one.

    N-grams are taken from the longest to the shortest, among equals the one with the larger term
    first. Each is folded under the longest n-gram that contains it, is itself not folded, and
    accounts for it on both sides: what the n-gram has outside the longer one, ``max(p - p', q -
    q')``, is at most ``tolerance`` times ``max(p, q)``. Else it starts a group of its own.

    Args:
        terms: Terms of one sign: n-grams that the same side has more of.
        tolerance: 0 folds only n-grams that never occur without the longer one.

    Returns:
        The groups, the largest sum first. Every term is in one group, so that the groups' sums add
        up to the terms' sum.
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
    """One direction of a pair, as a sum.

    ``shown_nats + rest_nats + opposite_nats`` is ``divergence_nats``. All in nats.

    Attributes:
        direction: ``over`` for KL(source || target), ``under`` for KL(target || source).
        divergence_nats: The divergence.
        shown_nats: The sum over the groups that are shown.
        rest_nats: The sum over the other n-grams that the divergence's first corpus has more of.
        opposite_nats: The sum over those that it has less of: negative terms.
        n_shown: N-grams in the groups that are shown, those folded included.
        n_rest: The other n-grams that the divergence's first corpus has more of.
        n_opposite: The n-grams that it has less of.
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
        ci_low: The lower end of its 95 % interval; None where the target has another role.
        ci_high: The upper end.
        kl_nats: As in table ``alignment``.
        reverse_kl_nats: As in table ``alignment``.
        sentences: The largest structural differences in words, the largest first.
        sums: How the shown n-grams and the others make the divergence of each direction.
        ngrams: The shown groups: ``direction``, ``rank``, ``ngram`` (the longest),
            ``source_probability`` and ``target_probability`` (its own), ``contribution_nats`` (its
            own term), ``group_nats`` (with the folded ones), ``share`` (of the divergence),
            ``folded`` (their texts), and of each side a query that has the n-gram with its
            template, null where no query has it.
        features: ``feature``, ``source_share``, ``target_share`` (of queries that have it),
            ``source_mean``, ``target_mean`` (per query), ``effect`` (Cohen's h of the shares).
    """

    source: str
    target: str
    kl_alignment: float
    ci_low: float | None
    ci_high: float | None
    kl_nats: float
    reverse_kl_nats: float
    sentences: list[str]
    sums: list[Direction]
    ngrams: "pl.DataFrame"
    features: "pl.DataFrame"


def explain(place: Path | str, source: str, target: str, top: int = 10) -> Explanation:
    """Why a source's alignment with a target is what it is.

    Args:
        place: The folder of the results, or their address on a store.
        source: A corpus.
        target: The corpus that it is compared with, whatever its role.
        top: How many groups of n-grams to give for each direction, at least 1.

    Raises:
        WarehouseError: There are no results, or they lack what is needed.
        ConfigurationError: There is no such corpus, or one without n-grams.
    """
    import polars as pl

    warehouse = warehouse_at(place)
    with open_results(place) as con:
        pair = _pair(con, place, source, target)
        files = {
            name: warehouse.stage_file(warehouse.ngrams, pair[name], are_complete)
            for name in ("source_file", "target_file")
        }
        terms = query_sql(con, "views/explain/terms", **files, skew=SKEW).pl()
        shown, sums = [], []
        for direction, p, q in (("over", "source", "target"), ("under", "target", "source")):
            rows, total = _direction(terms, direction, p, q, top)
            shown.append(rows)
            sums.append(total)
        ngrams = pl.concat(shown)
        for side, corpus in (("source", source), ("target", target)):
            ngrams = ngrams.join(
                _examples(con, ngrams[f"{side}_ordinal"], corpus, side),
                on=f"{side}_ordinal",
                how="left",
                maintain_order="left",
            ).drop(f"{side}_ordinal")
        features = _features(con, source, target)
    return Explanation(
        source=source,
        target=target,
        kl_alignment=pair["kl_alignment"],
        ci_low=pair["ci_low"],
        ci_high=pair["ci_high"],
        kl_nats=pair["kl_nats"],
        reverse_kl_nats=pair["reverse_kl_nats"],
        sentences=in_words(features, source, target),
        sums=sums,
        ngrams=ngrams,
        features=features,
    )


def _pair(
    con: "duckdb.DuckDBPyConnection", place: Path | str, source: str, target: str
) -> dict[str, Any]:
    known = dict(con.execute("select corpus, n_ngrams from corpora").fetchall())
    for name in (source, target):
        if name not in known:
            raise ConfigurationError(
                f"no corpus '{name}' in {place}; there are: {', '.join(known)}"
            )
        if not known[name]:
            raise ConfigurationError(
                f"corpus '{name}' has no n-grams, and so no divergence to explain; "
                f"see why: nl2sql-align rejects {place} {name}"
            )
    rows: pl.DataFrame = query_sql(con, "views/explain/pair", source=source, target=target).pl()
    return rows.row(0, named=True)


def _direction(
    terms: "pl.DataFrame", direction: str, p: str, q: str, top: int
) -> tuple["pl.DataFrame", Direction]:
    """The shown groups of one direction, and how they and the others make the divergence."""
    import polars as pl

    nats = f"{direction}_nats"
    own = terms.filter(pl.col(f"{p}_probability") > 0)
    more = own.filter(pl.col(nats) > 0).sort(nats, "ngram", descending=[True, False])
    columns = more.select("ngram", f"{p}_probability", f"{q}_probability", nats)
    rows = columns.head(MOST_FOLDED).rows()
    groups = fold(Term(*row) for row in rows)[:top]
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
            # Two equal distributions share out nothing.
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


def _examples(
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
    """Cohen's h, the difference of two shares on a scale on which it is as easy to see anywhere.

    From 12 % to 0.3 % is as far as from 50 % to 79 %. Positive where the first is larger; 0.2
    counts as small, 0.8 as large (Cohen, Statistical Power Analysis for the Behavioral Sciences,
    1988).
    """
    return 2 * (asin(sqrt(one)) - asin(sqrt(other)))


def _features(con: "duckdb.DuckDBPyConnection", source: str, target: str) -> "pl.DataFrame":
    import polars as pl

    rows: pl.DataFrame = query_sql(con, "views/explain/features", source=source, target=target).pl()
    shares = zip(rows["target_share"], rows["source_share"], strict=True)
    effects = [effect_size(target, source) for target, source in shares]
    order = [*FEATURES, *(f"hardness_{name}" for name in HARDNESS), "length_tokens"]
    return rows.with_columns(pl.Series("effect", effects, dtype=pl.Float64)).sort(
        pl.col("feature").replace_strict(order, range(len(order)), default=len(order)), "feature"
    )


def in_words(features: "pl.DataFrame", source: str, target: str, most: int = 6) -> list[str]:
    """The largest structural differences as sentences, the largest first.

    Args:
        features: As in ``Explanation``.
        source: What the sentences call the source.
        target: What they call the target.
        most: How many differences of shares; only those with an effect of 0.2 or more are told,
            and of features with the same shares (joins, JOIN without INNER) only one.
    """
    rows = {row["feature"]: row for row in features.iter_rows(named=True)}
    notable = sorted(
        (rows[name] for name in FEATURES if abs(rows[name]["effect"]) >= _NOTABLE_EFFECT),
        key=lambda row: (-abs(row["effect"]), row["feature"]),
    )
    told: list[dict[str, Any]] = []
    for row in notable:
        if not any(_is_same(row, other) for other in told):
            told.append(row)
    sentences = [
        f"{target} uses {FEATURES[row['feature']]} in {percent(row['target_share'])} of its "
        f"queries, {source} in {percent(row['source_share'])}."
        for row in told[:most]
    ]
    sentences.append(_averages(rows, source, target))
    hardness = {
        side: [rows[f"hardness_{name}"][f"{side}_share"] for name in HARDNESS]
        for side in ("source", "target")
    }
    if all(map(sum, hardness.values())):
        sentences.append(
            f"By Spider's hardness ({', '.join(HARDNESS)}): "
            f"{target} {_list_of_shares(hardness['target'])}; "
            f"{source} {_list_of_shares(hardness['source'])}."
        )
    return sentences


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two features say one thing: nearly the same shares on both sides."""
    return all(abs(one[side] - other[side]) < 0.01 for side in ("source_share", "target_share"))


def _averages(rows: dict[str, dict[str, Any]], source: str, target: str) -> str:
    said = [
        f"{rows[feature][f'{side}_mean']:.1f} {unit}"
        for side in ("target", "source")
        for feature, unit in (
            ("length_tokens", "tokens"),
            ("joins", "joins"),
            ("predicates", "predicates"),
        )
    ]
    return (
        f"A template has {said[0]}, {said[1]} and {said[2]} on average in {target}; "
        f"{said[3]}, {said[4]} and {said[5]} in {source}."
    )


def _list_of_shares(shares: Sequence[float]) -> str:
    return ", ".join(map(percent, shares))


def percent(share: float) -> str:
    """A share as a percentage with two digits that count: 12 %, 0.3 %."""
    value = 100 * share
    if value == 0 or value >= 10:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 0.1 else "under 0.1 %"
