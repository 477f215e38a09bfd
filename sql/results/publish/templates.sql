-- Add the templates in these files that are not in the table yet.
-- parameters: templates_files
insert into templates
select
    template_id,
    any_value(template) as template,
    -- One space separates tokens; ORDER BY, GROUP BY and PARTITION BY are one token each.
    any_value(len(string_split(
        regexp_replace(template, '\b(ORDER|GROUP|PARTITION) BY\b', '\1_BY', 'g'), ' '
    ))) as n_tokens
from read_parquet($templates_files)
where
    template_id is not null
    and template_id not in (select template_id from templates)
group by template_id
order by template_id;
