-- For each content of answers, the share of its templated texts that are the reference's own, in the sense of
-- exact_overlap: the reference is the source of the pair, and the answers are its target.
-- parameters: answers, pairs, references
select
    target_key as answers,
    source_key as reference,
    exact_overlap as share
from read_parquet($pairs)
where
    target_key in (select unnest($answers::varchar[]))
    and source_key in (select unnest($references::varchar[]))
