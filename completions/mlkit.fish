# fish completion for mlkit, made by 'mlkit completion fish'
function __mlkit_at
    set -l path
    for word in (commandline -opc)[2..-1]
        set -l candidate (string join ' ' $path $word)
        if contains -- "$candidate" $__mlkit_paths
            set path $path $word
        end
    end
    test "$path" = "$argv"
end
set -g __mlkit_paths 'completion' 'demo' 'warm'
complete -c mlkit -n '__mlkit_at ' -f -a 'completion' -d 'Print shell completions and man pages.'
complete -c mlkit -n '__mlkit_at ' -f -a 'demo' -d 'Show what mlkit does, on text that every machine has.'
complete -c mlkit -n '__mlkit_at ' -f -a 'warm' -d 'Compile every kernel ahead of time.'
complete -c mlkit -n '__mlkit_at ' -l version -d 'Print the version and exit.'
complete -c mlkit -n '__mlkit_at ' -l help -s h -d 'Show this message and exit.'
complete -c mlkit -n '__mlkit_at completion' -f -a 'bash zsh fish man all'
complete -c mlkit -n '__mlkit_at completion' -l output -s o -r -d 'Write the files there (\'man\' and \'all\' need it).'
complete -c mlkit -n '__mlkit_at completion' -l config -r -d 'Read options from a YAML file (flags and environment win).'
complete -c mlkit -n '__mlkit_at completion' -l print-config -d 'Print the effective options as YAML and exit.'
complete -c mlkit -n '__mlkit_at completion' -l quiet -s q -d 'Say nothing but errors on stderr.'
complete -c mlkit -n '__mlkit_at completion' -l verbose -s v -d 'Say more on stderr.'
complete -c mlkit -n '__mlkit_at completion' -l debug -d 'Show a traceback for errors.'
complete -c mlkit -n '__mlkit_at completion' -l help -s h -d 'Show this message and exit.'
complete -c mlkit -n '__mlkit_at demo' -l output -s o -r -d 'Folder for the text and the results.'
complete -c mlkit -n '__mlkit_at demo' -l threads -s t -x -d 'Threads to use.'
complete -c mlkit -n '__mlkit_at demo' -l config -r -d 'Read options from a YAML file (flags and environment win).'
complete -c mlkit -n '__mlkit_at demo' -l print-config -d 'Print the effective options as YAML and exit.'
complete -c mlkit -n '__mlkit_at demo' -l quiet -s q -d 'Say nothing but errors on stderr.'
complete -c mlkit -n '__mlkit_at demo' -l verbose -s v -d 'Say more on stderr.'
complete -c mlkit -n '__mlkit_at demo' -l debug -d 'Show a traceback for errors.'
complete -c mlkit -n '__mlkit_at demo' -l help -s h -d 'Show this message and exit.'
complete -c mlkit -n '__mlkit_at warm' -l config -r -d 'Read options from a YAML file (flags and environment win).'
complete -c mlkit -n '__mlkit_at warm' -l print-config -d 'Print the effective options as YAML and exit.'
complete -c mlkit -n '__mlkit_at warm' -l quiet -s q -d 'Say nothing but errors on stderr.'
complete -c mlkit -n '__mlkit_at warm' -l verbose -s v -d 'Say more on stderr.'
complete -c mlkit -n '__mlkit_at warm' -l debug -d 'Show a traceback for errors.'
complete -c mlkit -n '__mlkit_at warm' -l help -s h -d 'Show this message and exit.'
