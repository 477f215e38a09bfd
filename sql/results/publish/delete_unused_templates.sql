-- Delete the templates that no query of any corpus still has. templates_files has the templates of all corpora.
-- parameters: templates_files
delete from templates
where template_id not in (select template_id from read_parquet($templates_files) where template_id is not null);
