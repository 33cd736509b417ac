"""Runs each command as an operation."""
import os

from pyinfra.operations import server

for command in open(
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "commands.txt")
).read().splitlines():
    server.shell(commands=[command])
