-- Distinct templates of one corpus, with the number of queries that have each and the first query's ordinal.
-- parameters: templates
select
    template,
    sum(n_queries)::bigint as n_occurrences,
    min(first_ordinal) as example_ordinal
from read_parquet($templates)
where template is not null
group by template
order by example_ordinal
