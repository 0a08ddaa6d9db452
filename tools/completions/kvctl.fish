# SPDX-License-Identifier: MIT
# fish completion for kvctl(1)

# The operand behind the command: the store.
function __kvctl_store
    set -l words (commandline -opc)
    set -l skip 0
    set -l first 3
    test "$words[2]" = partition; and set first 4
    for word in $words[$first..-1]
        if test $skip -eq 1
            set skip 0
            continue
        end
        switch $word
            case --file --prefix --from --after --to --limit --timeout \
                    --by --block-size --if-version --interval --count --rate --schema --durability --quota --compress --command -i -c -f -p -n -t -b
                set skip 1
            case '-?*'
            case '*'
                echo $word
                return 0
        end
    end
    return 1
end

# Up to 200 keys, and directories, that begin as the word does.
function __kvctl_keys
    set -l store (__kvctl_store)
    or return
    kvctl list --shallow --limit 200 --prefix (commandline -ct) \
        -- $store 2>/dev/null
end

function __kvctl_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __kvctl_wants_store
    set -l words (commandline -opc)
    test (count $words) -ge 2; and not __kvctl_in help version
    and not __kvctl_store >/dev/null
end

set -l commands get set append delete list exists stat incr cas dump load \
    export import create stats top health compact scrub check fsck partition umount shell \
    version help

complete -c kvctl -f
complete -c kvctl -n '__fish_is_first_arg' -a get -d 'write values to standard output'
complete -c kvctl -n '__fish_is_first_arg' -a set -d 'give keys their values'
complete -c kvctl -n '__fish_is_first_arg' -a append -d 'add to the ends of values'
complete -c kvctl -n '__fish_is_first_arg' -a delete -d 'delete keys'
complete -c kvctl -n '__fish_is_first_arg' -a list -d 'list keys in order'
complete -c kvctl -n '__fish_is_first_arg' -a exists -d 'do keys exist?'
complete -c kvctl -n '__fish_is_first_arg' -a stat -d 'all about keys but their values'
complete -c kvctl -n '__fish_is_first_arg' -a incr -d 'add to a number'
complete -c kvctl -n '__fish_is_first_arg' -a cas -d 'change a value if it is as expected'
complete -c kvctl -n '__fish_is_first_arg' -a dump -d 'write keys and values as text or tar'
complete -c kvctl -n '__fish_is_first_arg' -a load -d 'set keys from a dump'
complete -c kvctl -n '__fish_is_first_arg' -a export -d 'write keys as files'
complete -c kvctl -n '__fish_is_first_arg' -a import -d 'set keys from files'
complete -c kvctl -n '__fish_is_first_arg' -a top -d 'watch a mounted store'
complete -c kvctl -n '__fish_is_first_arg' -a scrub -d 'verify all stored bytes'
complete -c kvctl -n '__fish_is_first_arg' -a health -d 'is anything known to be wrong?'
complete -c kvctl -n '__fish_is_first_arg' -a create -d 'make an empty store'
complete -c kvctl -n '__fish_is_first_arg' -a stats -d 'counters of the store'
complete -c kvctl -n '__fish_is_first_arg' -a compact -d 'give back disk space'
complete -c kvctl -n '__fish_is_first_arg' -a 'check fsck' -d 'verify everything stored'
complete -c kvctl -n '__fish_is_first_arg' -a partition -d 'make and look after partitions'
complete -c kvctl -n '__fish_is_first_arg' -a umount -d 'unmount and wait for the daemon'
complete -c kvctl -n '__fish_is_first_arg' -a shell -d 'run commands from standard input'
complete -c kvctl -n '__fish_is_first_arg' -a version -d 'which version this is'
complete -c kvctl -n '__fish_is_first_arg' -a help -d 'explain a command'
complete -c kvctl -n '__fish_is_first_arg' -l version
complete -c kvctl -l help -d 'what the command does'
complete -c kvctl -n '__kvctl_in help' -a "$commands"

complete -c kvctl -n '__kvctl_wants_store' -a '(__fish_complete_directories)'
complete -c kvctl -n '__kvctl_in get set append delete exists stat incr cas' -a '(__kvctl_keys)'

complete -c kvctl -n '__kvctl_in get delete exists stat list' -s 0 -l null -d 'keys end in NUL'
complete -c kvctl -n '__kvctl_in set' -l if-absent -d 'only keys that do not exist'
complete -c kvctl -n '__kvctl_in set' -l if-version -x -d 'only while stat shows it'
complete -c kvctl -n '__kvctl_in set append load' -s f -l file -rF -d 'the value is in this file'
complete -c kvctl -n '__kvctl_in delete' -s r -l recursive -d 'directories, too'
complete -c kvctl -n '__kvctl_in list dump export' -s p -l prefix -x -a '(__kvctl_keys)' -d 'keys that begin so'
complete -c kvctl -n '__kvctl_in list dump export' -l from -x -a '(__kvctl_keys)' -d 'begin at this key'
complete -c kvctl -n '__kvctl_in list' -l after -x -a '(__kvctl_keys)' -d 'begin behind this key'
complete -c kvctl -n '__kvctl_in list dump export' -l to -x -a '(__kvctl_keys)' -d 'end before this key'
complete -c kvctl -n '__kvctl_in list' -s n -l limit -x -d 'no more than that many'
complete -c kvctl -n '__kvctl_in list' -s l -l long -d 'mode, owner, size, time'
complete -c kvctl -n '__kvctl_in list' -s d -l directories -d 'directories, too'
complete -c kvctl -n '__kvctl_in list' -s s -l shallow -d 'enter no directory'
complete -c kvctl -n '__kvctl_in list stat stats scrub check fsck partition' -s j -l json -d 'as JSON'
complete -c kvctl -n '__kvctl_in umount' -s t -l timeout -x -d 'wait so many seconds'
complete -c kvctl -n '__kvctl_in incr' -s b -l by -x -d 'add this'
complete -c kvctl -n '__kvctl_in cas' -s a -l absent -d 'expect no such key'
complete -c kvctl -n '__kvctl_in create' -s b -l block-size -x -d '4K to 1M'
complete -c kvctl -n '__kvctl_in dump' -s a -l attributes -d 'mode and mtime'
complete -c kvctl -n '__kvctl_in dump load' -s t -l tar -d 'a tar archive'
complete -c kvctl -n '__kvctl_in top' -s i -l interval -x -d 'seconds'
complete -c kvctl -n '__kvctl_in top' -s n -l count -x -d 'so many frames'
complete -c kvctl -n '__kvctl_in top' -s 1 -l once -d 'one frame'
complete -c kvctl -n '__kvctl_in health' -s q -l quiet -d 'exit status only'
complete -c kvctl -n '__kvctl_in scrub' -s r -l rate -x -d 'bytes a second'
complete -c kvctl -n '__kvctl_in shell' -s c -l command -x -d 'this line only'
complete -c kvctl -n '__kvctl_in shell' -s e -l stop -d 'end at an error'
complete -c kvctl -n '__kvctl_in scrub check fsck' -s R -l resume -d 'go on'
complete -c kvctl -n '__kvctl_in check fsck' -s r -l repair -d 'put right what can be'
complete -c kvctl -n '__kvctl_in partition; and test (count (commandline -opc)) -eq 2' -a 'create list describe set drop'
complete -c kvctl -n '__kvctl_in partition' -l schema -x -a 'bytes string int' -d 'of values'
complete -c kvctl -n '__kvctl_in partition' -l durability -x -a 'always fsync none' -d 'when to sync'
complete -c kvctl -n '__kvctl_in partition' -l quota -x -d 'that the values may take'
complete -c kvctl -n '__kvctl_in partition' -l compress -x -a 'none zlib' -d 'values'
