-- Delete the templates that no query has any more.
-- parameters: none
delete from templates
where template_id not in (select template_id from queries where template_id is not null);
