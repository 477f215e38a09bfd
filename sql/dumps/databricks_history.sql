-- Databricks' system.query.history, or its query history API: JSON, CSV, TSV or Parquet.
-- parameters: none
with rows as (
    select
        number,
        fields,
        coalesce(fields['statement_text'], fields['query_text']) as raw_sql
    from log_rows
)

select
    number as ordinal,
    raw_sql,
    coalesce(
        bad_status(coalesce(fields['execution_status'], fields['status']), 'finished'),
        missing_text(raw_sql)
    ) as left_out
from rows
