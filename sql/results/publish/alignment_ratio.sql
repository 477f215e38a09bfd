-- The Alignment Ratio of each training set, for each target and the predictions on it (specification, section 5), and
-- the same without cleaning the predictions; null if the uncleaned predictions have no template. Predictions that
-- answer a part of their target are compared with that part, and so are the training sets. Intervals and verdicts
-- follow in intervals.sql, doubts in ratio_doubts.sql. Expects given_corpora, given_as_written (corpus, content_key)
-- and given_compared (corpus, compared_with, content_key).
-- parameters: pairs, pairs_as_written
insert into alignment_ratio by name
with as_written as (
    select
        written.corpus,
        pairs.kl_alignment
    from given_as_written as written
    join given_compared as compared using (corpus)
    join read_parquet($pairs_as_written) as pairs
        on written.content_key = pairs.source_key and compared.content_key = pairs.target_key
),

alignments as (
    select source_key, target_key, kl_alignment, js_alignment
    from read_parquet($pairs)
    where target_key in (select content_key from given_compared)
),

questions as (
    select corpus, n_questions
    from given_corpora
)

select
    train.corpus as train,
    predictions.target,
    predictions.model,
    predictions.corpus as predictions,
    predictions.trained_on,
    of_train.kl_alignment as train_alignment,
    of_predictions.kl_alignment as predictions_alignment,
    of_train.js_alignment as train_js_alignment,
    of_predictions.js_alignment as predictions_js_alignment,
    predictions.n_templated / predictions.n_queries::double as predictions_parsed_share,
    of_train.kl_alignment / of_predictions.kl_alignment as alignment_ratio,
    predictions.n_cleaned,
    case
        when predictions.n_cleaned = 0 or predictions.cleaning = 'none'
            then of_train.kl_alignment / of_predictions.kl_alignment
        else of_train.kl_alignment / as_written.kl_alignment
    end as alignment_ratio_as_written,
    [] as doubts,
    least(answers.n_questions, asked.n_questions) as n_answered,
    asked.n_questions,
    compared.compared_with != predictions.target as is_part
from corpora as predictions
join given_corpora as given_predictions on predictions.corpus = given_predictions.corpus
join given_compared as compared on predictions.corpus = compared.corpus
join questions as answers on predictions.corpus = answers.corpus
join questions as asked on predictions.target = asked.corpus
cross join given_corpora as train
join alignments as of_train
    on train.content_key = of_train.source_key and compared.content_key = of_train.target_key
join alignments as of_predictions
    on
        given_predictions.content_key = of_predictions.source_key
        and compared.content_key = of_predictions.target_key
left join as_written on predictions.corpus = as_written.corpus
where predictions.role = 'predictions' and train.role = 'train'
order by predictions.target, predictions.corpus, alignment_ratio desc, train.corpus;
