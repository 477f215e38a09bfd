-- The number of queries of each content with a template, and whether their texts are known. Expects
-- the table contents.
-- parameters: templates_files
create or replace temp table n_templated as
select
    contents.content_id,
    sum(parsed.n_queries)::bigint as n_templated,
    count(parsed.comparable_key) > 0 as has_texts
from read_parquet($templates_files, filename = true) as parsed
join contents on parsed.filename = contents.templates_file
where parsed.template_id is not null
group by contents.content_id;
