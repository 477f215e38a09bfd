-- Trino's and Presto's system.runtime.queries, the table of the MySQL event listener, or the JSON of the HTTP event
-- listener: JSON, CSV, TSV or Parquet.
-- parameters: none
with rows as (
    select
        number,
        coalesce(fields['query'], inner_value(fields['metadata'], '$.query')) as raw_sql,
        coalesce(fields['schema'], inner_value(fields['context'], '$.schema')) as db_id,
        coalesce(
            fields['state'],
            fields['query_state'],
            fields['querystate'],
            inner_value(fields['metadata'], '$.queryState')
        ) as state
    from log_rows
)

select
    number as ordinal,
    raw_sql,
    db_id,
    coalesce(bad_status(state, 'finished'), missing_text(raw_sql)) as left_out
from rows
