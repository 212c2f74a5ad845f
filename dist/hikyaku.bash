# Completion of hikyaku(1) for bash. The words come from the program's own table of commands; where
# it knows none (paths, addresses), bash goes on with file names.
_hikyaku() {
    local IFS=$'\n'
    # shellcheck disable=SC2207 # one word a line, none has blanks
    COMPREPLY=($("${COMP_WORDS[0]}" --completion "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _hikyaku hikyaku
