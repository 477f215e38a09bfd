-- The contents to compare, numbered in the order of their keys. Expects given_contents
-- (content_key, corpus, templates_file, is_target), and known_keys and known_targets (content_key):
-- the contents and targets that an earlier run measured.
-- parameters: none
create or replace temp table contents as
select
    (row_number() over (order by content_key))::integer as content_id,
    content_key,
    corpus,
    templates_file,
    is_target,
    content_key not in (from known_keys) as is_new
from given_contents;

-- The directions of each pair whose largest terms are needed. A direction compares p with q.
-- over: terms of KL(source || target), which sum to kl_nats.
-- under: terms of KL(target || source), which sum to reverse_kl_nats.
create or replace temp table open_directions as
with wanted_pairs as (
    select
        source.content_id as source_id,
        target.content_id as target_id
    from contents as source
    cross join contents as target
    where
        target.is_target
        and source.content_id != target.content_id
        and (
            source.is_new
            or target.is_new
            or target.content_key not in (from known_targets)
        )
)

select source_id, target_id, 'over' as direction, source_id as p_id, target_id as q_id
from wanted_pairs
union all
select source_id, target_id, 'under' as direction, target_id as p_id, source_id as q_id
from wanted_pairs;
