# Runs one command and prints, as the last line, what it took. The peak memory of a child starts at what this script
# itself takes (about 10 MB), so small figures are upper bounds.
import json
import os
import sys
import time

start = time.perf_counter()
null = os.open(os.devnull, os.O_WRONLY)
child = os.posix_spawnp(
    sys.argv[1],
    sys.argv[1:],
    os.environ,
    file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)],
)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
print(
    json.dumps(
        {
            "code": os.waitstatus_to_exitcode(status),
            "wall_s": wall,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / 1024,
        }
    )
)
