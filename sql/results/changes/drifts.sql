-- The alignments that drifted in a run, the largest drift first.
-- parameters: run_id
select
    source,
    target,
    drift_from,
    kl_alignment,
    kl_alignment - drift_from as drift
from alignment_history
where run_id = $run_id and is_drift
order by abs(kl_alignment - drift_from) desc, source, target
