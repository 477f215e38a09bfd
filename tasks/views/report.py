"""The results as one HTML file that needs no network: ``report.html`` beside the database.

The page holds its data as JSON, the charts of ``tasks.views.charts``, and Vega, which draws them.
Everything from dumps reaches it as text: the JSON holds no ``<``, the page's script makes text
nodes only, and its content security policy allows these two scripts and this style, by digest, and
nothing else: Vega interprets the expressions of charts and makes no code of them.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.base.run_sql import list_sql, load_sql, query_sql
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.views.charts import ON_PAGE, charts, config
from nl2sql_align.tasks.views.explain import FEATURES, HARDNESS
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

if TYPE_CHECKING:
    import duckdb
    import polars as pl

# N-grams shown of a pair and direction, as long as all pairs together stay below the other number:
# what keeps the page small where there are many corpora.
_MOST_NGRAMS: Final = 10
_MOST_ROWS: Final = 12_000
_LEAST_NGRAMS: Final = 3
_MOST_REASONS: Final = 5
_LONGEST_TEXT: Final = 400
# Above this many corpora, the page holds only pairs with a target: the square of a thousand corpora
# would be 36 MB.
_MOST_SQUARED: Final = 250
# Above this many corpora, an optimal order of the leaves would take longer than the rest.
_MOST_ORDERED: Final = 100
_PARTS: Final = ("report.html", "report.css", "vega.js", "report.js")
_LABELS: Final = {
    **FEATURES,
    **{f"hardness_{name}": f"Spider's hardness: {name}" for name in HARDNESS},
    "length_tokens": "length in tokens",
}


def report_file(place: Path | str) -> Path:
    """Where the report of a warehouse stands.

    Raises:
        ConfigurationError: The warehouse is on a store, where runs alone put files.
    """
    warehouse = warehouse_at(place)
    if warehouse.address is not None:
        raise ConfigurationError(f"the report of {place} needs a place: name one with --out")
    return warehouse.folder / "report.html"


def write_report(
    place: Path | str, out: Path | str | None = None, *, only_if_changed: bool = False
) -> bool:
    """Writes the report of the published results, whole or not at all.

    The same results give the same bytes.

    Args:
        place: The folder of the results, or their address on a store.
        out: The file; by default ``report.html`` in the folder. For results on a store, it is
            needed.
        only_if_changed: Leave a report that is there and shows these results.

    Returns:
        Whether it was written.

    Raises:
        WarehouseError: There are no results, or the file cannot be written.
        ConfigurationError: No file is given, and the results are on a store.
    """
    destination = report_file(place) if out is None else Path(out)
    with open_results(place) as con:
        [run] = query_sql(con, "views/report/run").pl().rows(named=True)
        decisions = _decisions(con)
        key = stage_key(results=run["results_key"], decisions=decisions, page=_page_digest())
        if only_if_changed and _key_of(destination) == key:
            return False
        page = _page(key, _data(con, run, decisions))
    try:
        with write_atomically(destination) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise WarehouseError(
            f"{destination} cannot be written ({error.strerror}); name another: --out FILE"
        ) from None
    return True


# ---- the page ---------------------------------------------------------------------------------


@cache
def _part(name: str) -> str:
    return files("nl2sql_align.tasks.views").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _page_digest() -> str:
    """Of everything but the results that the page is made from."""
    parts = [_digest(_part(name)) for name in _PARTS]
    source = Path(__file__).read_text(encoding="utf-8")
    queries = [load_sql(f"views/report/{name}") for name in _queries()]
    return stage_key(parts=parts, source=source, sql=queries, charts=_charts())


def _charts() -> dict[str, Any]:
    return {"charts": charts(ON_PAGE), "config": config(ON_PAGE)}


@cache
def _queries() -> tuple[str, ...]:
    return tuple(name.removeprefix("report/") for name in list_sql("views/report"))


def _page(key: str, data: Mapping[str, Any]) -> str:
    style, vega, script = _part("report.css"), _part("vega.js"), _part("report.js")
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
        "POLICY": policy,
        "STYLE": style,
        "VEGA": vega,
        "SCRIPT": script,
        "DATA": _harmless_json(data),
    }
    # One pass over the page's own text: what is put in is never looked at again.
    pieces = _part("report.html").split("%%")
    return "".join(
        values[piece] if position % 2 else piece for position, piece in enumerate(pieces)
    )


@cache
def _digest(text: str) -> str:
    """How a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _harmless_json(data: Mapping[str, Any]) -> str:
    """JSON that ends no script element, whatever its texts hold."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Dumps may hold halves of surrogate pairs, which UTF-8 cannot.
    text = text.encode("utf-8", "replace").decode("utf-8")
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _key_of(page: Path) -> str | None:
    """Which results and which program a report was made from, where it is one."""
    try:
        with page.open(encoding="utf-8") as lines:
            head = lines.read(2_000)
    except (OSError, UnicodeDecodeError):
        return None
    _, mark, rest = head.partition('<meta name="nl2sql-align-report" content="')
    return rest.partition('"')[0] if mark else None


# ---- the data ---------------------------------------------------------------------------------


def _decisions(con: "duckdb.DuckDBPyConnection") -> dict[str, dict[str, list[Any]]]:
    """What commands have recorded beside the results, by tables."""
    return {
        name: _columns(query_sql(con, f"views/report/{name}").pl(), {})
        for name in ("sample_size", "selections", "budget", "mixtures")
    }


def _data(
    con: "duckdb.DuckDBPyConnection", run: Mapping[str, Any], decisions: Mapping[str, Any]
) -> dict[str, Any]:
    corpora = query_sql(con, "views/report/corpora").pl()
    names = corpora["corpus"].to_list()
    position_of = {name: position for position, name in enumerate(names)}
    alignment = query_sql(con, "views/report/alignment").pl()
    texts = _Texts()
    return {
        "run": {
            "id": run["run_id"],
            "finished": run["finished_at"].strftime("%Y-%m-%d %H:%M UTC"),
            "parameters": json.loads(run["parameters"]),
            "versions": json.loads(run["versions"]),
            "set_aside": json.loads(run["set_aside"]),
            "notes": json.loads(run["notes"]),
        },
        "corpora": corpora.to_dicts(),
        "clustered": clustered(alignment, len(names)),
        **_matrices(alignment, corpora["role"].to_list()),
        "uneven": [
            [position_of[source], position_of[target]]
            for source, target in query_sql(con, "views/report/uneven").pl().iter_rows()
        ],
        "intervals": _columns(
            query_sql(con, "views/report/intervals").pl(), position_of, "source", "target"
        ),
        "ceilings": _columns(query_sql(con, "views/report/ceilings").pl(), position_of, "target"),
        "ratios": _columns(
            query_sql(con, "results/read/ratio").pl(), position_of, "train", "target", "predictions"
        ),
        "features": _features(query_sql(con, "views/report/features").pl(), position_of),
        "contributions": _contributions(con, position_of, texts),
        "curves": _curves(query_sql(con, "views/report/curves").pl(), position_of),
        "rejects": [
            [position_of[corpus], reason, n, shortened(example)]
            for corpus, reason, n, example in query_sql(
                con, "views/report/rejects", most=_MOST_REASONS
            )
            .pl()
            .iter_rows()
        ],
        "decisions": decisions,
        "texts": texts.all,
        **_charts(),
    }


class _Texts:
    """Texts that stand in the page once, and are named by their places."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        # Of texts as they were given: the same ones come again and again.
        self._known: dict[str | None, int] = {}

    @property
    def all(self) -> list[str]:
        return list(self._places)

    def place(self, text: str | None) -> int:
        found = self._known.get(text)
        if found is None:
            found = self._places.setdefault(shortened(text) or "", len(self._places))
            self._known[text] = found
        return found


def shortened(text: str | None) -> str | None:
    """A text on one line and without its middle, if it is long."""
    if text is None:
        return None
    one_line = " ".join(text.split())
    half = _LONGEST_TEXT // 2
    return one_line if len(one_line) <= _LONGEST_TEXT else f"{one_line[:half]}…{one_line[-half:]}"


def _matrices(alignment: "pl.DataFrame", roles: Sequence[str]) -> dict[str, Any]:
    """The measures of pairs.

    Args:
        alignment: The rows of ``sql/views/report/alignment.sql``.
        roles: The corpora's roles, by their places.

    Returns:
        ``alignment``: of each measure the rows, sources, with a column for each corpus, in
        millionths. Of very many corpora, rows other than those of targets have columns for targets
        only, whose places are then ``columns``.
    """
    import numpy as np

    n = len(roles)
    targets = [place for place in range(n) if roles[place] == "target"]
    columns = targets if targets and n > _MOST_SQUARED else None
    known = sorted(set(alignment["source"].to_list()))
    found: dict[str, list[list[int] | None]] = {}
    for measure in alignment.columns[2:]:
        square = np.full((n, n), -1)
        values = alignment[measure].to_numpy().reshape(len(known), len(known))
        square[np.ix_(known, known)] = np.rint(values * 1e6)
        rows: list[list[int] | None] = [None] * n
        for source in known:
            is_whole = columns is None or source in columns
            rows[source] = (square[source] if is_whole else square[source, columns]).tolist()
        found[measure] = rows
    return {"alignment": found, "columns": columns}


def clustered(alignment: "pl.DataFrame", n: int) -> list[int]:
    """The places of the corpora in an order that puts those alike side by side.

    Args:
        alignment: The rows of ``sql/views/report/alignment.sql``.
        n: How many corpora there are; those without a row come last.
    """
    import numpy as np

    known = sorted(set(alignment["source"].to_list()))
    rest = [place for place in range(n) if place not in set(known)]
    if len(known) < 3:
        return [*known, *rest]
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    size = len(known)
    distances = alignment["js_nats"].to_numpy().reshape(size, size)  # symmetric, and 0 with itself
    tree = linkage(
        squareform(np.maximum(distances, distances.T), checks=False),
        "average",
        optimal_ordering=size <= _MOST_ORDERED,
    )
    return [*(known[leaf] for leaf in leaves_list(tree)), *rest]


def _columns(
    rows: "pl.DataFrame", position_of: Mapping[str, int], *names: str
) -> dict[str, list[Any]]:
    """A table by its columns: corpora by their places, numbers with six digits after the point."""
    import polars as pl

    found: dict[str, list[Any]] = {}
    for column in rows.columns:
        values = rows[column].to_list()
        if column in names:
            values = [position_of[value] for value in values]
        elif rows.schema[column] in (pl.Float64, pl.Float32):
            values = [None if value is None else round(value, 6) for value in values]
        found[column] = values
    return found


def _features(rows: "pl.DataFrame", position_of: Mapping[str, int]) -> dict[str, Any]:
    """Each feature with, by corpus, the share of queries that have it and its mean."""
    found: dict[str, dict[int, list[float]]] = {}
    for corpus, feature, share, mean in rows.iter_rows():
        found.setdefault(feature, {})[position_of[corpus]] = [round(share, 4), round(mean, 3)]
    return {_LABELS.get(name, name): values for name, values in _in_order(found)}


def _in_order(found: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    order = {name: position for position, name in enumerate(_LABELS)}
    return sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))


def _contributions(
    con: "duckdb.DuckDBPyConnection", position_of: Mapping[str, int], texts: _Texts
) -> list[list[Any]]:
    """For each pair: its places, and by direction the n-grams behind the divergence.

    An n-gram is the place of its text, its term with those folded under it in millionths of a nat,
    how many these are, its probabilities in source and target in millionths, and the places of an
    example's text and template.
    """
    [(n_pairs,)] = con.execute(
        "select count(distinct (source, target)) from ngram_contributions"
    ).fetchall()
    most = max(_LEAST_NGRAMS, min(_MOST_NGRAMS, _MOST_ROWS // max(1, 2 * n_pairs)))
    pairs: dict[tuple[int, int], tuple[list[Sequence[int]], list[Sequence[int]]]] = {}
    for row in query_sql(con, "views/report/contributions", most=most).pl().iter_rows(named=True):
        over, under = pairs.setdefault(
            (position_of[row["source"]], position_of[row["target"]]), ([], [])
        )
        (over if row["direction"] == "over" else under).append(
            [
                texts.place(row["ngram"]),
                round(row["group_nats"] * 1e6),
                row["n_folded"],
                round(row["source_probability"] * 1e6),
                round(row["target_probability"] * 1e6),
                texts.place(row["example_sql"]),
                texts.place(row["template"]),
            ]
        )
    return [[source, target, *both] for (source, target), both in sorted(pairs.items())]


def _curves(rows: "pl.DataFrame", position_of: Mapping[str, int]) -> list[list[list[float]]]:
    """By corpus: numbers of templates, and the share of its queries that these many cover."""
    found: list[list[list[float]]] = [[[], []] for _ in position_of]
    for corpus, n_templates, share in rows.iter_rows():
        found[position_of[corpus]][0].append(n_templates)
        found[position_of[corpus]][1].append(round(share, 4))
    return found
