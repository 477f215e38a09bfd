"""Compare text-to-SQL data sets by the structure of their queries.

The public API. Each command of ``nl2sql-align`` has a function of the same purpose here. Names are
imported on first use, so that ``import nl2sql_align`` loads neither Prefect nor DuckDB.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nl2sql_align.flows.align import align
    from nl2sql_align.flows.nightly import nightly
    from nl2sql_align.tasks.base.errors import (
        AlignError,
        ConfigurationError,
        ConflictError,
        CorpusError,
        DatabaseInUseError,
        RequirementError,
        WarehouseError,
    )
    from nl2sql_align.tasks.decisions.calibration import calibrate
    from nl2sql_align.tasks.decisions.gaps import gaps
    from nl2sql_align.tasks.decisions.headroom import headroom
    from nl2sql_align.tasks.decisions.health import check
    from nl2sql_align.tasks.decisions.mixture import mix
    from nl2sql_align.tasks.decisions.sample_size import sample_size as sample_sizes
    from nl2sql_align.tasks.decisions.selection import SelectionOptions, select
    from nl2sql_align.tasks.decisions.training_files import TrainingOptions
    from nl2sql_align.tasks.results.database import open_results
    from nl2sql_align.tasks.run.inspection import inspect_dump
    from nl2sql_align.tasks.templates.one_query import template_of
    from nl2sql_align.tasks.views.comparison import compare
    from nl2sql_align.tasks.views.explain import explain
    from nl2sql_align.tasks.views.notebook import load
    from nl2sql_align.tasks.views.pictures import plot
    from nl2sql_align.tasks.views.report import write_report as report

    __version__: str

__all__ = [
    "AlignError",
    "ConfigurationError",
    "ConflictError",
    "CorpusError",
    "DatabaseInUseError",
    "RequirementError",
    "SelectionOptions",
    "TrainingOptions",
    "WarehouseError",
    "__version__",
    "align",
    "calibrate",
    "check",
    "compare",
    "explain",
    "gaps",
    "headroom",
    "inspect_dump",
    "load",
    "mix",
    "nightly",
    "open_results",
    "plot",
    "report",
    "sample_sizes",
    "select",
    "template_of",
]

_SOURCES = {
    "AlignError": "tasks.base.errors:AlignError",
    "ConfigurationError": "tasks.base.errors:ConfigurationError",
    "ConflictError": "tasks.base.errors:ConflictError",
    "CorpusError": "tasks.base.errors:CorpusError",
    "DatabaseInUseError": "tasks.base.errors:DatabaseInUseError",
    "RequirementError": "tasks.base.errors:RequirementError",
    "SelectionOptions": "tasks.decisions.selection:SelectionOptions",
    "TrainingOptions": "tasks.decisions.training_files:TrainingOptions",
    "WarehouseError": "tasks.base.errors:WarehouseError",
    "align": "flows.align:align",
    "calibrate": "tasks.decisions.calibration:calibrate",
    "check": "tasks.decisions.health:check",
    "compare": "tasks.views.comparison:compare",
    "explain": "tasks.views.explain:explain",
    "gaps": "tasks.decisions.gaps:gaps",
    "headroom": "tasks.decisions.headroom:headroom",
    "inspect_dump": "tasks.run.inspection:inspect_dump",
    "load": "tasks.views.notebook:load",
    "mix": "tasks.decisions.mixture:mix",
    "nightly": "flows.nightly:nightly",
    "open_results": "tasks.results.database:open_results",
    "plot": "tasks.views.pictures:plot",
    "report": "tasks.views.report:write_report",
    "sample_sizes": "tasks.decisions.sample_size:sample_size",
    "select": "tasks.decisions.selection:select",
    "template_of": "tasks.templates.one_query:template_of",
}
"""Where each name is defined: a module of this package, and the name there."""


def __getattr__(name: str) -> object:
    """Import a name of the public API on first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version  # slower than most imports

        value: object = version("nl2sql-align")
    elif name in _SOURCES:
        module, _, attribute = _SOURCES[name].partition(":")
        value = getattr(import_module(f"{__name__}.{module}"), attribute)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public API."""
    return sorted({*globals(), *__all__})
