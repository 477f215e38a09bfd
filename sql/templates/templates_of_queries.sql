-- Distinct texts of one corpus with their templates, joined from the parsed parts.
-- parameters: texts, parts
select
    texts.first_ordinal,
    texts.sql,
    texts.n_queries,
    parsed.template,
    md5(parsed.template) as template_id,
    parsed.reject_reason,
    parsed.comparable_key
from read_parquet($texts) as texts
join read_parquet($parts) as parsed using (first_ordinal)
order by texts.first_ordinal
