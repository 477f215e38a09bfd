-- Adds the sums over the n-grams of one partition that two contents share, once for each unordered
-- pair. What is not shared has a closed form: see divergences.sql. Expects shared_values (a_value,
-- b_value, n_shared), the number of n-grams that have these two values. Its rows are the pairs of a
-- block, among them those of a content with itself, and those of two contents of the block in both
-- orders. With n_shared times a term, the sum of a pair stays below 2^63.
-- parameters: skew
insert into pair_sums by name
with shared as (
    select
        n_shared,
        a.content_id as a_id,
        b.content_id as b_id,
        a.n_occurrences as a_occurrences,
        b.n_occurrences as b_occurrences,
        a.p as a_p,
        b.p as b_p,
        a.ln_p as a_ln_p,
        b.ln_p as b_ln_p,
        a.p_smoothed as a_smoothed,
        b.p_smoothed as b_smoothed,
        a.ln_p_smoothed - b.ln_p_smoothed as ln_ratio_smoothed,
        ln((a.p + b.p) / 2) as ln_middle,
        a.alone_as_source as a_alone_as_source,
        b.alone_as_source as b_alone_as_source,
        a.alone_as_target as a_alone_as_target,
        b.alone_as_target as b_alone_as_target
    from shared_values
    join count_values as a on shared_values.a_value = a.value_id
    join count_values as b on shared_values.b_value = b.value_id
    where
        shared_values.a_value < shared_values.b_value
        and a.content_id != b.content_id
)

select
    a_id,
    b_id,
    sum(n_shared)::bigint as n_shared,
    sum(n_shared * a_occurrences)::bigint as a_shared,
    sum(n_shared * b_occurrences)::bigint as b_shared,
    sum(n_shared * (-a_p * ln((1 - $skew) * (b_p / a_p) + $skew) * (1::bigint << 58))::bigint)
        as a_skew,
    sum(n_shared * (-b_p * ln((1 - $skew) * (a_p / b_p) + $skew) * (1::bigint << 58))::bigint)
        as b_skew,
    sum(n_shared * ((a_smoothed * ln_ratio_smoothed - a_alone_as_source - b_alone_as_target)
        * (1::bigint << 58))::bigint) as a_additive,
    sum(n_shared * ((-b_smoothed * ln_ratio_smoothed - b_alone_as_source - a_alone_as_target)
        * (1::bigint << 58))::bigint) as b_additive,
    sum(n_shared * ((a_p * (a_ln_p - ln_middle) + b_p * (b_ln_p - ln_middle))
        * (1::bigint << 58))::bigint) as jensen_shannon
from shared
group by a_id, b_id;
