-- The Alignment Ratio of each training set, for each target and the predictions on it (specification, section 5), and
-- the same without cleaning the predictions; null if the uncleaned predictions have no template. Intervals and verdicts
-- follow in intervals.sql. Expects given_corpora, given_as_written (corpus, content_key) and given_doubts (corpus,
-- doubts).
-- parameters: pairs_as_written
insert into alignment_ratio by name
with as_written as (
    select
        written.corpus,
        pairs.kl_alignment
    from given_as_written as written
    join given_corpora as predictions using (corpus)
    join given_corpora as target on predictions.target = target.corpus
    join read_parquet($pairs_as_written) as pairs
        on written.content_key = pairs.source_key and target.content_key = pairs.target_key
)

select
    train.corpus as train,
    predictions.target,
    predictions.model,
    predictions.corpus as predictions,
    predictions.trained_on,
    of_train.kl_alignment as train_alignment,
    of_predictions.kl_alignment as predictions_alignment,
    predictions.n_templated / predictions.n_queries::double as predictions_parsed_share,
    of_train.kl_alignment / of_predictions.kl_alignment as alignment_ratio,
    predictions.n_cleaned,
    case
        when predictions.n_cleaned = 0 or predictions.cleaning = 'none'
            then of_train.kl_alignment / of_predictions.kl_alignment
        else of_train.kl_alignment / as_written.kl_alignment
    end as alignment_ratio_as_written,
    coalesce(given_doubts.doubts, []) as doubts
from corpora as predictions
cross join corpora as train
join alignment as of_train
    on train.corpus = of_train.source and predictions.target = of_train.target
join alignment as of_predictions
    on predictions.corpus = of_predictions.source and predictions.target = of_predictions.target
left join as_written on predictions.corpus = as_written.corpus
left join given_doubts on predictions.corpus = given_doubts.corpus
where predictions.role = 'predictions' and train.role = 'train'
order by predictions.target, predictions.corpus, alignment_ratio desc, train.corpus;
