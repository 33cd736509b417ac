"""The lab's hosts."""
import os

hosts = [
    (
        address,
        {
            "ssh_user": "root",
            "ssh_key": os.environ["BENCH_KEY"],
            "ssh_known_hosts_file": os.environ["BENCH_KNOWN_HOSTS"],
            "ssh_strict_host_key_checking": "yes",
        },
    )
    for address in open(os.environ["BENCH_HOSTS"]).read().split()
]
