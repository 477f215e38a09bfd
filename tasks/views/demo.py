"""A tour of the program on the sample corpora, which are installed with it."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.run.summary import RunSummary
from nl2sql_align.tasks.warehouse.folder import Warehouse

_GENERATOR: Final = "generator"


def copy_samples(folder: Path) -> Path:
    """Copy the sample corpora into a folder, and return the path of their corpora file.

    Args:
        folder: A folder that does not exist, is empty, or has samples from an earlier call.

    Raises:
        ConfigurationError: The folder has other content.
    """
    corpora = folder / "samples" / "corpora.toml"
    has_other = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    if has_other and not corpora.exists():
        raise ConfigurationError(f"{folder}: is not an empty folder; choose another one")
    with as_file(files("nl2sql_align") / "samples") as samples:
        shutil.copytree(
            samples,
            corpora.parent,
            ignore=shutil.ignore_patterns(_GENERATOR, "__pycache__"),
            dirs_exist_ok=True,
        )
    return corpora


def run_demo(folder: Path) -> RunSummary:
    """Compare the sample corpora and write the report, without Prefect.

    Args:
        folder: Where to write ``samples/`` and ``warehouse/``; as for ``copy_samples``.

    Raises:
        ConfigurationError: The folder has other content.
        WarehouseError: The warehouse is in use or cannot be written.
    """
    corpora = copy_samples(folder)
    warehouse = Warehouse((folder / "warehouse").resolve())
    summary = run_locally(load_corpora(corpora), warehouse, JobSettings(corpora.resolve()))
    from nl2sql_align.tasks.views.report import write_report

    write_report(warehouse.folder, only_if_changed=True)
    return summary
