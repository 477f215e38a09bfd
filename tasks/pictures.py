"""Pictures of the results for papers and wikis: Vega-Lite, drawn to files without a browser."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tasks.errors import ConfigurationError, WarehouseError
from tasks.results import METRICS, open_results
from tasks.sqlfiles import query_sql
from tasks.warehouse import written_whole

if TYPE_CHECKING:
    import duckdb
    import polars as pl

_VEGA_LITE: Final = "6.4"
_FORMATS: Final = (".png", ".svg", ".pdf")
_FIRST, _SECOND, _NEITHER = "#0f62ac", "#b8500a", "#757c88"
_VERDICTS: Final = {
    "domain": ["gain", "undecided", "no gain"],
    "range": [_FIRST, _NEITHER, _SECOND],
}
_SHAPES: Final = {"domain": _VERDICTS["domain"], "range": ["circle", "diamond", "square"]}
_CONFIG: Final = {
    "font": "DejaVu Sans, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelLimit": 260, "titleFontWeight": "normal", "gridColor": "#d5d9e0"},
    "legend": {"titleFontWeight": "normal"},
    "title": {"anchor": "start", "fontSize": 13},
}
# Measures that are 0 for equal distributions, and their largest values.
_DISTANCES: Final = {
    "kl_nats": 4.6052,
    "reverse_kl_nats": 4.6052,
    "additive_kl_nats": 18.4207,
    "js_nats": 0.6931,
}
_LEAST: Final = {"kl_alignment": 0.3679, "additive_kl_alignment": 0.3679}

Spec = dict[str, Any]


def plot(
    warehouse: Path | str,
    kind: str,
    out: Path | str,
    *,
    target: str | None = None,
    source: str | None = None,
    metric: str = "kl_alignment",
) -> Path:
    """Draws a picture of the results, and returns its path.

    Args:
        warehouse: The folder of the results.
        kind: One of ``KINDS``.
        out: The file: its name says whether it is PNG, SVG or PDF.
        target: Which target; by default, the first that has what is drawn.
        source: For ``differences``: what differs from the target; by default, the training set
            that is closest to it.
        metric: For ``matrix``: one of ``tasks.results.METRICS``.

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
    spec = KINDS[kind](Path(warehouse), target, source, metric)
    picture = _drawn(spec, out.suffix.lower())
    try:
        with written_whole(out) as temporary:
            temporary.write_bytes(picture)
    except OSError as error:
        raise WarehouseError(f"{out} cannot be written ({error.strerror})") from None
    return out


def _drawn(spec: Spec, suffix: str) -> bytes:
    import vl_convert

    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG}
    # Data stand in the spec: nothing is fetched.
    given: dict[str, Any] = {
        "vl_spec": {**whole, **spec},
        "vl_version": _VEGA_LITE,
        "allowed_base_urls": [],
    }
    if suffix == ".svg":
        text: str = vl_convert.vegalite_to_svg(**given)
        return text.encode()
    if suffix == ".pdf":
        return bytes(vl_convert.vegalite_to_pdf(**given))
    return bytes(vl_convert.vegalite_to_png(**given, scale=2.0))


# ---- the pictures -----------------------------------------------------------------------------


def matrix_picture(warehouse: Path, target: str | None, source: str | None, metric: str) -> Spec:
    """Sources in rows, targets in columns, alike ones side by side, with the numbers."""
    from tasks.report import clustered
    from tasks.results import matrix

    rows = matrix(warehouse)
    if rows.is_empty():
        raise WarehouseError(f"{warehouse} holds no pair of corpora to compare")
    with open_results(warehouse) as con:
        names = [
            name for (name,) in con.execute("select corpus from corpora order by rowid").fetchall()
        ]
        order = clustered(query_sql(con, "report/alignment").pl(), len(names))
    if target is not None:
        rows = rows.filter(rows["target"] == _known(target, rows["target"].to_list()))
    elif "target" in rows["target_role"]:
        rows = rows.filter(rows["target_role"] == "target")
    ordered = [names[place] for place in order]
    worst, best = (
        (_DISTANCES[metric], 0.0) if metric in _DISTANCES else (_LEAST.get(metric, 0.0), 1.0)
    )
    middle = worst + 0.57 * (best - worst)
    after = f"datum.{metric} {'<' if metric in _DISTANCES else '>'} {middle}"
    axis = {"title": None, "domain": False, "ticks": False}
    return {
        "title": f"{metric} of rows with columns",
        "data": {"values": rows.select("source", "target", metric).to_dicts()},
        "width": {"step": 34},
        "height": {"step": 18},
        "encoding": {
            "y": {"field": "source", "type": "nominal", "sort": ordered, "axis": axis},
            "x": {
                "field": "target",
                "type": "nominal",
                "sort": ordered,
                "axis": {**axis, "orient": "top", "labelAngle": -60},
            },
        },
        "layer": [
            {
                "mark": "rect",
                "encoding": {
                    "color": {
                        "field": metric,
                        "type": "quantitative",
                        "scale": {"domain": [worst, best], "range": ["#f3f6fa", "#08336b"]},
                    }
                },
            },
            {
                "mark": {"type": "text", "fontSize": 9},
                "encoding": {
                    "text": {"field": metric, "type": "quantitative", "format": ".2f"},
                    "color": {"condition": {"test": after, "value": "white"}, "value": "black"},
                },
            },
        ],
    }


def ratios_picture(warehouse: Path, target: str | None, source: str | None, metric: str) -> Spec:
    """The ratios of untuned models on a target: dots with intervals around the line at 1."""
    from tasks.results import ratio

    rows = ratio(warehouse)
    if rows.is_empty():
        raise ConfigurationError(
            "there is no ratio to draw: it needs a corpus with the role train and predictions"
        )
    chosen = _known(target, rows["target"].to_list())
    here = rows.filter(rows["target"] == chosen)
    untuned = here.filter(here["trained_on"].is_null())
    shown = untuned if len(untuned) else here
    colour = {"field": "verdict", "type": "nominal", "scale": _VERDICTS, "title": "verdict"}
    y = {
        "field": "train",
        "type": "nominal",
        "sort": {"field": "alignment_ratio", "order": "descending"},
        "title": None,
    }
    log = {"type": "log", "zero": False, "nice": False}
    return {
        "title": f"Alignment Ratio on {chosen}, with 95 % intervals",
        "data": {
            "values": shown.select(
                "train", "predictions", "alignment_ratio", "ci_low", "ci_high", "verdict"
            ).to_dicts()
        },
        "facet": {
            "field": "predictions",
            "type": "nominal",
            "title": None,
            "header": {"labelFontSize": 11},
        },
        "columns": 2,
        "spec": {
            "width": 300,
            "height": {"step": 16},
            "layer": [
                {"mark": {"type": "rule", "color": "black"}, "encoding": {"x": {"datum": 1}}},
                {
                    "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6},
                    "encoding": {
                        "y": y,
                        "x": {
                            "field": "ci_low",
                            "type": "quantitative",
                            "scale": log,
                            "title": "Alignment Ratio",
                        },
                        "x2": {"field": "ci_high"},
                        "color": colour,
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
                    "encoding": {
                        "y": y,
                        "x": {
                            "field": "alignment_ratio",
                            "type": "quantitative",
                            "scale": log,
                            "axis": {
                                "values": [0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 2.5],
                                "format": "~g",
                            },
                        },
                        "color": colour,
                        "shape": {
                            "field": "verdict",
                            "type": "nominal",
                            "scale": _SHAPES,
                            "title": "verdict",
                        },
                    },
                },
            ],
        },
    }


def differences_picture(
    warehouse: Path, target: str | None, source: str | None, metric: str
) -> Spec:
    """The n-grams behind the divergences of a pair: to the right what the source has more of."""
    from tasks.explain import explain
    from tasks.results import matrix

    rows = matrix(warehouse)
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
    found = explain(warehouse, source, chosen, top=12)
    bars = [
        {
            "ngram": row["ngram"],
            "more": source if row["direction"] == "over" else chosen,
            "nats": row["group_nats"] if row["direction"] == "over" else -row["group_nats"],
        }
        for row in found.ngrams.iter_rows(named=True)
    ]
    if not bars:
        raise ConfigurationError(f"{source} and {chosen} do not differ: there is nothing to draw")
    return {
        "title": f"What {source} (right) and {chosen} (left) have more of",
        "data": {"values": bars},
        "width": 380,
        "height": {"step": 17},
        "mark": "bar",
        "encoding": {
            "y": {
                "field": "ngram",
                "type": "nominal",
                "sort": {"field": "nats", "order": "descending"},
                "title": None,
                "axis": {
                    "labelFont": "DejaVu Sans Mono, monospace",
                    "labelFontSize": 9,
                    "labelLimit": 420,
                },
            },
            "x": {
                "field": "nats",
                "type": "quantitative",
                "title": "part of the divergence (nats), folded n-grams included",
            },
            "color": {
                "field": "more",
                "type": "nominal",
                "scale": {"domain": [source, chosen], "range": [_FIRST, _SECOND]},
                "title": "has more of it",
            },
        },
    }


def sample_size_picture(
    warehouse: Path, target: str | None, source: str | None, metric: str
) -> Spec:
    """How well fewer queries of a target rank training sets, as ``sample-size`` recorded it."""
    rows, chosen = _recorded(warehouse, "sample_size", "report/sample_size", target)
    colours = {"range": [_FIRST, _SECOND, _NEITHER]}
    smoothing = {"field": "smoothing", "type": "nominal", "scale": colours}
    return {
        "title": f"How well fewer queries of {chosen} rank the training sets",
        "data": {"values": rows.to_dicts()},
        "width": 420,
        "height": 260,
        "encoding": {
            "x": {
                "field": "n_queries",
                "type": "quantitative",
                "scale": {"type": "log", "nice": False},
                "title": "queries of the target",
            }
        },
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.15},
                "encoding": {
                    "y": {"field": "tau_low", "type": "quantitative", "title": "Kendall tau"},
                    "y2": {"field": "tau_high"},
                    "color": {**smoothing, "legend": None},
                },
            },
            {
                "mark": {"type": "line", "strokeWidth": 2.5},
                "encoding": {
                    "y": {"field": "kendall_tau", "type": "quantitative"},
                    "color": smoothing,
                    "strokeDash": {"field": "smoothing", "type": "nominal"},
                },
            },
        ],
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
    }


def budget_picture(warehouse: Path, target: str | None, source: str | None, metric: str) -> Spec:
    """The alignment that selections reach as their number of rows grows, beside random rows."""
    import polars as pl

    rows, chosen = _recorded(warehouse, "selections", "report/budget", target)
    random = rows.select(
        "n_rows", pl.col("random_alignment").alias("kl_alignment"), pl.lit("random").alias("method")
    )
    if "random" in rows["method"]:
        random = random.clear()
    both = pl.concat([rows.select(random.columns), random]).unique(
        ["method", "n_rows"], maintain_order=True
    )
    return {
        "title": f"Alignment of selected rows with {chosen}",
        "data": {"values": both.to_dicts()},
        "width": 420,
        "height": 260,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "n_rows",
                "type": "quantitative",
                "scale": {"type": "log"},
                "title": "rows",
            },
            "y": {
                "field": "kl_alignment",
                "type": "quantitative",
                "scale": {"zero": False},
                "title": "KL-alignment",
            },
            "color": {
                "field": "method",
                "type": "nominal",
                "scale": {"range": [_FIRST, _SECOND, _NEITHER, "#1a1c20"]},
            },
            "strokeDash": {"field": "method", "type": "nominal"},
        },
    }


KINDS: Final[Mapping[str, Callable[[Path, str | None, str | None, str], Spec]]] = {
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
    warehouse: Path, table: str, query: str, target: str | None
) -> tuple["pl.DataFrame", str]:
    """What a command has put into a table, for a target."""
    with open_results(warehouse) as con:
        targets = _targets(con, table)
        if not targets:
            raise ConfigurationError(
                f"there is nothing to draw yet: nl2sql-align {_COMMANDS[table]} {warehouse} first"
            )
        chosen = _known(target, targets)
        rows: pl.DataFrame = query_sql(con, query, target=chosen).pl()
    return rows, chosen


def _targets(con: "duckdb.DuckDBPyConnection", table: str) -> list[str]:
    if table not in {name for (name,) in con.execute("show tables").fetchall()}:
        return []
    found = con.execute(f"select distinct target from {table} order by target").fetchall()
    return [str(name) for (name,) in found]
