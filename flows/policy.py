"""How steps run: retries, limits and names shown to people, for all tasks in one place."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from tasks.errors import AlignError

P = ParamSpec("P")
R = TypeVar("R")


async def _may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: for trouble with files, not for mistakes or bad data."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, OSError) and not isinstance(error, AlignError)


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
        retries=2,
        retry_delay_seconds=[1, 5],
        retry_condition_fn=_may_pass,
    )
