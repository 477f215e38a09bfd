-- The templated queries of a corpus in their order, with their frequencies.
-- parameters: corpus
select ordinal, template_id, n_occurrences
from queries
where corpus = $corpus and template_id is not null
order by ordinal
