#!/bin/sh
# SPDX-License-Identifier: MIT
# The ways in which programs replace files and deliver into directories: sed -i,
# vim's and emacs's saving, maildir.
. "$(dirname "$0")/lib.sh"
need_fuse
need python3
start
echo one >"$mnt/file"
chmod 640 "$mnt/file"

# sed: a temporary file that gets the mode, then a rename.
before=$(stat -c %i "$mnt/file")
sed -i 's/one/two/' "$mnt/file"
is "$(cat "$mnt/file")" two "sed -i"
is "$(stat -c %a "$mnt/file")" 640 "mode after sed -i"
[ "$(stat -c %i "$mnt/file")" != "$before" ] || fail "sed wrote in place"
sed -i.bak 's/two/three/' "$mnt/file"
is "$(cat "$mnt/file" "$mnt/file.bak")" "three
two" "sed -i.bak"
ln -s file "$mnt/soft"
sed -i --follow-symlinks 's/three/four/' "$mnt/soft"
is "$(readlink "$mnt/soft") $(cat "$mnt/file")" "file four" "through a link"

# vim itself: a swap file, a backup by renaming, and by copying where renaming
# would break a link.
vim=
for name in vim vim.tiny vim.basic; do
	command -v "$name" >/dev/null && vim=$name
done
vim_edit() {
	"$vim" -u NONE -N -es -c 'set backupskip=' "$@" </dev/null ||
		fail "$vim: status $?"
}
if [ -n "$vim" ]; then
	vim_edit -c 'set backup writebackup swapfile' -c '%s/four/five/' \
		-c wq "$mnt/file"
	is "$(cat "$mnt/file")" five "vim"
	is "$(cat "$mnt/file~")" four "vim's backup"
	is "$(stat -c %a "$mnt/file")" 640 "mode after vim"
	ln "$mnt/file" "$mnt/hard"
	vim_edit -c 'set writebackup swapfile' -c '%s/five/six/' -c wq \
		"$mnt/hard"
	is "$(cat "$mnt/file")" six "vim on a hard link"
	is "$(stat -c %h "$mnt/file")" 2 "links after vim"
	vim_edit -c 'set writebackup backupcopy=yes' -c '%s/six/seven/' -c wq \
		"$mnt/soft"
	is "$(readlink "$mnt/soft") $(cat "$mnt/file")" "file seven" \
		"vim through a link"
	is "$(find "$mnt" -name '.*.sw?')" "" "swap files left"
else
	echo "no vim: its ways are left to the program below"
fi
rm -f "${mnt:?}"/*

py <<'END'
import multiprocessing, mailbox

def put(name, text, flags=os.O_TRUNC, mode=0o666):
    fd = os.open(name, os.O_CREAT | os.O_WRONLY | flags, mode)
    os.write(fd, text.encode())
    os.fsync(fd)
    os.close(fd)

def text_of(name):
    with open(name) as f:
        return f.read()

# vim: can files be made here, and do they keep owner and mode? Then the file
# becomes its backup, and a new one takes its name.
put("v", "old")
os.chmod("v", 0o604)
os.setxattr("v", "user.x", b"kept")
put(".v.swp", "swap", os.O_EXCL, 0o600)
put("4913", "", os.O_EXCL, os.stat("v").st_mode)
os.chown("4913", os.stat("v").st_uid, os.stat("v").st_gid)
assert os.stat("4913").st_mode == os.stat("v").st_mode
os.unlink("4913")
old = os.stat("v")
os.rename("v", "v~")
put("v", "new", os.O_EXCL, 0o604)
for name in os.listxattr("v~"):
    os.setxattr("v", name, os.getxattr("v~", name))
assert os.stat("v~").st_ino == old.st_ino
assert text_of("v") == "new" and text_of("v~") == "old"
os.unlink("v~")
os.unlink(".v.swp")
assert os.listdir(".") == ["v"] and os.getxattr("v", "user.x") == b"kept"

# emacs: a link that leads nowhere is the lock; the first save renames the file
# to its backup; later ones write in place; autosaved text beside it. A file of
# several names is copied instead. With file-precious-flag: a new file renamed.
os.symlink("user@host.1234:1700000000", ".#v")
assert os.readlink(".#v").endswith("1700000000")
put("#v#", "autosaved", os.O_EXCL)
os.rename("v", "v~")
put("v", "first save", os.O_EXCL, 0o604)
os.chmod("v", 0o604)
os.unlink("#v#")
put("v", "second")
assert text_of("v") == "second" and text_of("v~") == "new"
os.link("v", "v2")
put("v~", text_of("v"))
put("v", "third")
assert text_of("v2") == "third"
put("tmp", "precious", os.O_EXCL)
os.chmod("tmp", 0o604)
os.rename("tmp", "v")
assert text_of("v") == "precious" and text_of("v2") == "third"
os.unlink(".#v")
assert not os.path.lexists(".#v")

# Maildir: written in tmp, linked or renamed into new, moved to cur by who
# reads, while others deliver.
DELIVERERS, MAILS = 4, 60
for name in "", "/tmp", "/new", "/cur":
    os.mkdir("mail" + name)

def deliver(who):
    for i in range(MAILS):
        name = "%d.%d.host" % (who, i)
        put("mail/tmp/" + name, "mail %s\n" % name * 50, os.O_EXCL)
        if i % 2:
            os.link("mail/tmp/" + name, "mail/new/" + name)
            os.unlink("mail/tmp/" + name)
        else:
            os.rename("mail/tmp/" + name, "mail/new/" + name)
        directory = os.open("mail/new", os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

deliverers = [multiprocessing.Process(target=deliver, args=(n,))
              for n in range(DELIVERERS)]
for process in deliverers:
    process.start()
read = set()
while len(read) < DELIVERERS * MAILS:
    assert any(p.is_alive() for p in deliverers) or os.listdir("mail/new")
    for name in os.listdir("mail/new"):
        assert text_of("mail/new/" + name) == "mail %s\n" % name * 50
        os.rename("mail/new/" + name, "mail/cur/" + name + ":2,S")
        assert name not in read
        read.add(name)
for process in deliverers:
    process.join()
    assert process.exitcode == 0
assert len(os.listdir("mail/cur")) == DELIVERERS * MAILS
assert os.listdir("mail/tmp") == os.listdir("mail/new") == []
box = mailbox.Maildir("mail", create=False)
box.add("Subject: by the library\n\ntext\n")
box.flush()
assert len(box) == DELIVERERS * MAILS + 1
END
