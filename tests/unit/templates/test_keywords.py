"""Words that sqlglot's parsers compare with the text of a token are in keys, or do no harm.

If this fails for a new sqlglot, see "How parses are shared" in ``docs/architecture.md``.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import sqlglot
from sqlglot.dialects.dialect import Dialect, Dialects

from nl2sql_align.tasks.templates.parse_sharing import ShapeKeys

DIALECTS = [Dialect.get_or_raise(dialect.value) for dialect in Dialects]

# Words of these methods and tables decide nothing in a query that has a key: they belong to other
# statements, to a column's definition, to a function, to a sign that no key holds (@, %, {), or
# may be left out.
HARMLESS_METHODS = set(
    """
    bigquery._parse_export_data bigquery._parse_generate bigquery._parse_ml
    clickhouse._parse_auto_refresh_property clickhouse._parse_detach
    clickhouse._parse_index_constraint clickhouse._parse_partition clickhouse._parse_query_parameter
    databricks._parse_primary_key_part dax._parse_statement doris._parse_refresh_property
    exasol._parse_json_extract exasol._parse_statement hive._parse_using_property
    mysql._parse_column_constraint mysql._parse_index_constraint_options mysql._parse_show_mysql
    oracle._parse_storage oracle.parse_options parser._parse_add_alteration parser._parse_alter
    parser._parse_alter_session parser._parse_alter_table_add parser._parse_alter_table_set
    parser._parse_analyze parser._parse_analyze_histogram parser._parse_analyze_list
    parser._parse_analyze_statistics parser._parse_analyze_validate parser._parse_blockcompression
    parser._parse_cache parser._parse_called_on_null_input_property parser._parse_clustered_by
    parser._parse_column_def parser._parse_commit_or_rollback parser._parse_contains_property
    parser._parse_copy_parameters parser._parse_copy_property parser._parse_create
    parser._parse_credentials parser._parse_data_deletion_property parser._parse_datablocksize
    parser._parse_declareitem parser._parse_dict_range parser._parse_distributed_property
    parser._parse_drop parser._parse_fallback parser._parse_grant_principal parser._parse_index
    parser._parse_index_params parser._parse_inline parser._parse_kill parser._parse_load
    parser._parse_locking parser._parse_modifies_property parser._parse_no_property
    parser._parse_not_constraint parser._parse_partition_bound_spec parser._parse_property
    parser._parse_property_before parser._parse_reads_property parser._parse_remote_with_connection
    parser._parse_returns parser._parse_set_item_assignment parser._parse_set_transaction
    parser._parse_stored parser._parse_system_versioning_property parser._parse_transaction
    parser._parse_trigger_for_each parser._parse_ttl parser._parse_ttl_action
    parser._parse_with_property parser._parse_withisolatedloading parser._parse_wrapped_options
    postgres._parse_query_parameter snowflake._parse_copy_property snowflake._parse_id_var
    snowflake._parse_ignore_property snowflake._parse_show_snowflake snowflake._parse_table_parts
    snowflake._parse_use snowflake._parse_with_constraint snowflake._parse_with_property
    spark2._parse_property starrocks._parse_partitioning_granularity_dynamic
    starrocks._parse_refresh starrocks._parse_refresh_property starrocks._parse_rollup_property
    starrocks.parse_rollup_index teradata._parse_query_band trino._parse_routine_repeat
    trino._parse_routine_statement tsql._parse_commit_or_rollback tsql._parse_transaction
    """.split()
)
HARMLESS_TABLES = set(
    """
    ADD_CONSTRAINT_KEYWORDS AGG_FUNCTIONS AGG_FUNCTIONS_SUFFIXES AGG_FUNC_MAPPING
    ALTER_ALTER_PARSERS ALTER_PARSERS ANALYZE_EXPRESSION_PARSERS ANALYZE_STYLES BRACKET_OFFSETS
    COLUMN_DEFINITION_MODES CONSTRAINT_PARSERS COPY_INTO_VARLEN_OPTIONS CREATE_SEQUENCE
    DESCRIBE_QUALIFIER_PARSERS DESCRIBE_STYLES EXECUTE_AS_OPTIONS FLATTEN_COLUMNS FUNCTIONS
    FUNCTIONS_WITH_ALIASED_ARGS FUNCTION_PARSERS KEY_CONSTRAINT_OPTIONS ODBC_DATETIME_LITERALS
    PROCEDURE_OPTIONS PROFILE_TYPES PROPERTY_PARSERS SCHEMA_BINDING_OPTIONS SCHEMA_KINDS
    SCHEMA_UNNAMED_CONSTRAINTS SET_OP_MODIFIERS SET_PARSERS SET_TRIE SHOW_PARSERS SHOW_TRIE
    TRANSFORM_PARSERS UNDROP_OBJECTS USABLES VIEW_ATTRIBUTES
    """.split()
)
# In these places, something before the word keeps the query from having a key, or the key keeps the
# word after that one.
HARMLESS_BY_NEIGHBORS = set(
    """
    doris._parse_range duckdb._parse_join hive._parse_transform parser._parse_changes
    parser._parse_having_max parser._parse_insert parser._parse_pipe_syntax_extend
    parser._parse_row_format parser._parse_string_agg parser._parse_unpivot_columns
    parser._parse_when_matched parser._parse_xml_element parser.parse_set_operation
    snowflake._parse_semantic_view
    CHARSET_TRANSLATORS HISTORICAL_DATA_KIND PIPE_SYNTAX_TRANSFORM_PARSERS
    """.split()
)
HARMLESS = HARMLESS_METHODS | HARMLESS_TABLES | HARMLESS_BY_NEIGHBORS


def words_of_methods():
    """Yield each word that a method compares, after the method."""
    root = Path(sqlglot.__file__).parent
    for file in (root / "parser.py", *sorted((root / "parsers").glob("*.py"))):
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for call in filter(is_comparison, ast.walk(function)):
                    for word in words_in(call):
                        yield f"{file.stem}.{function.name}", word


def is_comparison(node):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("_match_text_seq", "_match_texts")
    )


def words_in(node):
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from re.findall(r"\w+", inner.value.upper())


def words_of_tables(parser):
    """Yield each word of a parser's tables, after the table."""
    for name in filter(str.isupper, dir(parser)):
        table = getattr(parser, name)
        if isinstance(table, (dict, set, frozenset, list, tuple)):
            for entry in table:
                if isinstance(entry, str):
                    yield from ((name, word) for word in re.findall(r"\w+", entry.upper()))


def is_told_apart(word, keys):
    """Return whether no query in which the word is a name of its own shares a parse."""
    text = "SELECT a FROM b {} c"
    key = keys.key_of(text.format(word))
    return key is None or key != keys.key_of(text.format("d"))


def test_words_that_parsers_compare_are_in_keys():
    unknown = defaultdict(set)
    methods = set(words_of_methods())
    for dialect in DIALECTS:
        keys = ShapeKeys(dialect)
        for place, word in (*methods, *words_of_tables(dialect.parser_class)):
            if place not in HARMLESS and not is_told_apart(word, keys):
                unknown[place].add(word)
    assert {place: words for place, words in unknown.items() if words} == {}
    assert len(methods) > 700


def test_no_place_is_listed_without_need():
    """So that the lists shrink when sqlglot does."""
    places = {place for place, _ in words_of_methods()}
    for dialect in DIALECTS:
        places |= {place for place, _ in words_of_tables(dialect.parser_class)}
    assert places >= HARMLESS
