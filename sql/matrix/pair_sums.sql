-- Sums over the n-grams that two contents share, once for each unordered pair of which one is new. The new
-- one comes first, so that its condition filters the table before the join; of two new ones, either.
-- What is not shared has a closed form: see divergences.sql.
-- parameters: skew
create or replace temp table pair_sums as
with shared as (
    select
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
    from counts as a
    join counts as b using (ngram_id)
    where a.is_new and (not b.is_new or a.content_id < b.content_id)
)

select
    a_id,
    b_id,
    count(*) as n_shared,
    sum(a_occurrences)::bigint as a_shared,
    sum(b_occurrences)::bigint as b_shared,
    sum((-a_p * ln((1 - $skew) * (b_p / a_p) + $skew) * (1::bigint << 58))::bigint) as a_skew,
    sum((-b_p * ln((1 - $skew) * (a_p / b_p) + $skew) * (1::bigint << 58))::bigint) as b_skew,
    sum(((a_smoothed * ln_ratio_smoothed - a_alone_as_source - b_alone_as_target)
        * (1::bigint << 58))::bigint) as a_additive,
    sum(((-b_smoothed * ln_ratio_smoothed - b_alone_as_source - a_alone_as_target)
        * (1::bigint << 58))::bigint) as b_additive,
    sum(((a_p * (a_ln_p - ln_middle) + b_p * (b_ln_p - ln_middle))
        * (1::bigint << 58))::bigint) as jensen_shannon
from shared
group by a_id, b_id;
