"""Pictures of the results for papers and wikis: Vega-Lite, drawn to files without a browser."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import METRICS
from nl2sql_align.tasks.views.charts import ON_PAPER, VEGA_LITE, Spec, charts, config
from nl2sql_align.tasks.views.digits import ends, shown
from nl2sql_align.tasks.warehouse.folder import write_atomically

if TYPE_CHECKING:
    import polars as pl

_FORMATS: Final = (".png", ".svg", ".pdf")
_CHARTS: Final = charts(ON_PAPER)
# Measures that are 0 for equal distributions, and their largest values.
_DISTANCES: Final = {
    "kl_nats": 4.6052,
    "reverse_kl_nats": 4.6052,
    "additive_kl_nats": 18.4207,
    "js_nats": 0.6931,
}
_LEAST: Final = {"kl_alignment": 0.3679, "additive_kl_alignment": 0.3679}


def plot(
    place: Path | str,
    kind: str,
    out: Path | str,
    *,
    target: str | None = None,
    source: str | None = None,
    metric: str = "kl_alignment",
) -> Path:
    """Draws a picture of the results, and returns its path.

    Args:
        place: The folder of the results, or their address on a store.
        kind: One of ``KINDS``.
        out: The file: its name says whether it is PNG, SVG or PDF.
        target: Which target; by default, the first that has what is drawn.
        source: For ``differences``: what differs from the target; by default, the training set
            that is closest to it.
        metric: For ``matrix``: one of ``tasks.results.read.METRICS``.

    Raises:
        WarehouseError: There are no results, or the file cannot be written.
        ConfigurationError: There is nothing to draw for these options.
    """
    out = Path(out)
    if out.suffix.lower() not in _FORMATS:
        raise ConfigurationError(
            f"a picture is written to a name that ends in {', '.join(_FORMATS)}, not '{out.name}'"
        )
    if kind not in KINDS:
        raise ConfigurationError(f"no picture '{kind}'; there are: {', '.join(KINDS)}")
    if metric not in METRICS:
        raise ConfigurationError(f"no measure '{metric}'; there are: {', '.join(METRICS)}")
    spec = KINDS[kind](place, target, source, metric)
    picture = _drawn(spec, out.suffix.lower())
    try:
        with write_atomically(out) as temporary:
            temporary.write_bytes(picture)
    except OSError as error:
        raise WarehouseError(f"{out} cannot be written ({error.strerror})") from None
    return out


def _drawn(spec: Spec, suffix: str) -> bytes:
    import vl_convert

    schema = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.partition('.')[0]}.json"
    # Data stand in the spec: nothing is fetched.
    given: dict[str, Any] = {
        "vl_spec": {"$schema": schema, "config": config(ON_PAPER), **spec},
        "vl_version": VEGA_LITE,
        "allowed_base_urls": [],
    }
    if suffix == ".svg":
        text: str = vl_convert.vegalite_to_svg(**given)
        return text.encode()
    if suffix == ".pdf":
        return bytes(vl_convert.vegalite_to_pdf(**given))
    return bytes(vl_convert.vegalite_to_png(**given, scale=2.0))


def _chart(
    kind: str, rows: list[dict[str, Any]], title: str, subtitle: str = "", /, **params: Any
) -> Spec:
    """A chart of ``tasks.views.charts`` with its rows, its title and what its parameters are."""
    chart = _CHARTS[kind]
    values = {one["name"]: one["value"] for one in chart.get("params", ())} | params
    return {
        **chart,
        "title": {"text": title, "subtitle": subtitle} if subtitle else title,
        "params": [{"name": name, "value": value} for name, value in values.items()],
        "datasets": {"rows": rows},
    }


# ---- the pictures -----------------------------------------------------------------------------


def matrix_picture(place: Path | str, target: str | None, source: str | None, metric: str) -> Spec:
    """Sources in rows, targets in columns, alike ones side by side, with the numbers."""
    from nl2sql_align.tasks.results.read import matrix
    from nl2sql_align.tasks.views.report import clustered

    rows = matrix(place)
    if rows.is_empty():
        raise WarehouseError(f"{place} holds no pair of corpora to compare")
    with open_results(place) as con:
        names = [
            name for (name,) in con.execute("select corpus from corpora order by rowid").fetchall()
        ]
        order = clustered(query_sql(con, "views/report/alignment").pl(), len(names))
    if target is not None:
        rows = rows.filter(rows["target"] == _known(target, rows["target"].to_list()))
    elif "target" in rows["target_role"]:
        rows = rows.filter(rows["target_role"] == "target")
    # The order of the rows is the order in the picture.
    position_of = {names[corpus]: position for position, corpus in enumerate(order)}
    cells = sorted(
        (
            {"source": source, "target": target, "value": value, "text": f"{value:.2f}"}
            for source, target, value in rows.select("source", "target", metric).iter_rows()
        ),
        key=lambda cell: (position_of[cell["source"]], position_of[cell["target"]]),
    )
    far, near = (_DISTANCES[metric], 0) if metric in _DISTANCES else (_LEAST.get(metric, 0), 1)
    return _chart("heat", cells, f"{metric} of rows with columns", far=far, near=near)


def ratios_picture(place: Path | str, target: str | None, source: str | None, metric: str) -> Spec:
    """The ratios of untuned models on a target: dots with intervals around the line at 1."""
    import polars as pl

    from nl2sql_align.tasks.results.read import ratio

    rows = ratio(place)
    if rows.is_empty():
        raise ConfigurationError(
            "there is no ratio to draw: it needs a corpus with the role train and predictions"
        )
    chosen = _known(target, rows["target"].to_list())
    here = rows.filter(rows["target"] == chosen)
    untuned = here.filter(here["trained_on"].is_null())
    drawn = (untuned if len(untuned) else here).select(
        "predictions",
        pl.col("train").alias("label"),
        pl.col("alignment_ratio").alias("value"),
        pl.col("ci_low").alias("low"),
        pl.col("ci_high").alias("high"),
        pl.col("verdict").fill_null("no interval"),
        pl.struct("alignment_ratio", "ci_low", "ci_high")
        .map_elements(_in_words, return_dtype=pl.String)
        .alias("text"),
    )
    known = [value for name in ("value", "low", "high") for value in drawn[name].drop_nulls()]
    made = _chart(
        "ratios",
        drawn.to_dicts(),
        f"Alignment Ratio on {chosen}, with 95 % intervals",
        "▲ gain   ◆ undecided   ▼ no gain",
        x_low=min(0.95, *known) / 1.03,
        x_high=max(1.05, *known) * 1.03,
    )
    # One for each model's answers, side by side.
    inner = {key: made.pop(key) for key in ("width", "height", "encoding", "layer")}
    return {
        **made,
        "facet": {
            "field": "predictions",
            "type": "nominal",
            "title": None,
            "header": {"labelFontSize": 12, "labelFontWeight": "bold"},
        },
        "columns": 2,
        "spec": inner,
    }


def _in_words(row: Mapping[str, float | None]) -> str:
    value, low, high = row["alignment_ratio"], row["ci_low"], row["ci_high"]
    assert value is not None
    interval = ends(low, high, 1)
    return f"{shown(value, low, high, 1)} ({interval})" if interval else shown(value)


def differences_picture(
    place: Path | str, target: str | None, source: str | None, metric: str
) -> Spec:
    """The n-grams behind the divergences of a pair: to the right what the source has more of."""
    from nl2sql_align.tasks.results.read import matrix
    from nl2sql_align.tasks.views.explain import explain

    rows = matrix(place)
    targets = rows.filter(rows["target_role"] == "target")["target"].to_list()
    chosen = _known(
        target,
        rows["target"].to_list() if target is not None else targets or rows["target"].to_list(),
    )
    if source is None:
        trains = rows.filter(
            (rows["target"] == chosen)
            & (rows["source"] != chosen)
            & (rows["source_role"] == "train")
        )
        if trains.is_empty():
            raise ConfigurationError("name what differs from the target: --source CORPUS")
        source = str(trains.sort("kl_nats", "source")["source"][0])
    found = explain(place, source, chosen, top=12)
    bars = [
        {
            "id": position,
            "ngram": row["ngram"],
            "side": "source" if row["direction"] == "over" else "target",
            "nats": row["group_nats"] if row["direction"] == "over" else -row["group_nats"],
        }
        for position, row in enumerate(found.ngrams.iter_rows(named=True))
    ]
    if not bars:
        raise ConfigurationError(f"{source} and {chosen} do not differ: there is nothing to draw")
    return _chart("differences", bars, f"What {source} (right) and {chosen} (left) have more of")


def sample_size_picture(
    place: Path | str, target: str | None, source: str | None, metric: str
) -> Spec:
    """How well fewer queries of a target rank training sets, as ``sample-size`` recorded it."""
    rows, chosen = _recorded(place, "sample_size", "views/report/sample_size", target)
    kinds = rows["smoothing"].unique(maintain_order=True).to_list()
    title = f"How well fewer queries of {chosen} rank the training sets"
    return _chart("sample_size", rows.to_dicts(), title, kinds=kinds)


def budget_picture(place: Path | str, target: str | None, source: str | None, metric: str) -> Spec:
    """The alignment that selections reach as their number of rows grows, beside random rows."""
    import polars as pl

    rows, chosen = _recorded(place, "selections", "views/report/budget", target)
    random = rows.select(
        "n_rows", pl.col("random_alignment").alias("kl_alignment"), pl.lit("random").alias("method")
    )
    if "random" in rows["method"]:
        random = random.clear()
    both = pl.concat([rows.select(random.columns), random]).unique(
        ["method", "n_rows"], maintain_order=True
    )
    kinds = both["method"].unique(maintain_order=True).to_list()
    return _chart(
        "budget", both.to_dicts(), f"Alignment of selected rows with {chosen}", kinds=kinds
    )


KINDS: Final[Mapping[str, Callable[[Path | str, str | None, str | None, str], Spec]]] = {
    "matrix": matrix_picture,
    "ratios": ratios_picture,
    "differences": differences_picture,
    "sample-size": sample_size_picture,
    "budget": budget_picture,
}
"""The pictures, by the names that commands know them by."""

_COMMANDS: Final = {"sample_size": "sample-size", "selections": "select"}


def _known(wanted: str | None, names: list[str]) -> str:
    """The wanted name, or the first where none is wanted."""
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise ConfigurationError(
            f"nothing to draw for '{wanted}'; there are: {', '.join(dict.fromkeys(names))}"
        )
    return wanted


def _recorded(
    place: Path | str, table: str, query: str, target: str | None
) -> tuple["pl.DataFrame", str]:
    """What a command has put into a table, for a target."""
    with open_results(place) as con:
        tables = {name for (name,) in con.execute("show tables").fetchall()}
        rows: pl.DataFrame | None = query_sql(con, query).pl() if table in tables else None
    if rows is None or rows.is_empty():
        raise ConfigurationError(
            f"there is nothing to draw yet: nl2sql-align {_COMMANDS[table]} {place} first"
        )
    chosen = _known(target, rows["target"].to_list())
    return rows.filter(rows["target"] == chosen), chosen
