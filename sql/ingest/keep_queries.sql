-- View dump: the rows of view all_rows that its format does not leave out, numbered from 0 in their
-- order.
-- parameters: none
create view dump as
select * replace (row_number() over () - 1 as ordinal)
from all_rows
where left_out is null
