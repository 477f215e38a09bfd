-- How many queries of each content have a template, and a text, that the other content of the pair has too.
-- Expects the table contents (content_id, templates_file, is_new).
-- parameters: templates_files
create or replace temp table units as
with queries as (
    select
        contents.content_id,
        parsed.n_queries,
        parsed.template_id,
        parsed.comparable_key
    from read_parquet($templates_files, filename = true) as parsed
    join contents on parsed.filename = contents.templates_file
    where parsed.template_id is not null
)

select
    content_id,
    'template' as kind,
    unhex(template_id) as unit,
    sum(n_queries)::bigint as n_queries
from queries
group by content_id, template_id
union all
select
    content_id,
    'text' as kind,
    comparable_key as unit,
    sum(n_queries)::bigint as n_queries
from queries
group by content_id, comparable_key;

create or replace temp table unit_overlaps as
select
    source.content_id as source_id,
    target.content_id as target_id,
    coalesce(sum(target.n_queries) filter (target.kind = 'template'), 0)::bigint as n_templates_shared,
    coalesce(sum(target.n_queries) filter (target.kind = 'text'), 0)::bigint as n_texts_shared
from units as source
join units as target using (kind, unit)
join contents as source_content on source.content_id = source_content.content_id
join contents as target_content on target.content_id = target_content.content_id
where
    source.content_id != target.content_id
    and (source_content.is_new or target_content.is_new)
group by source.content_id, target.content_id;
