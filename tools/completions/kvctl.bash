# SPDX-License-Identifier: MIT
# bash completion for kvctl(1)

# Up to 200 keys, and directories, that begin as the word does.
_kvctl_keys() {
	local key
	# Readline quotes what it inserts, as it does with file names.
	compopt -o filenames
	while IFS= read -r key; do
		COMPREPLY+=("$key")
	done < <(kvctl list --shallow --limit 200 --prefix "${cur//\\/}" -- \
		"$1" 2>/dev/null)
	if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then
		compopt -o nospace
	fi
}

_kvctl_options() {
	case $1 in
	get | exists) echo '--null -0' ;;
	set) echo '--file -f --if-absent --if-version' ;;
	append) echo '--file -f' ;;
	dump) echo '--prefix -p --from --to --attributes -a --tar -t' ;;
	export) echo '--prefix -p --from --to' ;;
	load) echo '--file -f --tar -t' ;;
	top) echo '--interval -i --count -n --once -1' ;;
	health) echo '--quiet -q' ;;
	scrub) echo '--rate -r --resume -R --json -j' ;;
	partition) echo '--schema --durability --quota --compress --json -j' ;;
	delete) echo '--recursive -r --null -0' ;;
	list) echo '--prefix -p --from --after --to --limit -n --long -l
		--json -j --directories -d --shallow -s --null -0' ;;
	stat) echo '--json -j --null -0' ;;
	stats) echo '--json -j' ;;
	check | fsck) echo '--repair -r --resume -R --json -j' ;;
	incr) echo '--by -b' ;;
	create) echo '--block-size -b' ;;
	cas) echo '--absent -a' ;;
	shell) echo '--command -c --stop -e' ;;
	umount) echo '--timeout -t' ;;
	esac
}

# The first operand behind the command, and a partition's action: the store.
_kvctl_store() {
	local i first=2
	[[ ${COMP_WORDS[1]} == partition ]] && first=3
	for ((i = first; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--file | --prefix | --from | --after | --to | --limit | \
			--timeout | --by | --block-size | --if-version | --interval | --count | --rate | \
			--schema | --durability | --quota | --compress | --command | -i | -c | -f | -p | -n | -t | -b) ((i++)) ;;
		-?*) ;;
		*)
			printf '%s' "${COMP_WORDS[i]/#\~/$HOME}"
			return
			;;
		esac
	done
}

_kvctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} store
	local commands='get set append delete list exists stat incr cas dump load export
		import create stats top health compact scrub check fsck partition umount shell version help'

	COMPREPLY=()
	if [[ $COMP_CWORD -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" \
			-- "$cur")
		return
	fi
	store=$(_kvctl_store)
	case $prev in
	--file | -f)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--prefix | -p | --from | --after | --to)
		[[ -n $store ]] && _kvctl_keys "$store"
		return
		;;
	--schema)
		mapfile -t COMPREPLY < <(compgen -W 'bytes string int' -- "$cur")
		return
		;;
	--durability)
		mapfile -t COMPREPLY < <(compgen -W 'always fsync none' -- "$cur")
		return
		;;
	--compress)
		mapfile -t COMPREPLY < <(compgen -W 'none zlib' -- "$cur")
		return
		;;
	--quota) return ;;
	--limit | -n | --timeout | -t | --by | --block-size | --if-version | \
		--interval | -i | --count | --rate | -b) return ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(_kvctl_options "$command") --help" -- "$cur")
	elif [[ $command == help ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	elif [[ $command == partition && $COMP_CWORD -eq 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			'create list describe set drop' -- "$cur")
	elif [[ -z $store ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	elif [[ $command == export || $command == import ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	else
		case $command in
		get | set | append | delete | exists | stat | incr | cas) _kvctl_keys "$store" ;;
		partition)
			# The first word of a line of partition list.
			mapfile -t COMPREPLY < <(compgen -W "$(kvctl partition \
				list -- "$store" 2>/dev/null | cut -d ' ' -f 1)" \
				-- "$cur")
			;;
		esac
	fi
}

complete -F _kvctl kvctl
