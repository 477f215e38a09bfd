-- The distinct texts of a part of a corpus with their templates, from those of the whole corpus.
-- parameters: queries, templates
with texts as (
    select
        min(ordinal) as first_ordinal,
        sql,
        sum(n_occurrences)::bigint as n_queries
    from read_parquet($queries)
    group by sql
)

select
    texts.first_ordinal,
    texts.sql,
    texts.n_queries,
    parsed.template,
    parsed.template_id,
    parsed.reject_reason,
    parsed.comparable_key
from texts
join read_parquet($templates) as parsed using (sql)
order by texts.first_ordinal
