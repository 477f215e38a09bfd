-- How many candidates each source has of each template; the templates in the order of their texts.
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
