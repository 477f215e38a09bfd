-- The templates of a target's queries, in the order of its dump.
-- parameters: target
select
    queries.ordinal,
    templates.template
from queries
join templates using (template_id)
where queries.corpus = $target
order by queries.ordinal
