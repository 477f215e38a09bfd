"""CSV that spreadsheets show as text, for all CSV that this program writes for people."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

# Where a spreadsheet takes a cell for a formula, also behind white space: the full-width signs in
# East Asian locales. A text that looks escaped is escaped, too, so that no two texts become one.
_FORMULA: Final = r"^'*(\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|[\t\r\n])"
_CONTROLS: Final = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]"


def format_csv(rows: "pl.DataFrame") -> str:
    """Return rows as CSV with a header, in which no text is a formula or controls a terminal.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. Control
    characters other than tabs and line breaks are replaced. Numbers stay as they are, also negative
    ones. The items of a list are separated by spaces.

    The rule is that of OWASP's page on CSV injection.
    """
    import polars as pl

    lists = [name for name, kind in rows.schema.items() if kind.is_nested()]
    rows = rows.with_columns(rows[name].list.join(" ") for name in lists)
    text = pl.col(pl.String).str.replace_all(_CONTROLS, "\N{REPLACEMENT CHARACTER}")
    escaped = pl.when(text.str.contains(_FORMULA)).then("'" + text).otherwise(text)
    return rows.with_columns(escaped.name.keep()).write_csv()
