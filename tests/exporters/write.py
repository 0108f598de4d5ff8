# SPDX-License-Identifier: Apache-2.0
"""What the scripts of this folder that write models share."""
import os
import pathlib
import sys
import time
import traceback


def write_one(make, write, path, name):
    start = time.monotonic()
    try:
        write(make, str(path))
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
    except Exception as e:  # the exporter's own limits are no failure of ours
        said = traceback.format_exception_only(e)[-1].strip().replace("\n", " ")
        print(f"{name}: not written: {said[:300]}", flush=True)


def write_all(argv, models, write):
    """write(make, path) for each model that the command line wants: DIR [NAME|FOLDER...]. Each is written by a
    process of its own, as exporters keep memory and may abort."""
    folder, wanted = pathlib.Path(argv[1]), argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in models.items():
        if wanted and name not in wanted and name.split("/")[0] not in wanted:
            continue
        child = os.fork()
        if not child:
            write_one(make, write, folder / f"{name}.onnx", name)
            sys.stdout.flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status:
            print(f"{name}: not written: exit status {os.waitstatus_to_exitcode(status)}", flush=True)
