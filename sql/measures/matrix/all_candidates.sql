-- Makes all n-grams candidates, for contents that are p in a direction that is still open.
-- parameters: none
create or replace temp table candidates as
select
    content_id,
    1 as least_occurrences,
    0.0 as p_of_others
from (select distinct p_id as content_id from open_directions);
