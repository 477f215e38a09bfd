-- The queries of a target or of answers to it, with the slice of their question as their part. Slices beyond the
-- largest $most_slices by questions are one slice, and so are the questions without a slice.
-- parameters: queries, slices, most_slices, no_value, others
with ranked as (
    select
        slice,
        row_number() over (order by count(*) desc, slice) as rank
    from read_parquet($slices)
    where slice is not null
    group by slice
)

select
    given.* replace (
        case
            when questions.slice is null then $no_value
            when ranked.rank <= $most_slices then questions.slice
            else $others
        end as part
    )
from read_parquet($queries) as given
left join read_parquet($slices) as questions
    on coalesce(given.question_ordinal, given.ordinal) = questions.question
left join ranked on questions.slice = ranked.slice
order by given.ordinal
