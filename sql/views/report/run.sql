-- The run that produced the current results. Later runs with the same results key changed nothing.
-- parameters: none
with last as (
    select results_key
    from runs
    order by rowid desc
    limit 1
)

select
    run_id,
    finished_at,
    parameters,
    versions,
    set_aside,
    notes,
    results_key
from runs
where results_key = (select results_key from last)
order by rowid
limit 1
