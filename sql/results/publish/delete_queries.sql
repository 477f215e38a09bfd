-- Delete the queries of some corpora, and the templates that no other query has.
-- parameters: corpora
delete from queries
where corpus in $corpora;

delete from templates
where template_id not in (select template_id from queries where template_id is not null);
