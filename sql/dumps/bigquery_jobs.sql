-- BigQuery's INFORMATION_SCHEMA.JOBS: JSON, CSV, TSV or Parquet. A script whose statements are jobs of their own is
-- left out.
-- parameters: none
with rows as (
    select
        number,
        fields['query'] as raw_sql,
        fields['project_id'] as db_id,
        fields['job_id'] as job_id,
        fields['parent_job_id'] as parent_job_id,
        fields['state'] as state,
        nullif(trim(coalesce(
            fields['error_result'], fields['error_result.reason'], fields['error_result_reason']
        )), '') as error
    from log_rows
),

scripts as (
    select distinct parent_job_id as job_id
    from rows
    where parent_job_id is not null
)

select
    number as ordinal,
    raw_sql,
    db_id,
    coalesce(
        case when not is_absent(error) and error != '{}' then 'failed' end,
        bad_status(state, 'done'),
        case when scripts.job_id is not null then 'scripts whose statements have rows of their own' end,
        missing_text(raw_sql)
    ) as left_out
from rows
left join scripts using (job_id)
order by number
