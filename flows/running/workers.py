"""Conditions that the workers of every cluster must meet, and messages about them."""

from collections.abc import Mapping

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.warehouse.folder import Warehouse


def check_versions(worker: str, own: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Check that a worker of a cluster has the versions of the run.

    Args:
        worker: Its name in the message, such as ``Ray node 1a2b``.
        own: Its versions, by name.
        wanted: Those of the run.

    Raises:
        ConfigurationError: It has another version.
    """
    for name, version in wanted.items():
        if own[name] != version:
            raise ConfigurationError(
                f"{worker} has {name} {own[name]}, and this run {version}; install the same "
                "versions there"
            )


def check_shared_folder(sees_folder: Mapping[str, object], warehouse: Warehouse) -> None:
    """Check that all workers of a cluster see the warehouse.

    Args:
        sees_folder: Whether each worker sees it, by the name of the worker.
        warehouse: The warehouse.

    Raises:
        ConfigurationError: A worker does not see it.
    """
    for worker, sees in sees_folder.items():
        if sees is not True:
            raise ConfigurationError(
                f"{worker} does not see {warehouse.folder}; choose a warehouse that all workers "
                "see under the same path"
            )


def describe_deaths(workers: str, where: object) -> str:
    """Return the message of a run that ends because workers died repeatedly at one step."""
    return (
        f"{workers} died repeatedly at one step ({where}); check their memory, then run again to "
        "continue where this run stopped"
    )
