-- The corpora that are new in a run, or whose content changed since the run before it. In the first run, all are new.
-- parameters: run_id
with numbered as (
    select
        run_id,
        json_keys(corpora_digests) as names,
        corpora_digests,
        lag(corpora_digests) over (order by rowid) as digests_before
    from runs
),

listed as (
    select
        unnest(names) as corpus,
        corpora_digests,
        digests_before
    from numbered
    where run_id = $run_id
),

compared as (
    select
        corpus,
        json_extract_string(corpora_digests, '$."' || corpus || '"') as digest,
        json_extract_string(digests_before, '$."' || corpus || '"') as digest_before
    from listed
)

select corpus, digest_before is null as is_new
from compared
where digest is distinct from digest_before
order by corpus
