"""The help of the command lines: both spellings of ``--help``, and no names of Python types."""

from typing import Any, Final, cast

from typer.core import TyperArgument, TyperOption

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
