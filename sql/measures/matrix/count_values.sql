-- The measures' terms that depend on one content alone. The terms of an n-gram depend only on its
-- two counts, so all n-grams of a content with the same count are one value. The values of new
-- contents are numbered first, content by content. Expects given_values: see values.sql.
-- Sums of floating-point terms, here and in the other files of this folder, are sums of integers
-- (term * 2^58, rounded), so that neither the order of rows nor the number of threads changes a
-- bit.
-- parameters: epsilon, n_candidates
create or replace temp table count_values as
with totals as (
    select
        content_key,
        sum(n_occurrences * n_distinct) as n_ngrams
    from given_values
    group by content_key
),

probabilities as (
    select
        contents.content_id,
        contents.is_new,
        given_values.n_occurrences,
        given_values.n_distinct,
        given_values.n_occurrences / totals.n_ngrams::double as p
    from given_values
    join totals using (content_key)
    join contents using (content_key)
)

select
    (row_number() over (order by is_new desc, content_id, n_occurrences) - 1)::integer as value_id,
    content_id,
    n_occurrences,
    n_distinct,
    p,
    ln(p) as ln_p,
    p + $epsilon as p_smoothed,
    ln(p + $epsilon) as ln_p_smoothed,
    (p + $epsilon) * (ln(p + $epsilon) - ln($epsilon)) as alone_as_source,
    $epsilon * (ln($epsilon) - ln(p + $epsilon)) as alone_as_target
from probabilities
order by value_id;

create or replace temp table content_totals as
select
    content_id,
    sum(n_occurrences * n_distinct)::bigint as n_ngrams,
    sum(n_distinct)::bigint as n_distinct_ngrams,
    sum(n_distinct * (alone_as_source * (1::bigint << 58))::bigint) as alone_as_source,
    sum(n_distinct * (alone_as_target * (1::bigint << 58))::bigint) as alone_as_target
from count_values
group by content_id;

-- Contents without n-grams have no distribution.
delete from open_directions
where
    p_id not in (select content_id from content_totals)
    or q_id not in (select content_id from content_totals);

-- The most frequent n-grams of the contents that are p in some direction, at most n_candidates of
-- each: those with at least least_occurrences. A term is at most p ln(1 / skew), so these mostly
-- contain the largest terms; p_of_others bounds the terms of all others.
create or replace temp table candidates as
with ranked as (
    select
        content_id,
        n_occurrences,
        p,
        sum(n_distinct) over (partition by content_id order by n_occurrences desc) <= $n_candidates
            as is_candidate
    from count_values
    where content_id in (select p_id from open_directions)
)

select
    content_id,
    coalesce(min(n_occurrences) filter (where is_candidate), max(n_occurrences) + 1)
        as least_occurrences,
    coalesce(max(p) filter (where not is_candidate), 0.0) as p_of_others
from ranked
group by content_id;
