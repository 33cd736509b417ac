"""The jobs with parallel-ssh: job.py deploy | commands | one. It does not check host keys."""
import os
import sys

from gevent import joinall
from pssh.clients import ParallelSSHClient

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
hosts = open(os.environ["BENCH_HOSTS"]).read().split()
client = ParallelSSHClient(
    hosts, user="root", pkey=os.environ["BENCH_KEY"], pool_size=len(hosts), allow_agent=False
)


def run(command):
    """Runs one command on all hosts and collects its output."""
    out = client.run_command(command)
    client.join(out)
    for host in out:
        text = "\n".join(host.stdout)
        if host.exit_code != 0:
            sys.exit(f"{host.host}: {command}: {host.exit_code} {text}")


if sys.argv[1] == "deploy":
    run("mkdir -p /data/db")
    copies = [
        (os.path.join(os.environ["BENCH_FILES"], name), f"/data/{name}")
        for name in ("libaio.so.1", "seekdb")
    ]
    copies.append((os.environ["BENCH_CONFIG"], "/data/db/start.sh"))
    for source, target in copies:
        # parallel-ssh has no "copy when different". So this leaves the copy out where size and time
        # are the same, as rsync does.
        stamp = f"{os.path.getsize(source)} {int(os.path.getmtime(source))}"
        there = client.run_command(f"stat -c '%s %Y' {target} 2>/dev/null; true")
        client.join(there)
        if all("".join(h.stdout).strip() == stamp for h in there):
            continue
        joinall(client.copy_file(source, target), raise_error=True)
        run(f"chmod 755 {target}; touch -d @{int(os.path.getmtime(source))} {target}")
    if os.environ["BENCH_START"] == "1":
        run(open(os.path.join(here, "up.sh")).read())
elif sys.argv[1] == "commands":
    for command in open(os.path.join(here, "commands.txt")).read().splitlines():
        run(command)
else:
    run("true")
