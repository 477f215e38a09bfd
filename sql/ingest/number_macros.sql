-- Macros for numbers in texts.
-- parameters: none

-- A number without the separators of its thousands, which are of one kind and unmistakable: 5,000 and 5 000, but not
-- 5.000 or 0,500. Other texts stay as they are.
create or replace macro plain_number(text) as
    if(
        regexp_full_match(
            trim(text),
            '[+-]?[1-9]\d{0,2}(?:'
            || '(?:,\d{3})+|(?:[ \x{A0}\x{2009}\x{202F}]\d{3})+|(?:[''\x{2019}]\d{3})+|(?:_\d{3})+'
            || ')(?:\.\d+)?'
        ),
        regexp_replace(text, '[^0-9.+-]', '', 'g'),
        text
    );

-- The number that a text spells; null if it does not spell one.
create or replace macro to_number(text) as try_cast(plain_number(text) as double);
