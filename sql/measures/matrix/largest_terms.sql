-- The largest terms of each open direction, among the candidates of its p. Equal terms are ranked
-- in the order of their n-grams. Adds the terms of a direction if no other n-gram can have a larger
-- one, and otherwise leaves the direction open. Run for each partition of the n-grams, it adds the
-- largest terms of each.
-- parameters: skew, most
create temp table if not exists largest_terms (
    source_id integer,
    target_id integer,
    direction varchar,
    ngram varchar,
    p double,
    q double,
    contribution_nats double
);

create or replace temp table candidate_counts as
select
    count_values.content_id,
    counts.ngram_id,
    count_values.p
from counts
join count_values using (value_id)
join candidates using (content_id)
where
    count_values.n_occurrences >= candidates.least_occurrences
    and content_id in (select p_id from open_directions);

create or replace temp table candidate_ngrams as
select
    ngram_id,
    ngram,
    (row_number() over (order by ngram))::integer as place
from vocabulary
where ngram_id in (select ngram_id from candidate_counts);

create or replace temp table newly_largest as
with other_counts as (
    select
        count_values.content_id,
        counts.ngram_id,
        count_values.p
    from counts
    join count_values using (value_id)
    where
        content_id in (select q_id from open_directions)
        and ngram_id in (select ngram_id from candidate_ngrams)
),

terms as (
    select
        directions.source_id,
        directions.target_id,
        directions.direction,
        candidate_ngrams.place,
        p.p,
        coalesce(q.p, 0.0) as q,
        -p.p * ln((1 - $skew) * (coalesce(q.p, 0.0) / p.p) + $skew) as contribution_nats
    from open_directions as directions
    join candidate_counts as p on directions.p_id = p.content_id
    join candidate_ngrams on p.ngram_id = candidate_ngrams.ngram_id
    left join other_counts as q on directions.q_id = q.content_id and p.ngram_id = q.ngram_id
),

largest as (
    select
        source_id,
        target_id,
        direction,
        max({
            'contribution_nats': contribution_nats, 'minus_place': -place, 'p': p, 'q': q
        }, $most) as largest
    from terms
    where contribution_nats > 0
    group by source_id, target_id, direction
)

select
    directions.*,
    -- A list that is not full has room for every other n-gram.
    if(len(largest) = $most, largest[-1].contribution_nats, 0.0) > -p_of_others * ln($skew)
        or p_of_others = 0 as is_complete,
    coalesce(largest, []) as largest
from open_directions as directions
join candidates on directions.p_id = candidates.content_id
left join largest using (source_id, target_id, direction);

insert into largest_terms
select
    source_id,
    target_id,
    direction,
    candidate_ngrams.ngram,
    term.p,
    term.q,
    term.contribution_nats
from (
    select source_id, target_id, direction, unnest(largest) as term
    from newly_largest
    where is_complete
)
join candidate_ngrams on -term.minus_place = candidate_ngrams.place;
