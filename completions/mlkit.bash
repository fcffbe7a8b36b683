# bash completion for mlkit, made by 'mlkit completion bash'
_mlkit() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local path='' words='' i candidate
    for ((i = 1; i < COMP_CWORD; i++)); do
        candidate=${path:+$path }${COMP_WORDS[i]}
        case $candidate in
            'completion'|'demo'|'warm') path=$candidate ;;
        esac
    done
    case "${path:+$path }$previous" in
    esac
    if [[ -z $words ]]; then case "$path" in
        '') words='--help --version -h completion demo warm' ;;
        'completion') words='--config --debug --help --output --print-config --quiet --verbose -h -o -q -v all bash fish man zsh' ;;
        'demo') words='--config --debug --help --output --print-config --quiet --threads --verbose -h -o -q -t -v' ;;
        'warm') words='--config --debug --help --print-config --quiet --verbose -h -q -v' ;;
    esac; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [[ ${#COMPREPLY[@]} -eq 0 && $current != -* ]]; then
        COMPREPLY=($(compgen -f -- "$current"))
    fi
}
complete -o filenames -o bashdefault -F _mlkit mlkit
