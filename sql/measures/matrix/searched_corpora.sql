-- The corpora whose n-grams are searched: those of new contents and of contents with candidates.
-- parameters: none
select contents.corpus
from contents
left join candidates using (content_id)
where contents.is_new or candidates.content_id is not null
