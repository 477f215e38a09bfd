"""Marks that a parse tree sets on the tokens of its query."""

from typing import Final

from sqlglot import exp

# Kinds of values in a parse tree. NOTED nodes mark more than the names below them.
_LEAF, _NODE, _NOTED, _IDENTIFIER, _LIST = range(5)
_NOTED_NODES: Final = frozenset(
    {
        exp.Anonymous,
        exp.Cast,
        exp.ColumnDef,
        exp.AlterColumn,
        exp.JSONColumnDef,
        exp.OpenJSONColumnDef,
    }
)


class _Kinds(dict[type, int]):
    def __missing__(self, key: type) -> int:
        if key is exp.Identifier:
            kind = _IDENTIFIER
        elif key in _NOTED_NODES:
            kind = _NOTED
        elif issubclass(key, exp.Expr):
            kind = _NODE
        else:
            kind = _LIST if issubclass(key, list) else _LEAF
        self[key] = kind
        return kind


_KINDS: Final = _Kinds()


class TreeMarks:
    """Tokens that the parser took for names, functions and typed literals.

    All sets hold offsets of tokens in the query's text.

    Attributes:
        names: Names of tables, columns, aliases and the like.
        name_ends: For dialects with names of several tokens, the last offset of each name.
        typed_names: Names of columns that are followed by a type.
        function_names: Quoted names of functions.
        cast_strings: Literals with a type before them, such as ``DATE '2020-01-01'``.
        alters_types: Whether the statement changes a column's type (``ALTER COLUMN a TYPE INT``).
    """

    def __init__(self, tree: exp.Expr, sql: str, *, has_long_names: bool) -> None:
        """Walk the tree, and cut its links to parents."""
        self.names: set[int] = set()
        self.name_ends: dict[int, int] = {}
        self.typed_names: set[int] = set()
        self.function_names: set[int] = set()
        self.cast_strings: set[int] = set()
        self.alters_types = False
        for node in self._walk(tree):
            self._mark(node)
        self.names -= self.function_names
        if "|>" in sql:
            self._drop_made_up_names(tree, sql)
        if has_long_names:
            self._find_long_names(tree, sql)

    def _walk(self, tree: exp.Expr) -> list[exp.Expr]:
        """Collect all names, and return the nodes that mark more.

        This takes half the time of ``tree.walk()``. Links to parents are cut because cycles wait
        for the garbage collector, which then took a fifth of all time.
        """
        names, kinds = self.names, _KINDS
        nodes, noted = [tree], []
        for node in nodes:
            node.parent = None
            for value in node.args.values():
                if value:
                    kind = kinds[value.__class__]
                    if kind == _IDENTIFIER:
                        value.parent = None
                        if value._meta:
                            names.add(value._meta.get("start", -1))
                    elif kind == _LIST:
                        for item in value:
                            kind = kinds[item.__class__]
                            if kind == _IDENTIFIER:
                                item.parent = None
                                if item._meta:
                                    names.add(item._meta.get("start", -1))
                            elif kind == _NODE:
                                nodes.append(item)
                            elif kind == _NOTED:
                                nodes.append(item)
                                noted.append(item)
                    elif kind:
                        nodes.append(value)
                        if kind == _NOTED:
                            noted.append(value)
        return noted

    def _mark(self, node: exp.Expr) -> None:
        inner = node.this
        if type(node) is exp.Anonymous:
            if type(inner) is exp.Identifier:
                self.function_names.add(_start_of(inner))
        elif type(node) is exp.Cast:
            if type(inner) is exp.Literal:
                self.cast_strings.add(_start_of(inner))
        elif isinstance(node.args.get("kind") or node.args.get("dtype"), exp.DataType):
            self.alters_types |= type(node) is exp.AlterColumn
            named = node.args.get("rename_to") or inner
            if isinstance(named, exp.Expr):
                self.typed_names.add(
                    max(map(_start_of, named.find_all(exp.Identifier)), default=-1)
                )

    def _drop_made_up_names(self, tree: exp.Expr, sql: str) -> None:
        """Drop the names of CTEs that the parser makes up for pipe operators."""
        self.names -= {
            start
            for name in tree.find_all(exp.Identifier)
            if (start := _start_of(name)) >= 0
            and name.this.startswith("__tmp")
            and not sql.startswith("__tmp", start)
        }

    def _find_long_names(self, tree: exp.Expr, sql: str) -> None:
        """Find where names end; the tree marks only the first token of ``my-project.tab``."""
        for name in tree.find_all(exp.Identifier):
            start = _start_of(name)
            if start >= 0 and "-" in name.this and sql.startswith(name.this, start):
                self.name_ends[start] = start + len(name.this) - 1
            elif start >= 0:
                self.name_ends[start] = name.meta["end"]


def _start_of(node: exp.Expr) -> int:
    """Return a node's offset in the text; -1 if it has none."""
    start = node.meta.get("start")
    return start if isinstance(start, int) else -1  # a comment "sqlglot.meta start=x" sets it
