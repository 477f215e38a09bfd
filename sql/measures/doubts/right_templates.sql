-- The share of answers with the template of a query of their question, among the answers to questions of which a query
-- has a template; null if there are none. A text that occurs first at a query's own ordinal is joined by the ordinal.
-- parameters: answer_templates, answers, asked, asked_templates
with asked as (
    select distinct
        coalesce(given.question_ordinal, given.ordinal) as question,
        coalesce(parsed.template, parsed_again.template) as template
    from read_parquet($asked) as given
    left join read_parquet($asked_templates) as parsed on given.ordinal = parsed.first_ordinal
    left join (from read_parquet($asked_templates) where n_queries > 1) as parsed_again on given.sql = parsed_again.sql
    where coalesce(parsed.template, parsed_again.template) is not null
),

answers as (
    select
        coalesce(given.question_ordinal, given.ordinal) as question,
        coalesce(parsed.template, parsed_again.template) as template,
        given.n_occurrences
    from read_parquet($answers) as given
    left join read_parquet($answer_templates) as parsed on given.ordinal = parsed.first_ordinal
    left join (from read_parquet($answer_templates) where n_queries > 1) as parsed_again on given.sql = parsed_again.sql
    where coalesce(given.question_ordinal, given.ordinal) in (select question from asked)
)

select coalesce(sum(n_occurrences) filter (asked.template is not null), 0) / sum(n_occurrences) as share
from answers
left join asked on answers.question = asked.question and answers.template = asked.template
