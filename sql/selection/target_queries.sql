-- The target's queries with a template: database, how often each counts, and what an overlap with them is told by. Two queries
-- are nearly the same where template and literals are: literals in their order, without quotes, in lower case.
-- A list of literals without one that says something (short numbers say nothing: LIMIT 1, > 10) is none.
-- parameters: target, templates_file
create or replace temp macro literals_of(text) as
    list_transform(
        regexp_extract_all(text, '''(?:[^'']|'''')*''|"(?:[^"]|"")*"|\b[0-9]+(?:\.[0-9]+)?\b'),
        lambda literal: lower(trim(literal, '''"'))
    );

create or replace temp macro telling_literals(text) as
    if(
        len(list_filter(
            literals_of(text), lambda literal: not regexp_full_match(literal, '[0-9]{0,2}')
        )) > 0,
        literals_of(text),
        null
    );

create or replace temp table target_queries as
select
    asked.ordinal,
    asked.db_id,
    asked.template_id,
    asked.n_occurrences,
    parsed.comparable_key,
    telling_literals(asked.sql) as literals
from queries as asked
join read_parquet($templates_file) as parsed on asked.sql = parsed.sql
where asked.corpus = $target and asked.template_id is not null;
