-- How often each question of a target was asked. Its queries share question_weight, if they are weighted.
-- parameters: target, question_weight
select
    coalesce(question_ordinal, ordinal) as asked,
    greatest(1, coalesce(round(sum(n_occurrences) / $question_weight), max(n_occurrences)))::bigint as frequency
from read_parquet($target)
group by asked
