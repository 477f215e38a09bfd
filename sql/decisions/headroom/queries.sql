-- The templated queries of a corpus in their order, with the ordinals of their questions and their
-- frequencies.
-- parameters: corpus
select question_ordinal as ordinal, template_id, n_occurrences
from queries
where corpus = $corpus and template_id is not null
order by queries.ordinal
