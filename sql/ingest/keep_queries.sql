-- Makes view dump of view all_rows: without the rows that its format leaves out, numbered from 0 in
-- the order in which they come.
-- parameters: none
create view dump as
select * replace (row_number() over () - 1 as ordinal)
from all_rows
where left_out is null
