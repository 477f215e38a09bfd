-- The content of each value, and whether it is new, in the order of the values.
-- parameters: none
select
    count_values.content_id,
    contents.is_new
from count_values
join contents using (content_id)
order by count_values.value_id
