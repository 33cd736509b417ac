"""Copies the server's files and config, starts the server, and waits for its port."""
import os

from pyinfra.operations import files, server

files.directory(path="/data/db")
for name in ("libaio.so.1", "seekdb"):
    files.put(src=os.path.join(os.environ["BENCH_FILES"], name), dest=f"/data/{name}", mode="755")
files.put(src=os.environ["BENCH_CONFIG"], dest="/data/db/start.sh", mode="644")
if os.environ["BENCH_START"] == "1":
    up = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "up.sh")
    server.script(src=up)
