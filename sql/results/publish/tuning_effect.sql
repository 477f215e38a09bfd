-- The alignment of a model's predictions with a target before and after tuning.
-- parameters: none
insert into tuning_effect
select
    tuned.model,
    tuned.trained_on,
    tuned.target,
    untuned.corpus as predictions_before,
    tuned.corpus as predictions_after,
    before.kl_alignment as alignment_before,
    after.kl_alignment as alignment_after,
    before.js_nats as js_before,
    after.js_nats as js_after
from corpora as tuned
join corpora as untuned on tuned.model = untuned.model and tuned.target = untuned.target
join alignment as before on untuned.corpus = before.source and untuned.target = before.target
join alignment as after on tuned.corpus = after.source and tuned.target = after.target
where
    tuned.role = 'predictions'
    and untuned.role = 'predictions'
    and tuned.trained_on is not null
    and untuned.trained_on is null
order by tuned.model, tuned.target, tuned.corpus, untuned.corpus;
