-- The rows of the pool with each template of the target, and the first of them. Expects candidates, given_sources and
-- target_queries.
-- parameters: none
select
    templates.template,
    count(*) as n_in_pool,
    arg_min(given.corpus, (candidates.position, candidates.ordinal)) as example_corpus,
    arg_min(candidates.ordinal, (candidates.position, candidates.ordinal)) as example_ordinal
from candidates
join given_sources as given on candidates.position = given.position
join templates using (template_id)
where candidates.excluded is null and candidates.template_id in (select template_id from target_queries)
group by templates.template
order by templates.template
