"""Pictures of the results for papers and wikis: Vega-Lite charts as PNG, SVG or PDF files."""

import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.doubts import is_second_opinion
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.options import Metric, find_metric
from nl2sql_align.tasks.views.charts import (
    ON_PAPER,
    VEGA_LITE,
    VEGA_LITE_MAJOR,
    Spec,
    build_charts,
    build_config,
)
from nl2sql_align.tasks.views.digits import format_estimate, format_percent
from nl2sql_align.tasks.views.labels import label_predictions, list_doubts
from nl2sql_align.tasks.views.options import Picture
from nl2sql_align.tasks.warehouse.folder import write_atomically
from nl2sql_align.tasks.warehouse.outputs import find_output
from nl2sql_align.tasks.warehouse.regular_files import open_regular

if TYPE_CHECKING:
    import polars as pl

# The formats, each with the bytes that files of it have in the beginning.
_FORMATS: Final = {".png": b"\x89PNG", ".svg": b"<svg", ".pdf": b"%PDF"}
_HEAD: Final = 1000
_CHARTS: Final = build_charts(ON_PAPER)
# Measures that are 0 for equal distributions, with their maximum in nats.
_DISTANCES: Final = {
    "kl_nats": 4.6052,
    "reverse_kl_nats": 4.6052,
    "additive_kl_nats": 18.4207,
    "js_nats": 0.6931,
}
_LEAST: Final = {"kl_alignment": 0.3679, "additive_kl_alignment": 0.3679}

COLUMN_WIDTHS: Final = {"single": 84.0, "double": 174.0}
"""The widths of one column and of both columns of a printed page, in millimeters."""

_MIN_WIDTH, _MAX_WIDTH = 30.0, 1000.0
# The text of charts has 12 pixels; in a picture of a given width, it has 7.5 points.
_POINTS_PER_PIXEL: Final = 7.5 / 12
_PIXELS_PER_INCH: Final = 300
_POINTS_PER_INCH: Final = 72
_MM_PER_INCH: Final = 25.4
_SIZE: Final = re.compile(r'width="([0-9.]+)" height="([0-9.]+)"')
_NARROW: Final = 500
_LEAST_INNER: Final = 90
_LEAST_STEP, _ROOMY_STEP = 20.0, 32.0


def plot(
    place: Path | str,
    kind: Picture | str,
    out: Path | str,
    *,
    target: str | None = None,
    source: str | None = None,
    metric: Metric | str = Metric.KL_ALIGNMENT,
    width: str | float | None = None,
) -> Path:
    """Draw a picture of the results, and return its path.

    Announces the title of the picture, which names the corpora that were chosen by default.

    Args:
        place: The folder of the results, or their address on an object store.
        kind: The picture to draw.
        out: The file to write. The suffix of its name selects PNG, SVG or PDF.
        target: The target to draw; by default, the first one with results of this kind.
        source: For ``differences``, the corpus to compare with the target; by default, the
            closest training set.
        metric: For ``matrix``, the measure to draw.
        width: The width of the picture in millimeters, or ``single`` or ``double`` for one column
            of a printed page or both (84 and 174 mm). Its text then has 7.5 points, and a PNG has
            300 pixels per inch. By default, the chart decides.

    Raises:
        WarehouseError: The results are missing, or the file cannot be written.
        ConfigurationError: An option is not valid, the folder of the file does not exist, or
            there is nothing to draw.
    """
    format = Path(out).suffix.lower()
    if format not in _FORMATS:
        raise ConfigurationError(
            f"'{Path(out).name}' is not the name of a picture; use one that ends in "
            f"{', '.join(_FORMATS)}"
        )
    out = find_output(out, f"a picture ({format})", lambda file: _is_picture(file, format))
    millimeters = None if width is None else read_width(width)
    spec = build_picture(place, kind, target=target, source=source, metric=metric)
    announce("picture", read_title(spec))
    picture = render(spec, format, millimeters)
    try:
        with write_atomically(out) as temporary:
            temporary.write_bytes(picture)
    except OSError as error:
        raise WarehouseError(
            f"{out} cannot be written ({error.strerror}); choose another file: --out FILE"
        ) from None
    return out


def _is_picture(file: Path, format: str) -> bool:
    with open_regular(file) as opened:
        return _FORMATS[format] in opened.read(_HEAD)


def read_title(spec: Spec) -> str:
    """Return the title of a picture, without its subtitle."""
    title = spec["title"]
    return str(title["text"] if isinstance(title, dict) else title)


def build_picture(
    place: Path | str,
    kind: Picture | str,
    *,
    target: str | None = None,
    source: str | None = None,
    metric: Metric | str = Metric.KL_ALIGNMENT,
) -> Spec:
    """Return a picture of the results as a Vega-Lite specification with its data.

    Args:
        place: The folder of the results, or their address on an object store.
        kind: The picture.
        target: As in ``plot``.
        source: As in ``plot``.
        metric: As in ``plot``.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: An option is not valid, or there is nothing to draw.
    """
    if kind not in _BUILDERS:
        raise ConfigurationError(f"no picture '{kind}'; {suggest(kind, _BUILDERS)}")
    schema = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE_MAJOR}.json"
    chart = _BUILDERS[kind](place, target, source, find_metric(metric))
    return {"$schema": schema, "config": build_config(ON_PAPER), **chart}


def read_width(text: str | float) -> float:
    """Return the millimeters of a width such as ``single``, ``84`` or ``84mm``.

    Raises:
        ConfigurationError: It is not a width from 30 to 1,000 mm.
    """
    if text in COLUMN_WIDTHS:
        return COLUMN_WIDTHS[str(text)]
    try:
        width = float(str(text).removesuffix("mm"))
    except ValueError:
        width = 0.0
    if not _MIN_WIDTH <= width <= _MAX_WIDTH:
        raise ConfigurationError(
            f"'{text}' is not a width; use {' or '.join(COLUMN_WIDTHS)}, or millimeters from "
            f"{_MIN_WIDTH:.0f} to {_MAX_WIDTH:,.0f}, such as 84"
        )
    return width


def render(spec: Spec, suffix: str, millimeters: float | None = None) -> bytes:
    """Return a picture as a file. PDF files contain their fonts.

    Args:
        spec: The result of ``build_picture``.
        suffix: The format: ``.png``, ``.svg`` or ``.pdf``.
        millimeters: The width of the picture; None for the width that the chart has.
    """
    import vl_convert

    if millimeters is None:
        svg, scale, density = _draw(spec), 1.0, 2.0
    else:
        points = millimeters / _MM_PER_INCH * _POINTS_PER_INCH
        svg = _draw_in_width(spec, points / _POINTS_PER_PIXEL)
        scale = points / _measure_width(svg)
        density = scale * _PIXELS_PER_INCH / _POINTS_PER_INCH
    if suffix == ".png":
        return bytes(vl_convert.svg_to_png(svg, scale=density))
    if suffix == ".pdf":
        # A pixel of the SVG becomes a point.
        return bytes(vl_convert.svg_to_pdf(_set_size(svg, scale, "")))
    if millimeters is not None:
        svg = _set_size(svg, scale * _MM_PER_INCH / _POINTS_PER_INCH, "mm")
    return svg.encode()


def _draw(spec: Spec) -> str:
    import vl_convert

    return str(
        vl_convert.vegalite_to_svg(
            vl_spec=spec,
            vl_version=VEGA_LITE,
            allowed_base_urls=[],  # the data is inline: nothing may be fetched
        )
    )


def _draw_in_width(spec: Spec, wanted: float) -> str:
    """Draw a chart about as wide as wanted, in pixels, by changing the room inside its axes."""
    chart = _wrap_titles(spec, int(wanted / 7))
    n_columns = 1
    if "facet" in spec:
        n_columns = chart["columns"] = 1 if wanted < _NARROW else spec["columns"]
    excess = (_measure_width(_draw(chart)) - wanted) / n_columns
    inner = chart["spec"] if "facet" in chart else chart
    if isinstance(inner["width"], dict):  # a step for each column
        n_steps = len({row["target"] for row in spec["datasets"]["rows"]})
        step = max(_LEAST_STEP, inner["width"]["step"] - excess / n_steps)
        return _draw(_narrow_cells({**chart, "width": {"step": step}}, step))
    room = max(_LEAST_INNER, inner["width"] - excess)
    if "facet" in chart:
        return _draw({**chart, "spec": {**inner, "width": room}})
    return _draw({**chart, "width": room})


def _narrow_cells(chart: Spec, step: float) -> Spec:
    """Return a matrix whose numbers fit into cells of this width, without leading zeros if need be.

    Args:
        chart: The matrix.
        step: The width of a cell, in pixels.
    """
    if step >= _ROOMY_STEP:
        return chart
    rows = [
        {**row, "text": row["text"].removeprefix("0").replace("1.00", "1.0")}
        for row in chart["datasets"]["rows"]
    ]
    return _set_parameters({**chart, "datasets": {"rows": rows}}, size=8)


def _set_parameters(chart: Spec, **values: Any) -> Spec:
    """Return a chart with other values of those parameters that it has."""
    params = [
        {"name": one["name"], "value": values.get(one["name"], one["value"])}
        for one in chart["params"]
    ]
    return {**chart, "params": params}


def _wrap_titles(spec: Spec, n_characters: int) -> Spec:
    title = spec["title"] if isinstance(spec["title"], dict) else {"text": spec["title"]}
    lines = {
        name: [
            line
            for text in ([title[name]] if isinstance(title[name], str) else title[name])
            for line in textwrap.wrap(text, n_characters, drop_whitespace=False)
        ]
        for name in ("text", "subtitle")
        if name in title
    }
    return {**spec, "title": {**title, **lines}}


def _measure_width(svg: str) -> float:
    """Return the width of an SVG picture in pixels."""
    found = _SIZE.search(svg)
    assert found is not None
    return float(found[1])


def _set_size(svg: str, scale: float, unit: str) -> str:
    """Return an SVG picture in another size, with this many units for a pixel."""

    def resize(found: re.Match[str]) -> str:
        width, height = (f'"{float(size) * scale:.3f}{unit}"' for size in found.groups())
        return f"width={width} height={height}"

    return _SIZE.sub(resize, svg, count=1)


def _fill_chart(
    kind: str,
    rows: list[dict[str, Any]],
    title: str,
    subtitle: Sequence[str] = (),
    /,
    **params: Any,
) -> Spec:
    """Return a chart of ``tasks.views.charts`` with rows, titles and values of its parameters."""
    chart = {
        **_CHARTS[kind],
        "title": {"text": title, "subtitle": [*subtitle]} if subtitle else title,
        "datasets": {"rows": rows},
    }
    return _set_parameters(chart, **params)


# ---- the pictures -----------------------------------------------------------------------------


def build_matrix(place: Path | str, target: str | None, source: str | None, metric: str) -> Spec:
    """Build the matrix of sources and targets, with numbers; similar corpora are neighbors."""
    from nl2sql_align.tasks.results.read import matrix
    from nl2sql_align.tasks.views.report import order_by_similarity

    rows = matrix(place)
    if rows.is_empty():
        raise WarehouseError(f"nothing to draw: no corpus in {place} has n-grams")
    with open_results(place) as con:
        names = [
            name for (name,) in con.execute("select corpus from corpora order by rowid").fetchall()
        ]
        order = order_by_similarity(query_sql(con, "views/report/alignment").pl(), len(names))
    if target is not None:
        rows = rows.filter(rows["target"] == _choose_name(target, rows["target"].to_list()))
    elif "target" in rows["target_role"]:
        rows = rows.filter(rows["target_role"] == "target")
    # The picture keeps the order of the rows.
    position_of = {names[corpus]: position for position, corpus in enumerate(order)}
    cells = sorted(
        (
            {
                "source": source,
                "target": target,
                "value": value,
                "text": _format_cell(value) + ("*" if is_uneven else ""),
            }
            for source, target, value, is_uneven in rows.select(
                "source", "target", metric, "is_unevenly_parsed"
            ).iter_rows()
        ),
        key=lambda cell: (position_of[cell["source"]], position_of[cell["target"]]),
    )
    far, near = (_DISTANCES[metric], 0) if metric in _DISTANCES else (_LEAST.get(metric, 0), 1)
    marked = ["* much less of one corpus parses than of the other"]
    chart = _fill_chart(
        "heat",
        cells,
        f"{metric} of rows (sources) with columns (targets)",
        marked if any(cell["text"].endswith("*") for cell in cells) else (),
        far=far,
        near=near,
    )
    shades, numbers = chart["layer"]
    # The same shades without steps: a legend would show each step.
    scale = {
        "type": "linear",
        "domain": [0, 1],
        "range": [*ON_PAPER.shades[:: len(ON_PAPER.shades) - 1]],
    }
    color = {**shades["encoding"]["color"], "scale": scale, "legend": _describe_shades(metric)}
    shades = {**shades, "encoding": {**shades["encoding"], "color": color}}
    return {**chart, "layer": [shades, numbers]}


def _describe_shades(metric: str) -> Spec:
    """Return the legend of the matrix: its shades with values from far to near."""
    return {
        "title": metric,
        "type": "gradient",
        "orient": "bottom",
        "direction": "horizontal",
        "gradientLength": 150,
        "values": [0, 0.5, 1],
        "labelExpr": "format(far + datum.value * (near - far), '.2f')",
    }


def _format_cell(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"


def build_ratios(place: Path | str, target: str | None, source: str | None, metric: str) -> Spec:
    """Build the Alignment Ratios of a target: untuned models, or all models if all are tuned."""
    import polars as pl

    from nl2sql_align.tasks.results.read import ratio

    rows = ratio(place)
    if rows.is_empty():
        raise ConfigurationError(
            "nothing to draw: a ratio needs a corpus with the role train and predictions"
        )
    chosen = _choose_name(target, rows["target"].to_list())
    here = rows.filter(rows["target"] == chosen)
    untuned = here.filter(here["trained_on"].is_null())
    shown = untuned if len(untuned) else here
    drawn = shown.select(
        pl.struct("predictions", "n_answered", "n_questions", "is_part")
        .map_elements(label_predictions, return_dtype=pl.String)
        .alias("predictions"),
        pl.col("train").alias("label"),
        pl.col("alignment_ratio").alias("value"),
        pl.col("ci_low").alias("low"),
        pl.col("ci_high").alias("high"),
        pl.col("reach_ratio").alias("reach"),
        pl.col("verdict").fill_null("no interval"),
        pl.struct("alignment_ratio", "ci_low", "ci_high")
        .map_elements(_format_ratio, return_dtype=pl.String)
        .alias("text"),
    )
    known = [
        value for name in ("value", "low", "high", "reach") for value in drawn[name].drop_nulls()
    ]
    doubts = list_doubts(shown["doubts"])
    chart = _fill_chart(
        "ratios",
        drawn.to_dicts(),
        f"Alignment Ratio on {chosen}, with 95% intervals",
        ["▲ gain   ◆ undecided   ▼ no gain   ○ by reach", *filter(is_second_opinion, doubts)],
        x_low=min(0.95, *known) / 1.03,
        x_high=max(1.05, *known) * 1.03,
    )
    # One panel for each set of predictions.
    inner = {key: chart.pop(key) for key in ("width", "height", "encoding", "layer")}
    return {
        **chart,
        "facet": {
            "field": "predictions",
            "type": "nominal",
            "title": None,
            "header": {"labelFontSize": 12, "labelFontWeight": "bold"},
        },
        "columns": 2,
        "spec": inner,
    }


def _format_ratio(row: Mapping[str, float | None]) -> str:
    value, low, high = row["alignment_ratio"], row["ci_low"], row["ci_high"]
    assert value is not None
    return format_estimate(value, low, high, 1)


def build_differences(
    place: Path | str, target: str | None, source: str | None, metric: str
) -> Spec:
    """Build the shares of queries of a pair that use each structure, the most different first."""
    from nl2sql_align.tasks.results.read import matrix
    from nl2sql_align.tasks.views.explain import find_different_structures

    rows = matrix(place)
    targets = rows.filter(rows["target_role"] == "target")["target"].to_list()
    chosen = _choose_name(
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
            raise ConfigurationError(
                f"no training set to compare with {chosen}: name a corpus with --source CORPUS"
            )
        source = str(trains.sort("kl_nats", "source")["source"][0])
    structures = find_different_structures(place, source, chosen)
    if not structures:
        raise ConfigurationError(
            f"nothing to draw: {source} and {chosen} use the same structures equally often; for "
            f"their n-grams, run: nl2sql-align explain {place} {source} {chosen}"
        )
    bars = [
        {
            "feature": one["label"],
            "side": side,
            "share": one[f"{side}_share"],
            "text": format_percent(one[f"{side}_share"]),
        }
        for one in structures
        for side in ("source", "target")
    ]
    chart = _fill_chart(
        "structures", bars, f"Structures whose shares differ most in {source} and {chosen}"
    )
    shares, texts = chart["layer"]
    names = json.dumps({"source": source, "target": chosen})
    legend = {"title": None, "orient": "top", "labelExpr": f"{names}[datum.label]"}
    color = {**shares["encoding"]["color"], "legend": legend}
    shares = {**shares, "encoding": {**shares["encoding"], "color": color}}
    return {**chart, "layer": [shares, texts]}


def build_sample_size(
    place: Path | str, target: str | None, source: str | None, metric: str
) -> Spec:
    """Build how well fewer queries of a target rank training sets, recorded by ``sample-size``."""
    rows, chosen = _read_decision(place, "sample_size", target)
    kinds = rows["smoothing"].unique(maintain_order=True).to_list()
    title = f"How well fewer queries of {chosen} rank training sets"
    return _fill_chart("sample_size", rows.to_dicts(), title, kinds=kinds)


def build_budget(place: Path | str, target: str | None, source: str | None, metric: str) -> Spec:
    """Build the alignment of selections by their number of rows, compared with random rows."""
    import polars as pl

    rows, chosen = _read_decision(place, "budget", target)
    random = rows.select(
        "n_rows", pl.col("random_alignment").alias("kl_alignment"), pl.lit("random").alias("method")
    )
    if "random" in rows["method"]:
        random = random.clear()
    both = pl.concat([rows.select(random.columns), random]).unique(
        ["method", "n_rows"], maintain_order=True
    )
    kinds = both["method"].unique(maintain_order=True).to_list()
    title = f"Alignment of selected rows with {chosen}"
    weighted = rows.filter("weighs_questions")["method"].unique(maintain_order=True)
    if not weighted.is_empty():
        title = f"{title} (weighted questions: {', '.join(weighted)})"
    return _fill_chart("budget", both.to_dicts(), title, kinds=kinds)


_BUILDERS: Final[Mapping[str, Callable[[Path | str, str | None, str | None, str], Spec]]] = {
    Picture.MATRIX: build_matrix,
    Picture.RATIOS: build_ratios,
    Picture.DIFFERENCES: build_differences,
    Picture.SAMPLE_SIZE: build_sample_size,
    Picture.BUDGET: build_budget,
}

_COMMANDS: Final = {"sample_size": "sample-size", "budget": "select"}


def _choose_name(wanted: str | None, names: list[str]) -> str:
    """Return the wanted name, or by default the first."""
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise ConfigurationError(f"nothing to draw for '{wanted}'; {suggest(wanted, names)}")
    return wanted


def _read_decision(place: Path | str, query: str, target: str | None) -> tuple["pl.DataFrame", str]:
    """Return the rows that a command has recorded for a target, and the target.

    Args:
        place: The folder of the results, or their address on an object store.
        query: The SQL file in ``sql/views/report`` that reads the rows of all targets.
        target: The wanted target; by default, the first with rows.
    """
    with open_results(place) as con:
        rows: pl.DataFrame = query_sql(con, f"views/report/{query}").pl()
    if rows.is_empty():
        raise ConfigurationError(
            f"nothing to draw yet; first run: nl2sql-align {_COMMANDS[query]} {place}"
        )
    chosen = _choose_name(target, rows["target"].to_list())
    return rows.filter(rows["target"] == chosen), chosen
