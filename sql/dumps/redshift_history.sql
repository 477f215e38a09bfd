-- Redshift's SYS_QUERY_HISTORY and STL_QUERY: JSON, CSV, TSV or Parquet. Both cut texts at 4,000 characters, and write
-- line breaks as \n. User 1 is Redshift itself.
-- parameters: none
with rows as (
    select
        number,
        fields,
        coalesce(fields['query_text'], fields['querytxt']) as raw_sql
    from log_rows
)

select
    number as ordinal,
    unescape_breaks(rtrim(raw_sql)) as raw_sql,
    rtrim(coalesce(fields['database_name'], fields['database'])) as db_id,
    coalesce(
        bad_status(fields['status'], 'success'),
        case when is_on(fields['aborted']) then 'failed' end,
        case when trim(coalesce(fields['user_id'], fields['userid'])) = '1' then 'internal' end,
        missing_text(raw_sql)
    ) as left_out,
    cut_at(rtrim(raw_sql), 4000) as reject_reason
from rows
