-- Facts that make the alignment of a training set with a target, or an Alignment Ratio of it, doubtful: ratios have
-- predictions, and are about the part of the target that these answer. closest_by_js is the closest of their training sets
-- by Jensen-Shannon divergence. Expects given_corpora, given_compared (corpus, compared_with, content_key) and the filled
-- tables corpora and alignment_ratio.
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

measures as (
    select
        source_key,
        target_key,
        kl_alignment,
        js_alignment,
        exact_overlap
    from read_parquet($pairs)
),

alignments as (
    select
        train.corpus as train,
        target.corpus as target,
        measures.kl_alignment,
        measures.js_alignment,
        measures.exact_overlap,
        target.n_templated as n_compared,
        train.parsed_share as train_parsed_share,
        target.parsed_share as target_parsed_share
    from contents as train
    cross join contents as target
    join measures on train.content_key = measures.source_key and target.content_key = measures.target_key
    where train.role = 'train' and target.role = 'target'
),

ratios as (
    select
        alignments.* replace (
            of_train.kl_alignment as kl_alignment,
            of_train.js_alignment as js_alignment,
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
    join measures as of_train
        on train.content_key = of_train.source_key and compared.content_key = of_train.target_key
    join measures as of_target
        on target.content_key = of_target.source_key and predictions.content_key = of_target.target_key
),

ranked as (
    select
        *,
        null as predictions,
        null as predictions_parsed_share,
        null as n_answered,
        null as n_questions,
        null as copied_share
    from alignments
    union all by name
    from ratios
)

select
    *,
    kl_alignment = max(kl_alignment) over same_ranking as is_closest,
    max(js_alignment) over same_ranking as closest_js_alignment,
    min_by(train, (-js_alignment, train)) over same_ranking as closest_by_js
from ranked
window same_ranking as (partition by target, predictions)
