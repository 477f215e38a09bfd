-- The rows taken: the first ones of each source and template. Expects given_sources, candidates and
-- taken (position, template_id, n_taken).
-- parameters: none
select
    given.corpus as source,
    candidates.ordinal,
    asked.question,
    asked.db_id,
    asked.sql,
    asked.raw_sql,
    given.dialect,
    given.license,
    templates.template
from candidates
join taken
    on candidates.position = taken.position
    and candidates.template_id = taken.template_id
    and candidates.place <= taken.n_taken
join given_sources as given on candidates.position = given.position
join queries as asked on given.corpus = asked.corpus and candidates.ordinal = asked.ordinal
join templates on candidates.template_id = templates.template_id
where candidates.excluded is null
order by candidates.position, candidates.ordinal
