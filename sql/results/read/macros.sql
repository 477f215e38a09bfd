-- The macros of an attached database, as in contents.sql. It reads all functions, which takes longer than the rest.
-- parameters: database
select 'macro' as kind, schema_name, function_name as name, '' as sql
from duckdb_functions()
where database_name = $database and not internal
order by all
