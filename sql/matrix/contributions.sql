-- The n-grams that make most of the divergence of each source from each target, of the pairs in wanted_pairs.
-- over: terms of KL(source || target), which sum to kl_nats; under: terms of KL(target || source), which sum
-- to reverse_kl_nats. Equal contributions rank in the order of their n-grams.
-- parameters: skew, most
with measured_pairs as (
    select wanted_pairs.*
    from wanted_pairs
    -- Contents without n-grams have no distribution to compare with.
    semi join content_totals as source on wanted_pairs.source_id = source.content_id
    semi join content_totals as target on wanted_pairs.target_id = target.content_id
),

directions as (
    select source_id, target_id, 'over' as direction, source_id as p_id, target_id as q_id
    from measured_pairs
    union all
    select source_id, target_id, 'under' as direction, target_id as p_id, source_id as q_id
    from measured_pairs
),

terms as (
    select
        directions.source_id,
        directions.target_id,
        directions.direction,
        p.ngram_id,
        p.p,
        coalesce(q.p, 0.0) as q,
        -p.p * ln((1 - $skew) * (coalesce(q.p, 0.0) / p.p) + $skew) as contribution_nats
    from directions
    join counts as p on directions.p_id = p.content_id
    left join counts as q on directions.q_id = q.content_id and p.ngram_id = q.ngram_id
),

largest as (
    select
        source_id,
        target_id,
        direction,
        unnest(max({
            'contribution_nats': contribution_nats, 'minus_ngram_id': -ngram_id, 'p': p, 'q': q
        }, $most)) as term
    from terms
    where contribution_nats > 0
    group by source_id, target_id, direction
)

select
    source.content_key as source_key,
    target.content_key as target_key,
    largest.direction,
    row_number() over (
        partition by source.content_key, target.content_key, largest.direction
        order by largest.term desc
    ) as rank,
    vocabulary.ngram,
    if(largest.direction = 'over', largest.term.p, largest.term.q) as source_probability,
    if(largest.direction = 'over', largest.term.q, largest.term.p) as target_probability,
    largest.term.contribution_nats
from largest
join contents as source on largest.source_id = source.content_id
join contents as target on largest.target_id = target.content_id
join vocabulary on vocabulary.ngram_id = -largest.term.minus_ngram_id
order by source_key, target_key, direction, rank
