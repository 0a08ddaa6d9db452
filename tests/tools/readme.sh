#!/bin/sh
# SPDX-License-Identifier: MIT
# README.md's first quarter of an hour, typed as it stands there.
. "$(dirname "$0")/lib.sh"
need_mount
for tool in python3 bash; do
	command -v "$tool" >/dev/null || {
		echo "SKIP: no $tool"
		exit 77
	}
done

root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir "$work/bin" "$work/home"
ln -s "$KVFS" "$work/bin/kvfs"
ln -s "$kvctl" "$work/bin/kvctl"
cat >"$work/readme.py" <<'END'
"""Runs each command of the transcript in one shell, compares what it wrote."""
import re, subprocess, sys

readme, home, path = sys.argv[1:]
text = open(readme).read()
block = text.split("<!-- tests/tools/readme.sh runs this -->")[1]
block = block.split("```console\n")[1].split("```")[0]
steps = []
for line in block.splitlines():
    if line.startswith("$ "):
        steps.append((line[2:], []))
    else:
        steps[-1][1].append(line)
assert len(steps) > 20, "the transcript was not understood"

mark = "--- end of step ---"
script = "".join("%s\necho '%s'\n" % (command, mark) for command, _ in steps)
run = subprocess.run(["bash", "-c", script], cwd=home, text=True,
                     env={"PATH": path, "HOME": home, "LC_ALL": "C"},
                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                     stderr=subprocess.STDOUT, timeout=200, check=False)
outputs = run.stdout.split(mark + "\n")
failed = False
for (command, expected), output in zip(steps, outputs):
    lines = []
    for line in expected:
        if line == "...":
            lines.append(r"(?:.*\n)*")
        else:
            lines.append(".*".join(map(re.escape, line.split("..."))) + r"\n")
    if not re.fullmatch("".join(lines), output):
        failed = True
        print("$ %s\nis documented to write:\n%s\nand wrote:\n%s"
              % (command, "\n".join(expected), output), file=sys.stderr)
if len(outputs) != len(steps) + 1:
    sys.exit("FAILED: the shell ended early")
sys.exit(1 if failed else 0)
END
PATH="$work/bin:$PATH"
python3 "$work/readme.py" "$root/README.md" "$work/home" "$PATH" ||
	fail 'the transcript is not what happens'
