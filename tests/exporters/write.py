# SPDX-License-Identifier: Apache-2.0
"""What the scripts of this folder that write models share."""
import pathlib
import subprocess
import sys
import time
import traceback


def write_all(argv, models, write):
    """write(make, path) for each model that the command line wants: DIR [NAME...]. Several are written by a
    process each, as exporters keep memory and may abort."""
    folder, names = pathlib.Path(argv[1]), argv[2:] or list(models)
    folder.mkdir(parents=True, exist_ok=True)
    if len(names) > 1:
        for name in names:
            code = subprocess.run([sys.executable, argv[0], argv[1], name]).returncode
            if code:
                print(f"{name}: not written: exit status {code}", flush=True)
        return
    start = time.monotonic()
    try:
        write(models[names[0]], str(folder / f"{names[0]}.onnx"))
        print(f"{names[0]}: {time.monotonic() - start:.1f} s", flush=True)
    except Exception as e:  # the exporter's own limits are no failure of ours
        print(f"{names[0]}: not written: {traceback.format_exception_only(e)[-1].strip()[:300]}", flush=True)
