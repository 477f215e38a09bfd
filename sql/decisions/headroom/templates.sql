-- The templates of some corpora.
-- parameters: corpora
select templates.template_id, templates.template
from templates
semi join (select template_id from queries where list_contains($corpora, corpus)) as used
    on templates.template_id = used.template_id
order by templates.template_id
