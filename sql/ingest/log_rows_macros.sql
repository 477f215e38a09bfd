-- Macros for the formats of query logs.
-- parameters: none

-- The fields of a row under names in lower case: databases export names in either case.
create or replace macro lower_keys(fields) as
    map_from_entries(list_transform(map_entries(fields), lambda entry: {k: lower(entry.key), v: entry.value}));

-- Whether a value is missing. Some clients export a missing value as a word.
create or replace macro is_absent(value) as
    value is null
    or lower(trim(value, chr(9) || chr(10) || chr(13) || ' ')) in ('', 'null', '[null]', '<null>', '\n');

-- Reason why a text of a log is not the text of a query; null if it may be one. Logs hide the texts of other users
-- behind marks such as <insufficient privilege>.
create or replace macro missing_text(text) as
    case
        when is_absent(text) then 'without a text'
        when regexp_matches(text, '^\s*<[A-Za-z][A-Za-z -]{0,60}>\s*$')
            then 'without the privilege to see the text'
    end;

-- Reason to leave out a row for its status; null if the status is the good one, or unknown.
create or replace macro bad_status(status, good) as
    case
        when is_absent(status) or lower(trim(status)) = good then null
        when regexp_matches(lower(status), 'fail|error|exception|cancel|abort|incident|kill') then 'failed'
        else 'not finished'
    end;

-- Whether a flag is set, or unset: false if it is missing.
create or replace macro is_on(flag) as coalesce(lower(trim(flag)) in ('1', 'true', 't', 'y', 'yes'), false);

create or replace macro is_off(flag) as coalesce(lower(trim(flag)) in ('0', 'false', 'f', 'n', 'no'), false);

-- Reason to reject a text that is only a part of its query, by the size at which its log cuts texts.
create or replace macro cut_at(text, n_bytes) as
    case
        -- The cut may leave out up to three bytes of a character of several bytes.
        when strlen(text) >= n_bytes or (strlen(text) != length(text) and strlen(text) >= n_bytes - 3)
            then 'cut off by its log'
    end;

-- A text in which line breaks and tabs are written as \n, \r and \t.
create or replace macro unescape_breaks(text) as
    replace(replace(replace(text, '\n', chr(10)), '\r', ' '), '\t', ' ');

-- A value in a text that may be JSON; null if the text is not JSON.
create or replace macro inner_value(text, path) as
    case when json_valid(text) then text ->> path end;

-- A text in which backslashes escape line breaks, tabs, quotes and backslashes.
create or replace macro unescape_tsv(text) as
    replace(replace(unescape_breaks(replace(text, '\\', chr(1))), '\''', ''''), chr(1), '\');
