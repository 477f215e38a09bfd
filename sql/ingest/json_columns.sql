-- Keys of the objects in a JSON dump.
-- parameters: paths
with keys as (
    select distinct unnest(json_keys(json)) as column_name
    from read_json_objects($paths, maximum_object_size = 33554432)
)

select column_name
from keys
order by column_name
