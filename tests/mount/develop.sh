#!/bin/sh
# SPDX-License-Identifier: MIT
# A developer's day on the mount: git from commit to gc and fsck, a C project
# built by make -j2 and built again by time stamps, tar there and back; all of
# it found again after a remount.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3 git make tar
cc=$(command -v cc || command -v gcc || command -v clang) || skip "no compiler"
start

HOME=$work
GIT_CONFIG_NOSYSTEM=1
export HOME GIT_CONFIG_NOSYSTEM
git config --global user.name name
git config --global user.email name@host
git config --global init.defaultBranch main
git config --global core.fsync all

# A program of 40 modules, each with a header and a number to add.
mkdir "$mnt/project"
cd "$mnt/project"
python3 - <<'END'
import os
for i in range(40):
    with open("m%d.h" % i, "w") as f:
        f.write("int m%d(void);\n#define VALUE_%d %d\n" % (i, i, i))
    with open("m%d.c" % i, "w") as f:
        f.write('#include "m%d.h"\n#include <stdio.h>\n#include <stdlib.h>\n'
                'int m%d(void)\n{\n\treturn VALUE_%d;\n}\n' % (i, i, i))
with open("main.c", "w") as f:
    f.write("#include <stdio.h>\n")
    for i in range(40):
        f.write('#include "m%d.h"\n' % i)
    f.write('int main(void)\n{\n\tprintf("%d\\n", '
            + " + ".join("m%d()" % i for i in range(40))
            + ");\n\treturn 0;\n}\n")
with open("Makefile", "w") as f:
    f.write("""OBJECTS = main.o $(patsubst %.c,%.o,$(wildcard m[0-9]*.c))
program: libm.a main.o
	$(CC) -o $@ main.o libm.a
libm.a: $(filter-out main.o,$(OBJECTS))
	rm -f $@
	$(AR) rcs $@ $^
%.o: %.c
	$(CC) -MMD -g -c -o $@ $<
	@echo $@ >>built
clean:
	rm -f *.o *.d *.a program built
.PHONY: clean
-include $(wildcard *.d)
""")
with open(".gitignore", "w") as f:
    f.write("*.o\n*.d\n*.a\nprogram\nbuilt\n")
END

git init -q .
git add .
git commit -qm "a program"
make -j2 CC="$cc" >"$work/make" 2>&1 || {
	cat "$work/make"
	fail "make"
}
is "$(./program)" 780 "what the program says"
is "$(wc -l <built)" 41 "modules built"
rm built
is "$(make -j2 CC="$cc")" "make: 'program' is up to date." "make, again"
# The clock that stamps must have moved since the objects were made.
while :; do
	sed -i 's/VALUE_7 7/VALUE_7 1007/' m7.h
	touch m7.h
	[ -n "$(find m7.h -newer program)" ] && break
done
make -j2 CC="$cc" >"$work/make" 2>&1 || fail "make after a change"
is "$(sort built | tr '\n' ' ')" "m7.o main.o " "modules built again"
is "$(./program)" 1780 "what the changed program says"
is "$(git status --porcelain)" " M m7.h" "git status"
git commit -qam "another number"

# Branches, a merge, a rebase, a stash, a worktree.
git checkout -qb side HEAD~1
for i in $(seq 30); do
	echo "/* $i */" >>"m$((i % 10 + 20)).c"
	git commit -qam "side $i"
done
git checkout -q main
git merge -q --no-edit side
is "$(git log --oneline | wc -l)" 33 "commits"
git checkout -q side
git rebase -q main >"$work/out" 2>&1
echo stashed >>m1.c
git stash -q
is "$(git status --porcelain)" "" "after stash"
git stash pop -q
git checkout -q -f main
git worktree add -q "$mnt/tree" side
is "$(git -C "$mnt/tree" status --porcelain)" "" "a worktree"

# Clones: by hard links, by the protocol, bare; pushing and fetching.
git clone -q "$mnt/project" "$mnt/linked"
git clone -q "file://$mnt/project" "$mnt/fetched"
git clone -q --bare "$mnt/project" "$mnt/bare.git"
cd "$mnt/fetched"
echo new >new
git add new
git commit -qm new
git push -q "$mnt/bare.git" main
git -C "$mnt/linked" pull -q "$mnt/bare.git" main
is "$(cat "$mnt/linked/new")" new "pushed and pulled"
cd "$mnt/project"
git pull -q "$mnt/bare.git" main
git gc -q --prune=now
for repository in project linked fetched bare.git; do
	git -C "$mnt/$repository" fsck --full --strict >"$work/out" 2>&1 ||
		fail "git fsck of $repository: $(cat "$work/out")"
done
head=$(git rev-parse HEAD)
make -j2 CC="$cc" >"$work/make" 2>&1 || fail "make after the merge"

# tar, there and back.
tar --format=posix -czf "$mnt/project.tar.gz" -C "$mnt" project
mkdir "$mnt/untarred"
tar -xzpf "$mnt/project.tar.gz" -C "$mnt/untarred"
tar -df "$mnt/project.tar.gz" -C "$mnt" || fail "tar finds differences"
diff -r "$mnt/project" "$mnt/untarred/project" || fail "untarred is different"
cd /
restart
cd "$mnt/untarred/project"
is "$(git rev-parse HEAD)" "$head" "commit after a remount"
is "$(git status --porcelain)" "" "git status after a remount"
is "$(make -q CC="$cc" && echo built)" built "time stamps after a remount"
is "$(./program)" 1780 "the program after a remount"
git -C "$mnt/project" fsck --full --strict >"$work/out" 2>&1 ||
	fail "git fsck after a remount: $(cat "$work/out")"
cd /
