-- ClickHouse's system.query_log: JSON, CSV, TSV or Parquet. A query has a row for its start and one for its finish; the
-- finish counts, or neither if it failed. Parts of a query that other servers ran for it are left out.
-- parameters: none
select
    number as ordinal,
    fields['query'] as raw_sql,
    coalesce(fields['current_database'], fields['database']) as db_id,
    coalesce(
        case
            when lower(fields['type']) in ('querystart', '1') then 'starts of queries, which their ends repeat'
            when lower(fields['type']) in ('queryfinish', '2') then null
            when fields['type'] != '' then 'failed'
        end,
        case when is_off(fields['is_initial_query']) then 'internal' end,
        missing_text(fields['query'])
    ) as left_out,
    cut_at(fields['query'], 100000) as reject_reason
from log_rows
