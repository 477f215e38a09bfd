"""Flows that are safe to call in a Python program, as ``run`` and ``nightly`` are in a shell."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Flow

from nl2sql_align.flows.running.proxies import check_proxies
from nl2sql_align.flows.running.temporary_server import serving
from nl2sql_align.tasks.warehouse.addresses import refuse_credentials

P = ParamSpec("P")
R = TypeVar("R")


class _ProtectedFlow(Flow[..., Any]):
    def __call__(self, *args: Any, **keys: Any) -> Any:
        """Run the flow, on a server that asks for a password unless Prefect's settings name one.

        Prefect records the parameters before the flow can look at them.

        Raises:
            ConfigurationError: A parameter is an address that may contain credentials.
            AlignError: The server does not start.
        """
        refuse_credentials(*_list_places([*args, *keys.values()]))
        check_proxies()
        with serving():
            return super().__call__(*args, **keys)


def protected_flow(**options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Return a decorator like Prefect's ``flow``, for flows that users call.

    Args:
        options: Those of ``flow``.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        return cast("Flow[P, R]", _ProtectedFlow(function, **options))

    return decorate


def _list_places(values: Iterable[Any]) -> Iterable[Path | str]:
    for value in values:
        if isinstance(value, Path | str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _list_places(value)
