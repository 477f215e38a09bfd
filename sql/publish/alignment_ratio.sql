-- The Alignment Ratio of each training set, for each target and predictions on it: specification, section 5.
-- Intervals and verdicts come later: see intervals.sql.
-- parameters: none
insert into alignment_ratio by name
select
    train.corpus as train,
    predictions.target,
    predictions.model,
    predictions.corpus as predictions,
    predictions.trained_on,
    of_train.kl_alignment as train_alignment,
    of_predictions.kl_alignment as predictions_alignment,
    predictions.n_templated / predictions.n_queries::double as predictions_parsed_share,
    of_train.kl_alignment / of_predictions.kl_alignment as alignment_ratio
from corpora as predictions
cross join corpora as train
join alignment as of_train
    on train.corpus = of_train.source and predictions.target = of_train.target
join alignment as of_predictions
    on predictions.corpus = of_predictions.source and predictions.target = of_predictions.target
where predictions.role = 'predictions' and train.role = 'train'
order by predictions.target, predictions.corpus, alignment_ratio desc, train.corpus;
