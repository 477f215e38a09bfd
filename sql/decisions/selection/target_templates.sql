-- The templated queries of the target with their templates, in the order of the dump. Expects
-- target_queries.
-- parameters: none
select
    target_queries.ordinal,
    target_queries.db_id,
    templates.template,
    target_queries.n_occurrences
from target_queries
join templates using (template_id)
order by target_queries.ordinal
