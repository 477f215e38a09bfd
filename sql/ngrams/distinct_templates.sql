-- The distinct templates of one corpus: how many queries have each, and the ordinal of the first.
-- parameters: templates
select
    template,
    sum(n_queries)::bigint as n_occurrences,
    min(first_ordinal) as example_ordinal
from read_parquet($templates)
where template is not null
group by template
order by example_ordinal
