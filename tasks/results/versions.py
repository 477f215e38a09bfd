"""Versions of everything that can change a published number."""

import sys
from functools import cache
from importlib.metadata import version

from nl2sql_align.tasks.ingest.dumps import INGEST_VERSION
from nl2sql_align.tasks.measures.options import INTERVALS_VERSION, MATRIX_VERSION
from nl2sql_align.tasks.results.database import PUBLISH_VERSION
from nl2sql_align.tasks.templates.rules import NGRAM_RULES_VERSION, TEMPLATE_RULES_VERSION

_PACKAGES = ("nl2sql-align", "sqlglot", "duckdb", "polars", "pyarrow", "numpy", "scipy", "prefect")


def list_versions() -> dict[str, str]:
    """Return the versions of packages and stages by name."""
    return {
        **_list_packages(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "ingest": str(INGEST_VERSION),
        "template_rules": str(TEMPLATE_RULES_VERSION),
        "ngram_rules": str(NGRAM_RULES_VERSION),
        "matrix": str(MATRIX_VERSION),
        "intervals": str(INTERVALS_VERSION),
        "publish": str(PUBLISH_VERSION),
    }


@cache  # reading the metadata of all packages takes 40 ms
def _list_packages() -> dict[str, str]:
    return {package: version(package) for package in _PACKAGES}
