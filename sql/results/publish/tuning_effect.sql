-- The alignment of a model's predictions with a target before and after tuning; if both answer the same part of the
-- target, with that part. Expects given_corpora and given_compared (corpus, content_key).
-- parameters: pairs
insert into tuning_effect
with predictions as (
    select
        corpora.*,
        given.content_key,
        compared.content_key as compared_key,
        target.content_key as target_key
    from corpora
    join given_corpora as given on corpora.corpus = given.corpus
    join given_compared as compared on corpora.corpus = compared.corpus
    join given_corpora as target on corpora.target = target.corpus
),

changes as (
    select
        tuned.model,
        tuned.trained_on,
        tuned.target,
        untuned.corpus as predictions_before,
        tuned.corpus as predictions_after,
        untuned.content_key as before_key,
        tuned.content_key as after_key,
        if(tuned.compared_key = untuned.compared_key, tuned.compared_key, tuned.target_key) as target_key
    from predictions as tuned
    join predictions as untuned on tuned.model = untuned.model and tuned.target = untuned.target
    where tuned.trained_on is not null and untuned.trained_on is null
)

select
    changes.model,
    changes.trained_on,
    changes.target,
    changes.predictions_before,
    changes.predictions_after,
    before.kl_alignment as alignment_before,
    after.kl_alignment as alignment_after,
    before.js_nats as js_before,
    after.js_nats as js_after
from changes
join read_parquet($pairs) as before
    on changes.before_key = before.source_key and changes.target_key = before.target_key
join read_parquet($pairs) as after
    on changes.after_key = after.source_key and changes.target_key = after.target_key
order by changes.model, changes.target, changes.predictions_after, changes.predictions_before;
