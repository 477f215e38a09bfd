-- Closes the directions whose largest terms are found: see largest_terms.sql.
-- parameters: none
delete from open_directions
where (source_id, target_id, direction) in (
    select (source_id, target_id, direction) from newly_largest where is_complete
);
