-- The alignment of each whole corpus with the target.
-- parameters: target
select
    source as corpus,
    kl_alignment as source_alignment
from alignment
where target = $target
