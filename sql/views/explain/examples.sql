-- The queries of a corpus with these ordinals, and their templates.
-- parameters: corpus, ordinals
select
    queries.ordinal,
    queries.sql,
    templates.template
from queries
join templates on queries.template_id = templates.template_id
where queries.corpus = $corpus and list_contains($ordinals::bigint[], queries.ordinal)
order by queries.ordinal
