-- Oracle's V$SQL, V$SQLAREA and DBA_HIST_SQLTEXT: JSON, CSV, TSV or Parquet. A row counts as often as it was executed.
-- SQL_FULLTEXT is the whole text; SQL_TEXT of V$SQL is cut at 1,000 bytes. SYS runs the database's own queries.
-- parameters: none
with rows as (
    select
        number,
        fields,
        nullif(fields['sql_fulltext'], '') as full_text,
        coalesce(nullif(fields['sql_fulltext'], ''), fields['sql_text']) as raw_sql
    from log_rows
)

select
    number as ordinal,
    raw_sql,
    fields['parsing_schema_name'] as db_id,
    fields['executions'] as n_occurrences,
    coalesce(
        case
            when upper(trim(fields['parsing_schema_name'])) = 'SYS' then 'internal'
            when to_number(fields['executions']) < 1 then 'never executed'
        end,
        missing_text(raw_sql)
    ) as left_out,
    -- A longer SQL_TEXT is one of DBA_HIST_SQLTEXT, which is not cut.
    case when full_text is null and strlen(raw_sql) <= 1000 then cut_at(raw_sql, 1000) end as reject_reason
from rows
