-- The number of queries of each content with a template, and with a text, that the other content of
-- the pair also has. The texts of some contents are unknown. Expects the table contents.
-- parameters: templates_files
create or replace temp table templated as
select
    contents.content_id,
    contents.is_new,
    parsed.n_queries,
    parsed.template_id,
    parsed.comparable_key
from read_parquet($templates_files, filename = true) as parsed
join contents on parsed.filename = contents.templates_file
where parsed.template_id is not null;

create or replace temp table n_templated as
select
    content_id,
    sum(n_queries)::bigint as n_templated,
    count(comparable_key) > 0 as has_texts
from templated
group by content_id;

create or replace temp table units as
select
    content_id,
    is_new,
    'template' as kind,
    unhex(template_id) as unit,
    sum(n_queries)::bigint as n_queries
from templated
where is_new or template_id in (select template_id from templated where is_new)
group by content_id, is_new, template_id
union all
select
    content_id,
    is_new,
    'text' as kind,
    comparable_key as unit,
    sum(n_queries)::bigint as n_queries
from templated
where is_new or comparable_key in (select comparable_key from templated where is_new)
group by content_id, is_new, comparable_key;

create or replace temp table unit_overlaps as
with shared as (
    select
        a.content_id as a_id,
        b.content_id as b_id,
        a.kind,
        sum(a.n_queries) as a_queries,
        sum(b.n_queries) as b_queries
    from units as a
    join units as b using (kind, unit)
    where a.is_new and (not b.is_new or a.content_id < b.content_id)
    group by a_id, b_id, kind
),

directed as (
    select a_id as source_id, b_id as target_id, kind, b_queries as n_queries
    from shared
    union all
    select b_id as source_id, a_id as target_id, kind, a_queries as n_queries
    from shared
)

select
    source_id,
    target_id,
    coalesce(sum(n_queries) filter (where kind = 'template'), 0)::bigint as n_templates_shared,
    coalesce(sum(n_queries) filter (where kind = 'text'), 0)::bigint as n_texts_shared
from directed
group by source_id, target_id;

drop table templated;
drop table units;
