-- How many queries of a corpus have a template, of how many of these the database is known, and how many databases
-- there are.
-- parameters: queries, templates
select
    count(*) as n_queries,
    count(given.db_id) as n_with_database,
    count(distinct given.db_id) as n_databases
from read_parquet($queries) as given
join read_parquet($templates) as parsed on given.sql = parsed.sql
where parsed.template is not null
