-- Fill alignment_by_slice, the largest slices first. Expects given_corpora and given_slices, the measures of
-- tasks.measures.slices with their doubts.
-- parameters: none
insert into alignment_by_slice
select
    measured.train,
    measured.target,
    measured.slice,
    measured.n_queries,
    measured.n_templated,
    measured.train_alignment,
    measured.reach,
    predictions.model,
    measured.predictions,
    measured.predictions_alignment,
    measured.predictions_parsed_share,
    measured.alignment_ratio,
    measured.reach_ratio,
    measured.doubts
from given_slices as measured
join given_corpora as train on measured.train = train.corpus
join given_corpora as target on measured.target = target.corpus
left join given_corpora as predictions on measured.predictions = predictions.corpus
order by
    target.position, predictions.position, measured.n_queries desc, measured.slice, train.position;
