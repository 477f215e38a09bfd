-- The pairs of a training set and predictions, with the numbers of answers and of questions.
-- parameters: none
select
    alignment_ratio.train,
    alignment_ratio.target,
    alignment_ratio.predictions,
    alignment_ratio.model,
    alignment_ratio.trained_on,
    alignment_ratio.alignment_ratio,
    alignment_ratio.n_answered as n_answers,
    alignment_ratio.n_questions
from alignment_ratio
order by alignment_ratio.target, alignment_ratio.predictions, alignment_ratio.train
