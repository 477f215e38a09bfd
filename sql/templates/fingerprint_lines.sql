-- How many rows of a log, and how many of its queries, have each template, or are left out for each reason. Needs the
-- macro of hide_reason.sql.
-- parameters: queries, templates
with outcomes as (
    select
        parsed.template,
        coalesce(ingested.reject_reason, parsed.reject_reason) as reject_reason,
        ingested.n_occurrences
    from read_parquet($queries) as ingested
    left join read_parquet($templates) as parsed using (sql)
)

select
    if(reject_reason is null, template, null) as template,
    hide_reason(reject_reason) as left_out,
    count(*) as n_rows,
    sum(n_occurrences)::bigint as n_occurrences
from outcomes
group by 1, 2
order by 1, 2
