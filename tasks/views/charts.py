"""Vega-Lite specifications, without data, of the charts in the report and in pictures.

Each chart draws the data set ``rows`` in the order of its rows; everything else that varies is a
parameter. The field ``description`` of a row is for screen readers. On the page, colors are
variables of the style sheet, so that charts follow light mode, dark mode and print.
"""

from dataclasses import dataclass
from typing import Any, Final

Spec = dict[str, Any]

VEGA_LITE: Final = "6.4"
"""The version of Vega-Lite that draws the charts, on the page and in pictures."""

VEGA_LITE_MAJOR: Final = VEGA_LITE.partition(".")[0]
"""Its major version, which names the schema and the media type of specifications."""

_N_SHADES: Final = 50
# The shares above which the second and the third text color are readable on a shade.
_MID, _HIGH = 0.48, 0.64
_RATIOS_MARKED: Final = [0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5]
_CODE: Final = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
_FONT: Final = "system-ui, Segoe UI, Roboto, DejaVu Sans, Arial, sans-serif"
# Fonts that every system has or can install, and whose licenses allow them inside a PDF.
_FONT_ON_PAPER: Final = "DejaVu Sans, Verdana, Arial, sans-serif"
# Labels longer than the chart's parameter ``characters`` lose their middle.
_SHORTENED: Final = (
    "length(datum.label) > characters ? slice(datum.label, 0, floor(characters / 2)) + '…' + "
    "slice(datum.label, -floor(characters / 2)) : datum.label"
)


@dataclass(frozen=True)
class Colors:
    """The colors of charts. Nearly everyone can tell the blue from the orange.

    Attributes:
        first: Sources and gains.
        second: Targets, and the verdict "no gain".
        neither: Everything else that is drawn: undecided ratios, axis lines.
        text: Text, and the line at 1.
        soft: Secondary text.
        line: Grid lines.
        back: The background.
        shades: The cells of the matrix, from far to near.
        on_shades: Numbers on the first, middle and last shades.
    """

    first: str
    second: str
    neither: str
    text: str
    soft: str
    line: str
    back: str
    shades: tuple[str, ...]
    on_shades: tuple[str, str, str]


def shade(share: float) -> str:
    """Return a color of the matrix: near white for 0, dark blue for 1, and shades between."""
    pairs = zip(bytes.fromhex("f3f6fa"), bytes.fromhex("08336b"), strict=True)
    return "#" + bytes(round(far + share * (near - far)) for far, near in pairs).hex()


_SHARES: Final = [i / (_N_SHADES - 1) for i in range(_N_SHADES)]

ON_PAPER: Final = Colors(
    first="#0f62ac",
    second="#b8500a",
    neither="#757c88",
    text="#1a1c20",
    soft="#5a606b",
    line="#d5d9e0",
    back="#ffffff",
    shades=tuple(map(shade, _SHARES)),
    on_shades=("#05080d", "#05080d", "#ffffff"),
)
ON_PAGE: Final = Colors(
    **{name: f"var(--{name})" for name in "first second neither text soft line back".split()},
    shades=tuple(
        f"color-mix(in srgb, var(--heat-high) {100 * share:.1f}%, var(--heat-low))"
        for share in _SHARES
    ),
    on_shades=("var(--on-low)", "var(--on-mid)", "var(--on-high)"),
)


def build_charts(colors: Colors) -> dict[str, Spec]:
    """Return the specifications of all charts, by name."""
    return {
        "heat": _heat(colors),
        "ranking": _ranking(colors),
        "ratios": _ratios(colors),
        "differences": _differences(colors),
        "structures": _structures(colors),
        "templates": _templates(colors),
        "sample_size": _sample_size(colors),
        "budget": _budget(colors),
        "mixture": _mixture(colors),
    }


def build_config(colors: Colors) -> Spec:
    """Return the configuration that all charts share: fonts, and colors of axes and text."""
    return {
        "background": "transparent" if colors is ON_PAGE else colors.back,
        "font": _FONT if colors is ON_PAGE else _FONT_ON_PAPER,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colors.text,
            "titleColor": colors.soft,
            "gridColor": colors.line,
            "domainColor": colors.neither,
            "tickColor": colors.neither,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelLimit": 0,
        },
        "text": {"color": colors.text, "fontSize": 12},
        "legend": {
            "labelColor": colors.text,
            "titleColor": colors.soft,
            "titleFontWeight": "normal",
            "labelFontSize": 12,
            "titleFontSize": 12,
            "labelLimit": 260,
            "symbolOpacity": 1,
        },
        "title": {
            "anchor": "start",
            "fontSize": 14,
            "color": colors.text,
            "subtitleColor": colors.soft,
        },
        "header": {"labelColor": colors.text},
    }


def _parameter(name: str, value: Any) -> Spec:
    """Declare a parameter with its default value."""
    return {"name": name, "value": value}


def _names(field: str, **axis: Any) -> Spec:
    """Encode names along an axis, in the order of the rows."""
    return {
        "field": field,
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
            "labelExpr": _SHORTENED,
            "labelOverlap": False,
            **axis,
        },
    }


# ---- the matrix -------------------------------------------------------------------------------


def _heat(colors: Colors) -> Spec:
    """Build the matrix, with a color scale from ``far`` to ``near``.

    Rows: ``source``, ``target``, ``value``, ``text``.
    """
    color = {"field": "shade", "type": "quantitative", "legend": None}
    return {
        "params": [
            _parameter("far", 0),
            _parameter("near", 1),
            _parameter("characters", 34),
            _parameter("size", 10),
            _parameter("angle", -60),
        ],
        "data": {"name": "rows"},
        "transform": [
            {"calculate": "clamp((datum.value - far) / (near - far), 0, 1)", "as": "shade"}
        ],
        "width": {"step": 36},
        "height": {"step": 20},
        "encoding": {
            "y": _names("source"),
            "x": _names("target", orient="top", labelAngle={"expr": "angle"}, labelPadding=4),
        },
        "layer": [
            {
                "mark": {"type": "rect", "cursor": "pointer"},
                "encoding": {
                    "color": {
                        **color,
                        "scale": {
                            "type": "quantize",
                            "domain": [0, 1],
                            "range": list(colors.shades),
                        },
                    },
                    "description": {"field": "description"},
                },
            },
            {
                "mark": {
                    "type": "text",
                    "fontSize": {"expr": "size"},
                    "aria": False,
                },
                "encoding": {
                    "text": {"field": "text"},
                    "color": {
                        **color,
                        "scale": {
                            "type": "threshold",
                            "domain": [_MID, _HIGH],
                            "range": list(colors.on_shades),
                        },
                    },
                },
            },
        ],
        "resolve": {"scale": {"color": "independent"}},
    }


# ---- dots with intervals ----------------------------------------------------------------------


def _dots(x: Spec, reference: Spec, marked: Spec, encoding: Spec) -> Spec:
    """Build dots with intervals and, to the right of them, their values as text.

    Rows: ``label``, ``value``, ``low`` and ``high`` (null without an interval), ``text``.

    Args:
        x: The scale and axis of the values.
        reference: The layer behind the dots: a line to compare them with.
        marked: Properties of the marks, such as their color.
        encoding: Further encodings of the marks.
    """
    value = {"field": "value", "type": "quantitative", **x}
    return {
        "params": [_parameter("x_low", 0), _parameter("x_high", 1), _parameter("characters", 34)],
        "data": {"name": "rows"},
        "width": 250,
        "height": {"step": 20},
        "encoding": {"y": _names("label")},
        "layer": [
            reference,
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {
                    "type": "rule",
                    "strokeWidth": 4,
                    "opacity": 0.45,
                    "aria": False,
                    **marked,
                },
                "encoding": {
                    "x": {**value, "field": "low"},
                    "x2": {"field": "high"},
                    **{k: v for k, v in encoding.items() if k != "shape"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1, **marked},
                "encoding": {"x": value, **encoding, "description": {"field": "description"}},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 10, "aria": False},
                "encoding": {"x": {"value": "width"}, "text": {"field": "text"}},
            },
        ],
    }


def _scale_between(**more: Any) -> Spec:
    """Build a scale from parameter ``x_low`` to parameter ``x_high``."""
    return {
        "domainMin": {"expr": "x_low"},
        "domainMax": {"expr": "x_high"},
        "nice": False,
        **more,
    }


def _line(x: Spec, **mark: Any) -> Spec:
    """Build a line from top to bottom."""
    return {"mark": {"type": "rule", "aria": False, **mark}, "encoding": {"x": x, "y": None}}


def _ranking(colors: Colors) -> Spec:
    """Build the alignments of training sets with a target; rows have its ``ceiling`` or null."""
    x = {"scale": _scale_between(zero=False), "title": "KL-alignment", "axis": {"tickCount": 5}}
    ceiling = {
        "transform": [{"filter": "isValid(datum.ceiling)"}],
        **_line({"field": "ceiling", "type": "quantitative"}, strokeDash=[5, 4], color=colors.text),
    }
    return _dots(x, ceiling, {"color": colors.first}, {})


def _ratios(colors: Colors) -> Spec:
    """Build Alignment Ratios around the line at 1.

    Rows also have a ``verdict``, and ``reach``, the reach ratio, or null.
    """
    verdicts = ["gain", "undecided", "no gain", "no interval"]
    tones = [colors.first, colors.neither, colors.second, colors.neither]
    key = {"field": "verdict", "type": "nominal", "title": None}
    x = {
        "scale": _scale_between(type="log"),
        "title": "Alignment Ratio",
        "axis": {"values": _RATIOS_MARKED, "format": "~g", "labelOverlap": "greedy"},
    }
    chart = _dots(
        x,
        _line({"datum": 1}, color=colors.text, strokeWidth=1.5),
        {},
        {
            "color": {**key, "scale": {"domain": verdicts, "range": tones}, "legend": None},
            "shape": {
                **key,
                "scale": {
                    "domain": verdicts,
                    "range": ["triangle-up", "diamond", "triangle-down", "circle"],
                },
                "legend": None,
            },
        },
    )
    chart["layer"].insert(
        -1,
        {
            "transform": [{"filter": "isValid(datum.reach)"}],
            "mark": {
                "type": "point",
                "size": 190,  # a ring around the mark of an equal ratio
                "strokeWidth": 1.25,
                "color": colors.text,
                "aria": False,
            },
            "encoding": {"x": {"field": "reach", "type": "quantitative", **x}},
        },
    )
    return chart


def _mixture(colors: Colors) -> Spec:
    """Build the shares of a mixture with their intervals."""
    return _dots(
        {
            "scale": _scale_between(),
            "title": "share of rows",
            "axis": {"format": "%", "tickCount": 5},
        },
        _line({"datum": 0}, color=colors.neither),
        {"color": colors.first},
        {},
    )


# ---- differences ------------------------------------------------------------------------------


def _sides(colors: Colors) -> Spec:
    return {"domain": ["source", "target"], "range": [colors.first, colors.second]}


def _differences(colors: Colors) -> Spec:
    """Build bars to the right for n-grams more frequent in the source, to the left for the target.

    Rows: ``id``, ``ngram``, ``nats`` (negative to the left), ``side``.
    """
    y = {"field": "id", "type": "nominal", "sort": None, "axis": None}
    x = {
        "field": "nats",
        "type": "quantitative",
        "title": "contribution to the divergence (nats)",
        "axis": {"format": "s", "labelExpr": "format(abs(datum.value), '~g')", "tickCount": 5},
    }
    return {
        "params": [_parameter("text_limit", 680)],
        "data": {"name": "rows"},
        "width": 680,
        "height": {"step": 34},
        "encoding": {"y": y},
        "layer": [
            _line({"datum": 0}, color=colors.neither),
            {
                "mark": {"type": "bar", "height": 12, "yOffset": 8, "cursor": "pointer"},
                "encoding": {
                    "x": x,
                    "color": {
                        "field": "side",
                        "type": "nominal",
                        "scale": _sides(colors),
                        "legend": None,
                    },
                    "description": {"field": "description"},
                },
            },
            {
                "mark": {
                    "type": "text",
                    "align": "left",
                    "font": _CODE,
                    "fontSize": 12,
                    "yOffset": -8,
                    "limit": {"expr": "text_limit"},
                    "aria": False,
                },
                "encoding": {"x": {"value": 0}, "text": {"field": "ngram"}},
            },
        ],
    }


def _structures(colors: Colors) -> Spec:
    """Build the shares of two corpora's queries that use each structure.

    Rows: ``feature``, ``side``, ``share``, ``text``.
    """
    side = {"field": "side", "type": "nominal"}
    return {
        "params": [_parameter("characters", 34)],
        "data": {"name": "rows"},
        "width": 420,
        "height": {"step": 13},
        "encoding": {
            "y": {**_names("feature"), "scale": {"paddingInner": 0.3}},
            "yOffset": {**side, "sort": None, "scale": {"domain": ["source", "target"]}},
            "x": {
                "field": "share",
                "type": "quantitative",
                "scale": {"domain": [0, 1]},
                "axis": {"format": "%", "tickCount": 5},
                "title": "share of queries",
            },
        },
        "layer": [
            {
                "mark": {"type": "bar"},
                "encoding": {
                    "color": {**side, "scale": _sides(colors), "legend": None},
                    "description": {"field": "description"},
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 10, "aria": False},
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }


# ---- curves -----------------------------------------------------------------------------------


def _templates(colors: Colors) -> Spec:
    """Build curves: the share of queries that the most frequent templates cover, for each corpus.

    Rows: ``corpus``, ``n``, ``share``, ``side`` (source, target, other).
    """
    tones = [colors.line, colors.second, colors.first]
    key = {"field": "side", "type": "nominal", "legend": None}
    domain = ["other", "target", "source"]
    return {
        "data": {"name": "rows"},
        "width": 560,
        "height": 300,
        "mark": {"type": "line"},
        "encoding": {
            "x": {
                "field": "n",
                "type": "quantitative",
                "scale": {"type": "log", "nice": False},
                "axis": {"values": [10**power for power in range(8)], "format": ",", "grid": True},
                "title": "number of most frequent templates",
            },
            "y": {
                "field": "share",
                "type": "quantitative",
                "scale": {"domain": [0, 1]},
                "axis": {"format": "%", "tickCount": 5},
                "title": "share of queries",
            },
            "detail": {"field": "corpus"},
            "color": {**key, "scale": {"domain": domain, "range": tones}},
            "strokeWidth": {
                "condition": {"test": "datum.side === 'other'", "value": 1.3},
                "value": 3,
            },
            "strokeDash": {**key, "scale": {"domain": domain, "range": [[1, 0], [7, 3], [1, 0]]}},
            "description": {"field": "corpus"},
        },
    }


def _log_axis(title: str) -> Spec:
    """Encode a count along a logarithmic axis."""
    return {
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "nice": False},
        "axis": {
            "values": [step * 10**power for power in range(8) for step in (1, 2, 5)],
            "format": ",",
            "labelOverlap": "greedy",
            "labelSeparation": 8,
            "grid": False,
        },
    }


def _encode_lines(colors: Colors, field: str, domain: list[str]) -> Spec:
    """Encode up to four kinds of lines by color and dashes; the legend lists ``kinds`` only."""
    tones = [colors.first, colors.second, colors.neither, colors.text]
    dashes = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3]]
    legend = {
        "orient": "top",
        "title": None,
        "symbolType": "stroke",
        "symbolSize": 300,
        "symbolStrokeWidth": 2.5,
        "values": {"expr": "kinds"},
    }
    key = {"field": field, "type": "nominal", "legend": legend}
    return {
        "color": {**key, "scale": {"domain": domain, "range": tones[: len(domain)]}},
        "strokeDash": {**key, "scale": {"domain": domain, "range": dashes[: len(domain)]}},
    }


def _sample_size(colors: Colors) -> Spec:
    """Build Kendall's tau of rankings by fewer queries of a target, with intervals.

    Rows: ``smoothing``, ``n_queries``, ``kendall_tau``, ``tau_low``, ``tau_high``.
    """
    domain = ["skew", "additive", "js"]
    kinds = _encode_lines(colors, "smoothing", domain)
    x = {"field": "n_queries", **_log_axis("number of target queries")}
    return {
        "params": [_parameter("kinds", domain)],
        "data": {"name": "rows"},
        "width": 440,
        "height": 260,
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.14, "aria": False},
                "encoding": {
                    "y": {
                        "field": "tau_low",
                        "type": "quantitative",
                        "title": "Kendall tau",
                        "scale": {"zero": False},
                    },
                    "y2": {"field": "tau_high"},
                    "color": kinds["color"],
                },
            },
            {
                "mark": {"type": "line", "strokeWidth": 2.5},
                "encoding": {"y": {"field": "kendall_tau", "type": "quantitative"}, **kinds},
            },
        ],
    }


def _budget(colors: Colors) -> Spec:
    """Build the alignment of selections by their number of rows.

    Rows: ``method``, ``n_rows``, ``kl_alignment``.
    """
    domain = ["direct", "greedy", "importance", "random"]
    kinds = _encode_lines(colors, "method", domain)
    return {
        "params": [_parameter("kinds", domain)],
        "data": {"name": "rows"},
        "width": 440,
        "height": 260,
        "mark": {"type": "line", "strokeWidth": 2.5, "point": {"size": 45, "opacity": 1}},
        "encoding": {
            "x": {"field": "n_rows", **_log_axis("number of selected rows")},
            "y": {
                "field": "kl_alignment",
                "type": "quantitative",
                "scale": {"zero": False},
                "title": "KL-alignment",
            },
            **kinds,
        },
    }
