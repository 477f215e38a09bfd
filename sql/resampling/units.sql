-- How often each template occurs in each unit of a corpus. A unit is a database, or a query: what is drawn again
-- as a whole. A query whose database is not known is a unit of its own,
-- with all its occurrences in a log. Rows of $asked say which database the
-- query of the same ordinal is for: the corpus itself, or the target that it answers. Of more units than
-- $most, groups are made by their names' MD5 that are drawn as one.
-- parameters: queries, templates, asked, by_database, most
with templated as (
    select
        if($by_database and asked.db_id is not null,
            'database ' || asked.db_id, 'query ' || given.ordinal) as unit,
        parsed.template,
        given.n_occurrences
    from read_parquet($queries) as given
    join read_parquet($templates) as parsed on given.sql = parsed.sql
    left join read_parquet($asked) as asked on given.ordinal = asked.ordinal
    where parsed.template is not null
),

-- Counted over the set that says which unit a query is of, so that a paired set has the same groups.
n_units as (
    select count(distinct if($by_database and db_id is not null,
        'database ' || db_id, 'query ' || ordinal)) as n_units
    from read_parquet($asked)
)

select
    if(n_units > $most, 'group ' || (md5_number_lower(unit) % $most), unit) as unit,
    template,
    sum(n_occurrences)::bigint as n_queries
from templated
cross join n_units
group by all
order by all
