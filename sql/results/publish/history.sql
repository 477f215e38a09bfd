-- Add a run's alignments with the targets (with all corpora if there is no target) and its ratios to the history. An
-- alignment has drifted if it differs by more than the threshold from its value at the last drift, or from its first
-- value: small steps add up. Runs are numbered rather than ordered by the clock, which may be set back.
-- parameters: run_id, drift_threshold
insert into alignment_history by name
with this_run as (
    select
        run_id,
        started_at,
        (select coalesce(max(run_number), 0) + 1 from alignment_history) as run_number
    from runs
    where run_id = $run_id
),

targets as (
    from corpora
    where role = 'target' or not exists (from corpora where role = 'target')
),

earlier as (
    select
        source,
        target,
        coalesce(
            arg_max(kl_alignment, run_number) filter (is_drift), arg_min(kl_alignment, run_number)
        ) as kl_alignment
    from alignment_history
    group by source, target
)

select
    this_run.*,
    alignment.source,
    alignment.target,
    alignment.kl_nats,
    alignment.kl_alignment,
    alignment.js_alignment,
    alignment.ngram_coverage,
    alignment.template_coverage,
    alignment.exact_overlap,
    earlier.kl_alignment as drift_from,
    coalesce(abs(alignment.kl_alignment - earlier.kl_alignment) > $drift_threshold, false) as is_drift
from alignment
join targets on alignment.target = targets.corpus
cross join this_run
left join earlier on alignment.source = earlier.source and alignment.target = earlier.target
order by alignment.rowid;

insert into alignment_ratio_history by name
with this_run as (
    select distinct run_id, started_at, run_number
    from alignment_history
    where run_id = $run_id
),

earlier as (
    select
        train,
        predictions,
        arg_max(alignment_ratio, run_number) as alignment_ratio,
        arg_max(verdict, run_number) as verdict
    from alignment_ratio_history
    group by train, predictions
)

select
    this_run.*,
    now.train,
    now.target,
    now.model,
    now.predictions,
    now.train_alignment,
    now.predictions_alignment,
    now.alignment_ratio,
    now.ci_low,
    now.ci_high,
    now.verdict,
    coalesce(
        (now.alignment_ratio > 1) != (earlier.alignment_ratio > 1) or now.verdict != earlier.verdict, false
    ) as is_verdict_changed
from alignment_ratio as now
cross join this_run
left join earlier on now.train = earlier.train and now.predictions = earlier.predictions
order by now.rowid;
