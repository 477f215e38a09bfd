-- Name the files of the corpora by their places in another folder.
-- parameters: folder
update corpora
set
    ngrams_file = $folder || '/ngrams/' || parse_filename(ngrams_file),
    queries_file = $folder || '/queries/' || parse_filename(queries_file),
    templates_file = $folder || '/stages/templates/' || parse_filename(templates_file);
