-- How stable the ranking of training sets is with fewer queries of a target.
-- parameters: target
select
    smoothing,
    n_queries,
    kendall_tau,
    tau_low,
    tau_high
from sample_size
where target = $target
order by smoothing, n_queries
