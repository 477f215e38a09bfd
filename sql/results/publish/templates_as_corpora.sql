-- Create the tables from which structural_features.sql computes, with a corpus for each of some templates: its one
-- query has this template.
-- parameters: templates
create temp table given_templates as
select generate_subscripts($templates, 1) as number, unnest($templates) as template;

create temp table corpora as
select number as corpus, 1 as n_templated from given_templates order by number;

create temp table queries as
select number as corpus, number as ordinal, number as template_id, 1 as n_occurrences from given_templates;

create temp table templates as
select number as template_id, template, len(string_split(template, ' ')) as n_tokens from given_templates;

create temp table structural_features (
    corpus bigint, feature varchar, n_queries bigint, share double, mean double, example_ordinal bigint
);
