-- The number of candidates of each source and template, in the order of the templates' texts.
-- parameters: none
select
    templates.template,
    candidates.template_id,
    candidates.position,
    sum(candidates.n_copies)::bigint as n_rows
from candidates
join templates using (template_id)
where candidates.excluded is null
group by all
order by templates.template, candidates.position
