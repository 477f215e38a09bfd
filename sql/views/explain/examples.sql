-- The queries of a corpus with these ordinals, and their templates.
-- parameters: corpus, ordinals
select
    queries.ordinal,
    queries.sql,
    templates.template
from queries
join templates on queries.template_id = templates.template_id
where queries.corpus = $corpus and queries.ordinal in (select unnest($ordinals::bigint[]))
order by queries.ordinal
