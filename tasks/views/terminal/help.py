"""The help of the command lines, and their messages about wrong choices.

Help has both spellings of ``--help``, and no names of Python types.
"""

from typing import Any, Final, cast

from typer import BadParameter
from typer.core import TyperArgument, TyperGroup, TyperOption

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest

CONTEXT_SETTINGS: Final = {"help_option_names": ["--help", "-h"]}
"""Settings of a Typer app, for its commands, too."""


def show_no_types() -> None:
    """Show the metavar or the choices of an option in its help, and no type such as ``<bool>``.

    Typer has no setting for this; ``display_type_rich`` returns the column of types.
    """
    cast(Any, TyperArgument).display_type_rich = _show_nothing
    cast(Any, TyperOption).display_type_rich = _describe_value


def _show_nothing(_argument: TyperArgument, ctx: Any) -> None:
    return None


def _describe_value(option: TyperOption, ctx: Any) -> str | None:
    if option.metavar is not None or not option.type_descriptor.is_choice:
        return option.metavar
    return option.display_type(ctx).strip("<>")


class CommandGroup(TyperGroup):
    """Commands that refuse a wrong choice in one line, with the closest choice."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name.

        Raises:
            ConfigurationError: An option is not one of its choices.
        """
        try:
            return super().invoke(ctx)
        except BadParameter as error:
            problem = _describe_wrong_choice(error)
            if problem is None:
                raise
            raise ConfigurationError(problem) from None


def _describe_wrong_choice(error: BadParameter) -> str | None:
    """Describe a value that is not one of the choices; return None for other mistakes."""
    described = getattr(error.param, "type_descriptor", None)
    find_errors = getattr(error.__cause__, "errors", None)
    if described is None or find_errors is None or not described.is_choice:
        return None
    name = error.param.get_error_hint().strip("'") if error.param else "choice"
    value = str(find_errors()[0]["input"])
    return f"{name}: no choice '{value}'; {suggest(value, map(str, described.choices))}"
