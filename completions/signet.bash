# SPDX-License-Identifier: Apache-2.0
# bash completion for signetd, signetctl and signet-bench: what they say of themselves with
# --help, so that it is never stale, and the names of models that the server knows.

_signet_options() {
	"$@" --help 2>/dev/null | sed -n 's/^ *\(--[a-z][a-z-]*\).*/\1/p'
}

_signet_words() {
	COMPREPLY=($(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"))
}

# Options, else files.
_signet_program() {
	case ${COMP_WORDS[COMP_CWORD]} in
	-*) _signet_words "$(_signet_options "$1")" ;;
	*) compopt -o default 2>/dev/null ;;
	esac
}

_signetctl() {
	local at command= server=()
	for ((at = 1; at < COMP_CWORD; at++)); do
		case ${COMP_WORDS[at]} in
		--server | --cacert | --cert | --key) server+=("${COMP_WORDS[at]}" "${COMP_WORDS[++at]}") ;;
		--insecure) server+=(--insecure) ;;
		-*) ;;
		*) command=${command:-${COMP_WORDS[at]}} ;;
		esac
	done
	local word=${COMP_WORDS[COMP_CWORD]}
	case $command,$word in
	,* | help,*)
		_signet_words "$("$1" --help | sed -n 's/^  \([a-z]*\) .*/\1/p') help $(_signet_options "$1") --version --help" ;;
	*,-*)
		_signet_words "$(_signet_options "$1" "$command") --help" ;;
	show,* | predict,* | load,* | unload,*)
		_signet_words "$("$1" "${server[@]}" models 2>/dev/null | awk 'NR > 1 { print $1 }')"
		[ "$command" = predict ] && compopt -o default 2>/dev/null ;;
	*)
		compopt -o default 2>/dev/null ;;
	esac
	return 0
}

complete -F _signet_program signetd signet-bench
complete -F _signetctl signetctl
