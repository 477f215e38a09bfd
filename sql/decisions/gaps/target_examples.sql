-- The first query of the target with each template. Expects target_queries.
-- parameters: target
select
    templates.template,
    $target as example_corpus,
    min(target_queries.ordinal) as example_ordinal
from target_queries
join templates using (template_id)
group by templates.template
order by templates.template
