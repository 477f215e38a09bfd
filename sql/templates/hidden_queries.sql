-- The queries of a corpus with their templates in place of all texts, and with numbers in place of the names of
-- databases and parts. Needs the macro of hide_reason.sql.
-- parameters: queries, templates
with outcomes as (
    select
        ingested.*,
        if(ingested.reject_reason is null, parsed.template, null) as template,
        coalesce(ingested.reject_reason, parsed.reject_reason) as outcome
    from read_parquet($queries) as ingested
    left join read_parquet($templates) as parsed using (sql)
)

select
    ordinal,
    coalesce(template, '') as sql,
    template as raw_sql,
    if(db_id is null, null, 'database ' || dense_rank() over (order by db_id)) as db_id,
    null::varchar as question,
    n_occurrences,
    null::varchar as id,
    question_ordinal,
    if(part is null, null, 'part ' || dense_rank() over (order by part)) as part,
    hide_reason(outcome) as reject_reason
from outcomes
order by ordinal
