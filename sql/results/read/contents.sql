-- The tables and views of an attached database, each with its definition.
-- parameters: database
select 'table' as kind, schema_name, table_name as name, sql
from duckdb_tables()
where database_name = $database
union all
select 'view', schema_name, view_name, sql
from duckdb_views()
where database_name = $database and not internal
order by all
