-- The templated queries of the target, with the keys by which overlaps are found. Two queries
-- nearly overlap if their templates and literals are equal. Literals are compared in their order,
-- without quotes, in lower case. A list of literals is telling if any of them is more than a short
-- number, such as that of LIMIT 1.
-- Expects the macros of literals.sql.
-- parameters: target, templates_file
create or replace temp table target_queries as
select
    asked.ordinal,
    asked.db_id,
    asked.template_id,
    asked.n_occurrences,
    parsed.comparable_key,
    literals_of(asked.sql) as literals
from queries as asked
join read_parquet($templates_file) as parsed on asked.sql = parsed.sql
where asked.corpus = $target and asked.template_id is not null;
