-- The templates of a corpus whose texts are templates already. Texts to compare queries by are unknown.
-- parameters: queries
select
    min(ordinal) as first_ordinal,
    sql,
    sum(n_occurrences)::bigint as n_queries,
    sql as template,
    md5(sql) as template_id,
    null::varchar as reject_reason,
    null::blob as comparable_key
from read_parquet($queries)
where reject_reason is null
group by sql
order by first_ordinal
