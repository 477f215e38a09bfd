-- PostgreSQL's pg_stat_statements: JSON, CSV, TSV or Parquet, one normalized query per row, which counts as often as it
-- was called. The database is datname if the rows are joined with pg_database, else the number dbid. Statements within
-- functions are left out: clients did not send them.
-- parameters: none
select
    number as ordinal,
    fields['query'] as raw_sql,
    coalesce(fields['datname'], fields['dbid']) as db_id,
    fields['calls'] as n_occurrences,
    coalesce(
        missing_text(fields['query']),
        case
            when is_off(fields['toplevel']) then 'internal'
            when to_number(fields['calls']) < 1 then 'never executed'
        end
    ) as left_out
from log_rows
