-- The JSON values of a dump, in its order: one value per line, or a list of values.
-- parameters: paths
select
    row_number() over () as place,
    object
from read_json(
    $paths,
    columns = {object: 'json'},
    records = false,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
