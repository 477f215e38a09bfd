-- The templates of a corpus, numbered in their order (sample_templates), and the number of queries of each unit with
-- each template, source and database (sample_units). A unit is a database or a query: resampling draws it as a whole. A
-- query with an unknown database is its own unit, with all its occurrences in a log. The question of $asked gives a
-- query's database: $asked is the corpus itself, or the target that it answers. is_grouped says whether $asked has
-- several queries of one question. More units than $most_units are combined into groups by the MD5 of their names. A
-- text that occurs first at a query's own ordinal is joined by the ordinal; only texts that occur again are compared.
-- parameters: queries, templates, asked, is_grouped, by_database, most_units
create or replace temp table sample_templates as
select template, row_number() over (order by template) - 1 as template_number
from (select distinct template from read_parquet($templates) where template is not null);

create or replace temp table sample_units as
with parsed as (
    select first_ordinal, template_number
    from read_parquet($templates)
    join sample_templates using (template)
),

parsed_again as (
    select sql, template_number
    from read_parquet($templates)
    join sample_templates using (template)
    where n_queries > 1
),

asked as (
    select ordinal as question, db_id
    from read_parquet($asked)
    where not $is_grouped
    union all
    select coalesce(question_ordinal, ordinal) as question, min(db_id) as db_id
    from read_parquet($asked)
    where $is_grouped
    group by coalesce(question_ordinal, ordinal)
),

templated as (
    select
        if($by_database and asked.db_id is not null,
            'database ' || asked.db_id, 'query ' || coalesce(given.question_ordinal, given.ordinal)
        ) as unit,
        coalesce(parsed.template_number, parsed_again.template_number) as template_number,
        given.part,
        given.db_id,
        given.n_occurrences
    from read_parquet($queries) as given
    left join parsed on given.ordinal = parsed.first_ordinal
    left join parsed_again on given.sql = parsed_again.sql
    left join asked on coalesce(given.question_ordinal, given.ordinal) = asked.question
),

-- Counts the units of $asked, so that a paired set has the same groups.
n_units as (
    select count(distinct if($by_database and db_id is not null,
        'database ' || db_id, 'query ' || question)) as n_units
    from asked
)

select
    if(n_units > $most_units, 'group ' || (md5_number_lower(unit) % $most_units), unit) as unit,
    template_number,
    part,
    db_id,
    sum(n_occurrences)::bigint as n_queries
from templated
cross join n_units
where template_number is not null
group by all;
