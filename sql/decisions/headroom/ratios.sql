-- The pairs of a training set and predictions, with the numbers of answers and of questions.
-- parameters: none
with n_rows as (
    select corpus, count(*) as n
    from queries
    group by corpus
)

select
    alignment_ratio.train,
    alignment_ratio.target,
    alignment_ratio.predictions,
    alignment_ratio.model,
    alignment_ratio.trained_on,
    alignment_ratio.alignment_ratio,
    answers.n as n_answers,
    questions.n as n_questions
from alignment_ratio
join n_rows as answers on alignment_ratio.predictions = answers.corpus
join n_rows as questions on alignment_ratio.target = questions.corpus
order by alignment_ratio.target, alignment_ratio.predictions, alignment_ratio.train
