-- The templates of a corpus, in the order of their numbers.
-- parameters: none
select template
from sample_templates
order by template_number
