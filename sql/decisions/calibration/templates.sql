-- The number of queries of a corpus with each template.
-- parameters: corpus
select template_id, sum(n_occurrences)::bigint as n_queries
from queries
where corpus = $corpus and template_id is not null
group by template_id
order by template_id
