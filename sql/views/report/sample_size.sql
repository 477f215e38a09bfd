-- How stable the ranking of training sets is with fewer queries of each target.
-- parameters: none
select
    target,
    smoothing,
    n_queries,
    kendall_tau,
    tau_low,
    tau_high,
    same_winner_share
from sample_size
order by target, smoothing, n_queries
