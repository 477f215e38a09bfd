-- The templates of a target's queries and their frequencies, in the order of the dump.
-- parameters: target
select
    queries.ordinal,
    templates.template,
    queries.n_occurrences
from queries
join templates using (template_id)
where queries.corpus = $target
order by queries.ordinal
