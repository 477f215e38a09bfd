-- SQL Server's Query Store (query_sql_text with count_executions), or its plan cache (text with execution_count): JSON,
-- CSV, TSV or Parquet. A row counts as often as it was executed.
-- parameters: none
with rows as (
    select
        number,
        fields,
        coalesce(fields['query_sql_text'], fields['statement_text'], fields['text']) as raw_sql,
        coalesce(fields['count_executions'], fields['execution_count']) as n_occurrences
    from log_rows
)

select
    number as ordinal,
    raw_sql,
    coalesce(fields['database_name'], fields['db_name']) as db_id,
    n_occurrences,
    coalesce(
        case
            when lower(trim(fields['execution_type_desc'])) in ('aborted', 'exception') then 'failed'
            when trim(fields['execution_type']) in ('3', '4') then 'failed'
            when is_on(fields['is_internal_query']) then 'internal'
            when to_number(n_occurrences) < 1 then 'never executed'
        end,
        missing_text(raw_sql)
    ) as left_out
from rows
