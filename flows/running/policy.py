"""How steps run: retries, limits and names shown to people, for all tasks in one place."""

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

_PAUSES = [1.0, 5.0, 25.0]
_LASTING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT})


async def _may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: for trouble with files, not for mistakes or bad data."""
    error = await state.aresult(raise_on_failure=False)
    return may_pass(error)


def may_pass(error: object) -> bool:
    """Whether an error is one of files or locks, which may be gone a moment later.

    A full disk, or one that cannot be written, is not: that takes a hand.
    """
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return isinstance(error, duckdb.IOException | DatabaseInUseError)


def step(function: Callable[P, R], name: str, run_name: str | None = None) -> Task[P, R]:
    """A plain function as a Prefect task.

    Args:
        function: What it does; imports no Prefect.
        name: The task's name.
        run_name: The name of each of its runs, with the function's arguments in braces.
    """
    return Task(
        function,
        name=name,
        task_run_name=run_name,
        # The stages' own files, named by content, are the cache. Prefect's would hash every
        # argument.
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(_PAUSES),
        retry_delay_seconds=_PAUSES,
        retry_condition_fn=_may_pass,
    )
