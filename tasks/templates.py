"""From a SQL text to its structural template (specification, section 2).

The text is tokenised and parsed once. The parse tree says which tokens are names and where column types
stand; the rest follows from the token and its neighbours. Nothing is generated back from the tree, so that
a template keeps the form in which its query was written.
"""

import logging
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Final, NamedTuple

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from tasks.vocabulary import (
    CAST_FUNCTIONS,
    CONVERT_FUNCTIONS,
    DATE_FUNCTIONS,
    DATE_PARTS,
    INTERVAL_UNITS,
    JOINED_KEYWORDS,
    TEXT_KEYWORDS,
    TYPE_FOLLOWERS,
)

TEMPLATE_RULES_VERSION: Final = 1
"""Goes up with every change that can alter a template; stored templates of another version are redone."""

# "contains unsupported syntax, falling back to Command": rejected here with a reason of its own.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Limits:
    """What is too large to be parsed: deep nesting ends the parser's process, and length costs time."""

    max_characters: int = 100_000
    max_brackets: int = 200


DEFAULT_LIMITS: Final = Limits()


class Templated(NamedTuple):
    """What became of one query: a template and its comparable text, or the reason why there is none."""

    template: str | None
    reject_reason: str | None
    comparable_text: str | None


def parser_version() -> str:
    """The version of the parser, which can change a template as well as the rules here can."""
    return f"sqlglot {version('sqlglot')}"


# What to do with a token, decided by its type once per dialect. Indexing a list by the token type is
# several times faster than hashing an enum member.
_SYMBOL, _KEYWORD, _COMMA, _NAME, _LITERAL, _STRING, _DROP, _TYPE = range(8)
_OPEN, _CLOSE, _DASH, _DCOLON, _COLON, _BIND, _AS = range(8, 15)

_ACTION_TOKENS: Final = {
    _NAME: "VAR IDENTIFIER",
    _LITERAL: "NUMBER BIT_STRING HEX_STRING BYTE_STRING TRUE FALSE PLACEHOLDER INTRODUCER",
    _STRING: "STRING NATIONAL_STRING RAW_STRING NATIONAL_RAW_STRING HEREDOC_STRING UNICODE_STRING",
    _DROP: "DOT HINT SPACE BREAK",
    _COMMA: "COMMA",
    _OPEN: "L_PAREN L_BRACKET L_BRACE",
    _CLOSE: "R_PAREN R_BRACKET R_BRACE",
    _DASH: "DASH",
    _DCOLON: "DCOLON",
    _COLON: "COLON",
    _BIND: "PARAMETER SESSION_PARAMETER DOLLAR",
    _AS: "ALIAS",
}
# Lexed as types, but structure in their own right: a type only where the grammar wants one.
_STRUCTURAL_TYPES: Final = (
    "INTERVAL UNION NULL ARRAY LIST MAP STRUCT ENUM SET OBJECT TABLE NESTED VOID UNKNOWN RANGE ROW"
).split()
_GENERIC_TYPES: Final = frozenset({"ARRAY", "STRUCT", "MAP", "RANGE"})
_NORMALISED_SYMBOLS: Final = {"<>": "!=", "==": "="}

_STATEMENTS: Final = (
    exp.Query,
    exp.Values,
    exp.Insert,
    exp.MultitableInserts,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Pivot,
)
# Nodes that tell more than a name: of typed columns, quoted function names, typed literals.
_NOTED: Final = frozenset(
    {
        exp.Anonymous,
        exp.Cast,
        exp.ColumnDef,
        exp.AlterColumn,
        exp.JSONColumnDef,
        exp.OpenJSONColumnDef,
    }
)


def _actions(dialect: Dialect) -> list[int]:
    """One action per token type."""
    tokenizer, parser = dialect.tokenizer_class, dialect.parser_class
    actions = [_KEYWORD] * (max(TokenType) + 1)
    for text, token_type in (*tokenizer.KEYWORDS.items(), *tokenizer.SINGLE_TOKENS.items()):
        if not text[0].isalpha():
            actions[token_type] = _SYMBOL
    for text, token_type in tokenizer.KEYWORDS.items():
        if text[
            0
        ].isalpha():  # MOD and %, AND and &&: what is written decides, see _Reader.template
            actions[token_type] = _KEYWORD
    for token_type in parser.TYPE_TOKENS:
        if token_type.name not in _STRUCTURAL_TYPES:
            actions[token_type] = _TYPE
    for action, names in _ACTION_TOKENS.items():
        for name in names.split():
            actions[TokenType[name]] = action
    return actions


def _words(text: str) -> tuple[str, ...]:
    """A keyword's or symbol's template tokens: upper-cased, one per word, but for the joined ones."""
    words = tuple(text.upper().split())
    joined = " ".join(words)
    return (joined,) if joined in JOINED_KEYWORDS else words


class Templatizer:
    """Turns the queries of one dialect into templates.

    Args:
        dialect: A sqlglot dialect name.
        limits: What is rejected unparsed.
    """

    def __init__(self, dialect: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.dialect = Dialect.get_or_raise(dialect)
        self.actions = _actions(self.dialect)
        self.words: dict[str, tuple[str, ...]] = {}
        self.colon_is_path: bool = self.dialect.parser_class.COLON_IS_VARIANT_EXTRACT
        self.double_quoted_is_constant = dialect == "sqlite"
        self.has_dashed_names = dialect == "bigquery"
        self.has_hash_parameters = "#" not in self.dialect.tokenizer_class.COMMENTS
        self.convert_type_is_first = dialect in {"tsql", "fabric", "redshift"}
        self.ends_operand = {token.name for token in self.dialect.parser_class.NO_PAREN_FUNCTIONS}

    def __call__(self, sql: str) -> Templated:
        """The query's template, or why it has none.

        Args:
            sql: The text of one query.

        Returns:
            The template with the text that leakage is judged by, or a reject reason; never an exception
            for what a text holds.
        """
        if not sql or sql.isspace():
            return _rejected("empty")
        if len(sql) > self.limits.max_characters:
            return _rejected(f"longer than {self.limits.max_characters:,} characters")
        text = sql
        if self.has_hash_parameters and "##" in sql:
            text = _HASH_PARAMETER.sub(_as_parameter, sql)
        try:
            tokens = self.dialect.tokenize(text)
        except TokenError as error:
            return _rejected(f"does not tokenise{_missing(error)}")
        while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
            tokens.pop()
        if not tokens:
            return _rejected("empty")
        if self._nests_too_deep(sql, tokens):
            return _rejected(f"nested deeper than {self.limits.max_brackets} brackets")
        try:
            trees = self.dialect.parser().parse(tokens, text)
        except ParseError as error:
            return _rejected(f"does not parse: {_parse_problem(error)}")
        except (TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
            # A slip of the parser on broken text is that text's failure, not the run's.
            return _rejected(f"does not parse: {type(error).__name__} in the parser")
        statements = [tree for tree in trees if tree is not None]
        if len(statements) != 1:
            return _rejected("more than one statement" if statements else "empty")
        tree = statements[0]
        if not isinstance(tree, _STATEMENTS):
            kind = str(tree.this).upper() if isinstance(tree, exp.Command) else type(tree).__name__
            return _rejected(f"not a query, DML or DDL statement: {kind[:30]}")
        template = " ".join(_Reader(self, text, tokens, tree).template())
        return Templated(template, None, comparable_text(sql, tokens))

    def _nests_too_deep(self, sql: str, tokens: list[Token]) -> bool:
        limit = self.limits.max_brackets
        if sql.count("(") + sql.count("[") + sql.count("{") <= limit:
            return False
        depth = deepest = 0
        for token in tokens:
            action = self.actions[token.token_type]
            depth += (action == _OPEN) - (action == _CLOSE)
            deepest = max(deepest, depth)
        return deepest > limit


@cache
def templatizer(dialect: str) -> Templatizer:
    """The templatizer of a dialect with the default limits, made once per process."""
    return Templatizer(dialect)


_COMMENT_STARTS: Final = ("--", "/*", "#", "//")
_WHITE_SPACE: Final = re.compile(r"\s+")


def comparable_text(sql: str, tokens: list[Token]) -> str:
    """The text by which two queries count as the same (``exact_overlap``).

    Comments and the closing semicolon are gone, white space outside literals is one space, letters outside
    quotes are lower case.

    Args:
        sql: The query's text.
        tokens: Its tokens, without closing semicolons.
    """
    done = tokens[0].start
    parts: list[str] = []
    if any(start in sql for start in _COMMENT_STARTS):
        for token in tokens:
            if token.token_type != TokenType.HINT:
                parts.append(" " if token.start > done else "")
                done = token.end + 1
                parts.append(_lower_outside_quotes(sql[token.start : done]))
        return "".join(parts).strip()
    # Without comments, all that lies between quoted tokens folds in one go.
    for token in [token for token in tokens if _IS_QUOTED[token.token_type]]:
        parts.append(_WHITE_SPACE.sub(" ", sql[done : token.start]).lower())
        done = token.end + 1
        parts.append(_lower_outside_quotes(sql[token.start : done]))
    parts.append(_WHITE_SPACE.sub(" ", sql[done : tokens[-1].end + 1]).lower())
    return "".join(parts)


_IS_QUOTED: Final = [
    token_type.name in {"IDENTIFIER", *_ACTION_TOKENS[_STRING].split()}
    for token_type in sorted(TokenType)
]
_IS_QUOTED.insert(0, False)
_QUOTE: Final = re.compile("['\"`[$]")


def _lower_outside_quotes(text: str) -> str:
    if text[0] in "'\"`[":
        return text
    quote = _QUOTE.search(text)
    return text.lower() if quote is None else text[: quote.start()].lower() + text[quote.start() :]


def _rejected(reason: str) -> Templated:
    return Templated(None, reason, None)


# Stack Exchange's `##name##`, `##name:type##` and `##name:type?default##`.
_HASH_PARAMETER: Final = re.compile(r"##\w+(?::\w+)?(?:\?[^#\n]*)?##")


def _as_parameter(match: re.Match[str]) -> str:
    """A bind parameter that parses, of the same length, so that offsets stay true."""
    return "@" + "p" * (len(match[0]) - 1)


def _missing(error: TokenError) -> str:
    found = re.search(r"Missing \S{1,5} from line (\d+)", str(error))
    return f": {found[0]}" if found else ""


def _parse_problem(error: ParseError) -> str:
    """What the parser missed, and where, without the query's text around it."""
    if not error.errors:
        return (str(error).splitlines() or ["unknown"])[0][:100]
    first = error.errors[0]
    description = str(first.get("description") or "unknown").splitlines()[0].rstrip(".")[:100]
    return f"{description} (line {first.get('line')}, column {first.get('col')})"


class _Reader:
    """One pass over the tokens of one parsed query.

    Each handler takes the index of a token, appends what the template keeps of it to ``out`` and returns the
    index to go on from.
    """

    def __init__(
        self, templatizer: Templatizer, sql: str, tokens: list[Token], tree: exp.Expr
    ) -> None:
        self.templatizer = templatizer
        self.actions = templatizer.actions
        self.sql = sql
        self.tokens = tokens
        self.count = len(tokens)
        self.out: list[str] = []
        self.brackets: list[str] = []  # per open bracket, the word before it, or ""
        self.rows_skip: tuple[int, int] | None = (
            None  # VALUES: last token of row one, of the last row
        )
        # From the tree, by offset in the text: names and where they end; names of typed columns; quoted
        # function names; strings with a type before them.
        self.names: dict[int, int] = {}
        self.typed_names: set[int] = set()
        self.function_names: set[int] = set()
        self.cast_strings: set[int] = set()
        names = self.names
        for node in tree.walk():
            kind = type(node)
            if kind is exp.Identifier:
                meta = node._meta
                if meta:
                    names[meta["start"]] = meta["end"]
            elif kind in _NOTED:
                self._note(node)
        if "-" in sql and templatizer.has_dashed_names:
            self._extend_dashed_names(tree)

    def _note(self, node: exp.Expr) -> None:
        inner = node.this
        if type(node) is exp.Anonymous:
            if type(inner) is exp.Identifier and inner._meta:
                self.function_names.add(inner._meta["start"])
        elif type(node) is exp.Cast:
            if type(inner) is exp.Literal and inner._meta:
                self.cast_strings.add(inner._meta["start"])
        elif isinstance(node.args.get("kind") or node.args.get("dtype"), exp.DataType):
            while isinstance(inner, exp.Expr) and type(inner) is not exp.Identifier:
                inner = inner.this
            if isinstance(inner, exp.Identifier) and inner._meta:
                self.typed_names.add(inner._meta["start"])

    def _extend_dashed_names(self, tree: exp.Expr) -> None:
        # An unquoted `my-project.tab` is several tokens, of which the tree marks the first.
        for name in tree.find_all(exp.Identifier):
            if (
                name._meta
                and "-" in name.this
                and self.sql.startswith(name.this, name._meta["start"])
            ):
                start = name._meta["start"]
                self.names[start] = start + len(name.this) - 1

    def template(self) -> list[str]:
        """The template's tokens."""
        tokens, actions, names, out = self.tokens, self.actions, self.names, self.out
        memo = self.templatizer.words
        i, count = 0, self.count
        while i < count:
            token = tokens[i]
            action = actions[token.token_type]
            if action == _SYMBOL or action == _LITERAL or action == _DROP:
                if action == _SYMBOL:
                    text = token.text
                    out.append(_NORMALISED_SYMBOLS.get(text) or text.upper())
                i += 1
            elif token.start in names:
                i = self._name(i)
            elif action == _KEYWORD:
                text = token.text
                words = memo.get(text)
                if words is None:
                    words = memo[text] = _words(text)
                i = self._keyword(i, words)
            elif action == _COMMA:
                out.append(",")
                i += 1
                if self.brackets and self.brackets[-1] in CONVERT_FUNCTIONS:
                    if not self.templatizer.convert_type_is_first:
                        i = self._type_end(i)
            else:
                i = _HANDLERS[action](self, i)
        return out

    # Looking around ---------------------------------------------------------------------------------

    def _action(self, i: int) -> int:
        return self.actions[self.tokens[i].token_type] if 0 <= i < self.count else -1

    def _text(self, i: int) -> str:
        return self.tokens[i].text.upper() if 0 <= i < self.count else ""

    def _is_name(self, i: int) -> bool:
        return 0 <= i < self.count and self.tokens[i].start in self.names

    def _opens(self, i: int) -> bool:
        return i < self.count and self.tokens[i].token_type == TokenType.L_PAREN

    def _touches_dot(self, i: int) -> bool:
        tokens = self.tokens
        return (i > 0 and tokens[i - 1].token_type == TokenType.DOT) or (
            i + 1 < self.count and tokens[i + 1].token_type == TokenType.DOT
        )

    def _ends_operand(self, i: int) -> bool:
        """Whether a minus or colon after token ``i`` has its left operand there."""
        if i < 0:
            return False
        if self._is_name(i):
            return True
        action = self._action(i)
        if action == _NAME:
            return self._text(i) not in TEXT_KEYWORDS or self._action(i - 1) == _BIND
        if action == _KEYWORD:
            word = self._text(i)
            return (
                word in ("END", "NULL")
                or self.tokens[i].token_type.name in self.templatizer.ends_operand
                or word in INTERVAL_UNITS
                or self._action(i - 1) in (_BIND, _COLON)
            )
        return action in (_LITERAL, _STRING, _CLOSE, _TYPE)

    def _closing(self, i: int) -> int:
        """The index of the bracket that closes the one at ``i``; the last token where none does."""
        depth = 0
        for j in range(i, self.count):
            action = self._action(j)
            depth += (action == _OPEN) - (action == _CLOSE)
            if depth == 0:
                return j
        return self.count - 1

    # Handlers ---------------------------------------------------------------------------------------

    def _name(self, i: int) -> int:
        token = self.tokens[i]
        start = token.start
        if start in self.function_names:
            if token.text.isidentifier():
                self.out.append(token.text.upper())
            return i + 1
        if self._is_date_part(i):
            self.out.append(token.text.upper())
            return i + 1
        end = self.names[start]
        i += 1
        while i < self.count and self.tokens[i].start <= end:
            i += 1
        return self._type_end(i) if start in self.typed_names else i

    def _keyword(self, i: int, words: tuple[str, ...]) -> int:
        if self._touches_dot(i) and words[0].isidentifier() and not self._opens(i + 1):
            return i + 1  # a name spelled like a keyword, of which the tree keeps no position
        word = words[-1]
        if i + 1 < self.count and self.tokens[i + 1].token_type == TokenType.FARROW:
            return i + 1  # a named argument
        if word in _GENERIC_TYPES and self._text(i + 1) == "<":
            return self._type_end(i)
        self.out.extend(words)
        if word == "VALUES":
            self._note_rows(i)
        elif word == "COLLATE" or (word == "SET" and words[0] == "CHARACTER"):
            return self._name_end(i + 1)
        elif word == "USING" and self.brackets and self.brackets[-1] in CONVERT_FUNCTIONS:
            return i + 2
        elif word == "RETURNS" or (word == "RETURNING" and self._action(i + 1) == _TYPE):
            return self._type_end(i + 1)
        return i + 1

    def _leftover(self, i: int) -> int:
        """A variable or quoted word that the tree does not hold as a name."""
        token = self.tokens[i]
        word = token.text.upper()
        if token.token_type == TokenType.IDENTIFIER:
            return i + 1
        follows = self.tokens[i + 1].token_type if i + 1 < self.count else None
        if follows == TokenType.FARROW:
            return i + 1  # a named argument
        if follows == TokenType.L_PAREN:
            if not word.isidentifier():
                return i + 1  # a fragment of broken text, such as a number with a typographic minus
        else:
            if self._touches_dot(i):
                return i + 1
            if not (word in TEXT_KEYWORDS or word in INTERVAL_UNITS or self._is_date_part(i)):
                return i + 1
        if word == "BY" and self.out and f"{self.out[-1]} BY" in JOINED_KEYWORDS:
            self.out[-1] += " BY"
        else:
            self.out.append(word)
        if word == "RETURNS":
            return self._type_end(i + 1)
        if word == "COLLATE" or (word == "SET" and self._text(i - 1) == "CHARACTER"):
            return self._name_end(i + 1)
        return i + 1

    def _type(self, i: int) -> int:
        """A word lexed as a type: a typed literal's type, or else a function, keyword or lost name."""
        end = self._type_end(i)
        if self._action(end) == _STRING:
            if end == i + 1 or self.tokens[end].start in self.cast_strings:
                return end
        if self._text(i + 1) == "<":
            return end
        if not self._opens(i + 1) and (self._touches_dot(i) or self._text(i + 1) == "=>"):
            return i + 1
        self.out.extend(_words(self.tokens[i].text))
        return i + 1

    def _open(self, i: int) -> int:
        text = self.tokens[i].text
        self.out.append(text)
        before = ""
        if i and text == "(":
            if not self._is_name(i - 1) and self._action(i - 1) in (_KEYWORD, _NAME, _TYPE):
                before = self._text(i - 1)
        if before == "IN":
            end = self._constants_end(i)
            if end:
                self.out.append(")")
                return end + 1
        self.brackets.append(before)
        if before in CONVERT_FUNCTIONS and self.templatizer.convert_type_is_first:
            return self._type_end(i + 1)
        return i + 1

    def _close(self, i: int) -> int:
        self.out.append(self.tokens[i].text)
        if self.brackets:
            self.brackets.pop()
        if self.rows_skip and self.rows_skip[0] == i:
            return self.rows_skip[1] + 1
        return i + 1

    def _as(self, i: int) -> int:
        if self.brackets and self.brackets[-1] in CAST_FUNCTIONS:
            return self._type_end(i + 1)
        return i + 1

    def _string(self, i: int) -> int:
        return i + 1

    def _dash(self, i: int) -> int:
        number = i + 1 < self.count and self.tokens[i + 1].token_type == TokenType.NUMBER
        if not number or self._ends_operand(i - 1):
            self.out.append("-")
        return i + 1

    def _double_colon(self, i: int) -> int:
        self.out.append("::")
        return self._type_end(i + 1)

    def _colon(self, i: int) -> int:
        if not self._ends_operand(i - 1):
            return self._name_end(i + 1)  # :name, a bind parameter
        self.out.append(":")
        # A key of a JSON path, spelled like anything; further keys touch a dot.
        return self._name_end(i + 1) if self.templatizer.colon_is_path else i + 1

    def _bind(self, i: int) -> int:
        return self._name_end(i + 1)

    # Spans ------------------------------------------------------------------------------------------

    def _name_end(self, i: int) -> int:
        """Past the name or number at ``i``, if there is one, with its dotted parts."""
        if self._action(i) in (_NAME, _KEYWORD, _TYPE, _LITERAL, _STRING, _AS):
            i += 1
            while i + 1 < self.count and self.tokens[i].token_type == TokenType.DOT:
                i += 2
        return i

    def _type_end(self, i: int) -> int:
        """Past the type whose name starts at ``i``, with its parameters, fields and brackets."""
        if self._action(i) not in (_NAME, _KEYWORD, _TYPE):
            return i
        word = self._text(i)
        i += 1
        while i + 1 < self.count and self.tokens[i].token_type == TokenType.DOT:
            word = self._text(i + 1)
            i += 2
        while self._text(i) in TYPE_FOLLOWERS.get(word, ()):
            word = self._text(i)
            i += 1
        if word == "INTERVAL":
            while self._text(i) in INTERVAL_UNITS or self._text(i) == "TO":
                i += 1
        if self._text(i) == "<":
            i = self._generics_end(i)
        if self._opens(i):
            i = self._closing(i) + 1
        while self._text(i) in ("UNSIGNED", "SIGNED", "ZEROFILL", "VARYING"):
            i += 1
        for words in (("WITH", "LOCAL"), ("WITH",), ("WITHOUT",)):
            phrase = (*words, "TIME", "ZONE")
            if tuple(self._text(i + k) for k in range(len(phrase))) == phrase:
                i += len(phrase)
                break
        if self._text(i) in ("CHARACTER SET", "CHARSET"):
            i = self._name_end(i + 1)
        elif self._text(i) == "CHARACTER" and self._text(i + 1) == "SET":
            i = self._name_end(i + 2)
        while self._text(i) in ("[", "ARRAY", "LIST"):
            if self._text(i) != "[":
                i += 1
            elif self._text(i + 1) == "]":
                i += 2
            elif self._text(i + 2) == "]" and self._action(i + 1) == _LITERAL:
                i += 3
            else:
                break
        return i

    def _generics_end(self, i: int) -> int:
        depth = 0
        for j in range(i, self.count):
            text = self.tokens[j].text
            if set(text) <= {"<"}:
                depth += len(text)
            elif set(text) <= {">"}:
                depth -= len(text)
                if depth <= 0:
                    return j + 1
        return i

    def _constants_end(self, i: int) -> int:
        """The closing bracket of an IN list of constants only that opens at ``i``; 0 for any other."""
        depth = 0
        j = i
        while j < self.count:
            token = self.tokens[j]
            action = self.actions[token.token_type]
            if action == _OPEN and token.token_type == TokenType.L_PAREN:
                depth += 1
            elif action == _CLOSE and token.token_type == TokenType.R_PAREN:
                depth -= 1
                if depth == 0:
                    return j
            elif action in (_LITERAL, _STRING, _COMMA, _DASH) or token.token_type in (
                TokenType.NULL,
                TokenType.PLUS,
            ):
                pass
            elif action == _BIND or (action == _COLON and not self._ends_operand(j - 1)):
                j = self._name_end(j + 1)
                continue
            elif (action == _TYPE and self._action(j + 1) == _STRING) or (
                action == _NAME and self._is_constant_name(token)
            ):
                pass
            else:
                return 0
            j += 1
        return 0

    def _is_constant_name(self, token: Token) -> bool:
        """A word in double quotes, where SQLite falls back to a string."""
        return self.templatizer.double_quoted_is_constant and self.sql[token.start] == '"'

    def _note_rows(self, i: int) -> None:
        """Finds the rows of an INSERT's VALUES at ``i``, of which the first one is kept."""
        if not self._opens(i + 1):
            return
        depth = 0
        for j in range(i - 1, -1, -1):
            action = self._action(j)
            depth += (action == _CLOSE) - (action == _OPEN)
            if depth < 0 or (depth == 0 and self._text(j) in ("SELECT", "FROM")):
                return
            if depth == 0 and self._text(j) in ("INSERT", "REPLACE"):
                break
        else:
            return
        first = last = self._closing(i + 1)
        while self._action(last + 1) == _COMMA and self._opens(last + 2):
            last = self._closing(last + 2)
        self.rows_skip = (first, last)

    def _is_date_part(self, i: int) -> bool:
        """Whether the word at ``i`` is a date part by its place, whatever the tree takes it for."""
        word = self._text(i)
        if word not in DATE_PARTS or self.tokens[i].token_type == TokenType.IDENTIFIER:
            return False
        before, after = self._action(i - 1), self._text(i + 1)
        if before in (_LITERAL, _STRING) and self._text(i - 2) == "INTERVAL":
            return word in INTERVAL_UNITS
        if not self.brackets or after not in (",", ")", "FROM"):
            return False
        function = self.brackets[-1]
        if before == _OPEN:
            if after == ")":
                return function == "WEEK" and word.endswith("DAY")
            return function in DATE_FUNCTIONS and self._text(i + 2) != "INTERVAL"
        return (
            before == _COMMA
            and after == ")"
            and function in DATE_FUNCTIONS
            and (word in INTERVAL_UNITS)
        )


_HANDLERS: Final = {
    _NAME: _Reader._leftover,
    _STRING: _Reader._string,
    _TYPE: _Reader._type,
    _OPEN: _Reader._open,
    _CLOSE: _Reader._close,
    _DASH: _Reader._dash,
    _DCOLON: _Reader._double_colon,
    _COLON: _Reader._colon,
    _BIND: _Reader._bind,
    _AS: _Reader._as,
}
