-- The training corpora, those with questions first: of rows that are equally good, a trainer wants these.
-- parameters: target
with asked as (
    select
        corpus,
        count(question) > 0 as has_questions
    from queries
    group by corpus
),

placed as (
    select
        *,
        row_number() over () as position
    from corpora
)

select placed.corpus
from placed
left join asked using (corpus)
where placed.role = 'train' and placed.corpus != $target
order by coalesce(asked.has_questions, false) desc, placed.position
