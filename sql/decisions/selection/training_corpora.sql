-- The training corpora except the target, those with questions first: of equally good rows, a
-- trainer prefers those.
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
