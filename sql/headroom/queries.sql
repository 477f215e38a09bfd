-- The templated queries of a corpus, in their order. db_id is null where it is not known.
-- parameters: corpus
select ordinal, db_id, template_id
from queries
where corpus = $corpus and template_id is not null
order by ordinal
