"""The help of the command lines, and their messages about wrong choices.

Help has both spellings of ``--help``, and no names of Python types.
"""

from typing import Any, Final, cast

from typer import BadParameter
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest

CONTEXT_SETTINGS: Final = {"help_option_names": ["--help", "-h"]}
"""Settings of a Typer app, for its commands, too."""

_ANSWERS: Final = "--answers"


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


class AnswersCommand(TyperCommand):
    """A command that refuses files on both sides of ``--answers``.

    The shell turns ``--answers *.sql`` into one answer and several files, the last of which would
    be taken for the target.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            ConfigurationError: Files precede ``--answers FILE``, and others follow it.
        """
        given = [*args]
        rest = super().parse_args(ctx, args)
        for place, one in enumerate(given):
            is_answer = one == _ANSWERS or one.startswith(f"{_ANSWERS}=")
            after = place + 1 + (one == _ANSWERS)
            if (
                is_answer
                and self._has_files(ctx, given[:place])
                and self._has_files(ctx, given[after:])
            ):
                raise ConfigurationError(
                    f"{_ANSWERS} takes one file, and other files follow it; repeat it for each "
                    f"file ({_ANSWERS} a.sql {_ANSWERS} b.sql), and name TRAIN... TARGET first"
                )
        return rest

    def _has_files(self, ctx: Any, args: list[str]) -> bool:
        values, _, _ = self.make_parser(ctx).parse_args(args=[*args])
        paths = values.get("paths")
        return isinstance(paths, tuple) and bool(paths)


def _describe_wrong_choice(error: BadParameter) -> str | None:
    """Describe a value that is not one of the choices; return None for other mistakes."""
    described = getattr(error.param, "type_descriptor", None)
    find_errors = getattr(error.__cause__, "errors", None)
    if described is None or find_errors is None or not described.is_choice:
        return None
    name = error.param.get_error_hint().strip("'") if error.param else "choice"
    value = str(find_errors()[0]["input"])
    return f"{name}: no choice '{value}'; {suggest(value, map(str, described.choices))}"
