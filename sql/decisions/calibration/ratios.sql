-- The measures of each pair of a training set and predictions.
-- parameters: none
select
    alignment_ratio.train,
    alignment_ratio.target,
    alignment_ratio.predictions,
    alignment_ratio.trained_on is not null as is_tuned,
    alignment_ratio.alignment_ratio,
    alignment_ratio.train_alignment,
    alignment_ratio.predictions_alignment,
    of_train.js_nats as train_js_nats,
    of_predictions.js_nats as predictions_js_nats,
    train.n_queries as n_train_queries,
    train.n_templated as n_train_templated
from alignment_ratio
join alignment as of_train
    on alignment_ratio.train = of_train.source and alignment_ratio.target = of_train.target
join alignment as of_predictions
    on
        alignment_ratio.predictions = of_predictions.source
        and alignment_ratio.target = of_predictions.target
join corpora as train on alignment_ratio.train = train.corpus
