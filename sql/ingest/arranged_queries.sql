-- The answers in the order of their questions, weighted so that those to each question weigh
-- question_weight together, times the frequency of the question if takes_frequencies, else times their own. With
-- by_text, the order of several answers to a question depends on their texts only, not on the dump. A question without
-- an answer has an empty one. Expects the table answered and the view frequencies.
-- parameters: queries, question_weight, takes_frequencies, by_text
with weighted as (
    select
        *,
        count(*) over (partition by question) as n_answers
    from answered
),

ordered as (
    select
        weighted.*,
        given.* exclude (ordinal, id, question_ordinal),
        row_number() over (
            order by
                weighted.asked,
                if($by_text, given.raw_sql, null),
                if($by_text, given.sql, null),
                if(
                    $by_text,
                    concat_ws(
                        chr(31), given.db_id, given.question, given.n_occurrences, given.reject_reason
                    ),
                    null
                ),
                weighted.ordinal
        ) - 1 as place
    from (select ordinal, id, question as asked, n_answers from weighted) as weighted
    left join read_parquet($queries) as given using (ordinal)
)

select
    place as ordinal,
    coalesce("sql", '') as "sql",
    raw_sql,
    db_id,
    question,
    -- Rounded unless question_weight is a multiple of the number of answers.
    least(
        1000000000000,
        if($takes_frequencies, frequencies.frequency, coalesce(n_occurrences, 1))
        * greatest(1, ($question_weight + n_answers // 2) // n_answers)
    )::bigint as n_occurrences,
    id,
    asked as question_ordinal,
    part,
    reject_reason
from ordered
left join frequencies using (asked)
order by place
