"""An independent way to templates, to check the program against: slow, but informed by the parser.

It runs the parser's plain Python code and watches its methods, so that it knows for each token
whether the parser took it for a type, a bind parameter, a row of VALUES, a list after IN or a unary
minus, or matched it by its text. (The compiled parser, which the program uses, cannot be watched.)
It shares no code and no lists of words with the program, except for units of time.

``python -m tests.specification.slow_reader`` reads lines ``[dialect, sql]`` of JSON and answers
each with a template, or null if the text has none. Callers replace parameters such as ``##x##``.
With ``--words`` it answers with all words but names, types, literals and parameters: a template
has them, except for words that the parser reads without a look, such as keys of JSON paths.
"""

import importlib.abc
import importlib.machinery
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

MULTI_WORD_TOKENS = {"ORDER BY", "GROUP BY", "PARTITION BY"}
LEXED_APART = {"<<", ">>", "!~", "!~*"}
# Keywords that the parser puts into the tree as plain words.
KEYWORD_PLACES = {("TableSample", "method"), ("WithTableHint", "expressions")}
KEYWORD_PLACES |= {("XMLKeyValueOption", "this"), ("QueryOption", "this")}
UNITS = set(
    """
    MICROSECOND MILLISECOND NANOSECOND SECOND MINUTE HOUR DAY WEEK MONTH QUARTER YEAR DECADE
    CENTURY EPOCH DAYOFWEEK DAYOFYEAR DAYOFMONTH DOW ISODOW DOY WEEKDAY WEEKISO ISOWEEK ISOYEAR
    MONDAY SUNDAY YY YYYY QQ Q MM M DY D DD WK WW DW HH MI N SS S MS
    """.split()
)
UNITS |= {f"{unit}S" for unit in UNITS}
LITERALS = set(
    """
    NUMBER BIT_STRING HEX_STRING BYTE_STRING TRUE FALSE INTRODUCER STRING NATIONAL_STRING RAW_STRING
    NATIONAL_RAW_STRING HEREDOC_STRING UNICODE_STRING DOT HINT ALIAS SPACE BREAK
    """.split()
)
CONSTANTS = set(
    """
    Literal Boolean Null Placeholder Parameter SessionParameter National HexString BitString
    ByteString RawString UnicodeString Introducer
    """.split()
)


class _PlainPython(importlib.abc.MetaPathFinder):
    """Finds the plain modules of sqlglot instead of the compiled ones."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] != "sqlglot":
            return None
        loader = (importlib.machinery.SourceFileLoader, [".py"])
        for folder in path or sys.path:
            spec = importlib.machinery.FileFinder(folder, loader).find_spec(fullname)
            if spec:
                return spec
        return None


class Span(NamedTuple):
    """Tokens that a method of the parser took, and the node that it returned."""

    start: int
    end: int
    node: Any


class WatchedParser:
    """Parses, and records which method took which tokens."""

    METHODS = """
        _parse_types _parse_placeholder _parse_session_parameter _parse_var _parse_var_from_options
        _match_text_seq _match_texts _parse_unary _parse_in _parse_pivot_in _parse_value
        _parse_table_part
        """.split()

    def __init__(self) -> None:
        sys.meta_path.insert(0, _PlainPython())
        from sqlglot.dialects import DIALECTS
        from sqlglot.dialects.dialect import Dialect
        from sqlglot.parser import Parser

        logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
        self.dialect_of = Dialect.get_or_raise
        self.parser: Any = None
        self.spans: dict[str, list[Span]] = {}
        for dialect in DIALECTS:
            Dialect.get(dialect.lower())
        for parser in _with_subclasses(Parser):
            for name in self.METHODS:
                if name in vars(parser):
                    setattr(parser, name, self._watch(name, vars(parser)[name]))
        advance = Parser._advance

        def watched_advance(parser: Any, times: int = 1) -> None:
            advance(parser, times)
            if times < 0 and parser is self.parser:  # the parser backtracks
                for spans in self.spans.values():
                    spans[:] = [span for span in spans if span.end <= parser._index]

        Parser._advance = watched_advance

    def _watch(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def watched(parser: Any, *args: Any, **kwargs: Any) -> Any:
            start = parser._index
            node = method(parser, *args, **kwargs)
            if node and parser is self.parser and parser._index > start:
                self.spans[name].append(Span(start, parser._index, node))
            return node

        return watched

    def parse(self, sql: str, dialect: str) -> tuple[list[Any], Any, dict[str, list[Span]]]:
        """Return the tokens, the tree (None for several statements) and the spans by method."""
        rules = self.dialect_of(dialect)
        tokens = rules.tokenize(sql)
        while tokens and tokens[-1].token_type.name == "SEMICOLON":
            tokens.pop()
        self.parser, self.spans = rules.parser(), defaultdict(list)
        trees = [tree for tree in self.parser.parse(tokens, sql) if tree is not None]
        return tokens, trees[0] if len(trees) == 1 else None, self.spans


def _with_subclasses(parser: type) -> Iterator[type]:
    yield parser
    for subclass in parser.__subclasses__():
        yield from _with_subclasses(subclass)


class SlowReader:
    """The template of one query, token by token."""

    def __init__(self, watched: WatchedParser, sql: str, dialect: str) -> None:
        self.sql, self.dialect = sql, dialect
        self.tokens, self.tree, self.spans = watched.parse(sql, dialect)
        self.dropped = [self._kind(i) in LITERALS for i in range(len(self.tokens))]

    def template(self) -> str | None:
        if self.tree is None or type(self.tree).__name__ == "Command":
            return None
        self._drop_names()
        self._drop_types()
        self._drop_parameters()
        self._drop_words()
        self._drop_minus_signs()
        self._drop_lists_and_rows()
        out: list[str] = []
        for i, dropped in enumerate(self.dropped):
            if not dropped:
                text = " ".join(self._text(i).split())
                text = {"<>": "!=", "==": "="}.get(text, text)
                if i and not self.dropped[i - 1] and out[-1] + text in LEXED_APART:
                    text = out.pop() + text
                out += [text] if text in MULTI_WORD_TOKENS else text.split()
        return " ".join(out)

    def words(self) -> list[str] | None:
        if self.tree is None or type(self.tree).__name__ == "Command":
            return None
        self._drop_names()
        self._drop_types()
        self._drop_parameters()
        self._drop_minus_signs()
        self._drop_lists_and_rows()
        kept = [
            " ".join(self._text(i).split())
            for i, dropped in enumerate(self.dropped)
            if not dropped and self._kind(i) not in ("IDENTIFIER", "SEMICOLON")
        ]
        return [
            word
            for text in kept
            for word in ([text] if text in MULTI_WORD_TOKENS else text.split())
        ]

    def _kind(self, i: int) -> str:
        return self.tokens[i].token_type.name if 0 <= i < len(self.tokens) else ""

    def _text(self, i: int) -> str:
        return self.tokens[i].text.upper() if 0 <= i < len(self.tokens) else ""

    def _drop(self, start: int, end: int) -> None:
        self.dropped[start:end] = [True] * (end - start)

    def _drop_names(self) -> None:
        names = set()
        for node in self.tree.walk():
            if type(node).__name__ == "Identifier" and "start" in node.meta:
                is_function = type(node.parent).__name__ == "Anonymous" and node.arg_key == "this"
                # The parser makes up CTEs for pipe operators.
                is_made_up = node.this.startswith("__tmp") and "|>" in self.sql
                names.add(node.meta["start"]) if not is_function and not is_made_up else None
        for i, token in enumerate(self.tokens):
            if token.start in names and not self._is_unit_by_its_place(i):
                self.dropped[i] = True
            # A word next to a dot is a name, except for functions; so is a word before `=>`.
            after_dot = self._kind(i - 1) == "DOT" and self._kind(i + 1) != "L_PAREN"
            if token.text[:1].isalpha() and (after_dot or self._kind(i + 1) in ("DOT", "FARROW")):
                self.dropped[i] = True
        for span in self.spans["_parse_table_part"]:
            if type(span.node).__name__ == "Identifier":
                self._drop(span.start, span.end)

    def _is_unit_by_its_place(self, i: int) -> bool:
        """Return whether it is a unit as in TIMESTAMPDIFF(YEAR, a, b), which some dialects lack."""
        functions = ("TIMESTAMPDIFF", "TIMESTAMPADD", "DATEDIFF", "DATEADD")
        is_first = self._kind(i - 1) == "L_PAREN" and self._text(i - 2) in functions
        return is_first and self._kind(i + 1) == "COMMA" and self._text(i) in UNITS

    def _drop_types(self) -> None:
        for start, end, node in self.spans["_parse_types"]:
            if type(node).__name__ == "Cast":  # ARRAY<INT64>[1, 2]: the type only
                depths = [0]
                for i in range(start + 1, end):
                    depths.append(depths[-1] + self._text(i).count("<") - self._text(i).count(">"))
                end = start + 1 + depths.index(0, 1)
            self._drop(start, end)

    def _drop_parameters(self) -> None:
        for start, end, _ in self.spans["_parse_placeholder"]:
            self._drop(start, end)
        for start, end, _ in self.spans["_parse_session_parameter"]:
            self._drop(start - 1, end)

    def _drop_words(self) -> None:
        """Drop words that are neither in the tree as names nor matched by their text."""
        matched: set[int] = set()
        for method in ("_match_text_seq", "_match_texts", "_parse_var_from_options"):
            for start, end, _ in self.spans[method]:
                matched.update(range(start, end))
        nodes = {id(node): node for node in self.tree.walk()}
        kept = {
            node.name.upper()
            for node in nodes.values()
            if type(node).__name__ == "Var" and _place(node) in KEYWORD_PLACES
        }
        for start, end, var in self.spans["_parse_var"]:
            node = nodes.get(id(var))
            is_keyword = node is not None and _place(node) in KEYWORD_PLACES
            for i in range(start, end):
                if is_keyword or self._text(i) in UNITS:
                    matched.add(i)
                elif i not in matched:
                    self.dropped[i] = True
        for i, token in enumerate(self.tokens):
            is_function = self._kind(i + 1) == "L_PAREN" and token.text[:1].isalpha()
            if self._kind(i) == "IDENTIFIER" and not is_function:
                self.dropped[i] = True
            elif self._kind(i) == "VAR" and not is_function and i not in matched:
                self.dropped[i] |= self._text(i) not in UNITS | kept

    def _drop_minus_signs(self) -> None:
        for start, _, _ in self.spans["_parse_unary"]:
            if self._kind(start) == "DASH" and self._kind(start + 1) == "NUMBER":
                self.dropped[start] = True

    def _drop_lists_and_rows(self) -> None:
        for method in ("_parse_in", "_parse_pivot_in"):
            for start, end, node in self.spans[method]:
                if type(node).__name__ != "In":
                    continue
                opening = next(i for i in range(start, end) if self._kind(i) == "L_PAREN")
                if self._is_constant(node, opening, end):
                    self._drop(opening + 1, end - 1)
        inserted = (
            self.tree.args.get("expression") if type(self.tree).__name__ == "Insert" else None
        )
        if type(inserted).__name__ == "Values":
            rows = {id(row) for row in inserted.expressions[1:]}
            for start, end, row in self.spans["_parse_value"]:
                if id(row) in rows:
                    self._drop(start - 1, end)

    def _is_constant(self, node: Any, start: int, end: int) -> bool:
        """Return whether the list of an In node, between two tokens, holds only constants."""
        if node.args.get("query") or node.args.get("unnest") or node.args.get("field"):
            return False
        # A typed literal is a Cast as well.
        if any(self._text(i) in ("CAST", "::", "(") for i in range(start + 1, end - 1)) and any(
            type(inner).__name__ == "Cast" for inner in node.find_all(type(node)) if inner
        ):
            return False
        return all(self._is_constant_node(one) for one in node.args.get("expressions") or ())

    def _is_constant_node(self, node: Any) -> bool:
        kind = type(node).__name__
        if kind in CONSTANTS:
            return True
        if kind in ("Tuple", "Paren"):
            return all(self._is_constant_node(one) for one in node.iter_expressions())
        if kind == "Neg":
            return type(node.this).__name__ == "Literal" and not node.this.is_string
        if kind == "Cast" and type(node.this).__name__ == "Literal":
            before = self.sql[: node.this.meta["start"]].rstrip()
            return not before.endswith("(")
        if kind == "Column" and self.dialect == "sqlite" and not node.args.get("table"):
            return self.sql[node.this.meta["start"]] == '"'
        return False


def _place(node: Any) -> tuple[str, str]:
    return type(node.parent).__name__, node.arg_key


def main() -> None:
    watched = WatchedParser()
    for line in sys.stdin:
        dialect, sql = json.loads(line)
        try:
            reader = SlowReader(watched, sql, dialect)
            template = reader.words() if "--words" in sys.argv else reader.template()
        except Exception as error:
            template = f"{type(error).__name__}: {error}"[:200] if "-v" in sys.argv else None
        print(json.dumps(template), flush=True)


if __name__ == "__main__":
    main()
