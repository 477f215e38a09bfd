-- The ratios that crossed 1 in a run or changed their verdict, with their values in the last run that had them.
-- parameters: run_id
with this_run as (
    from alignment_ratio_history
    where run_id = $run_id and is_verdict_changed
),

before as (
    select
        history.train,
        history.predictions,
        max_by(history.alignment_ratio, history.run_number) as alignment_ratio,
        max_by(history.verdict, history.run_number) as verdict
    from alignment_ratio_history as history
    join this_run on history.train = this_run.train and history.predictions = this_run.predictions
    where history.run_number < this_run.run_number
    group by history.train, history.predictions
)

select
    this_run.train,
    this_run.target,
    this_run.model,
    this_run.predictions,
    before.alignment_ratio as previous_alignment_ratio,
    this_run.alignment_ratio,
    before.verdict as previous_verdict,
    this_run.verdict
from this_run
join before on this_run.train = before.train and this_run.predictions = before.predictions
order by this_run.target, this_run.predictions, this_run.train
