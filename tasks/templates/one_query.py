"""Single queries, as in ``nl2sql-align template``."""

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import check_dialect
from nl2sql_align.tasks.templates.parser_pool import parse_texts
from nl2sql_align.tasks.templates.rules import read_limits
from nl2sql_align.tasks.templates.templatizer import Templated


def template_of(sql: str, dialect: str = "sqlite") -> Templated:
    """Return one query's template, or the reason why it is rejected.

    As in a run, the query is parsed in a process of its own, which may die.

    Args:
        sql: The query's text.
        dialect: Its dialect, by sqlglot's name.

    Returns:
        The template or the reject reason, without the comparable text.

    Raises:
        ConfigurationError: sqlglot has no such dialect.
    """
    try:
        check_dialect(dialect)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    parsed = parse_texts([sql], dialect, read_limits())
    return Templated(parsed.templates[0], parsed.reject_reasons[0], None)
