-- Athena's query executions, as its API returns them or flattened to a table: JSON, CSV, TSV or Parquet.
-- parameters: none
with rows as (
    select
        number,
        fields['query'] as raw_sql,
        coalesce(
            inner_value(fields['queryexecutioncontext'], '$.Database'),
            fields['queryexecutioncontext.database'],
            fields['database']
        ) as db_id,
        coalesce(
            inner_value(fields['status'], '$.State'),
            fields['status.state'],
            fields['status_state'],
            fields['state'],
            fields['status']
        ) as state
    from log_rows
)

select
    number as ordinal,
    raw_sql,
    db_id,
    coalesce(bad_status(state, 'succeeded'), missing_text(raw_sql)) as left_out
from rows
