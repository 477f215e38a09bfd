-- The pairs of training set and predictions, with what each consists of.
-- parameters: none
select
    alignment_ratio.train,
    alignment_ratio.target,
    alignment_ratio.predictions,
    alignment_ratio.model,
    alignment_ratio.trained_on,
    alignment_ratio.alignment_ratio,
    predictions.n_queries as n_answers,
    target.n_queries as n_questions
from alignment_ratio
join corpora as predictions on alignment_ratio.predictions = predictions.corpus
join corpora as target on alignment_ratio.target = target.corpus
order by alignment_ratio.target, alignment_ratio.predictions, alignment_ratio.train
