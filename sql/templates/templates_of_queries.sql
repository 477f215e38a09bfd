-- Each distinct text of one corpus with its template, put together from the parsed parts.
-- parameters: queries, parts
with texts as (
    select
        min(ordinal) as first_ordinal,
        sql,
        count(*) as n_queries
    from read_parquet($queries)
    group by sql
)

select
    texts.first_ordinal,
    texts.sql,
    texts.n_queries,
    parsed.template,
    md5(parsed.template) as template_id,
    parsed.reject_reason,
    parsed.comparable_key
from texts
join read_parquet($parts) as parsed using (first_ordinal)
order by texts.first_ordinal
