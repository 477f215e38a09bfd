-- Snowflake's QUERY_HISTORY: JSON, CSV, TSV or Parquet. Texts are cut at 100,000 characters.
-- parameters: none
select
    number as ordinal,
    fields['query_text'] as raw_sql,
    fields['database_name'] as db_id,
    coalesce(
        bad_status(fields['execution_status'], 'success'),
        case when is_on(fields['is_client_generated_statement']) then 'internal' end,
        missing_text(fields['query_text'])
    ) as left_out,
    cut_at(fields['query_text'], 100000) as reject_reason
from log_rows
