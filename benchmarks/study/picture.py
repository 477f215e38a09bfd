"""The picture of the study: change of a score against the reach ratio before tuning."""

from pathlib import Path
from typing import Any, Final

import polars as pl

from nl2sql_align.tasks.views.charts import ON_PAPER, VEGA_LITE, build_config

_X_STEP: Final = 0.05
_Y_STEP: Final = 2.5
_X_MARKED: Final = [0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5]
_STUDY, _REAL = "small models of the study", "published models"
_TOP_LEFT: Final = {"orient": "top-left"}


def place_on_grid(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the number of outcomes per cell of log ratio and change, so that a picture is small.

    Args:
        outcomes: ``change`` (a share) and ``reach_ratio``.
    """
    x = ((pl.col("reach_ratio").log() / _X_STEP).round() * _X_STEP).exp().round(4)
    y = (pl.col("change") * 100 / _Y_STEP).round() * _Y_STEP
    cells = outcomes.select(x.alias("ratio"), y.alias("points"))
    return cells.group_by("ratio", "points").agg(pl.len().alias("n")).sort("ratio", "points")


def draw(study: pl.DataFrame, real: pl.DataFrame, out: Path) -> None:
    """Write the picture as SVG.

    Args:
        study: The study's outcomes, with ``change`` (a share) and ``reach_ratio``.
        real: Outcomes of published models, likewise.
        out: The file to write.
    """
    import vl_convert

    cells = place_on_grid(study)
    models = real.select(ratio="reach_ratio", points=100 * pl.col("change"))
    ends = [0.4, 2.5, *study["reach_ratio"], *real["reach_ratio"]]
    size = {
        "field": "n",
        "type": "quantitative",
        "scale": {"range": [10, 260]},
        "title": "outcomes of the study",
        "legend": {**_TOP_LEFT, "values": [1, 10, 50]},
    }
    color = {
        "datum": _STUDY,
        "type": "nominal",
        "scale": {"domain": [_STUDY, _REAL], "range": [ON_PAPER.first, ON_PAPER.second]},
        "title": None,
        "legend": _TOP_LEFT,
    }
    spec = {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.partition('.')[0]}.json",
        "config": build_config(ON_PAPER),
        "width": 640,
        "height": 340,
        "title": f"{study.height:,} outcomes of small models, {real.height} of published models",
        "encoding": {
            "x": {
                "field": "ratio",
                "type": "quantitative",
                "scale": {"type": "log", "domain": [min(ends) / 1.03, max(ends) * 1.03]},
                "title": "Reach ratio before tuning",
                "axis": {"grid": False, "values": _X_MARKED},
            },
            "y": {
                "field": "points",
                "type": "quantitative",
                "title": "change of the score by tuning, points",
            },
        },
        "layer": [
            _rule(x=1),
            _rule(y=0),
            _points(cells, {"type": "circle", "opacity": 0.55}, {"size": size, "color": color}),
            _points(
                models,
                {"type": "point", "shape": "diamond", "filled": True, "size": 70},
                {"color": {"datum": _REAL, "type": "nominal"}},
            ),
        ],
    }
    svg = vl_convert.vegalite_to_svg(vl_spec=spec, vl_version=VEGA_LITE, allowed_base_urls=[])
    out.write_text(svg, encoding="utf-8")


def _rule(**at: float) -> dict[str, Any]:
    return {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": ON_PAPER.text, "aria": False},
        "encoding": {axis: {"datum": value} for axis, value in at.items()},
    }


def _points(rows: pl.DataFrame, mark: dict[str, Any], encoding: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": {"values": rows.to_dicts()},
        "mark": {**mark, "aria": False},
        "encoding": encoding,
    }
