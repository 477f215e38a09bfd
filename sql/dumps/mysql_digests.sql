-- MySQL's and MariaDB's events_statements_summary_by_digest: JSON, CSV, TSV or Parquet. A digest counts as often as it
-- was executed without an error. A digest that was cut ends with three dots; after a parameter and a comma, the dots
-- are more parameters.
-- parameters: none
with rows as (
    select
        number,
        fields,
        fields['digest_text'] as raw_sql,
        to_number(fields['count_star']) as n_executed,
        coalesce(to_number(fields['sum_errors']), 0) as n_failed
    from log_rows
)

select
    number as ordinal,
    raw_sql,
    fields['schema_name'] as db_id,
    coalesce((n_executed - n_failed)::bigint::varchar, fields['count_star']) as n_occurrences,
    coalesce(
        missing_text(raw_sql),
        case
            when n_executed < 1 then 'never executed'
            when n_executed - n_failed < 1 then 'failed'
        end
    ) as left_out,
    case
        when regexp_matches(raw_sql, '\.\.\.\s*$') and not regexp_matches(raw_sql, '\?\s*,\s*\.\.\.\s*$')
            then 'cut off by its log'
    end as reject_reason
from rows
