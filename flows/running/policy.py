"""Retries, caching and display names of all Prefect tasks, in one place."""

import errno
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import duckdb
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from nl2sql_align.tasks.base.errors import DatabaseInUseError

P = ParamSpec("P")
R = TypeVar("R")

_RETRY_DELAYS = [1.0, 5.0, 25.0]
_PERMANENT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT})


async def _may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a failed task may succeed on a retry."""
    error = await state.aresult(raise_on_failure=False)
    return may_pass(error)


def may_pass(error: object) -> bool:
    """Return whether an error is about files or locks and may pass on its own.

    False for a full or read-only disk, which somebody has to fix, for mistakes and for bad data.
    """
    if isinstance(error, OSError):
        return error.errno not in _PERMANENT_ERRORS
    return isinstance(error, duckdb.IOException | DatabaseInUseError)


def step(function: Callable[P, R], name: str, run_name: str | None = None) -> Task[P, R]:
    """Wrap a plain function as a Prefect task.

    Args:
        function: The function; it need not know Prefect.
        name: The name of the task.
        run_name: The name of each run of the task, with arguments of the function in braces.
    """
    return Task(
        function,
        name=name,
        task_run_name=run_name,
        # Stage files, named by their content, are the cache; Prefect's would hash all arguments.
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(_RETRY_DELAYS),
        retry_delay_seconds=_RETRY_DELAYS,
        retry_condition_fn=_may_pass,
    )
