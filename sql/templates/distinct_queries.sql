-- Distinct texts of one corpus, by first occurrence, with the number of queries that have each.
-- parameters: queries
select
    min(ordinal) as first_ordinal,
    sql,
    sum(n_occurrences)::bigint as n_queries
from read_parquet($queries)
group by sql
order by first_ordinal
