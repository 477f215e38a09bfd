"""Facts about a dialect that decide what a template keeps of each token."""

import re
from collections.abc import Callable
from typing import Any, Final

from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import TokenType

from nl2sql_align.tasks.templates.keywords import JOINED_KEYWORDS, RESERVED_FUNCTIONS

# The action for a token follows from its type, once per dialect. Actions are plain integers in a
# list indexed by token type, because hashing an enum member is several times slower.
# Up to DROPPED a token adds nothing; from KEYWORD on it is a word, and so may be a name.
LITERAL, STRING, DROPPED, SYMBOL, COMMA, CLOSE, OPEN, DASH, DOT, AS, ANGLE = range(11)
ARGUMENT_SIGN, DOUBLE_COLON, PARAMETER, KEYWORD, NAME, TYPE = range(11, 17)

STRING_TOKENS: Final = (
    "STRING NATIONAL_STRING RAW_STRING NATIONAL_RAW_STRING HEREDOC_STRING UNICODE_STRING"
)
"""Names of the token types that are strings, separated by spaces."""

_TOKENS_OF_ACTIONS: Final = {
    NAME: "VAR IDENTIFIER",
    LITERAL: "NUMBER BIT_STRING HEX_STRING BYTE_STRING TRUE FALSE INTRODUCER",
    STRING: STRING_TOKENS,
    DROPPED: "HINT SPACE BREAK SEMICOLON",
    COMMA: "COMMA",
    OPEN: "L_PAREN L_BRACKET L_BRACE",
    CLOSE: "R_PAREN R_BRACKET R_BRACE",
    DASH: "DASH",
    DOT: "DOT",
    AS: "ALIAS",
    ANGLE: "LT GT",
    ARGUMENT_SIGN: "FARROW COLON_EQ",
    DOUBLE_COLON: "DCOLON QDCOLON DOTCOLON COLON_GT NCOLON_GT",
    PARAMETER: "PARAMETER SESSION_PARAMETER DOLLAR COLON PLACEHOLDER",
}
# Lexed as types, but keywords unless the grammar expects a type.
_STRUCTURAL_TYPES: Final = frozenset(
    """
    INTERVAL UNION NULL ARRAY LIST MAP STRUCT ENUM SET OBJECT TABLE NESTED VOID UNKNOWN RANGE ROW
    """.split()
)


class DialectRules:
    """One dialect's token actions and peculiarities of syntax.

    Attributes:
        dialect: sqlglot's dialect.
        actions: The action for each token type, indexed by the type.
        keywords: A cache, filled by the readers of this dialect: for the text of a keyword as
            written, its template tokens and the handler to call after it.
        bare_functions: Token types of functions without brackets, such as ``CURRENT_DATE``.
        bound_by_colon: Token types that a colon makes a bind parameter.
        at_is_operator: Whether ``@`` is an operator; it is DuckDB's absolute value.
        braces_bind: Whether ``{x}`` is a bind parameter.
        colon_is_path: Whether a colon starts a path into JSON.
        convert_type_is_first: Whether ``CONVERT`` takes its type first.
        double_quoted_is_constant: Whether a word in double quotes can be a string.
        has_long_names: Whether an unquoted name can span several tokens (``my-project.tab``).
        has_hash_parameters: Whether ``##x##`` can be a parameter; elsewhere ``#`` starts a comment.
        has_stages: Whether ``@x/y`` is a stage with a path.
        has_typed_lambdas: Whether parameters of lambdas may have types (``a INT -> a + 1``).
        reserves_default: Whether an unquoted ``DEFAULT`` is never a name.
        has_safe_casts: Whether ``a?::INT`` is a cast that never fails.
        reserved_functions: Matches functions without brackets that the parser takes for columns;
            None if there are none.
        has_number_suffixes: Whether ``5L`` is a number with a type.
        allows_trailing_commas: Whether a comma may precede FROM.
        subscripted: Words with square brackets that are columns here, elsewhere lists.
        has_modifiers: Whether words such as ``LOW_PRIORITY`` may precede the table of a change.
        has_sized_arrays: Whether an array type may have a size outside a column definition.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = Dialect.get_or_raise(dialect)
        tokenizer, parser = self.dialect.tokenizer_class, self.dialect.parser_class
        self.actions = _actions_of(self.dialect)
        self.keywords: dict[str, tuple[tuple[str, ...], Callable[[Any, int], int] | None]] = {}
        self.bare_functions = frozenset(parser.NO_PAREN_FUNCTIONS)
        self.bound_by_colon = frozenset(parser.COLON_PLACEHOLDER_TOKENS)
        self.at_is_operator = "@" in parser.NO_PAREN_FUNCTION_PARSERS
        self.braces_bind: bool = TokenType.L_BRACE in parser.PLACEHOLDER_PARSERS
        self.colon_is_path: bool = parser.COLON_IS_VARIANT_EXTRACT
        self.convert_type_is_first = dialect in {"tsql", "fabric", "redshift"}
        self.double_quoted_is_constant = dialect == "sqlite"
        self.has_long_names = dialect == "bigquery"
        self.has_hash_parameters = "#" not in tokenizer.COMMENTS
        lineage = {one.__name__ for one in type(self.dialect).__mro__}
        self.has_stages = self.has_typed_lambdas = "Snowflake" in lineage
        self.reserves_default = bool(lineage & {"MySQL", "TSQL"})
        self.has_safe_casts = "Databricks" in lineage
        self.reserved_functions = next(
            (
                re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE)
                for name, words in RESERVED_FUNCTIONS.items()
                if name in lineage
            ),
            None,
        )
        self.has_number_suffixes = bool(tokenizer.NUMERIC_LITERALS)
        self.allows_trailing_commas = bool(
            lineage & {"BigQuery", "ClickHouse", "Databricks", "DuckDB", "Snowflake"}
        )
        are_columns = {"ARRAY": "Hive" in lineage, "LIST": "Materialize" not in lineage}
        self.subscripted = frozenset(word for word, is_column in are_columns.items() if is_column)
        self.has_modifiers = "MySQL" in lineage
        self.has_sized_arrays: bool = self.dialect.SUPPORTS_FIXED_SIZE_ARRAYS


def _actions_of(dialect: Dialect) -> list[int]:
    tokenizer, parser = dialect.tokenizer_class, dialect.parser_class
    actions = [KEYWORD] * (max(TokenType) + 1)
    lexed = (*tokenizer.KEYWORDS.items(), *tokenizer.SINGLE_TOKENS.items())
    # Words come last: a type with both a word and a sign (MOD and %, AND and &&) is a keyword.
    for text, token_type in sorted(lexed, key=lambda pair: pair[0][0].isalpha()):
        actions[token_type] = KEYWORD if text[0].isalpha() else SYMBOL
    for token_type in parser.TYPE_TOKENS:
        if token_type.name not in _STRUCTURAL_TYPES:
            actions[token_type] = TYPE
    for action, names in _TOKENS_OF_ACTIONS.items():
        for name in names.split():
            actions[TokenType[name]] = action
    if TokenType.MOD in parser.PLACEHOLDER_PARSERS:
        actions[TokenType.MOD] = PARAMETER  # %s
    if tokenizer.__module__.endswith(("tsql", "fabric")):
        actions[TokenType.HASH] = DROPPED  # before the name of a temporary table
    return actions


def split_keyword(text: str) -> tuple[str, ...]:
    """Return the template tokens of a keyword or sign: upper-cased, one per word.

    ``JOINED_KEYWORDS`` stay one token.
    """
    words = tuple(text.upper().split())
    joined = " ".join(words)
    return (joined,) if joined in JOINED_KEYWORDS else words
