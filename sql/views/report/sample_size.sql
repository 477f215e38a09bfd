-- How well samples of each target's queries rank the training sets.
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
