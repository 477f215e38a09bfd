-- The rows taken: the first ones of each source and template, with the number of each in its dump.
-- Expects given_sources, candidates and taken (position, template_id, n_taken).
-- parameters: none
with rows_of_lists as (
    select
        corpus,
        ordinal,
        dense_rank() over (partition by corpus order by question_ordinal) - 1 as row_number
    from queries
    where corpus in (select corpus from corpora where question_weight > 1)
)

select
    given.corpus as source,
    candidates.ordinal,
    asked.question,
    asked.db_id,
    asked.sql,
    asked.raw_sql,
    given.dialect,
    given.license,
    templates.template,
    coalesce(rows_of_lists.row_number, candidates.ordinal) as row_number
from candidates
join taken
    on candidates.position = taken.position
    and candidates.template_id = taken.template_id
    and candidates.place <= taken.n_taken
join given_sources as given on candidates.position = given.position
join queries as asked on given.corpus = asked.corpus and candidates.ordinal = asked.ordinal
join templates on candidates.template_id = templates.template_id
left join rows_of_lists
    on given.corpus = rows_of_lists.corpus and candidates.ordinal = rows_of_lists.ordinal
where candidates.excluded is null
order by candidates.position, candidates.ordinal
