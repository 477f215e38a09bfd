"""The results as one HTML file that needs no network: ``report.html`` beside the database.

The page holds its data as JSON, the charts of ``tasks.views.charts``, and Vega, which draws them.
Text from dumps can never run as code: the JSON contains no ``<``, the page's script creates text
nodes only, and the content security policy allows exactly two scripts and one style, by digest.
Vega interprets the expressions in charts instead of compiling them.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.doubts import is_second_opinion
from nl2sql_align.tasks.measures.records import list_records, summarize_record
from nl2sql_align.tasks.results.database import find_elsewhere, open_results
from nl2sql_align.tasks.results.features import FEATURES, HARDNESS, RELATED
from nl2sql_align.tasks.views.answer_errors import read_answer_errors
from nl2sql_align.tasks.views.charts import ON_PAGE, build_charts, build_config
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import fetch_missing, warehouse_at
from nl2sql_align.tasks.warehouse.outputs import find_output

if TYPE_CHECKING:
    import duckdb
    import polars as pl

REPORT_VERSION: Final = 8
"""Raise it with every change of Python or SQL that can alter the page.

The page's own files need no new version: their text is part of the report's key.
"""

# Each pair and direction shows up to _MAX_NGRAMS n-grams, or fewer (at least _MIN_NGRAMS) if all
# pairs together would exceed _MAX_NGRAM_ROWS. Of more than _MAX_NGRAM_PAIRS pairs, the closest of
# each target show any. This bounds the size of the page.
_MAX_NGRAM_PAIRS: Final = 4_000
_MAX_NGRAMS: Final = 10
_MIN_NGRAMS: Final = 3
_MAX_NGRAM_ROWS: Final = 12_000
_MAX_REASONS: Final = 5
# Templates shown of each pair's gaps.
_MAX_GAPS: Final = 20
_MAX_TEXT: Final = 400
# Slices shown of each target, for each set of answers.
_MAX_SLICES: Final = 50
_PAIR: Final = ("train", "target")
# SciPy's optimal leaf order takes longer than the rest of the page above this many corpora.
_MAX_OPTIMALLY_ORDERED: Final = 100
_PAGE_FILES: Final = ("report.html", "report.css", "vega.js", "report.js")
_FEATURE_LABELS: Final = {
    **FEATURES,
    **{f"hardness_{name}": f"Spider hardness: {name}" for name in HARDNESS},
    "length_tokens": "length in tokens",
}


def report_file(place: Path | str) -> Path:
    """Return the path of a warehouse's report.

    Raises:
        ConfigurationError: The warehouse is on an object store, where only runs write files.
    """
    warehouse = warehouse_at(place)
    if warehouse.address is not None:
        raise ConfigurationError(
            f"{place} is on an object store: name a local file for the report with --out FILE"
        )
    return warehouse.report


def write_report(
    place: Path | str,
    out: Path | str | None = None,
    *,
    only_if_changed: bool = False,
    all_pairs_up_to: int = 250,
    without_sql: bool = False,
) -> bool:
    """Write the report of the published results.

    The file is replaced in one step, so that readers never see a partial page. The same results
    give the same bytes.

    Args:
        place: The folder of the results, or their address on an object store.
        out: The file to write; by default, ``report.html`` in the folder. Required for results on
            an object store.
        only_if_changed: Keep an existing report that already shows these results.
        all_pairs_up_to: With more corpora than this, the page contains only pairs with a target:
            all pairs of a thousand corpora would take 36 MB.
        without_sql: Leave out all texts of dumps. Templates take the place of examples, and
            rejected texts, notes and messages are left out.

    Returns:
        Whether the report was written.

    Raises:
        WarehouseError: The results are missing, or the file cannot be written.
        ConfigurationError: ``out`` is missing, and the results are on an object store; or the
            folder of ``out`` does not exist, or ``out`` is a file that is not a report.
    """
    destination = report_file(place) if out is None else find_output(out, "a report", _is_report)
    page_files = read_page_files()
    with open_results(place) as con:
        labels = read_labels(con, name_warehouse(place))
        if without_sql:
            labels = _hide_texts(labels)
        key = report_key(labels, page_files, all_pairs_up_to)
        if only_if_changed and _read_key(destination) == key:
            return False
        # A run on a store may have the texts of unchanged corpora there only.
        fetch_missing(find_elsewhere(con, warehouse_at(place)).get("queries", ()))
        page = _fill_page(page_files, key, labels | read_measures(con, labels, all_pairs_up_to))
    try:
        with write_atomically(destination) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise WarehouseError(
            f"{destination} cannot be written ({error.strerror}); choose another file: --out FILE"
        ) from None
    return True


def name_warehouse(place: Path | str) -> str:
    """Return the name of a warehouse: that of its folder, or the last part of its address."""
    warehouse = warehouse_at(place)
    if warehouse.address is not None:
        return warehouse.address.rstrip("/").rpartition("/")[2]
    return warehouse.folder.resolve().name


# ---- the page ---------------------------------------------------------------------------------


def read_page_files() -> dict[str, str]:
    """Return the texts of the page's own files, by name."""
    folder = files("nl2sql_align.tasks.views").joinpath("page")
    return {name: folder.joinpath(name).read_text(encoding="utf-8") for name in _PAGE_FILES}


def report_key(
    labels: Mapping[str, Any], page_files: Mapping[str, str], all_pairs_up_to: int
) -> str:
    """Return a digest of everything that the page depends on.

    Args:
        labels: The result of ``read_labels``. Its results key stands for all published numbers.
        page_files: The result of ``read_page_files``.
        all_pairs_up_to: As in ``write_report``.
    """
    return stage_key(
        version=REPORT_VERSION,
        labels=_digest(_encode_json(labels)),
        page_files={name: _digest(text) for name, text in page_files.items()},
        all_pairs_up_to=all_pairs_up_to,
    )


def _read_key(page: Path) -> str | None:
    """Return the key of an existing report; None if the file is missing or not a report."""
    try:
        with page.open(encoding="utf-8") as lines:
            head = lines.read(2_000)
    except (OSError, UnicodeDecodeError):
        return None
    _, mark, rest = head.partition('<meta name="nl2sql-align-report" content="')
    return rest.partition('"')[0] if mark else None


def _is_report(page: Path) -> bool:
    return _read_key(page) is not None


def _fill_page(page_files: Mapping[str, str], key: str, data: Mapping[str, Any]) -> str:
    template, style, vega, script = (page_files[name] for name in _PAGE_FILES)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(vega)}' '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    values = {
        "KEY": key,
        "TITLE": escape(data["run"]["warehouse"]),
        "POLICY": policy,
        "STYLE": style,
        "VEGA": vega,
        "SCRIPT": script,
        "DATA": _encode_json(data),
    }
    # Split once, so that a %%NAME%% inside an inserted value is never replaced.
    pieces = template.split("%%")
    return "".join(
        values[piece] if position % 2 else piece for position, piece in enumerate(pieces)
    )


def _digest(text: str) -> str:
    """Return the digest by which a content security policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _encode_json(data: Mapping[str, Any]) -> str:
    """Encode data as JSON that cannot end a script element, whatever its texts contain."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Dumps may contain lone surrogates, which UTF-8 cannot encode.
    text = text.encode("utf-8", "replace").decode("utf-8")
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


# ---- the data ---------------------------------------------------------------------------------


def read_labels(con: "duckdb.DuckDBPyConnection", warehouse: str = "") -> dict[str, Any]:
    """Read everything on the page that is not a measure: the run, the corpora, the decisions.

    Args:
        con: The published results.
        warehouse: The name of the warehouse.

    Returns:
        ``run``, with the results key; ``corpora``, in the order of the corpora file; and
        ``decisions``, the tables that commands have filled since the run.
    """
    run = query_sql(con, "views/report/run").pl().row(0, named=True)
    parameters = json.loads(run["parameters"])
    reading = parameters.pop("texts", {})
    if parameters.get("corpora"):
        # The page is passed on, and the folders of this machine are private.
        parameters["corpora"] = PurePath(parameters["corpora"]).name
    decisions = ("sample_size", "selections", "budget", "mixtures", "headroom")
    gaps = query_sql(con, "views/report/gaps", most=_MAX_GAPS).pl()
    return {
        "run": {
            "warehouse": warehouse,
            "parameters": parameters,
            "reading": reading,
            "id": run["run_id"],
            "finished": run["finished_at"].strftime("%Y-%m-%d %H:%M UTC"),
            "results_key": run["results_key"],
            **{name: json.loads(run[name]) for name in ("versions", "set_aside", "notes")},
        },
        "corpora": query_sql(con, "views/report/corpora").pl().to_dicts(),
        "decisions": {
            **{
                name: _encode_columns(query_sql(con, f"views/report/{name}").pl())
                for name in decisions
            },
            "gaps": _encode_columns(gaps)
            | {
                name: [shorten_text(text) for text in gaps[name]]
                for name in ("template", "example_sql")
            },
        },
    }


def _hide_texts(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels without texts that may quote a dump, and with a mark for the page."""
    run = dict(labels["run"])
    run["notes"] = []
    run["set_aside"] = dict.fromkeys(run["set_aside"], "the reason is left out")
    gaps = {**labels["decisions"]["gaps"], "example_sql": []}
    return {
        **labels,
        "run": run,
        "decisions": {**labels["decisions"], "gaps": gaps},
        "without_sql": True,
    }


def read_measures(
    con: "duckdb.DuckDBPyConnection", labels: Mapping[str, Any], all_pairs_up_to: int
) -> dict[str, Any]:
    """Read the published measures as the page needs them, corpora by their positions.

    Args:
        con: The published results.
        labels: The result of ``read_labels``. With ``without_sql``, no text of a dump is read.
        all_pairs_up_to: As in ``write_report``.
    """
    has_sql = not labels.get("without_sql")
    corpora = labels["corpora"]
    position_of = {one["corpus"]: position for position, one in enumerate(corpora)}
    alignment = query_sql(con, "views/report/alignment").pl()
    texts = _SharedTexts()
    most_sources = _limit_sources(con)
    return {
        "clustered": order_by_similarity(alignment, len(corpora)),
        **_encode_matrices(alignment, [one["role"] for one in corpora], all_pairs_up_to),
        "uneven": [
            [position_of[source], position_of[target]]
            for source, target in query_sql(con, "views/report/uneven").pl().iter_rows()
        ],
        "doubts": [
            [
                position_of[source],
                position_of[target],
                [texts.position(one) for one in doubts],
                not all(map(is_second_opinion, doubts)),
            ]
            for source, target, doubts in query_sql(con, "views/report/doubts").pl().iter_rows()
        ],
        "answer_errors": [
            [position_of[predictions], [texts.position(one) for one in sentences]]
            for (predictions, _), sentences in read_answer_errors(con).items()
        ],
        "intervals": _encode_columns(
            query_sql(con, "views/report/intervals").pl(), position_of, "source", "target"
        ),
        "ceilings": _encode_columns(
            query_sql(con, "views/report/ceilings").pl(), position_of, "target"
        ),
        "slices": _encode_slices(con, position_of, texts, has_sql=has_sql),
        "ratios": _encode_ratios(query_sql(con, "views/report/ratios").pl(), position_of, texts),
        "features": _encode_features(
            query_sql(con, "views/report/features"),
            position_of,
            texts,
            example=_choose_examples(len(corpora) <= all_pairs_up_to, has_sql=has_sql),
        ),
        "related": {_FEATURE_LABELS[name]: family for name, family in RELATED.items()},
        "most_sources": most_sources,
        "contributions": _encode_contributions(
            con, position_of, texts, most_sources or len(corpora), has_sql=has_sql
        ),
        "curves": _encode_curves(query_sql(con, "views/report/curves").pl(), position_of),
        "rejects": [
            [
                position_of[corpus],
                reason if has_sql else reason.partition(":")[0],
                n,
                shorten_text(example if has_sql else None),
            ]
            for corpus, reason, n, example in query_sql(
                con, "views/report/rejects", most=_MAX_REASONS
            )
            .pl()
            .iter_rows()
        ],
        "texts": texts.all,
        "charts": build_charts(ON_PAGE),
        "config": build_config(ON_PAGE),
    }


def _encode_slices(
    con: "duckdb.DuckDBPyConnection",
    position_of: Mapping[str, int],
    texts: "_SharedTexts",
    *,
    has_sql: bool,
) -> dict[str, list[Any]]:
    """Encode the slices of targets by columns; without texts, with numbers as their names."""
    rows = query_sql(con, "views/report/slices", most=_MAX_SLICES).pl()
    encoded = _encode_columns(rows.drop("slice", "doubts", "predictions"), position_of, *_PAIR)
    return encoded | {
        "predictions": [None if one is None else position_of[one] for one in rows["predictions"]],
        "slice": [
            texts.position(name if has_sql else f"slice {number}")
            for name, number in rows.select("slice", "slice_number").iter_rows()
        ],
        "doubts": [[texts.position(one) for one in doubts] for doubts in rows["doubts"]],
    }


class _SharedTexts:
    """Texts that the page stores once and refers to by position."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}
        # By the original text: shortening is slow, and the same texts come many times.
        self._known: dict[str | None, int] = {}

    @property
    def all(self) -> list[str]:
        return list(self._positions)

    def position(self, text: str | None) -> int:
        found = self._known.get(text)
        if found is None:
            found = self._positions.setdefault(shorten_text(text) or "", len(self._positions))
            self._known[text] = found
        return found


def shorten_text(text: str | None) -> str | None:
    """Return a text on one line, without its middle if it is long."""
    if text is None:
        return None
    one_line = " ".join(text.split())
    half = _MAX_TEXT // 2
    return one_line if len(one_line) <= _MAX_TEXT else f"{one_line[:half]}…{one_line[-half:]}"


def _encode_matrices(
    alignment: "pl.DataFrame", roles: Sequence[str], all_pairs_up_to: int
) -> dict[str, Any]:
    """Encode the measures of pairs as matrices.

    Args:
        alignment: The rows of ``sql/views/report/alignment.sql``.
        roles: The role of each corpus.
        all_pairs_up_to: With more corpora than this, keep only pairs with a target.

    Returns:
        ``alignment``: for each measure one row per source, with a value per target in millionths,
        or -1 if it is unknown.
        ``columns``: None, or, if only pairs with a target are kept, the positions of the targets.
        Then the rows of corpora that are not targets have values for these columns only.
    """
    import numpy as np
    import polars as pl

    n = len(roles)
    targets = [position for position in range(n) if roles[position] == "target"]
    columns = targets if targets and n > all_pairs_up_to else None
    known = sorted(set(alignment["source"].to_list()))
    found: dict[str, list[list[int] | None]] = {}
    for measure in alignment.columns[2:]:
        square = np.full((n, n), -1)
        values = alignment[measure].cast(pl.Float64).to_numpy().reshape(len(known), len(known))
        square[np.ix_(known, known)] = np.rint(np.nan_to_num(values * 1e6, nan=-1))
        rows: list[list[int] | None] = [None] * n
        for source in known:
            is_whole = columns is None or source in columns
            rows[source] = (square[source] if is_whole else square[source, columns]).tolist()
        found[measure] = rows
    return {"alignment": found, "columns": columns}


def order_by_similarity(alignment: "pl.DataFrame", n: int) -> list[int]:
    """Order corpora so that similar ones are neighbors, by average-linkage clustering.

    Args:
        alignment: The rows of ``sql/views/report/alignment.sql``. Distances are Jensen-Shannon
            divergences.
        n: The number of corpora.

    Returns:
        The positions of all corpora; those without n-grams come last.
    """
    import numpy as np

    known = sorted(set(alignment["source"].to_list()))
    rest = [position for position in range(n) if position not in set(known)]
    if len(known) < 3:
        return [*known, *rest]
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    size = len(known)
    distances = alignment["js_nats"].to_numpy().reshape(size, size)  # symmetric, 0 on the diagonal
    tree = linkage(
        squareform(np.maximum(distances, distances.T), checks=False),
        "average",
        optimal_ordering=size <= _MAX_OPTIMALLY_ORDERED,
    )
    return [*(known[leaf] for leaf in leaves_list(tree)), *rest]


def _encode_columns(
    rows: "pl.DataFrame", position_of: Mapping[str, int] | None = None, *corpora: str
) -> dict[str, list[Any]]:
    """Encode a table by columns, with six decimals.

    Numbers that are not 1 never become 1, since readers see on which side of it a ratio is.

    Args:
        rows: The table.
        position_of: The position of each corpus.
        corpora: The columns whose names of corpora are replaced by positions.
    """
    import polars as pl

    found: dict[str, list[Any]] = {}
    for column in rows.columns:
        values = rows[column].to_list()
        if position_of is not None and column in corpora:
            values = [position_of[value] for value in values]
        elif rows.schema[column] in (pl.Float64, pl.Float32):
            values = [None if value is None else _shorten_number(value) for value in values]
        found[column] = values
    return found


def _shorten_number(value: float) -> float:
    shortened = round(value, 6)
    return value if shortened == 1 else shortened


def _encode_ratios(
    rows: "pl.DataFrame", position_of: Mapping[str, int], texts: _SharedTexts
) -> dict[str, list[Any]]:
    """Encode the Alignment Ratios by columns, with their doubts and records as texts."""
    ratios = rows.to_dicts()
    found = _encode_columns(rows.drop("doubts"), position_of, "train", "target", "predictions")
    found["doubts"] = [[texts.position(one) for one in row["doubts"]] for row in ratios]
    found["record"] = [texts.position(summarize_record(row)) for row in ratios]
    found["records"] = [[texts.position(one) for one in list_records([row])] for row in ratios]
    return found


def _choose_examples(is_wanted: bool, *, has_sql: bool) -> str | None:
    """Return the column with the examples of features, or None to leave them out."""
    if not is_wanted:
        return None
    return "example_sql" if has_sql else "template"


def _encode_features(
    rows: "duckdb.DuckDBPyRelation",
    position_of: Mapping[str, int],
    texts: _SharedTexts,
    example: str | None,
) -> dict[str, Any]:
    """Return for each feature, by corpus, the share of queries that have it, its mean, an example.

    Args:
        rows: The rows of ``sql/views/report/features.sql``.
        position_of: The position of each corpus.
        texts: The texts of the page, to which the examples are added.
        example: The column with the examples; None without examples.
    """
    columns = ["corpus", "feature", "share", "mean", *([] if example is None else [example])]
    found: dict[str, dict[int, list[float]]] = {}
    # Without examples, no text is read.
    for row in rows.select(*columns).pl().iter_rows(named=True):
        shown = [round(row["share"], 4), round(row["mean"], 3)]
        if example is not None and row[example] is not None:
            shown.append(texts.position(row[example]))
        found.setdefault(row["feature"], {})[position_of[row["corpus"]]] = shown
    order = {name: position for position, name in enumerate(_FEATURE_LABELS)}
    return {
        _FEATURE_LABELS.get(name, name): found[name]
        for name in sorted(found, key=lambda name: (order.get(name, len(order)), name))
    }


def _limit_sources(con: "duckdb.DuckDBPyConnection") -> int | None:
    """Return how many sources of each target show n-grams; None if all do."""
    [(n_pairs, n_targets)] = con.execute(
        "select count(distinct (source, target)), count(distinct target) from ngram_contributions"
    ).fetchall()
    return None if n_pairs <= _MAX_NGRAM_PAIRS else max(1, _MAX_NGRAM_PAIRS // n_targets)


def _encode_contributions(
    con: "duckdb.DuckDBPyConnection",
    position_of: Mapping[str, int],
    texts: _SharedTexts,
    most_sources: int,
    *,
    has_sql: bool,
) -> list[list[Any]]:
    """Return for each pair its positions and, for both directions, its largest n-grams.

    An n-gram is a list: the position of its text, its term (with the terms folded under it) in
    millionths of a nat, the number of folded n-grams, its probabilities in source and target in
    millionths, and the positions of an example query and of the query's template.
    """
    [(n_pairs,)] = con.execute(
        "select count(distinct (source, target)) from ngram_contributions"
    ).fetchall()
    most = max(_MIN_NGRAMS, min(_MAX_NGRAMS, _MAX_NGRAM_ROWS // max(1, 2 * n_pairs)))
    pairs: dict[tuple[int, int], tuple[list[Sequence[int]], list[Sequence[int]]]] = {}
    rows = query_sql(con, "views/report/contributions", most=most, most_sources=most_sources).pl()
    for row in rows.iter_rows(named=True):
        over, under = pairs.setdefault(
            (position_of[row["source"]], position_of[row["target"]]), ([], [])
        )
        (over if row["direction"] == "over" else under).append(
            [
                texts.position(row["ngram"]),
                round(row["group_nats"] * 1e6),
                row["n_folded"],
                round(row["source_probability"] * 1e6),
                round(row["target_probability"] * 1e6),
                texts.position(row["example_sql"] if has_sql else None),
                texts.position(row["template"]),
            ]
        )
    return [[source, target, *both] for (source, target), both in sorted(pairs.items())]


def _encode_curves(rows: "pl.DataFrame", position_of: Mapping[str, int]) -> list[list[list[float]]]:
    """Return for each corpus numbers of templates, and the shares of queries that they cover."""
    found: list[list[list[float]]] = [[[], []] for _ in position_of]
    for corpus, n_templates, share in rows.iter_rows():
        found[position_of[corpus]][0].append(n_templates)
        found[position_of[corpus]][1].append(round(share, 4))
    return found
