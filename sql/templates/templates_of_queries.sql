-- Distinct texts of one corpus with their templates, from the parsed parts, which have a row for each text in the order
-- of the texts. So neither a join nor an order is needed, which would take the memory of all texts.
-- parameters: texts, parts
select
    if(
        texts.first_ordinal = parsed.first_ordinal, texts.first_ordinal, error('the parts are not those of the texts')
    ) as first_ordinal,
    texts.sql,
    texts.n_queries,
    parsed.template,
    md5(parsed.template) as template_id,
    parsed.reject_reason,
    parsed.comparable_key
from read_parquet($texts) as texts
positional join read_parquet($parts) as parsed
