-- Facts that make the alignment of a training set with a target, or an Alignment Ratio of it, doubtful: ratios have
-- predictions, and are about the part of the target that these answer. Expects given_corpora, given_compared (corpus,
-- compared_with, content_key) and the filled tables corpora and alignment_ratio.
-- parameters: pairs
with contents as (
    select
        given.corpus,
        given.content_key,
        corpora.role,
        corpora.n_templated,
        corpora.parsed_share
    from given_corpora as given
    join corpora on given.corpus = corpora.corpus
),

shared_texts as (
    select
        source_key,
        target_key,
        exact_overlap
    from read_parquet($pairs)
),

alignments as (
    select
        train.corpus as train,
        target.corpus as target,
        shared_texts.exact_overlap,
        target.n_templated as n_compared,
        train.parsed_share as train_parsed_share,
        target.parsed_share as target_parsed_share
    from contents as train
    cross join contents as target
    join shared_texts on train.content_key = shared_texts.source_key and target.content_key = shared_texts.target_key
    where train.role = 'train' and target.role = 'target'
)

select
    *,
    null as predictions,
    null as predictions_parsed_share,
    null as n_answered,
    null as n_questions,
    null as copied_share
from alignments
union all by name
select
    alignments.* replace (
        of_train.exact_overlap as exact_overlap,
        if(ratio.is_part, ratio.n_answered, alignments.n_compared) as n_compared
    ),
    ratio.predictions,
    ratio.predictions_parsed_share,
    ratio.n_answered,
    ratio.n_questions,
    of_target.exact_overlap as copied_share
from alignment_ratio as ratio
join alignments on ratio.train = alignments.train and ratio.target = alignments.target
join contents as train on ratio.train = train.corpus
join contents as target on ratio.target = target.corpus
join contents as predictions on ratio.predictions = predictions.corpus
join given_compared as compared on ratio.predictions = compared.corpus
join shared_texts as of_train on train.content_key = of_train.source_key and compared.content_key = of_train.target_key
join shared_texts as of_target
    on target.content_key = of_target.source_key and predictions.content_key = of_target.target_key
